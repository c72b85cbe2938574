# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Connections to a scripted registry and to a cloud."""

from __future__ import annotations

import json

from airflow.sdk import Connection

from airflow_registry_triggers.hooks.registry_target import target_of
from airflow_registry_triggers.registry.watermark import Watermark
from airflow_registry_triggers.tag_rule import TagRule


def cloud(conn_type, conn_id="cloud_default", *, extra=None, **values):
    """Return a cloud's Connection."""
    return Connection(conn_id=conn_id, conn_type=conn_type, extra=json.dumps(extra or {}), **values)


def target(registry, connection, **extra):
    """Return the target of a scripted registry whose login the Connection issues."""
    given = Connection(
        conn_id="registry_default",
        conn_type="oci_registry",
        host=registry.url,
        extra=json.dumps({"credentials_conn_id": connection.conn_id, **extra}),
    )
    return target_of(given, "team/app", connection)


async def polled(registry, connection, **extra):
    """Poll the repository once, and return the tags that were found."""
    poll = await target(registry, connection, **extra).poll(Watermark(), TagRule(), "notify")
    return {notification.tag for notification in poll.notifications}
