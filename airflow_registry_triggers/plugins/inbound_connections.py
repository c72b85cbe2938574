# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A cache of the Connections that take webhooks, with a limit on lookups of unknown ids."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_registry_triggers.inbound.rate_window import RateWindow

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_registry_triggers.hooks.inbound_settings import InboundSettings

__all__ = ["InboundConnection", "InboundConnections"]

MAX_AGE = 30.0
"""Seconds until a Connection is read again; absence is cached too."""

MAX_AGE_OF_ERROR = 1.0
"""Seconds until a Connection is read again after an error."""

MAX_ENTRIES = 1000

UNKNOWN_LOOKUPS = 10
"""Lookups of unknown ids per second."""


@dataclass(slots=True)
class InboundConnection:
    """
    A Connection in the cache.

    :param settings: None if it takes no webhooks
    :param error: reason why it could not be read; its values are not valid, or the database failed
    :param read_at: ``time.monotonic()``
    :param reread_at: time of the last read after the first; a wrong proof may cause one in 30 s
    """

    settings: InboundSettings | None
    error: Exception | None
    read_at: float
    reread_at: float = float("-inf")
    window: RateWindow | None = None

    def age_limit(self) -> float:
        """Return the seconds for which the entry is used."""
        return MAX_AGE_OF_ERROR if self.error is not None else MAX_AGE

    @property
    def is_known(self) -> bool:
        """Whether the id belongs to a Connection that takes webhooks, as far as the last read shows."""
        return self.settings is not None


class InboundConnections:
    """
    The Connections by id.

    :param read: returns the settings of a Connection, None if it takes no webhooks; called in a thread
    """

    def __init__(self, read: Callable[[str], InboundSettings | None]) -> None:
        self._read = read
        self._entries: dict[str, InboundConnection] = {}
        self._reading: dict[str, asyncio.Task[InboundConnection]] = {}
        self._lookups = RateWindow(UNKNOWN_LOOKUPS, 1.0)

    async def get(self, conn_id: str) -> InboundConnection | None:
        """
        Return a Connection, from the cache if possible.

        :return: None if its id is unknown and too many unknown ids were looked up
        """
        entry, now = self._entries.get(conn_id), time.monotonic()
        if entry is not None and now - entry.read_at < entry.age_limit():
            return entry
        is_known = entry is not None and entry.is_known
        if conn_id not in self._reading and not is_known and self._lookups.take(now):
            return None
        return await self._renewed(conn_id)

    async def after_wrong_proof(self, conn_id: str, entry: InboundConnection) -> InboundConnection | None:
        """
        Read a Connection again, at most once in 30 s: the secret may have been rotated.

        :return: None if it was read a short time ago
        """
        if time.monotonic() - entry.reread_at < MAX_AGE:
            return None
        return await self._renewed(conn_id)

    async def _renewed(self, conn_id: str) -> InboundConnection:
        task = self._reading.get(conn_id)
        if task is None:
            task = self._reading[conn_id] = asyncio.create_task(self._read_again(conn_id))
            task.add_done_callback(lambda _: self._reading.pop(conn_id, None))
        return await asyncio.shield(task)

    async def _read_again(self, conn_id: str) -> InboundConnection:
        before = self._entries.pop(conn_id, None)
        settings, error = None, None
        try:
            settings = await asyncio.to_thread(self._read, conn_id)
        except Exception as reason:
            error = reason
        now = time.monotonic()
        entry = InboundConnection(settings, error, now)
        if before is not None:
            entry.reread_at, entry.window = now, before.window
            if not isinstance(error, ValueError | None):
                # The database failed: the secret of the last read stays valid.
                entry.settings, entry.error = before.settings, None if before.settings else error
        if entry.settings is not None and (
            before is None or before.settings is None or before.settings.rate != entry.settings.rate
        ):
            entry.window = RateWindow(entry.settings.rate, 60.0)
        self._entries[conn_id] = entry
        self._make_room()
        return entry

    def _make_room(self) -> None:
        if len(self._entries) <= MAX_ENTRIES:
            return
        absent = (conn_id for conn_id, entry in self._entries.items() if not entry.is_known)
        del self._entries[next(absent, next(iter(self._entries)))]
