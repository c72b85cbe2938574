# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Sentences with times, which the page shows in the reader's time zone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_registry_triggers.watcher.status_values import WatcherStatus

__all__ = ["Sentence", "ago", "counted", "error_text", "iso", "moment", "plain", "polled_text"]


@dataclass(frozen=True, slots=True)
class Sentence:
    """
    A sentence.

    :param form: the text; ``{0}``, ``{1}``, ... stand for the times, and braces of other text are doubled
    :param times: times in the order of their number
    """

    form: str
    times: tuple[datetime, ...] = ()

    def text(self, now: datetime) -> str:
        """Return the sentence with times in UTC: the minute, and the date if it is not today."""
        return self.form.format(*(moment(time, now) for time in self.times))


def plain(text: str) -> str:
    """Return text of another party for the form of a sentence."""
    return text.replace("{", "{{").replace("}", "}}")


def moment(time: datetime, now: datetime) -> str:
    """Return a time in UTC as ``10:02``, or ``2026-11-25 10:02`` on another day."""
    time = time.astimezone(UTC)
    is_today = time.date() == now.astimezone(UTC).date()
    return f"{time:%H:%M}" if is_today else f"{time:%Y-%m-%d %H:%M}"


def ago(seconds: float) -> str:
    """Return an age as ``12 s``, ``4 min``, ``3 h`` or ``2 d``."""
    seconds = max(0.0, seconds)
    for limit, unit, size in ((60, "s", 1), (3600, "min", 60), (86400, "h", 3600)):
        if seconds < limit:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds // 86400)} d"


def counted(number: int, noun: str) -> str:
    """Return ``1 tag`` or ``2 tags``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


_CAUSES: Mapping[str, str] = {
    "name": "the host name was not found",
    "tls": "no trusted TLS connection",
    "proxy": "the proxy failed",
    "unavailable": "no answer",
    "not_a_registry": "the server is not a registry",
    "no_such_repository": "no such repository",
    "no_such_connection": "no such Connection",
    "refused_answer": "the answer was refused",
    "rate_limited": "too many requests",
    "credentials": "the login was rejected",
}

_STATUS = re.compile(r"([1-5]\d\d): ")


def error_text(status: WatcherStatus, repository: str) -> Sentence:
    """
    Return the sentence about a failing watcher: kind, cause, repository, since when, and the next attempt.

    :param status: status with an ``error_kind``
    """
    kind = status.error_kind or "error"
    answered = _STATUS.match(status.note)
    cause = answered[1] if answered else _CAUSES.get(kind, "the poll failed")
    times = []
    form = f"{plain(kind)}: {cause} for {plain(repository)}"
    if status.failing_since:
        form += " since {0}"
        times.append(_time(status.failing_since))
    form += f". {counted(status.failures, 'attempt')}"
    if status.polled_at:
        form += f"; the next one is at {{{len(times)}}}"
        times.append(_time(status.polled_at + status.next_in_s))
    return Sentence(f"{form}.", tuple(times))


def polled_text(status: WatcherStatus, now: datetime) -> str:
    """
    Return the column of a watcher that works: last poll, tags, requests and interval.

    :param status: status without an error
    """
    if status.polled_at is None:
        return "not polled yet"
    parts = [f"polled {ago(now.timestamp() - status.polled_at)} ago"]
    if status.tags is not None:
        parts.append(counted(status.tags, "tag"))
    parts.append(counted(status.requests, "request"))
    if status.next_in_s:
        parts.append(f"every {status.next_in_s:g} s")
    if status.quota_left is not None:
        parts.append(f"{counted(status.quota_left, 'request')} left")
    return ", ".join([*parts, status.note] if status.note else parts)


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def iso(time: datetime) -> str:
    """Return a time as ISO 8601 in UTC with whole seconds."""
    return time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
