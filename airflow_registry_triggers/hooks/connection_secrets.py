# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The secrets of a registry's Connection, which Airflow masks in logs."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.hooks.connection_extra import HTTP_OPTIONS
from airflow_registry_triggers.hooks.registry_api import API_FIELDS
from airflow_registry_triggers.hooks.registry_login import LOGIN_FIELDS
from airflow_registry_triggers.hooks.watch_settings import FACTS, WEBHOOK_SECRETS

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import Connection

    from airflow_registry_triggers.hooks.connection_extra import ConnectionExtra

__all__ = ["mask_connection_secrets"]

_FIELDS = frozenset(
    {
        *API_FIELDS,
        *FACTS,
        *LOGIN_FIELDS,
        "ca_file",
        "confirm_polls",
        "first_run",
        "flap_limit",
        "max_in_flight",
        "poll_interval",
        "proxy",
        "recheck_interval",
        "referrers",
        "scheme",
        "storm_limit",
        "timezone",
        "updates",
    }
)


def mask_connection_secrets(
    connection: Connection, read: ConnectionExtra, mask_secret: Callable[[Any], None]
) -> None:
    """
    Mask the password, the login in its Basic form and, in an http Connection, the values of headers.

    :param mask_secret: Airflow's function
    :raises ValueError: a header is not text
    """
    password = connection.password
    if password:
        pair = f"{connection.login or ''}:{password}".encode()
        mask_secret(password)
        mask_secret(base64.b64encode(pair).decode())
    for name in WEBHOOK_SECRETS:
        if isinstance(secret := read.extra.get(name), str) and secret:
            mask_secret(secret)
    if connection.conn_type != "http":
        return
    for name, value in read.extra.items():
        if name in _FIELDS or name in HTTP_OPTIONS:
            continue
        mask_secret(value)
        if not isinstance(value, str):
            raise ValueError(
                f"Connection {read.conn_id!r}: the extra {name!r} must be text. In an http Connection, each "
                "key of the extra is one header"
            )
