# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The moment of a delivery task's next try."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from airflow_registry_triggers.delivery.texts import next_try_text, retry_note
from airflow_registry_triggers.webhook.retry_schedule import next_wait

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_registry_triggers.access_record import AccessRecord
    from airflow_registry_triggers.webhook.delivery import Result

__all__ = ["NextTry"]


class NextTry:
    """
    The next try of a task. Its wait is drawn once, so that record, error and retry agree.

    :param retries: retries of the task in all
    :param left: retries left after this try
    :param has_own_policy: whether the task's retry policy is the one of this package
    """

    def __init__(self, retries: int, left: int, has_own_policy: bool) -> None:
        self._retries = retries
        self._left = left
        self._has_own_policy = has_own_policy
        self._wait: float | None = None
        self._due: datetime | None = None

    def wait(self, pending: Sequence[Result]) -> float:
        """
        Return the seconds before the next try: the longest that a receiver asks for.

        :param pending: results of the attempts that can be retried
        """
        if self._wait is None:
            number = self._retries - self._left + 1
            waits = [
                next_wait(number, retry_after=item.retry_after, status=item.record.status_code).seconds
                for item in pending
            ]
            self._wait = max(waits, default=next_wait(number).seconds)
        return self._wait

    def due(self, pending: Sequence[Result]) -> datetime | None:
        """
        Return the moment of the next try in UTC, None if no try follows or the task's own settings decide.

        :param pending: results of the attempts that can be retried
        """
        if self._due is None and self._has_own_policy and self._left > 0:
            self._due = datetime.now(UTC) + timedelta(seconds=self.wait(pending))
        return self._due

    def text(self, pending: Sequence[Result]) -> str:
        """
        Return the note on the next try in the task's error.

        :param pending: results of the attempts that can be retried
        """
        return next_try_text(self.due(pending), self._left, self._retries)

    def noted(self, record: AccessRecord, pending: Sequence[Result]) -> AccessRecord:
        """
        Return a record with the moment of the next try.

        :param pending: results of the attempts that can be retried
        """
        due = self.due(pending)
        return replace(
            record,
            reason=f"{record.reason}; {retry_note(due, self._left, self._retries)}",
            next_try_at=f"{due:%Y-%m-%dT%H:%M:%SZ}" if due else "",
            retries_left=max(0, self._left),
        )
