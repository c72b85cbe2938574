# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Read the facts about triggers from the metadata database, with at most ten queries."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.access_log.entries import records_of
from airflow_registry_triggers.access_log.reader import value_of
from airflow_registry_triggers.access_record import XCOM_PREFIX
from airflow_registry_triggers.overview.facts import (
    AssetFacts,
    AssetStatus,
    Count,
    DagFacts,
    Facts,
    Heartbeats,
    Trigger,
)
from airflow_registry_triggers.overview.instances import read_runs, utc
from airflow_registry_triggers.overview.serialized import DagShape, shape_of
from airflow_registry_triggers.overview.statements import (
    DISABLED_TAG,
    HELD_TAG,
    TRIGGER_TAG,
    assets_statement,
    counts_statement,
    dead_values_statement,
    records_statement,
    shapes_statement,
    statuses_statement,
    tasks_statement,
)
from airflow_registry_triggers.watcher.status_values import WatcherStatus

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from sqlalchemy.engine import Row
    from sqlalchemy.orm import Session

__all__ = [
    "DEAD_AFTER",
    "delete_dead_values",
    "read_facts",
    "read_records",
    "read_triggers",
]

DEAD_AFTER = 3600.0
"""Seconds after which a status value belongs to a dead process."""

RECENT = timedelta(hours=24)

_MAX_SHAPES = 20_000
_PORTION = 5000
"""Rows to name in one statement: SQLite allows 32,766 values. No page has as many."""


# Serialized Dags do not change under their id. Reading 1,000 of them costs more than all other queries.
_shapes: dict[Any, DagShape] = {}


def read_triggers(session: Session, dag_id: str | None = None) -> list[Trigger]:
    """
    Return all triggers, without regard to permissions.

    :param session: session of the metadata database
    :param dag_id: only of this Dag
    """
    rows = session.execute(tasks_statement(dag_id)).all()
    shapes = _read_shapes(session, {row.serialized_id for row in rows if row.serialized_id is not None})
    tags: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        tags[row.dag_id].add(row.tag)
    dags: dict[str, DagFacts] = {}
    tasks: dict[str, dict[str, None]] = defaultdict(dict)
    for row in rows:
        tasks[row.dag_id][row.task_id] = None
        if row.dag_id not in dags:
            shape = shapes.get(row.serialized_id, DagShape())
            dags[row.dag_id] = _dag(row, tags[row.dag_id], shape)
    return [found for name, dag in dags.items() for found in _triggers_of(dag, list(tasks[name]))]


def _dag(row: Row[Any], tags: set[str], shape: DagShape) -> DagFacts:
    return DagFacts(
        dag_id=row.dag_id,
        is_paused=bool(row.is_paused),
        is_stale=bool(row.is_stale),
        has_import_errors=bool(row.has_import_errors),
        is_held={TRIGGER_TAG, HELD_TAG} <= tags,
        is_disabled={TRIGGER_TAG, DISABLED_TAG} <= tags,
        parsed_at=row.last_parsed_time,
        next_run_at=row.next_dagrun_create_after,
        description=row.description or "",
        shape=shape,
    )


def _triggers_of(dag: DagFacts, task_ids: Sequence[str]) -> Iterator[Trigger]:
    """Yield a trigger for each match and held task, and for each sensor without a match downstream."""
    for task_id in task_ids:
        task = dag.shape.tasks.get(task_id)
        kind = task.kind if task else "match"
        sensors = dag.shape.before(task_id, "sensor")
        if kind == "sensor":
            if dag.shape.after(task_id, "match"):
                continue
            sensors = [dag.shape.tasks[task_id]]
        elif kind not in ("match", "held"):
            continue
        deliveries = dag.shape.after(task_id, "deliver")
        yield Trigger(
            dag, task_id, kind, tuple(s.task_id for s in sensors), tuple(d.task_id for d in deliveries)
        )


def _read_shapes(session: Session, ids: set[Any]) -> dict[Any, DagShape]:
    unknown = [key for key in ids if key not in _shapes]
    if unknown:
        if len(_shapes) + len(unknown) > _MAX_SHAPES:
            _shapes.clear()
        for portion in _portions(unknown):
            for row in session.execute(shapes_statement(portion)):
                _shapes[row[0]] = shape_of(row[1], row[2])
    return {key: _shapes[key] for key in ids if key in _shapes}


def read_facts(
    session: Session, triggers: Collection[Trigger], now: datetime, dag_id: str | None = None
) -> Facts:
    """
    Return the facts that decide the states of some triggers.

    :param session: session of the metadata database
    :param triggers: triggers that the user may see
    :param dag_id: the Dag of all triggers, if they have the same
    """
    from airflow.configuration import conf

    dag_ids = {trigger.dag.dag_id for trigger in triggers}
    facts = Facts(now, heartbeat_limit=conf.getfloat("triggerer", "triggerer_health_check_threshold"))
    facts.assets, facts.heartbeats = _read_assets(session, dag_ids, dag_id)
    _read_statuses(session, facts)
    facts.counts = _read_counts(session, dag_ids, now - RECENT, dag_id)
    facts.failed, facts.sensors = read_runs(session, triggers, facts)
    return facts


def _read_assets(
    session: Session, dag_ids: set[str], dag_id: str | None
) -> tuple[dict[str, list[AssetFacts]], Heartbeats]:
    assets: dict[str, list[AssetFacts]] = defaultdict(list)
    rows = session.execute(assets_statement(dag_id)).all()
    heartbeats = Heartbeats(*map(utc, rows[0][-2:])) if rows else Heartbeats()
    for row in rows:
        if row.dag_id in dag_ids:
            is_running = row.state is not None and str(row.state) == "running"
            found = AssetFacts(row.name, row.created_date, utc(row.latest_heartbeat), is_running)
            assets[row.dag_id].append(found)
    return assets, heartbeats


def _read_statuses(session: Session, facts: Facts) -> None:
    """Fill in the newest status of each asset; values that cannot be read are counted."""
    statuses: dict[str, AssetStatus] = {}
    for row in session.execute(statuses_statement()):
        try:
            at, rows = _status_value(row.value)
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
            facts.unreadable += 1
            at, rows = row.updated_at.timestamp(), {}
        if facts.now.timestamp() - at > DEAD_AFTER:
            facts.dead_keys.append(row.key)
        for asset, status in rows.items():
            known = statuses.get(asset)
            if known is None or (status.polled_at or 0) >= (known.status.polled_at or 0):
                statuses[asset] = AssetStatus(status, at)
    facts.statuses = statuses


def _status_value(text: str) -> tuple[float, dict[str, WatcherStatus]]:
    value = json.loads(text)
    rows = {str(asset): WatcherStatus.from_list(row) for asset, row in value["watchers"].items()}
    return float(value["at"]), rows


def _read_counts(
    session: Session, dag_ids: set[str], since: datetime, dag_id: str | None
) -> dict[tuple[str, str], dict[str, Count]]:
    counts: dict[tuple[str, str], dict[str, Count]] = defaultdict(dict)
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    for row in session.execute(counts_statement(since, dag_id, is_sqlite=is_sqlite)):
        if row.dag_id in dag_ids:
            status = row.key.removeprefix(XCOM_PREFIX)
            counts[row.dag_id, row.task_id][status] = Count(row.run, row.recent)
    return counts


def read_records(
    session: Session, wanted: Iterable[tuple[int, str, str]]
) -> dict[tuple[int, str, str], list[dict[str, Any]]]:
    """
    Return the access records of some runs, tasks and statuses.

    :param session: session of the metadata database
    :param wanted: run, task and status
    """
    keys = [(run, task_id, XCOM_PREFIX + status) for run, task_id, status in wanted]
    found: dict[tuple[int, str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in (row for part in _portions(keys) for row in session.execute(records_statement(part))):
        status = row.key.removeprefix(XCOM_PREFIX)
        place = {"run_id": row.run_id, "task_id": row.task_id, "map_index": row.map_index}
        for record in records_of(value_of(row), status):
            at = record["request_time"] or row.timestamp.isoformat()
            found[row.dag_run_id, row.task_id, status].append({**record, **place, "request_time": at})
    return found


def _portions(items: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(items), _PORTION):
        yield items[start : start + _PORTION]


def delete_dead_values(session: Session, keys: Collection[str], now: datetime) -> None:
    """
    Delete the status values of processes that died more than an hour ago.

    :param session: session of the metadata database
    :param keys: keys of the values
    """
    if keys:
        session.execute(dead_values_statement(keys, now - timedelta(seconds=DEAD_AFTER)))
