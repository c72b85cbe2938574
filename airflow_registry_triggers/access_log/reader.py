# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Read the access log: the XComs ``access_log.*``, a page at a time."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.access_log.entries import BODY_FIELDS, reason_of, records_of, result_of
from airflow_registry_triggers.access_log.query import Cursor, Query
from airflow_registry_triggers.access_log.statements import cursor_of, keys_statement, values_statement
from airflow_registry_triggers.access_record import XCOM_PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy.engine import Row
    from sqlalchemy.orm import Session

__all__ = ["MAX_ROWS", "Page", "read_page", "read_task_instance", "value_of"]

log = logging.getLogger(__name__)

MAX_ROWS = 2000
"""Rows that one request reads at most when it filters by trigger, repository or tag."""

_FIRST_PORTION = 4
_MAX_PORTION = 100
_PORTION_BYTES = 4 * 1024 * 1024
"""Bytes of JSON that one portion of values should have. A task's list has up to 1 MiB."""


@dataclass(slots=True)
class Page:
    """
    A page of entries, the newest first.

    :param entries: records, each with its task instance
    :param next_cursor: start of the next page; None at the end of the log
    :param searched_all: False if reading stopped before the page was full: after :data:`MAX_ROWS` rows of
        a search, or because some rows contain no records
    """

    entries: list[dict[str, Any]] = field(default_factory=list)
    next_cursor: str | None = None
    searched_all: bool = True


def read_page(
    session: Session,
    query: Query,
    *,
    limit: int,
    cursor: Cursor | None = None,
    bodies: bool = False,
    dag_ids: set[str] | None = None,
    unreadable: Callable[[set[str]], set[str]] | None = None,
) -> Page:
    """
    Return a page of the access log.

    Pages go from the newest run to the oldest. Within a page, entries are sorted by their time.

    :param session: session of the metadata database
    :param limit: entries of the page at most
    :param cursor: start of the page; default the newest entry
    :param bodies: include headers and bodies
    :param dag_ids: Dags that the user may read; None for all
    :param unreadable: returns the Dags of a set whose records the user may not read; they are left out
    """
    cap = MAX_ROWS if query.looks_into_records else limit
    hidden: set[str] = set()
    while True:
        rows = session.execute(keys_statement(session, query, cap + 1, cursor, dag_ids, hidden)).all()
        newly_hidden = unreadable({row.dag_id for row in rows}) if unreadable else set()
        if not newly_hidden:
            break
        hidden |= newly_hidden
    page = _filled(session, query, rows, limit, cap, cursor, bodies)
    page.entries.sort(key=lambda entry: entry["request_time"], reverse=True)
    return page


def read_task_instance(
    session: Session,
    dag_id: str,
    run_id: str,
    task_id: str,
    map_index: int,
    keep_bodies: Callable[[dict[str, Any]], bool],
) -> list[dict[str, Any]]:
    """
    Return all entries of one task instance.

    :param map_index: index of a mapped task instance, otherwise -1
    :param keep_bodies: returns True for the entries that keep headers and bodies
    """
    query = Query(dag_id=dag_id, run_id=run_id, task_id=task_id, map_index=map_index)
    rows = session.execute(keys_statement(session, query, MAX_ROWS)).all()
    entries = []
    for row in _with_values(session, rows):
        entries += [entry if keep_bodies(entry) else _without_bodies(entry) for entry in _entries(row)]
    return entries


def _filled(
    session: Session,
    query: Query,
    rows: Sequence[Row[Any]],
    limit: int,
    cap: int,
    cursor: Cursor | None,
    bodies: bool,
) -> Page:
    page = Page()
    skipped = cursor.position if cursor else 0
    for row in _with_values(session, rows[:cap]):
        if len(page.entries) >= limit:
            return page
        for position, entry in islice(enumerate(_entries(row)), skipped, None):
            if len(page.entries) >= limit:
                page.next_cursor = cursor_of(row, position).encode()
                return page
            if query.wants(entry):
                page.entries.append(entry if bodies else _without_bodies(entry))
        skipped = 0
        page.next_cursor = cursor_of(row).encode()
    if len(rows) <= cap:
        page.next_cursor = None
    else:
        page.searched_all = len(page.entries) >= limit
    return page


def _with_values(session: Session, rows: Sequence[Row[Any]]) -> Iterator[Row[Any]]:
    """Yield the rows with their values, read in portions that keep memory flat for lists of any size."""
    start, size = 0, _FIRST_PORTION
    while start < len(rows):
        portion = session.execute(values_statement(rows[start : start + size])).all()
        yield from portion
        start += size
        average = sum(_json_size(row.value) for row in portion) // max(1, len(portion))
        size = max(1, min(_MAX_PORTION, _PORTION_BYTES // max(1, average)))


def _json_size(value: Any) -> int:
    return len(value) if isinstance(value, str) else len(json.dumps(value, default=str))


def _without_bodies(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in BODY_FIELDS}


def _entries(row: Row[Any]) -> list[dict[str, Any]]:
    """Return the entries of a row, newest first: a cursor counts them in this order."""
    entries = [
        {
            **record,
            "request_time": record["request_time"] or row.timestamp.isoformat(),
            "dag_id": row.dag_id,
            "run_id": row.run_id,
            "task_id": row.task_id,
            "map_index": row.map_index,
            "task_state": row.state and str(row.state),
            "reason": reason_of(record, row.state),
            "result": result_of(record, row.state),
        }
        for record in records_of(value_of(row), row.key.removeprefix(XCOM_PREFIX))
    ]
    return sorted(entries, key=lambda entry: str(entry["request_time"]), reverse=True)


def value_of(row: Row[Any]) -> Any:
    """
    Return the value of an XCom through the configured backend, which may store values elsewhere.

    :return: the value, or a record with the reason if the backend cannot read it
    """
    try:
        # Airflow 3.3 has no public name for the configured backend.
        from airflow.sdk.execution_time.xcom import XCom

        return XCom.deserialize_value(row)
    except Exception as error:
        log.warning("%s/%s/%s: its access records cannot be read", row.dag_id, row.run_id, row.task_id)
        return [{"reason": f"the record cannot be read from the XCom backend: {type(error).__name__}"}]
