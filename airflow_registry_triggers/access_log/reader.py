# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Reading the access history: the XComs ``access_log.*``, a page at a time."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import and_, func, select, tuple_

from airflow_registry_triggers.access_log.entries import records_of, result_of
from airflow_registry_triggers.access_log.query import Cursor, Query, keys_of
from airflow_registry_triggers.access_record import XCOM_PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Select
    from sqlalchemy.engine import Row
    from sqlalchemy.orm import Session

__all__ = ["MAX_ROWS", "Page", "read_page", "read_task_instance", "value_of"]

log = logging.getLogger(__name__)

MAX_ROWS = 2000
"""Rows that one request reads at most: to find what is filtered by trigger, repository or tag."""

_ORDER = (XComModel.dag_run_id, XComModel.task_id, XComModel.map_index, XComModel.key)
"""The primary key: runs get their numbers as they are made, so that this is the order of time, indexed."""


@dataclass(slots=True)
class Page:
    """
    A page of entries, the newest first.

    :param entries: records, each with its task instance
    :param next_cursor: where the next page begins; None at the end of the history
    :param searched_all: False where reading stopped before the page was full: after :data:`MAX_ROWS` rows of
        a search, or because some rows that were read are no records
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
    dag_ids: set[str] | None = None,
    unreadable: Callable[[set[str]], set[str]] | None = None,
) -> Page:
    """
    Read a page in one query, and in one more for each time that something on it may not be read.

    The unit is a task instance's list under one key, so that a page may be longer than its limit. Pages go
    from the newest run to the oldest; within a page entries are sorted by their time.

    :param session: of the metadata database
    :param query: what is asked
    :param limit: entries after which the page ends
    :param cursor: where the page begins; default with the newest
    :param dag_ids: Dags that may be read; None for all
    :param unreadable: given Dags that are on the page, gives those that may not be read; they are as if they
        were not there
    """
    cap = MAX_ROWS if query.looks_into_records else limit
    refused: set[str] = set()
    while True:
        rows = session.execute(_statement(session, query, cap, cursor, dag_ids, refused))
        page, seen = _page(rows, query, limit, cap)
        newly = unreadable(seen) if unreadable else None
        if not newly:
            page.entries.sort(key=lambda entry: entry["request_time"], reverse=True)
            return page
        refused |= newly


def read_task_instance(
    session: Session, dag_id: str, run_id: str, task_id: str, map_index: int
) -> list[dict[str, Any]]:
    """
    Read all entries of one task instance.

    :param session: of the metadata database
    :param dag_id: the Dag
    :param run_id: the run
    :param task_id: the task
    :param map_index: of a mapped task, else -1
    """
    query = Query(dag_id=dag_id, run_id=run_id, task_id=task_id, map_index=map_index)
    rows = session.execute(_statement(session, query, MAX_ROWS, None, None, set()))
    return [entry for row in rows for entry in _entries(row)]


def _statement(
    session: Session,
    query: Query,
    cap: int,
    cursor: Cursor | None,
    dag_ids: set[str] | None,
    refused: set[str],
) -> Select[Any]:
    """The rows of the page and the one behind it first, by the index; then what belongs to them."""
    rows = (
        select(*_ORDER, XComModel.dag_id, XComModel.run_id, XComModel.value, XComModel.timestamp)
        .where(*_conditions(session, query, cursor, dag_ids, refused))
        .order_by(*(column.desc() for column in _ORDER))
        .limit(cap + 1)
        .subquery()
    )
    same_task = and_(
        TaskInstance.dag_id == rows.c.dag_id,
        TaskInstance.run_id == rows.c.run_id,
        TaskInstance.task_id == rows.c.task_id,
        TaskInstance.map_index == rows.c.map_index,
    )
    order = (rows.c.dag_run_id, rows.c.task_id, rows.c.map_index, rows.c.key)
    return (
        select(rows, TaskInstance.state)
        .join(TaskInstance, same_task, isouter=True)
        .order_by(*(column.desc() for column in order))
    )


def _conditions(
    session: Session, query: Query, cursor: Cursor | None, dag_ids: set[str] | None, refused: set[str]
) -> Iterator[Any]:
    column = partial(_in_order, session, query)
    yield column(XComModel.key).in_(keys_of(query.statuses))
    exact = (
        (XComModel.dag_id, query.dag_id),
        (XComModel.run_id, query.run_id),
        (XComModel.task_id, query.task_id),
    )
    yield from (column(wanted) == value for wanted, value in exact if value is not None)
    if query.map_index is not None:
        yield XComModel.map_index == query.map_index
    if query.since:
        yield XComModel.timestamp >= query.since
    if query.until:
        yield XComModel.timestamp < query.until
    if dag_ids is not None and query.dag_id is None:
        yield column(XComModel.dag_id).in_(dag_ids)
    if refused:
        yield XComModel.dag_id.not_in(refused)
    if cursor:
        # Said twice, since not every database uses an index for the second.
        yield XComModel.dag_run_id <= cursor.dag_run_id
        yield tuple_(*_ORDER) < tuple_(cursor.dag_run_id, cursor.task_id, cursor.map_index, cursor.key)


def _in_order(session: Session, query: Query, column: Any) -> Any:
    # Without statistics SQLite takes an index on the key or the Dag however many rows it leads to, and sorts
    # them all (400 ms of 100,000); the primary key is in the order that is wanted. Of one run there are few.
    is_walked = session.get_bind().dialect.name == "sqlite" and query.run_id is None
    return func.coalesce(column, "") if is_walked else column


def _page(rows: Any, query: Query, limit: int, cap: int) -> tuple[Page, set[str]]:
    page, seen, last = Page(), set(), None
    for number, row in enumerate(rows):
        if len(page.entries) >= limit or number >= cap:
            page.next_cursor = last
            page.searched_all = len(page.entries) >= limit
            break
        last = Cursor(row.dag_run_id, row.task_id, row.map_index, row.key).encode()
        seen.add(row.dag_id)
        page.entries += [entry for entry in _entries(row) if query.wants(entry)]
    rows.close()
    return page, seen


def _entries(row: Row[Any]) -> Iterator[dict[str, Any]]:
    for record in records_of(value_of(row), row.key.removeprefix(XCOM_PREFIX)):
        yield {
            **record,
            "request_time": record["request_time"] or row.timestamp.isoformat(),
            "dag_id": row.dag_id,
            "run_id": row.run_id,
            "task_id": row.task_id,
            "map_index": row.map_index,
            "task_state": row.state and str(row.state),
            "result": result_of(record, row.state),
        }


def value_of(row: Row[Any]) -> Any:
    """
    Read an XCom through the configured backend, which may keep values elsewhere, and lose them.

    :param row: an XCom's columns; of what cannot be read, a record that says so
    """
    try:
        # No public name of Airflow 3.3 gives the configured backend.
        from airflow.sdk.execution_time.xcom import XCom

        return XCom.deserialize_value(row)
    except Exception as error:
        log.warning("%s/%s/%s: its access records cannot be read", row.dag_id, row.run_id, row.task_id)
        return [{"reason": f"the record cannot be read from the XCom backend: {type(error).__name__}"}]
