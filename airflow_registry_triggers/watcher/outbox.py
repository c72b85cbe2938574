# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
Notifications stored before they are emitted, in the state of their asset.

A poll compares the registry with the watermark, so a push is lost if the triggerer dies before the watermark
moved and the tag points elsewhere afterwards. The outbox closes this gap: an entry is written first, and the
next watcher emits it again with the same id.

An acknowledged entry stays for two minutes. Airflow acknowledges an event also when it detached the Airflow
trigger from its asset a moment before, as it does when the only consumer is paused; the event is then stored
for nobody. Each entry therefore names the Airflow trigger that emitted it. A watcher with the same trigger id
was attached all the time and does not repeat acknowledged entries; a watcher with another id does.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.common.chunked_values import aload_chunked, asave_chunked
from airflow_registry_triggers.notification import Notification

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow.sdk.execution_time.context import AssetStateStoreAccessor

__all__ = ["DETACHED_KEY", "EXPIRES_AFTER", "KEY", "Outbox", "record_detached"]

KEY = "outbox"

DETACHED_KEY = "outbox.detached"
"""Key of the trigger that Airflow detached last: SQLite gives the id of a deleted row to the next trigger."""

EXPIRES_AFTER = 120.0
"""Seconds on the wall clock since the first emission. A trigger outlives the pause of its only consumer by
less: Airflow detaches it when the Dag file is parsed again."""

MAX_ACKNOWLEDGED = 500
"""Acknowledged entries that are kept; the oldest are dropped first."""


@dataclass(slots=True)
class _Entry:
    """
    A notification in the outbox.

    :param emitted_at: seconds since 1970 of the first emission
    :param trigger_id: Airflow trigger that emitted it last
    """

    notification: Notification
    emitted_at: float
    trigger_id: int | None

    @property
    def is_expired(self) -> bool:
        return time.time() - self.emitted_at > EXPIRES_AFTER


class Outbox:
    """
    The outbox of one asset.

    :param store: state of the asset
    :param trigger_id: id of the Airflow trigger that emits; None if it is not known
    """

    def __init__(self, store: AssetStateStoreAccessor, trigger_id: int | None = None) -> None:
        self._store = store
        self._trigger_id = trigger_id
        self._entries: dict[str, _Entry] = {}
        self._pending: dict[str, _Entry] = {}
        self._unacknowledged: set[str] = set()
        self._undelivered: set[str] = set()
        self._detached_at = 0.0
        self._parts = 1

    async def load(self) -> None:
        """Read the entries of earlier watchers; all of them are pending."""
        stored = await aload_chunked(self._store, KEY, [])
        self._entries = {str(entry.notification.id): entry for entry in _read(stored)}
        self._pending = dict(self._entries)
        self._unacknowledged, self._undelivered = set(), set()
        self._parts = 2 if self._entries else 1  # how many there are is read with the first write
        self._detached_at = 0.0
        if any(self._is_own(entry) for entry in self._entries.values()):
            self._detached_at = _detached_at(await self._store.aget(DETACHED_KEY), self._trigger_id)

    def pop_pending(self, is_wanted: Callable[[Notification], bool]) -> list[Notification]:
        """
        Return the pending notifications that are to be replayed; each is returned once.

        :param is_wanted: tells whether to return a notification now
        """
        wanted = {key: entry for key, entry in self._pending.items() if is_wanted(entry.notification)}
        for key in wanted:
            del self._pending[key]
        self._unacknowledged.update(wanted)
        return [entry.notification for entry in wanted.values()]

    def pop_undelivered(self) -> list[Notification]:
        """Return the pending notifications that Airflow may have stored for nobody; forget the others."""
        undelivered = self.pop_pending(self._may_be_undelivered)
        self._undelivered = {str(notification.id) for notification in undelivered}
        self._pending = {}
        return undelivered

    async def append(self, notifications: Iterable[Notification]) -> None:
        """
        Store notifications that are about to be emitted; a replayed one keeps its first time of emission.

        :param notifications: the notifications of one asset event
        """
        new = {str(notification.id): notification for notification in notifications}
        self._unacknowledged.update(new)
        # An undelivered entry keeps the id of its trigger: if this process dies now, the next one replays it.
        to_write = {key: new[key] for key in new if key not in self._undelivered and not self._has_own(key)}
        if to_write:
            await self._write(self._renewed(to_write))

    async def acknowledge(self, notifications: Iterable[Notification]) -> None:
        """
        Let entries expire from now on.

        :param notifications: notifications that are in the metadata database
        """
        keys = {str(notification.id) for notification in notifications}
        self._unacknowledged -= keys
        delivered = {key: self._entries[key].notification for key in keys & self._undelivered}
        self._undelivered -= keys
        if delivered:
            await self._write(self._renewed(delivered))
        if self._detached_at and not self._undelivered:
            await self._store.adelete(DETACHED_KEY)
            self._detached_at = 0.0

    async def expire(self) -> None:
        """Empty the stored outbox when every entry is acknowledged and expired."""
        # One write for all of them: a write for each entry would queue before the watermarks of others.
        if self._entries and not self._kept():
            await self._write({})

    def _renewed(self, notifications: dict[str, Notification]) -> dict[str, _Entry]:
        """Return the entries to keep, and these as entries of this watcher's trigger."""
        entries = self._kept()
        for key, notification in notifications.items():
            before = entries.pop(key, None)
            emitted_at = before.emitted_at if before else time.time()
            entries[key] = _Entry(notification, emitted_at, self._trigger_id)
        return entries

    def _has_own(self, key: str) -> bool:
        return key in self._entries and self._is_own(self._entries[key])

    def _is_own(self, entry: _Entry) -> bool:
        return self._trigger_id is not None and entry.trigger_id == self._trigger_id

    def _may_be_undelivered(self, notification: Notification) -> bool:
        entry = self._entries[str(notification.id)]
        if entry.is_expired:
            return False
        return not self._is_own(entry) or entry.emitted_at <= self._detached_at

    def _kept(self) -> dict[str, _Entry]:
        """Return the entries without the expired ones; an entry without acknowledgement never expires."""
        open_keys = self._pending.keys() | self._unacknowledged
        fresh = [key for key, entry in self._entries.items() if key not in open_keys and not entry.is_expired]
        kept = open_keys | set(fresh[-MAX_ACKNOWLEDGED:])
        return {key: entry for key, entry in self._entries.items() if key in kept}

    async def _write(self, entries: dict[str, _Entry]) -> None:
        rows = [
            [entry.emitted_at, entry.trigger_id, entry.notification.to_dict()] for entry in entries.values()
        ]
        self._parts = await asave_chunked(self._store, KEY, rows, replaces=self._parts > 1)
        self._entries = entries


async def record_detached(store: AssetStateStoreAccessor, trigger_id: int | None) -> None:
    """
    Store that Airflow detached a trigger from its asset.

    :param store: state of the asset
    :param trigger_id: the Airflow trigger
    """
    await store.aset(DETACHED_KEY, {"trigger_id": trigger_id, "at": time.time()})


def _detached_at(stored: Any, trigger_id: int | None) -> float:
    if isinstance(stored, dict) and stored.get("trigger_id") == trigger_id:
        at = stored.get("at")
        return float(at) if isinstance(at, int | float) else 0.0
    return 0.0


def _read(stored: Any) -> list[_Entry]:
    rows = stored if isinstance(stored, list) else []
    return [entry for entry in map(_entry, rows) if entry is not None]


def _entry(row: Any) -> _Entry | None:
    try:
        emitted_at, trigger_id, data = row
        notification = Notification.from_dict(data)
        if not (notification.id and notification.epoch and notification.digest and notification.generation):
            return None
        # A clock that was set back must not keep an entry for longer than EXPIRES_AFTER.
        return _Entry(notification, min(float(emitted_at), time.time()), trigger_id)
    except (TypeError, ValueError):
        return None
