# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
The hints that reach this triggerer: one reader for each event loop, and a waiter for each stream or sensor.

The api-server and ``RegistryHintOperator`` store hints in two rows of the shared state. The reader reads the
rows that somebody needs once a second and wakes the waiters of the repositories in them.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import time
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from airflow_registry_triggers.common.state_store import TASK_HINTS_KEY, WEBHOOK_HINTS_KEY, shared_state
from airflow_registry_triggers.inbound.hint_row import newer_than, seq_of
from airflow_registry_triggers.registry.names import RepositoryReference
from airflow_registry_triggers.watcher.collection_clock import CollectionClock
from airflow_registry_triggers.watcher.connection_cache import MAX_AGE, target_for

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_registry_triggers.hooks.registry_target import RegistryTarget

__all__ = ["HintReader", "HintWaiter", "hint_waiter", "record_collection"]

READ_INTERVAL = 1.0
"""Seconds between two reads of a row: four reads a second would cost 5 % of a core and save 0.4 s."""

READ_LEAD = 0.2
"""Seconds from a read to the triggerer's collection: the read, the poll and its two state calls take 0.1."""

MAX_BACK_OFF = 30.0
"""Seconds, the longest pause after failed reads."""

RETRY_CONNECTION_AFTER = 10.0
"""Seconds until a waiter reads a Connection again that could not be read."""

log = logging.getLogger(__name__)

_readers: WeakKeyDictionary[asyncio.AbstractEventLoop, HintReader] = WeakKeyDictionary()


def hint_waiter(conn_id: str, repository: str) -> HintWaiter:
    """
    Return a waiter for the hints of a repository; close it when the stream or the sensor ends.

    Call it in the event loop that waits: each loop has one reader.

    :param conn_id: the Connection
    :param repository: name of the repository, with or without a host
    """
    loop = asyncio.get_running_loop()
    reader = _readers.get(loop)
    if reader is None:
        reader = _readers[loop] = HintReader()
    return HintWaiter(reader, conn_id, repository)


def record_collection() -> None:
    """Record that the triggerer collects events now; hints are then read shortly before it does."""
    reader = _readers.get(asyncio.get_running_loop())
    if reader is not None:
        reader.collections.observe(time.monotonic())


class HintWaiter:
    """
    The hints for one repository.

    :param reader: reader of the event loop
    :param conn_id: the Connection
    :param repository: name of the repository, with or without a host
    """

    def __init__(self, reader: HintReader, conn_id: str, repository: str) -> None:
        self.keys: frozenset[str] = frozenset()
        self._reader = reader
        self._conn_id = conn_id
        self._repository = repository
        self._name = (conn_id, RepositoryReference.parse(repository).name)
        self._is_followed = False
        self._tags: set[str] = set()
        self._woken = asyncio.Event()
        reader.join(self)

    @property
    def name(self) -> tuple[str, str]:
        """Connection id and repository without a host, as in the rows."""
        return self._name

    async def wait(self, seconds: float) -> frozenset[str] | None:
        """
        Wait for hints.

        :param seconds: the longest wait
        :return: the tags to poll now, ``*`` for all; None after the time, and empty after :meth:`wake`
        """
        end = time.monotonic() + seconds
        is_followed = self._is_followed or await self._follow_connection()
        while not self._woken.is_set() and (left := end - time.monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left if is_followed else min(left, RETRY_CONNECTION_AFTER)):
                    await self._woken.wait()
            # Without the retry, a sensor would miss the hints of its whole interval.
            is_followed = is_followed or self._is_followed or await self._follow_connection()
        return self.take() if self._woken.is_set() else None

    def add(self, tags: Iterable[str]) -> None:
        """Add hinted tags and wake the waiter."""
        self._tags.update(tags)
        self.wake()

    def wake(self) -> None:
        """End the wait without a hint."""
        self._woken.set()

    def close(self) -> None:
        """Take no more hints; the reader ends with its last waiter."""
        self.keys = frozenset()
        self._reader.leave(self)

    def take(self) -> frozenset[str]:
        """Return the hints that have arrived, without a wait."""
        tags, self._tags = frozenset(self._tags), set()
        self._woken.clear()
        return tags

    def follow(self, target: RegistryTarget) -> None:
        """
        Read the rows that the Connection allows; :meth:`wait` reads no Connection then.

        :param target: as the last poll used it
        """
        self._is_followed = True
        rows = {
            WEBHOOK_HINTS_KEY: target.settings.webhook_hints,
            TASK_HINTS_KEY: target.settings.queue_hints,
        }
        keys = frozenset(key for key, is_needed in rows.items() if is_needed)
        name = (self._conn_id, target.repository)
        if (keys, name) != (self.keys, self._name):
            self.keys, self._name = keys, name
            self._reader.follow(self)

    async def _follow_connection(self) -> bool:
        """Read the Connection; return False after an error, which changes nothing."""
        try:
            target = await target_for(self._conn_id, self._repository, MAX_AGE)
        except Exception:
            return False
        self.follow(target)
        self._is_followed = False
        return True


class HintReader:
    """
    Read the rows with hints while a waiter needs them.

    A reader that starts counts all hints of a row as new, and so does one whose row was lost.
    """

    def __init__(self) -> None:
        self._waiters: set[HintWaiter] = set()
        self._rows: dict[str, Any] = {}
        self._task: asyncio.Task[None] | None = None
        self._failures = 0
        self._is_off = False
        self.collections = CollectionClock(READ_LEAD)

    @property
    def is_running(self) -> bool:
        """Whether the reader reads: nobody pays for push mode without using it."""
        return self._task is not None and not self._task.done()

    def join(self, waiter: HintWaiter) -> None:
        """Add a waiter; it gets no hints before :meth:`follow`."""
        self._waiters.add(waiter)

    def leave(self, waiter: HintWaiter) -> None:
        """Remove a waiter."""
        self._waiters.discard(waiter)

    def follow(self, waiter: HintWaiter) -> None:
        """Take over a waiter's keys and name; hints that were read before are new to this waiter."""
        for key in waiter.keys & self._rows.keys():
            self._wake(newer_than(self._rows[key], -1), key, {waiter})
        if waiter.keys and not self.is_running and not self._is_off:
            # Without a context of its own, log lines would go to the log of the trigger that came first.
            self._task = asyncio.create_task(
                self._run(), name="registry hints", context=contextvars.Context()
            )

    def _needed_keys(self) -> set[str]:
        return {key for waiter in self._waiters for key in waiter.keys}

    async def _run(self) -> None:
        # The reader is not cancelled: a call to Airflow's supervisor must not be broken off.
        while self._needed_keys():
            began = time.monotonic()
            try:
                await self._read()
            except AttributeError:
                # dag.test() runs triggers in its own process, whose channel has no coroutine (Airflow 3.3).
                self._is_off = True
                return
            except Exception as error:
                await asyncio.sleep(self._record_failure(error))
                continue
            if self._failures:
                log.info("hints of registries' webhooks: readable after %d failed reads", self._failures)
            self._failures = 0
            now = time.monotonic()
            await asyncio.sleep(self.collections.before_collection(began + READ_INTERVAL, now) - now)
        self._rows = {}

    async def _read(self) -> None:
        store, needed = shared_state(), self._needed_keys()
        self._rows = {key: row for key, row in self._rows.items() if key in needed}
        for key in sorted(needed):
            row = await store.aget(key)
            seen = seq_of(self._rows[key]) if key in self._rows else -1
            self._rows[key] = row
            if seq_of(row) != seen:
                self._wake(newer_than(row, seen), key, self._waiters)

    def _wake(self, hints: dict[tuple[str, str], set[str]], key: str, waiters: Iterable[HintWaiter]) -> None:
        for waiter in waiters if hints else ():
            if key in waiter.keys and (tags := hints.get(waiter.name)):
                waiter.add(tags)

    def _record_failure(self, error: Exception) -> float:
        if not self._failures:
            log.error("hints of registries' webhooks cannot be read; the reader retries: %s", error)
        self._failures += 1
        return float(min(READ_INTERVAL * 2.0 ** min(self._failures, 10), MAX_BACK_OFF))
