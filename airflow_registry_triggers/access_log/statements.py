# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The SQL behind a page of the access log: the keys of its rows first, their values in portions."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import and_, func, select, tuple_

from airflow_registry_triggers.access_log.query import Cursor, Query, keys_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Select
    from sqlalchemy.engine import Row
    from sqlalchemy.orm import Session

__all__ = ["cursor_of", "keys_statement", "values_statement"]

_ORDER = (XComModel.dag_run_id, XComModel.task_id, XComModel.map_index, XComModel.key)
"""The primary key. Runs are numbered as they are created, so this indexed order is the order of time."""


def keys_statement(
    session: Session,
    query: Query,
    limit: int,
    cursor: Cursor | None = None,
    dag_ids: set[str] | None = None,
    hidden: set[str] | None = None,
) -> Select[*tuple[Any, ...]]:
    """
    Return a statement for the keys of the rows on a page, newest first, without their values.

    :param limit: rows to return at most
    :param dag_ids: Dags to return; None for all
    :param hidden: Dags to leave out
    """
    return (
        select(*_ORDER, XComModel.dag_id, XComModel.run_id)
        .where(*_conditions(session, query, cursor, dag_ids, hidden))
        .order_by(*(column.desc() for column in _ORDER))
        .limit(limit)
    )


def values_statement(rows: Sequence[Row[Any]]) -> Select[*tuple[Any, ...]]:
    """Return a statement for the values of some rows and the state of their task instances."""
    same_task = and_(
        TaskInstance.dag_id == XComModel.dag_id,
        TaskInstance.run_id == XComModel.run_id,
        TaskInstance.task_id == XComModel.task_id,
        TaskInstance.map_index == XComModel.map_index,
    )
    wanted = [(row.dag_run_id, row.task_id, row.map_index, row.key) for row in rows]
    return (
        select(
            *_ORDER,
            XComModel.dag_id,
            XComModel.run_id,
            XComModel.value,
            XComModel.timestamp,
            TaskInstance.state,
        )
        .join(TaskInstance, same_task, isouter=True)
        .where(tuple_(*_ORDER).in_(wanted))
        .order_by(*(column.desc() for column in _ORDER))
    )


def cursor_of(row: Row[Any], position: int = 0) -> Cursor:
    """
    Return the cursor behind a row, or in it.

    :param position: entries of the row that were returned; 0 for all of them
    """
    return Cursor(row.dag_run_id, row.task_id, row.map_index, row.key, position)


def _conditions(
    session: Session,
    query: Query,
    cursor: Cursor | None,
    dag_ids: set[str] | None,
    hidden: set[str] | None,
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
    if hidden:
        yield XComModel.dag_id.not_in(hidden)
    if cursor:
        yield from _behind(cursor)


def _behind(cursor: Cursor) -> Iterator[Any]:
    # The first condition is redundant, but not every database uses an index for the second.
    yield XComModel.dag_run_id <= cursor.dag_run_id
    key = tuple_(cursor.dag_run_id, cursor.task_id, cursor.map_index, cursor.key)
    yield tuple_(*_ORDER) <= key if cursor.position else tuple_(*_ORDER) < key


def _in_order(session: Session, query: Query, column: Any) -> Any:
    # Without statistics, SQLite takes an index on the key or the Dag, however many rows it leads to, and
    # sorts them all (400 ms for 100,000). The primary key is in the wanted order. One run has few rows.
    is_walked = session.get_bind().dialect.name == "sqlite" and query.run_id is None
    return func.coalesce(column, "") if is_walked else column
