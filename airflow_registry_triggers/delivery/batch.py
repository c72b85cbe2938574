# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
Send the notifications of one try of a delivery task, and decide how the try ends.

::

    READY ──send_all()──▶ SENDING ──all attempts ended──▶ ENDED
      │                      │                              ▲
      │                    stop(), a timeout, or no journal │
      │                      ▼                              │
      └──────stop()──────▶ STOPPING ──attempts ended or cut─┘

``SENDING`` starts attempts, up to 16 at a time, and pauses while the journal cannot be written. ``STOPPING``
starts none; attempts under way get two seconds to end and are then cut. In ``ENDED`` the journal is written,
and :meth:`DeliveryBatch.check` raises if Airflow has to retry or to fail the task.

``execution_timeout`` raises an exception in whatever code runs at that moment. asyncio only logs what a
callback raises, so the batch watches for it, stops, and raises the exception at its end.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from dataclasses import replace
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.access_record import AccessRecord, Status, utc_now
from airflow_registry_triggers.delivery.journal import DeliveryJournal
from airflow_registry_triggers.delivery.journal_writer import JournalUnavailable, JournalWriter
from airflow_registry_triggers.delivery.next_try import NextTry
from airflow_registry_triggers.delivery.retry_policy import WebhookRetryPolicy
from airflow_registry_triggers.delivery.texts import batch_label, failed_text, pending_text
from airflow_registry_triggers.exceptions import DeliveryFailed, DeliveryPending
from airflow_registry_triggers.webhook.outcome import Outcome
from airflow_registry_triggers.webhook.redaction.fields import mask_url

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow.sdk import Context

    from airflow_registry_triggers.notification import Notification
    from airflow_registry_triggers.webhook.delivery import Delivery, Result

__all__ = ["BatchState", "DeliveryBatch"]

IN_FLIGHT = 16

GRACE_SECONDS = 2.0
"""Seconds for attempts under way: Airflow kills a task 5 s after its SIGTERM."""

CLOSE_TRIES = 5
"""Attempts to write the journal after the last delivery: about 8 s."""


class BatchState(Enum):
    """The states of a batch; see the module."""

    READY = auto()
    SENDING = auto()
    STOPPING = auto()
    ENDED = auto()


class DeliveryBatch:
    """
    One try of a delivery task.

    :param delivery: receiver, headers and body
    :param items: notifications, each with the name of its trigger
    :param report: writes a record to the task log; called in the order in which attempts end
    :param log: the task's logger
    :param is_test: whether the run tests the trigger: then nothing is retried
    """

    def __init__(
        self,
        context: Context,
        delivery: Delivery,
        items: Sequence[tuple[Notification, str]],
        report: Callable[[AccessRecord], None],
        log: Any,
        *,
        is_test: bool = False,
    ) -> None:
        ti, task = context["ti"], context["task"]
        self.state = BatchState.READY
        self._delivery = delivery
        self._items = {item.webhook_id(name): (item, name) for item, name in items}
        self._try_number = ti.try_number
        self._is_test = is_test
        left = 0 if is_test else ti.max_tries + 1 - ti.try_number
        self._next_try = NextTry(task.retries or 0, left, isinstance(task.retry_policy, WebhookRetryPolicy))
        self._journal = DeliveryJournal(
            context["task_state_store"], ti.max_tries, is_first_try=ti.try_number == 1
        )
        self._writer = JournalWriter(self._journal, report, log)
        self._results: dict[str, Result] = {}
        self._log = log
        self._stop_reason = ""
        self._stopped = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._interruption: BaseException | None = None

    def stop(self) -> None:
        """Send nothing more; called from a signal handler, before or during :meth:`send_all`."""
        self._stop("Airflow stopped the task")
        if self._loop is not None:
            # A signal handler runs between two steps of the loop, which may be asleep: wake it.
            self._loop.call_soon_threadsafe(self._stopped.set)

    async def send_all(self) -> None:
        """Send the notifications without a final outcome, up to 16 at a time; a tag's pushes in order."""
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(self._on_lost_exception)
        waiting = deque(self._unsent_by_tag())
        if self.state is BatchState.READY:
            self.state = BatchState.SENDING
        workers = [asyncio.create_task(self._send_next(waiting)) for _ in range(min(IN_FLIGHT, len(waiting)))]
        self._writer.start(self._interrupt)
        try:
            await self._until_ended_or_stopped(workers)
        except JournalUnavailable as error:
            self._stop(str(error))
        finally:
            await self._end(workers)
            # A signal that comes later must not touch a loop that is closed.
            self._loop.set_exception_handler(None)
            self._loop = None
        if self._interruption is not None:
            raise self._interruption

    def report_rest(self) -> None:
        """Log the records that :meth:`send_all` left out because the task was stopped."""
        self._writer.report_rest()

    def records(self) -> list[AccessRecord]:
        """Return this try's records, and those of the deliveries that ended in an earlier try."""
        earlier = [self._journal.final_record(key) for key in self._items if key not in self._results]
        return [
            *(record for record in earlier if record is not None),
            *(self._noted(result) for result in self._results.values()),
        ]

    def label(self) -> str:
        """Return a few words on the notifications and their statuses."""
        return batch_label(self.records(), len(self._items))

    def is_delivered(self) -> bool:
        """Return True if every notification is delivered."""
        return all(self._journal.outcome(key) is Outcome.DELIVERED for key in self._items)

    def check(self) -> None:
        """
        Raise unless every notification is delivered.

        :raises DeliveryPending: if a retry can deliver some
        :raises DeliveryFailed: if a retry cannot, and some were rejected
        """
        unsent = [key for key in self._items if not self._journal.is_final(key) and key not in self._results]
        pending = [result.record for result in self._pending()]
        number = len(self._items)
        if self._is_test and pending:
            raise DeliveryFailed(failed_text(pending, number))
        if pending or unsent:
            note = self._stop_reason or self._next_try.text(self._pending())
            raise DeliveryPending(
                pending_text(pending, len(unsent), number, note), wait=self._next_try.wait(self._pending())
            )
        ended = [(self._journal.outcome(key), self._journal.final_record(key)) for key in self._items]
        failed = [record for outcome, record in ended if record and outcome is not Outcome.DELIVERED]
        if failed:
            raise DeliveryFailed(failed_text(failed, number))

    def _stop(self, reason: str) -> None:
        if self.state is not BatchState.ENDED:
            self.state = BatchState.STOPPING
            self._stop_reason = self._stop_reason or reason

    def _on_lost_exception(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if error is None or isinstance(error, Exception):
            loop.default_exception_handler(context)
        else:
            self._interrupt(error)

    def _interrupt(self, error: BaseException) -> None:
        """Stop because of an exception that no attempt has seen."""
        self._interruption = self._interruption or error
        self._stop("the task ended")
        self._stopped.set()

    def _unsent_by_tag(self) -> list[list[str]]:
        """Return the webhook ids without a final outcome: a list for each tag, in the order of its pushes."""
        unsent: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
        for key, (of, name) in self._items.items():
            if not self._journal.is_final(key):
                unsent[name, of.registry, of.repository, of.tag].append(key)
        return list(unsent.values())

    async def _send_next(self, waiting: deque[list[str]]) -> None:
        """Send the notifications of one tag after the other, until none is left or the batch stops."""
        while waiting:
            # A receiver that gets two pushes of a tag at once could take the older one for the newer.
            for webhook_id in waiting.popleft():
                await self._writer.wait_until_writable()
                if self.state is not BatchState.SENDING:
                    return
                await self._attempt(webhook_id)

    async def _attempt(self, webhook_id: str) -> None:
        notification, name = self._items[webhook_id]
        began, clock = utc_now(), time.monotonic()
        try:
            result = await self._delivery.attempt(notification, name, self._try_number)
        except BaseException as error:
            # The receiver may have got the webhook, so a record must exist.
            took = round((time.monotonic() - clock) * 1000)
            result = _result_of(error) or self._cut(webhook_id, error, request_time=began, duration_ms=took)
            if not isinstance(error, Exception):  # SIGTERM or execution_timeout
                self._take(webhook_id, result)
                raise
            self._log.exception("An attempt ended with an unexpected error; the other deliveries continue.")
        self._take(webhook_id, result)

    def _cut(self, webhook_id: str, error: BaseException, **values: Any) -> Result:
        from airflow_registry_triggers.webhook.delivery import Result

        notification, name = self._items[webhook_id]
        is_cancelled = isinstance(error, asyncio.CancelledError)
        cause = (self._stop_reason or "the task ended") if is_cancelled else type(error).__name__
        record = AccessRecord.of(
            notification,
            status_code=Status.PROTOCOL_ERROR if isinstance(error, Exception) else Status.TIMEOUT,
            trigger_name=name,
            trigger_log_id=f"{webhook_id}/{self._try_number}",
            trigger_url=mask_url(self._delivery.url),
            try_number=self._try_number,
            ambiguous=True,
            reason=f"the attempt was cut off ({cause}); the receiver may have got the webhook",
            **values,
        )
        return Result(record, Outcome.RETRY)

    def _take(self, webhook_id: str, result: Result) -> None:
        attempts = self._journal.attempts(webhook_id)
        record = replace(result.record, attempts=attempts, is_test=self._is_test)
        self._journal.add(webhook_id, result.outcome, record)
        self._results[webhook_id] = replace(result, record=record)
        self._writer.add(record)

    async def _until_ended_or_stopped(self, workers: Sequence[asyncio.Task[None]]) -> None:
        if self.state is BatchState.STOPPING:
            return
        sending = asyncio.gather(*workers)
        stopped = asyncio.create_task(self._stopped.wait())
        try:
            futures: list[asyncio.Future[Any]] = [sending, stopped]
            await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            stopped.cancel()
            sending.add_done_callback(lambda future: future.cancelled() or future.exception())

    async def _end(self, workers: Sequence[asyncio.Task[None]]) -> None:
        """Give the attempts under way time to end, cut the others, and write the journal and the log."""
        is_under_way = not all(worker.done() for worker in workers)
        if is_under_way:
            self._stop("the task ended")
            self._writer.release()
            _, late = await asyncio.wait(workers, timeout=GRACE_SECONDS)
            for worker in late:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        is_stopped = is_under_way or self._stopped.is_set()
        self.state = BatchState.ENDED
        await self._writer.close(tries=1 if is_stopped else CLOSE_TRIES, is_stopped=is_stopped)

    def _pending(self) -> list[Result]:
        return [result for result in self._results.values() if result.outcome is Outcome.RETRY]

    def _noted(self, result: Result) -> AccessRecord:
        # A task that was stopped may have been marked as success or failed: then no retry follows.
        if result.outcome is not Outcome.RETRY or self._stop_reason or self._is_test:
            return result.record
        return self._next_try.noted(result.record, self._pending())


def _result_of(error: BaseException) -> Result | None:
    """Return the result of a cancelled attempt: a status that was read before decides all the same."""
    from airflow_registry_triggers.webhook.delivery import DeliveryCancelled

    return error.result if isinstance(error, DeliveryCancelled) else None
