# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""One try of a delivery task: who is sent to, and how the try ends."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.delivery.journal import DeliveryJournal
from airflow_registry_triggers.exceptions import DeliveryFailed, DeliveryPending
from airflow_registry_triggers.webhook.outcome import Outcome, next_wait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from airflow.sdk import Context

    from airflow_registry_triggers.access_record import AccessRecord
    from airflow_registry_triggers.notification import Notification
    from airflow_registry_triggers.webhook.delivery import Delivery, Result

__all__ = ["DeliveryBatch"]

IN_FLIGHT = 16
FLUSH_SECONDS = 1.0
REPORT_SECONDS = 5.0


class DeliveryBatch:
    """
    One try of the task.

    About once a second what was done is written to the journal, and every few seconds to the log, in a
    thread: Airflow takes longer over a line of log than a receiver over a webhook, and no delivery waits
    for either. A worker that is killed sends at most the last second's deliveries again, with the same
    webhook-id; of the last seconds' the next try has the records and the log has no line.

    :param context: Airflow's context
    :param delivery: where to, with what
    :param items: notifications, each with the name of its trigger
    :param problems: what came in and is no notification
    :param report: called with each record, in the order of their ends
    """

    def __init__(
        self,
        context: Context,
        delivery: Delivery,
        items: Sequence[tuple[Notification, str]],
        problems: Sequence[str],
        report: Callable[[AccessRecord], None],
    ) -> None:
        ti, task = context["ti"], context["task"]
        self._delivery = delivery
        self._items = {item.webhook_id(name): (item, name) for item, name in items}
        self._problems = problems
        self._report = report
        self._unreported: deque[AccessRecord] = deque()
        self._try_number = ti.try_number
        self._max_tries = ti.max_tries
        self._retry_number = ti.try_number - (ti.max_tries - (task.retries or 0))
        self._journal = DeliveryJournal(context["task_state_store"], ti.max_tries)
        self._results: dict[str, Result] = {}
        self._flushed = self._reported = time.monotonic()
        self._flushing: asyncio.Future[None] | None = None
        self._sending: asyncio.Future[Any] | None = None
        self._wait: float | None = None

    async def send_all(self) -> None:
        """Send what is not settled, up to 16 at once."""
        waiting = iter([key for key in self._items if not self._journal.is_settled(key)])

        async def worker() -> None:
            for webhook_id in waiting:
                notification, name = self._items[webhook_id]
                result = await self._delivery.attempt(notification, name, self._try_number)
                self._take(webhook_id, result)
                self._flush_at_times()

        self._sending = asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
        try:
            await self._sending
        finally:
            self._sending = None
            if self._flushing is not None:
                await self._flushing
            self._flush(report=True)

    def cancel(self) -> None:
        """Stop sending; called from a signal handler."""
        sending = self._sending
        if sending is not None:
            sending.get_loop().call_soon_threadsafe(sending.cancel)

    def records(self) -> list[AccessRecord]:
        """Give this try's records, and those of deliveries that an earlier try settled."""
        earlier = [self._journal.settled_record(key) for key in self._items if key not in self._results]
        note = self._note_of_next_try()
        return [
            *(record for record in earlier if record is not None),
            *(_with_note(result, note) for result in self._results.values()),
        ]

    def label(self) -> str:
        """Say in a few words what was sent and what came of it."""
        records = self.records()
        codes = ", ".join(sorted({record.status_code for record in records})) or "none sent"
        if len(records) == 1:
            return f"{records[0].repository}:{records[0].tag} → {codes}"
        return f"{len(self._items)} notifications → {codes}"

    def end(self) -> None:
        """
        End the try.

        :raises DeliveryPending: some can be tried again
        :raises DeliveryFailed: none can, and some were refused for good or are no notification
        """
        pending = self._pending()
        if pending:
            raise DeliveryPending(self._counts(), wait=self._wait_for(pending))
        outcomes = [self._journal.outcome(key) for key in self._items]
        if self._problems or any(outcome is not Outcome.DELIVERED for outcome in outcomes):
            raise DeliveryFailed("; ".join([self._counts(), *self._problems]))

    def _pending(self) -> list[Result]:
        return [result for result in self._results.values() if result.outcome is Outcome.RETRY]

    def _wait_for(self, pending: Iterable[Result]) -> float:
        """Draw the wait before the next try, once: the longest of what each asks for."""
        if self._wait is None:
            self._wait = max(
                next_wait(
                    self._retry_number, retry_after=item.retry_after, status=item.record.status_code
                ).seconds
                for item in pending
            )
        return self._wait

    def _note_of_next_try(self) -> str:
        pending = self._pending()
        left = self._max_tries + 1 - self._try_number
        if not pending:
            return ""
        if left <= 0:
            return "no try is left"
        return f"next try in about {self._wait_for(pending):.0f} s, {left} left"

    def _take(self, webhook_id: str, result: Result) -> None:
        record = replace(result.record, attempts=self._journal.attempts(webhook_id))
        self._journal.add(webhook_id, result.outcome, record)
        self._results[webhook_id] = replace(result, record=record)
        self._unreported.append(record)

    def _flush_at_times(self) -> None:
        is_running = self._flushing is not None and not self._flushing.done()
        if is_running or time.monotonic() - self._flushed < FLUSH_SECONDS:
            return
        self._flushed = time.monotonic()
        is_due = self._flushed - self._reported > REPORT_SECONDS
        self._flushing = asyncio.ensure_future(asyncio.to_thread(self._flush, report=is_due))

    def _flush(self, *, report: bool) -> None:
        """Write to the journal what may not be sent again; then to the log, which takes longer."""
        self._journal.flush()
        while report and self._unreported:
            self._report(self._unreported.popleft())
        if report:
            self._reported = time.monotonic()

    def _counts(self) -> str:
        codes = Counter(result.record.status_code for result in self._results.values())
        sent = ", ".join(f"{count} x {code}" for code, count in sorted(codes.items())) or "nothing"
        earlier = len(self._items) - len(self._results)
        return f"this try: {sent}" + (f"; settled before: {earlier}" if earlier else "")


def _with_note(result: Result, note: str) -> AccessRecord:
    if result.outcome is not Outcome.RETRY or not note:
        return result.record
    return replace(result.record, reason=f"{result.record.reason}; {note}")
