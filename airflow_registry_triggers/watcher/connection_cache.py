# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The Connections of a triggerer's watchers: read once in a while, and not by each of a thousand."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from airflow_registry_triggers.hooks.registry import RegistryHook, RegistryTarget, target_of

if TYPE_CHECKING:
    from airflow.sdk import Connection

__all__ = ["MAX_AGE", "MAX_AGE_IN_TROUBLE", "target_for"]

MAX_AGE = 30.0
"""Seconds for which a Connection that was read is used: a changed password is seen within this time."""

MAX_AGE_IN_TROUBLE = 5.0
"""Seconds, where something is wrong and a changed Connection may be what helps."""

_read: dict[str, tuple[float, Connection]] = {}


async def target_for(conn_id: str, repository: str, max_age: float) -> RegistryTarget:
    """
    Give what a Connection and a repository are together.

    :param conn_id: the Connection
    :param repository: the repository as a Dag author writes it
    :param max_age: seconds; a Connection that was read longer ago is read again
    :raises ValueError: the Connection or the repository cannot be used
    """
    read_at, connection = _read.get(conn_id, (0.0, None))
    if connection is None or time.monotonic() - read_at > max_age:
        connection = await RegistryHook.aget_connection(conn_id)
        _read[conn_id] = time.monotonic(), connection
    return target_of(connection, repository)
