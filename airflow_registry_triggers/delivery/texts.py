# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Texts of a delivery task: its label, its errors, and the note on the next retry."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from airflow_registry_triggers.access_record import RETRY_NOTE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_registry_triggers.access_record import AccessRecord

__all__ = ["batch_label", "failed_text", "next_try_text", "pending_text", "retry_note"]


def batch_label(records: Sequence[AccessRecord], number: int) -> str:
    """
    Return a few words on a try, the name of a mapped task instance.

    :param number: notifications of the task
    """
    codes = ", ".join(sorted({str(record.status_code) for record in records})) or "none sent"
    if len(records) == 1 and records[0].repository:
        return f"{records[0].repository}:{records[0].tag} → {codes}"
    return f"{number} notifications → {codes}"


def retry_note(due: datetime | None, left: int, retries: int) -> str:
    """
    Return the note on the next retry in an access record.

    It names a moment and not a duration, because it is read later than it is written.

    :param due: moment of the next retry in UTC; None if the task's own settings decide
    :param left: retries left
    :param retries: retries of the task in all
    """
    if left <= 0:
        return "no retry is left"
    if due is None:
        return f"{left} of {retries} retries left"
    return f"{RETRY_NOTE}{due:%Y-%m-%d %H:%M:%S}Z, {left} of {retries} left"


def next_try_text(due: datetime | None, left: int, retries: int, now: datetime | None = None) -> str:
    """
    Return the note on the next retry in an exception: only the clock, unless the retry is on another day.

    :param due: moment of the next retry in UTC; None if the task's own settings decide
    :param left: retries left
    :param retries: retries of the task in all
    :param now: current time, default the clock's
    """
    if left <= 0 or due is None:
        return retry_note(due, left, retries)
    is_today = due.date() == (now or datetime.now(UTC)).date()
    moment = f"{due:%H:%M:%S} UTC" if is_today else f"{due:%Y-%m-%d %H:%M:%S} UTC"
    return f"next try about {moment}, {left} of {retries} left"


def pending_text(pending: Sequence[AccessRecord], unsent: int, number: int, note: str) -> str:
    """
    Return the error of a try that Airflow is to repeat.

    :param pending: records of the attempts that can be retried
    :param unsent: notifications that this try did not send
    :param number: notifications of the task
    :param note: the reason to stop, or the note on the next retry
    """
    parts = [_counted(pending, "")] if pending else []
    if unsent:
        parts.append(f"{unsent} not sent yet")
    return f"{len(pending) + unsent} of {number} not delivered yet: {'; '.join([*parts, note])}"


def failed_text(failed: Sequence[AccessRecord], number: int) -> str:
    """
    Return the error of a task whose notifications a retry would not deliver.

    :param failed: records of the rejected notifications
    :param number: notifications of the task
    """
    them = "it" if len(failed) == 1 else "them"
    advice = f"Fix the cause, then clear this task to send {them} again"
    return f"{len(failed)} of {number} webhooks failed: {_counted(failed, ' (no retry)')}. {advice}."


def _counted(records: Sequence[AccessRecord], consequence: str) -> str:
    first = records[0]
    example = f"{first.repository}:{first.tag} → {_receiver(first)} {_said(first)}{consequence}"
    if len(records) == 1:
        return example
    codes = Counter(str(record.status_code) for record in records)
    counts = ", ".join(f"{count} x {code}" for code, count in sorted(codes.items()))
    return f"{counts}; the first: {example}"


def _said(record: AccessRecord) -> str:
    """Return the answer of the receiver, or the reason for its absence."""
    code = str(record.status_code)
    return f"answered {code}" if code.isdigit() else f"{code.replace('_', ' ')}: {record.reason}"


def _receiver(record: AccessRecord) -> str:
    try:
        return urlsplit(record.trigger_url).netloc or "the receiver"
    except ValueError:
        return "the receiver"
