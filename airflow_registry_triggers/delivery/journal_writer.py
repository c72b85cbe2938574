# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Store the attempts of a delivery task while it sends, and pause the sending while that fails."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_registry_triggers.access_record import AccessRecord
    from airflow_registry_triggers.delivery.journal import DeliveryJournal

__all__ = ["JournalUnavailable", "JournalWriter"]

FLUSH_SECONDS = 1.0
"""Seconds between two writes: a worker that is killed repeats at most the deliveries of this time."""

SLOW_SECONDS = 2.0
"""Seconds after which a write that has not returned pauses the sending."""

REPORT_SECONDS = 5.0
"""Seconds between two rounds of log lines: a line takes Airflow longer than a webhook takes a receiver."""

RETRY_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Pauses between attempts to write; the last one repeats."""

PATIENCE = 60.0
"""Seconds for which the sending waits for the journal before the try ends."""


class JournalUnavailable(Exception):
    """The journal could not be written for :data:`PATIENCE` seconds."""


class JournalWriter:
    """
    Write the journal about once a second and the log lines every few seconds, each in a thread.

    :param report: called with each record that is added, in order
    :param log: the task's logger
    """

    def __init__(self, journal: DeliveryJournal, report: Callable[[AccessRecord], None], log: Any) -> None:
        self._journal = journal
        self._report = report
        self._log = log
        self._unreported: deque[AccessRecord] = deque()
        self._reported = time.monotonic()
        self._writable = asyncio.Event()
        self._writable.set()
        self._failing_since: float | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_stopped = False
        self._is_released = False

    def start(self, on_interruption: Callable[[BaseException], None] | None = None) -> None:
        """
        Begin to write in the background.

        :param on_interruption: called with an exception that ends the writing, such as that of
            ``execution_timeout``
        """

        def ended(task: asyncio.Task[None]) -> None:
            error = None if task.cancelled() else task.exception()
            if error is not None and on_interruption is not None:
                on_interruption(error)

        self._task = asyncio.create_task(self._write_at_times())
        self._task.add_done_callback(ended)

    def add(self, record: AccessRecord) -> None:
        """Queue a record for the log."""
        self._unreported.append(record)

    async def wait_until_writable(self) -> None:
        """
        Wait while the journal cannot be written.

        :raises JournalUnavailable: after :data:`PATIENCE` seconds
        """
        try:
            await asyncio.wait_for(self._writable.wait(), PATIENCE)
        except TimeoutError:
            raise JournalUnavailable(f"the journal could not be written for {PATIENCE:.0f} s") from None

    def release(self) -> None:
        """End all waits for good: the batch stops, and its workers see that."""
        self._is_released = True
        self._writable.set()

    async def close(self, *, tries: int, is_stopped: bool = False) -> None:
        """
        Stop the background writes, then write the rest of the journal and of the log.

        A journal that cannot be written costs a repeated webhook in a retry, and no more: the receiver knows
        it by its webhook-id. The result of the task stays as it is.

        Airflow kills a stopped task after 5 s, and a thousand lines take about as long. The lines of attempts
        that were cut are therefore written now, and the others by :meth:`report_rest`.

        :param tries: attempts to write the journal
        :param is_stopped: whether the task was stopped
        """
        self._is_stopped = is_stopped
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        for number in range(tries):
            if await self._flush():
                break
            if number + 1 < tries:
                await asyncio.sleep(_pause(number))
        else:
            self._log.warning(
                "The journal of this delivery is not complete; a retry of this task may send webhooks again, "
                "with the same webhook-id."
            )
        if is_stopped:
            self._unreported = deque(sorted(self._unreported, key=lambda record: not record.ambiguous))
        await asyncio.to_thread(self._report_urgent)

    def report_rest(self) -> None:
        """Log the records that are not logged yet."""
        while self._unreported:
            self._report(self._unreported.popleft())

    async def _write_at_times(self) -> None:
        failures = 0
        while True:
            await asyncio.sleep(_pause(failures - 1) if failures else FLUSH_SECONDS)
            if await self._flush_or_pause():
                failures = 0
                if time.monotonic() - self._reported > REPORT_SECONDS:
                    await _to_the_end(self._report_urgent)
            else:
                failures += 1

    async def _flush_or_pause(self) -> bool:
        writing = asyncio.ensure_future(self._flush())
        try:
            # A thread cannot be stopped: its write continues, and the sending waits for its result.
            await asyncio.wait([writing], timeout=SLOW_SECONDS)
            if not writing.done():
                self._pause()
            is_written = await asyncio.shield(writing)
        except asyncio.CancelledError:
            await writing
            raise
        if is_written:
            self._writable.set()
        else:
            self._pause()
        return is_written

    def _pause(self) -> None:
        if not self._is_released:
            self._writable.clear()

    async def _flush(self) -> bool:
        try:
            await asyncio.to_thread(self._journal.flush)
        except Exception as error:
            if self._failing_since is None:
                self._failing_since = time.monotonic()
            self._log.warning(
                "The journal of this delivery cannot be written (%s: %s); sending pauses until it can.",
                type(error).__name__,
                error,
            )
            return False
        if self._failing_since is not None:
            took = time.monotonic() - self._failing_since
            self._log.info("The journal of this delivery was written after %.0f s; sending resumes.", took)
            self._failing_since = None
        return True

    def _report_urgent(self) -> None:
        """Log the records, those of cut attempts only if the task was stopped."""
        while self._unreported and (not self._is_stopped or self._unreported[0].ambiguous):
            self._report(self._unreported.popleft())
        self._reported = time.monotonic()


async def _to_the_end(function: Callable[[], Any]) -> None:
    """Run a function in a thread; a cancellation waits for it, because a thread cannot be stopped."""
    running = asyncio.ensure_future(asyncio.to_thread(function))
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        await running
        raise


def _pause(failures: int) -> float:
    return RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)]
