# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""What is asked of the access history, and where a page of it begins."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.access_record import XCOM_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["ERRORS", "VERDICTS", "Cursor", "InvalidFilter", "Query", "keys_of", "parse_time", "statuses_of"]

VERDICTS = ("triggered", "untriggered", "duplicate")

ERRORS = (
    "timeout",
    "dns_error",
    "connection_refused",
    "connection_reset",
    "unreachable",
    "tls_error",
    "protocol_error",
)

_HTTP = tuple(str(number) for number in range(100, 600))
_ALL = (*VERDICTS, "blocked", *ERRORS, *_HTTP)
_GROUPS: dict[str, tuple[str, ...]] = {
    "verdict": VERDICTS,
    "error": ERRORS,
    **{f"{n}xx": tuple(code for code in _HTTP if code[0] == str(n)) for n in range(1, 6)},
}

_EXACT = "="
"""What a text filter begins with that wants the whole value and not a part."""


class InvalidFilter(ValueError):
    """A filter or cursor that means nothing; the text says what would."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the next page begins: behind this row, in the order of the pages."""

    dag_run_id: int
    task_id: str
    map_index: int
    key: str

    def encode(self) -> str:
        """Give the text that a client hands back."""
        parts = [self.dag_run_id, self.task_id, self.map_index, self.key]
        return base64.urlsafe_b64encode(json.dumps(parts, separators=(",", ":")).encode()).decode()

    @classmethod
    def decode(cls, text: str) -> Cursor:
        """
        Read what :meth:`encode` gave.

        :param text: of a client
        :raises InvalidFilter: it is something else
        """
        try:
            parts = json.loads(base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True))
            run, task, index, key = parts
        except (ValueError, TypeError, RecursionError):
            raise InvalidFilter("cursor: not one that a page gave as next_cursor; leave it out") from None
        if not (_is_id(run) and _is_name(task) and _is_id(index) and _is_name(key)):
            raise InvalidFilter("cursor: not one that a page gave as next_cursor; leave it out")
        return cls(run, task, index, key)


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31


def _is_name(value: Any) -> bool:
    # What is no such text a database refuses, each in its own way.
    return isinstance(value, str) and value.isprintable()


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """
    What is asked.

    :param statuses: status codes as in the records; empty for all
    :param dag_id: only of this Dag
    :param run_id: only of this run
    :param task_id: only of this task
    :param map_index: only of this instance of a mapped task
    :param since: written at this time or later
    :param until: written before this time
    :param trigger: in the trigger's name; with ``=`` in front, the name
    :param repository: in the repository's name, or ``=`` and the name
    :param tag: in the tag, or ``=`` and the tag
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

    @property
    def looks_into_records(self) -> bool:
        """Whether the records must be read to tell which are wanted."""
        return bool(self.trigger or self.repository or self.tag)

    def wants(self, record: Mapping[str, Any]) -> bool:
        """
        Tell whether a record is wanted, as far as the database could not tell.

        :param record: its JSON form
        """
        return (
            _matches(self.trigger, record.get("trigger_name"))
            and _matches(self.repository, record.get("repository"))
            and _matches(self.tag, record.get("tag"))
        )


def _matches(wanted: str, value: object) -> bool:
    text = str(value or "")
    if wanted.startswith(_EXACT):
        return text == wanted[len(_EXACT) :]
    return wanted.lower() in text.lower()


def statuses_of(names: Iterable[str]) -> tuple[str, ...]:
    """
    Read a filter for the status: codes, and groups of them.

    :param names: such as ``200``, ``timeout``, ``untriggered``; or ``2xx``, ``error``, ``verdict``
    :raises InvalidFilter: one is neither
    """
    found: dict[str, None] = {}
    for name in names:
        codes = _GROUPS.get(name) or ((name,) if name in _ALL else ())
        if not codes:
            raise InvalidFilter(
                f"status={name[:40]!a}: must be an HTTP status, one of {', '.join(_ALL[:11])}, "
                f"or a group: {', '.join(_GROUPS)}"
            )
        found.update(dict.fromkeys(codes))
    return tuple(found)


def keys_of(statuses: tuple[str, ...]) -> list[str]:
    """
    Give the XCom keys of some statuses, of all where none is given.

    A list of keys and no prefix: equality uses the index on every database, LIKE on none.

    :param statuses: status codes
    """
    return [XCOM_PREFIX + status for status in statuses or _ALL]


_RELATIVE = re.compile(r"([0-9]{1,6})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_time(name: str, text: str | None, now: datetime | None = None) -> datetime | None:
    """
    Read a time: ISO 8601 (UTC where it names no zone), or how long ago, such as ``15m``, ``6h``, ``7d``.

    :param name: of the filter
    :param text: None or empty for no time
    :param now: for tests
    :raises InvalidFilter: it is neither
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
            f"{name}={text[:40]!a}: must be ISO 8601, such as 2026-01-31T12:00:00Z, or 15m, 6h, 7d ago"
        ) from None
