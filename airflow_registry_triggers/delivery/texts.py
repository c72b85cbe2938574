# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Texts of a delivery task: its label, its errors, and the note on the next retry."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from airflow_registry_triggers.access_record import RETRY_NOTE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_registry_triggers.access_record import AccessRecord

__all__ = ["batch_label", "failed_text", "pending_text", "retry_note"]


def batch_label(records: Sequence[AccessRecord], number: int) -> str:
    """
    Return a few words on a try, the name of a mapped task instance.

    :param number: notifications of the task
    """
    codes = ", ".join(sorted({str(record.status_code) for record in records})) or "none sent"
    if len(records) == 1 and records[0].repository:
        return f"{records[0].repository}:{records[0].tag} → {codes}"
    return f"{number} notifications → {codes}"


def retry_note(wait: float | None, left: int, retries: int) -> str:
    """
    Return the note on the next retry.

    It names a moment and not a duration, because it is read later than it is written.

    :param wait: seconds from now; None if the task's own settings decide
    :param left: retries left
    :param retries: retries of the task in all
    """
    if left <= 0:
        return "no retry is left"
    if wait is None:
        return f"{left} of {retries} retries left"
    due = datetime.now(UTC) + timedelta(seconds=wait)
    return f"{RETRY_NOTE}{due:%Y-%m-%d %H:%M:%S}Z, {left} of {retries} left"


def pending_text(pending: Sequence[AccessRecord], unsent: int, number: int, note: str) -> str:
    """
    Return the error of a try that Airflow is to repeat.

    :param pending: records of the attempts that can be retried
    :param unsent: notifications that this try did not send
    :param number: notifications of the task
    :param note: the reason to stop, or the note on the next retry
    """
    parts = [_counted(pending)] if pending else []
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
    return f"{len(failed)} of {number} webhooks failed: {_counted(failed)}. {advice}."


def _counted(records: Sequence[AccessRecord]) -> str:
    first = records[0]
    example = f"{first.repository}:{first.tag} → {_receiver(first)}: {first.reason}"
    if len(records) == 1:
        return example
    codes = Counter(str(record.status_code) for record in records)
    counts = ", ".join(f"{count} x {code}" for code, count in sorted(codes.items()))
    return f"{counts}; the first: {example}"


def _receiver(record: AccessRecord) -> str:
    try:
        return urlsplit(record.trigger_url).netloc or "the receiver"
    except ValueError:
        return "the receiver"
