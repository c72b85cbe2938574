# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The filters of the access log, and the cursor of a page."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.access_record import VERDICTS, XCOM_PREFIX, Status, shortened

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "Cursor",
    "InvalidFilter",
    "Query",
    "filter_of_tests",
    "keys_of",
    "parse_time",
    "results_of",
    "statuses_of",
]

_HTTP = tuple(str(number) for number in range(100, 600))
_WORDS = tuple(status.value for status in Status)
_ERRORS = (
    Status.TIMEOUT,
    Status.DNS_ERROR,
    Status.CONNECTION_REFUSED,
    Status.CONNECTION_RESET,
    Status.UNREACHABLE,
    Status.TLS_ERROR,
    Status.PROTOCOL_ERROR,
)
_ALL = (*_WORDS, *_HTTP)
_GROUPS: dict[str, tuple[str, ...]] = {
    "verdict": tuple(status.value for status in VERDICTS),
    "error": tuple(status.value for status in _ERRORS),
    **{f"{n}xx": tuple(code for code in _HTTP if code[0] == str(n)) for n in range(1, 6)},
}

_EXACT = "="
"""Prefix of a text filter that compares the whole value instead of a part."""


_NOT_A_CURSOR = "cursor is not a next_cursor of an earlier page. Leave it out to start with the newest entry"


class InvalidFilter(ValueError):
    """A filter or cursor that cannot be read. The text names the allowed values."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """
    The start of a page: behind a row in the order of the pages, or in it.

    :param position: entries of the row that earlier pages returned; 0 for all of them
    """

    dag_run_id: int
    task_id: str
    map_index: int
    key: str
    position: int = 0

    def encode(self) -> str:
        """Return the text that a client sends to get the page."""
        parts = [self.dag_run_id, self.task_id, self.map_index, self.key, self.position]
        return base64.urlsafe_b64encode(json.dumps(parts, separators=(",", ":")).encode()).decode()

    @classmethod
    def decode(cls, text: str) -> Cursor:
        """
        Return the cursor of a text from :meth:`encode`.

        :raises InvalidFilter: the text is not a cursor
        """
        try:
            parts = json.loads(base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True))
            run, task, index, key, position = parts
        except (ValueError, TypeError, RecursionError):
            raise InvalidFilter(_NOT_A_CURSOR) from None
        if not (
            all(map(_is_id, (run, index, position))) and _is_name(task) and _is_name(key) and position >= 0
        ):
            raise InvalidFilter(_NOT_A_CURSOR)
        return cls(run, task, index, key, position)


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31


def _is_name(value: Any) -> bool:
    # Databases raise on other text, each with an error of its own.
    return isinstance(value, str) and value.isprintable()


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """
    The filters of a page.

    :param statuses: status codes; empty for all
    :param since: records written at this time or later
    :param until: records written before this time
    :param trigger: part of the trigger's name; with ``=`` in front, the whole name
    :param repository: part of the repository's name; with ``=`` in front, the whole name
    :param tag: part of the tag; with ``=`` in front, the whole tag
    :param results: results of :func:`~airflow_registry_triggers.access_log.entries.result_of`; empty for all
    :param tests: True for the records of tests only, False for those of real pushes, None for both
    :param notification_id: id of a notification: all records of one push
    :param digest: whole digest
    """

    statuses: tuple[str, ...] = ()
    dag_id: str | None = None
    run_id: str | None = None
    task_id: str | None = None
    map_index: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    trigger: str = ""
    repository: str = ""
    tag: str = ""
    results: tuple[str, ...] = ()
    tests: bool | None = None
    notification_id: str = ""
    digest: str = ""

    @property
    def looks_into_records(self) -> bool:
        """True if a filter applies to the records themselves, which the database cannot search."""
        texts = (self.trigger, self.repository, self.tag, self.notification_id, self.digest)
        return any(texts) or bool(self.results) or self.tests is not None

    def wants(self, record: Mapping[str, Any]) -> bool:
        """
        Return True if a record passes the filters that the database cannot apply.

        :param record: JSON form of the record, with its ``result``
        """
        return (
            (not self.results or record.get("result") in self.results)
            and (self.tests is None or record.get("is_test", False) is self.tests)
            and (not self.notification_id or record.get("notification_id") == self.notification_id)
            and (not self.digest or record.get("digest") == self.digest)
            and _matches(self.trigger, record.get("trigger_name"))
            and _matches(self.repository, record.get("repository"))
            and _matches(self.tag, record.get("tag"))
        )


def _matches(wanted: str, value: object) -> bool:
    text = str(value or "")
    if wanted.startswith(_EXACT):
        return text == shortened(wanted[len(_EXACT) :])  # as the record has it
    return wanted.lower() in text.lower()


def statuses_of(names: Iterable[str]) -> tuple[str, ...]:
    """
    Return the status codes of a status filter.

    :param names: codes such as ``200``, ``timeout`` or ``untriggered``, and the groups ``2xx``, ``error``
        and ``verdict``
    :raises InvalidFilter: a name is not a code or group
    """
    found: dict[str, None] = {}
    for name in names:
        codes = _GROUPS.get(name) or ((name,) if name in _ALL else ())
        if not codes:
            raise InvalidFilter(
                f"status={name[:40]!a} is not a status. Use an HTTP status, one of {', '.join(_WORDS)}, "
                f"or a group: {', '.join(_GROUPS)}"
            )
        found.update(dict.fromkeys(codes))
    return tuple(found)


_RESULT_STATUSES: dict[str, tuple[str, ...]] = {
    "failed": (*_HTTP, *_GROUPS["error"]),
    "retrying": (*_HTTP, *_GROUPS["error"]),
    "delivered": _HTTP,
    **{status: (status,) for status in (*_GROUPS["verdict"], "blocked", "dry_run")},
}
"""Each result, and the statuses that records with the result can have."""


def results_of(names: Iterable[str], statuses: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """
    Return the results of a result filter, and the statuses to read for them.

    :param names: results, such as ``failed``
    :param statuses: status codes of the status filter; empty for all
    :raises InvalidFilter: a name is not a result
    """
    results = tuple(dict.fromkeys(names))
    for name in results:
        if name not in _RESULT_STATUSES:
            raise InvalidFilter(
                f"result={name[:40]!a} is not a result. Use one of {', '.join(_RESULT_STATUSES)}"
            )
    if not results:
        return (), statuses
    possible = dict.fromkeys(status for name in results for status in _RESULT_STATUSES[name])
    return results, tuple(status for status in possible if not statuses or status in statuses) or statuses


def filter_of_tests(value: str) -> bool | None:
    """
    Return the filter of tests.

    :param value: ``hide``, ``only``, or empty for all records
    :raises InvalidFilter: the value is another text
    """
    known: dict[str, bool | None] = {"": None, "hide": False, "only": True}
    if value not in known:
        raise InvalidFilter(
            f"tests={value[:40]!a} is not a filter of tests. Use hide or only, or leave it out"
        )
    return known[value]


def keys_of(statuses: tuple[str, ...]) -> list[str]:
    """
    Return the XCom keys of some statuses, or of all if none is given.

    The result is a list because equality uses the index on every database, and LIKE on none.
    """
    return [XCOM_PREFIX + status for status in statuses or _ALL]


_RELATIVE = re.compile(r"([0-9]{1,6})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_time(name: str, text: str | None, now: datetime | None = None) -> datetime | None:
    """
    Return the time of a filter.

    :param name: name of the filter, for the error text
    :param text: ISO 8601 (UTC without a zone), or an age such as ``15m``, ``6h``, ``7d``; empty for no time
    :param now: current time; default the clock's
    :raises InvalidFilter: the text is not a time
    """
    if not text:
        return None
    if ago := _RELATIVE.fullmatch(text):
        at = (now or datetime.now(UTC)).timestamp() - int(ago[1]) * _SECONDS[ago[2]]
        return datetime.fromtimestamp(max(at, 0), UTC)
    try:
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidFilter(
            f"{name}={text[:40]!a} is not a time. "
            "Use ISO 8601, such as 2026-01-31T12:00:00Z, or an age: 15m, 6h, 7d"
        ) from None
