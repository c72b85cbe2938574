# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Cache of Connections, shared by all watchers of a triggerer process."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from airflow_registry_triggers.hooks.registry import RegistryHook
from airflow_registry_triggers.hooks.registry_login import acloud_connection
from airflow_registry_triggers.hooks.registry_target import RegistryTarget, target_of

if TYPE_CHECKING:
    from airflow.sdk import Connection

__all__ = ["MAX_AGE", "MAX_AGE_AFTER_FAILURE", "target_for"]

MAX_AGE = 30.0
"""Seconds until a Connection is read again: a changed password takes effect within this time."""

MAX_AGE_AFTER_FAILURE = 5.0
"""Seconds after a failure, because a changed Connection may be the cure."""

_read: dict[str, tuple[float, Connection]] = {}


async def target_for(conn_id: str, repository: str, max_age: float) -> RegistryTarget:
    """
    Return the target that a Connection and a repository describe.

    :param conn_id: the Connection
    :param repository: the repository as a Dag author writes it
    :param max_age: seconds; an older cached Connection is read again
    :raises ValueError: the Connection or the repository is not usable
    """
    connection = await _connection(conn_id, max_age)
    cloud = await acloud_connection(connection, lambda cloud_id: _connection(cloud_id, max_age))
    return target_of(connection, repository, cloud)


async def _connection(conn_id: str, max_age: float) -> Connection:
    read_at, connection = _read.get(conn_id, (0.0, None))
    if connection is None or time.monotonic() - read_at > max_age:
        connection = await RegistryHook.aget_connection(conn_id)
        _read[conn_id] = time.monotonic(), connection
    return connection
