# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
Write the status of all watchers of a triggerer process into the shared state, for the page "Triggers".

All state calls of a triggerer pass its supervisor one after another, about 30 a second (Airflow 3.3). A
status for each asset or poll would delay watermarks and pushes, so one coroutine writes all of them: at most
one value every five seconds.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import socket
import time
import weakref
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol

from airflow_registry_triggers.common.state_store import shared_state
from airflow_registry_triggers.registry.http.usage import Usage, metered
from airflow_registry_triggers.watcher.status_values import KEY_PREFIX, Layout, WatcherStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_registry_triggers.watcher.backoff import FailureBackoff

__all__ = ["PollProgress", "Reporter", "StatusStore", "reporting"]

log = logging.getLogger(__name__)

TICK = 5.0
"""Seconds between two writes."""

MAX_AGE = 30.0
"""Seconds after which a value is written again."""

MAX_STARVED = 60.0
"""Seconds after which a value goes before values with a changed health."""

MAX_FIRST_POLLS = 120.0
"""Seconds for which the first write waits at most. The baselines of 1,000 repositories are 2,000 state
writes, which take 70 s; a status write would delay them and the pushes behind them."""

FINAL_WRITE = 1.0
"""Seconds for the last writes when the triggerer stops."""


class StatusStore(Protocol):
    """The calls of Airflow's accessor that this module uses."""

    async def aget(self, key: str, default: Any = None) -> Any:
        """Return the value of a key."""

    async def aset(self, key: str, value: Any) -> None:
        """Write the value of a key."""

    async def adelete(self, key: str) -> None:
        """Delete a key."""


class Source(Protocol):
    """A stream that watches assets."""

    def statuses(self) -> Iterator[tuple[str, WatcherStatus]]:
        """Yield the name and the status of each watched asset."""


class PollProgress:
    """The last poll of a stream."""

    def __init__(self) -> None:
        self.polled_at: float | None = None
        self.took_ms = 0
        self.usage = Usage()

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Measure a poll while the context is open."""
        began = time.monotonic()
        with metered() as usage:
            yield
        self.polled_at, self.usage = time.time(), usage
        self.took_ms = round(1000 * (time.monotonic() - began))

    def status(
        self, backoff: FailureBackoff, interval: float, tags: int | None, note: str = ""
    ) -> WatcherStatus:
        """
        Return the status of an asset.

        :param backoff: failures of the asset, or of its stream
        :param interval: seconds between two polls
        :param tags: tags in the stored watermark
        :param note: remark of the last poll, if it succeeded
        """
        failed = backoff.failures > 0
        return WatcherStatus(
            polled_at=self.polled_at,
            error_kind=backoff.error_kind,
            failing_since=backoff.failing_since,
            failures=backoff.failures,
            took_ms=self.took_ms,
            next_in_s=backoff.pause if failed else interval,
            tags=tags,
            requests=self.usage.requests,
            quota_left=self.usage.quota_left,
            note=backoff.note if failed else note,
        )


class Reporter:
    """
    Write the values of one process.

    :param store: the shared state
    :param prefix: beginning of the keys, ``watchers/<host>-<pid>/``
    """

    def __init__(self, store: StatusStore, prefix: str) -> None:
        self._store = store
        self._prefix = prefix
        self._sources: list[Source] = []
        self._left: dict[str, WatcherStatus] = {}
        self._layout = Layout()
        self._task: asyncio.Task[None] | None = None
        self._stored = -1  # number of values in the store; -1 before it was read
        self._gained: set[int] = set()
        self._written_at: dict[int, float] = {}
        self._written_kinds: dict[str, str | None] = {}
        self._is_failing = False

    def join(self, source: Source) -> None:
        """Report a stream; start to write with the first one."""
        self._sources.append(source)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run(), name="registry-watcher-status")

    def leave(self, source: Source) -> None:
        """Report a stream no longer."""
        # If the triggerer stops, its streams end before this writer does: their last status is still written.
        self._left.update(source.statuses())
        self._sources.remove(source)

    async def tick(self) -> bool:
        """Write or delete one value if one is due; return True if a call was made."""
        self._left.clear()
        rows = self._rows()
        self._gained |= self._layout.arrange(rows)
        if self._stored < 0:
            self._stored = await self._read_count()
        number = self._next_value(rows)
        if number is not None:
            await self._write(number, rows)
        elif self._stored > self._layout.count:
            await self._store.adelete(f"{self._prefix}{self._stored - 1}")
            self._stored -= 1
        else:
            return False
        return True

    async def _run(self) -> None:
        try:
            await self._first_polls()
            while self._sources or self._stored > 0:
                await self._tick_safely()
                await asyncio.sleep(TICK)
        except asyncio.CancelledError:
            await self._write_all()
            raise

    async def _first_polls(self) -> None:
        for _ in range(round(MAX_FIRST_POLLS / TICK)):
            await asyncio.sleep(TICK)
            if all(status.polled_at for source in self._sources for _, status in source.statuses()):
                return

    async def _tick_safely(self) -> None:
        try:
            await self.tick()
        except Exception as error:
            # The watchers must not depend on their status. The shared state exists only if a Dag has a match
            # task or a sensor.
            log.log(
                logging.DEBUG if self._is_failing else logging.INFO,
                "The status of the watchers cannot be stored: %s",
                type(error).__name__,
            )
            self._is_failing = True
        else:
            self._is_failing = False

    async def _write_all(self) -> None:
        with suppress(Exception):
            async with asyncio.timeout(FINAL_WRITE):
                rows = self._rows()
                self._layout.arrange(rows)
                for number in range(self._layout.count):
                    await self._write(number, rows)

    def _rows(self) -> dict[str, list[Any]]:
        rows = {asset: status.to_list() for asset, status in self._left.items()}
        for source in self._sources:
            rows.update((asset, status.to_list()) for asset, status in source.statuses())
        return rows

    async def _read_count(self) -> int:
        """Return how many values a process of the same name left behind."""
        value = await self._store.aget(f"{self._prefix}0")
        parts = value.get("parts") if isinstance(value, dict) else 0
        return parts if isinstance(parts, int) and 0 <= parts <= 1000 else 0

    def _next_value(self, rows: Mapping[str, list[Any]]) -> int | None:
        now = time.monotonic()
        numbers = sorted(range(self._layout.count), key=lambda number: self._written_at.get(number, 0.0))
        age = {number: now - self._written_at.get(number, -MAX_STARVED) for number in numbers}
        changed = self._changed(rows)
        for is_next in (
            lambda number: number in self._gained,
            lambda number: age[number] >= MAX_STARVED,
            lambda number: number in changed,
            lambda number: age[number] >= MAX_AGE,
        ):
            if (found := next(filter(is_next, numbers), None)) is not None:
                return found
        return None

    def _changed(self, rows: Mapping[str, list[Any]]) -> set[int]:
        """Return the values in which the health of a watcher has changed."""
        return {
            self._layout.value_of(asset)
            for asset, row in rows.items()
            if asset not in self._written_kinds or self._written_kinds[asset] != row[1]
        }

    async def _write(self, number: int, rows: Mapping[str, list[Any]]) -> None:
        watchers = self._layout.rows_of(number, rows)
        value = {"at": round(time.time(), 1), "parts": self._layout.count, "watchers": watchers}
        await self._store.aset(f"{self._prefix}{number}", value)
        self._stored = max(self._stored, number + 1)
        self._gained.discard(number)
        self._written_at[number] = time.monotonic()
        self._written_kinds.update((asset, row[1]) for asset, row in watchers.items())


_reporters: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Reporter] = weakref.WeakKeyDictionary()


@contextmanager
def reporting(source: Source) -> Iterator[None]:
    """
    Report the watchers of a stream while the context is open.

    :param source: the stream
    """
    loop = asyncio.get_running_loop()
    reporter = _reporters.get(loop)
    if reporter is None:
        reporter = _reporters[loop] = Reporter(shared_state(), f"{KEY_PREFIX}{_process_name()}/")
    reporter.join(source)
    try:
        yield
    finally:
        reporter.leave(source)


def _process_name() -> str:
    host = re.sub(r"[^A-Za-z0-9_.-]", "_", socket.gethostname())[:100]
    return f"{host}-{os.getpid()}"
