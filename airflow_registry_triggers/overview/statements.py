# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The SQL behind the page "Triggers". The number of statements does not depend on the number of triggers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.jobs.job import Job, JobState
from airflow.models.asset import (
    AssetModel,
    AssetWatcherModel,
    DagScheduleAssetReference,
    TaskInletAssetReference,
)
from airflow.models.asset_state_store import AssetStateStoreModel
from airflow.models.dag import DagModel, DagTag
from airflow.models.dag_version import DagVersion
from airflow.models.dagrun import DagRun
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import Trigger
from airflow.models.xcom import XComModel
from sqlalchemy import String, and_, case, cast, false, func, literal, null, select, true, tuple_, union_all
from sqlalchemy import delete as sql_delete

from airflow_registry_triggers.access_log.query import keys_of
from airflow_registry_triggers.common.state_store import STATE_ASSET
from airflow_registry_triggers.overview.serialized import REPOSITORY_GROUP
from airflow_registry_triggers.watcher.status_values import KEY_PREFIX

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from sqlalchemy import CompoundSelect, Delete, Select

__all__ = [
    "DISABLED_TAG",
    "HELD_TAG",
    "TRIGGER_TAG",
    "assets_statement",
    "counts_statement",
    "dead_values_statement",
    "records_statement",
    "runs_statement",
    "shapes_statement",
    "statuses_statement",
    "tasks_statement",
]

# The tags of Dags of a trigger file; the package trigger_file is above this one.
TRIGGER_TAG = "registry-trigger"
HELD_TAG = "held"
DISABLED_TAG = "disabled"

_END_OF_KEYS = f"{KEY_PREFIX[:-1]}0"
"""The text behind all keys with the prefix: 0 follows the slash in every collation."""

_XCOM_KEY = (XComModel.dag_run_id, XComModel.task_id, XComModel.key)


def tasks_statement(dag_id: str | None = None) -> Select[*tuple[Any, ...]]:
    """
    Return a statement for the tasks with the shared state as an inlet, and their Dags.

    A Dag with several tags of a trigger file has several rows for each task.

    :param dag_id: only this Dag
    """
    newest = (
        select(DagVersion.dag_id, func.max(DagVersion.version_number).label("number"))
        .group_by(DagVersion.dag_id)
        .subquery()
    )
    is_newest = and_(DagVersion.dag_id == newest.c.dag_id, DagVersion.version_number == newest.c.number)
    has_tag = and_(DagTag.dag_id == DagModel.dag_id, DagTag.name.in_((TRIGGER_TAG, HELD_TAG, DISABLED_TAG)))
    statement = (
        select(
            TaskInletAssetReference.dag_id,
            TaskInletAssetReference.task_id,
            DagModel.is_paused,
            DagModel.is_stale,
            DagModel.has_import_errors,
            DagModel.last_parsed_time,
            DagModel.next_dagrun_create_after,
            DagModel.description,
            DagTag.name.label("tag"),
            SerializedDagModel.id.label("serialized_id"),
        )
        .join(AssetModel, AssetModel.id == TaskInletAssetReference.asset_id)
        .join(DagModel, DagModel.dag_id == TaskInletAssetReference.dag_id)
        .join(newest, newest.c.dag_id == DagModel.dag_id, isouter=True)
        .join(DagVersion, is_newest, isouter=True)
        .join(SerializedDagModel, SerializedDagModel.dag_version_id == DagVersion.id, isouter=True)
        .join(DagTag, has_tag, isouter=True)
        .where(AssetModel.name == STATE_ASSET.name)
    )
    return statement if dag_id is None else statement.where(TaskInletAssetReference.dag_id == dag_id)


def shapes_statement(ids: Collection[Any]) -> Select[*tuple[Any, ...]]:
    """Return a statement for some serialized Dags."""
    columns = (SerializedDagModel.id, SerializedDagModel._data, SerializedDagModel._data_compressed)
    return select(*columns).where(SerializedDagModel.id.in_(ids))


def assets_statement(dag_id: str | None = None) -> Select[*tuple[Any, ...]]:
    """
    Return a statement for the watched assets of schedules, with their Airflow trigger and its triggerer.

    :param dag_id: only of this Dag
    """
    of_triggerers = select(func.max(Job.latest_heartbeat)).where(Job.job_type == "TriggererJob")
    is_running = Job.state == JobState.RUNNING
    statement = (
        select(
            DagScheduleAssetReference.dag_id,
            AssetModel.name,
            Trigger.created_date,
            Job.latest_heartbeat,
            Job.state,
            of_triggerers.scalar_subquery().label("last_heartbeat"),
            of_triggerers.where(is_running).scalar_subquery().label("running_heartbeat"),
        )
        .join(AssetModel, AssetModel.id == DagScheduleAssetReference.asset_id)
        .join(AssetWatcherModel, AssetWatcherModel.asset_id == AssetModel.id, isouter=True)
        .join(Trigger, Trigger.id == AssetWatcherModel.trigger_id, isouter=True)
        .join(Job, Job.id == Trigger.triggerer_id, isouter=True)
        .where(AssetModel.group == REPOSITORY_GROUP)
    )
    return statement if dag_id is None else statement.where(DagScheduleAssetReference.dag_id == dag_id)


def statuses_statement() -> Select[*tuple[Any, ...]]:
    """Return a statement for the status values of all triggerer processes."""
    return select(
        AssetStateStoreModel.key, AssetStateStoreModel.value, AssetStateStoreModel.updated_at
    ).where(*_status_keys())


def dead_values_statement(keys: Collection[str], before: datetime) -> Delete:
    """
    Return a statement that deletes status values of dead processes.

    :param before: values that were written later are kept
    """
    return sql_delete(AssetStateStoreModel).where(
        *_status_keys(), AssetStateStoreModel.key.in_(keys), AssetStateStoreModel.updated_at < before
    )


def _status_keys() -> tuple[Any, ...]:
    shared = select(AssetModel.id).where(AssetModel.name == STATE_ASSET.name).scalar_subquery()
    key = AssetStateStoreModel.key
    return AssetStateStoreModel.asset_id == shared, key >= KEY_PREFIX, key < _END_OF_KEYS


def counts_statement(
    since: datetime, dag_id: str | None = None, *, is_sqlite: bool = False
) -> Select[*tuple[Any, ...]]:
    """
    Return a statement for the newest run and the number of recent runs of each task and status.

    The inner statement needs the primary key only, so that a covering index answers it. Of a run that tests
    without sending, nothing counts: neither its match nor a fault of its delivery.

    :param since: runs with a record at this time or later are counted
    :param dag_id: only of this Dag
    :param is_sqlite: whether the database is SQLite, which would read 100,000 rows by an index on the key
    """
    key: Any = func.coalesce(XComModel.key, "") if is_sqlite else XComModel.key
    inner = select(*_XCOM_KEY).where(key.in_(keys_of(()))).distinct()
    if dag_id is not None:
        inner = inner.where(XComModel.dag_run_id.in_(select(DagRun.id).where(DagRun.dag_id == dag_id)))
    rows = inner.subquery()
    is_dry_run = cast(DagRun.conf["dry_run"].as_string(), String).in_(("true", "1"))
    group = (DagRun.dag_id, rows.c.task_id, rows.c.key)
    recent = func.sum(case((_is_recent(rows, since), 1), else_=0))
    return (
        select(*group, func.max(rows.c.dag_run_id).label("run"), recent.label("recent"))
        .join(rows, rows.c.dag_run_id == DagRun.id)
        .where(func.coalesce(is_dry_run, false()).is_(false()))
        .group_by(*group)
    )


def _is_recent(rows: Any, since: datetime) -> Any:
    """Return whether a record is recent: after its run began. An old run may have been cleared since."""
    other = XComModel.__table__.alias()
    written = select(func.max(other.c.timestamp)).where(
        other.c.dag_run_id == rows.c.dag_run_id,
        other.c.task_id == rows.c.task_id,
        other.c.key == rows.c.key,
    )
    return case(
        (DagRun.run_after >= since, true()),
        (DagRun.updated_at >= since, written.scalar_subquery() >= since),
        else_=false(),
    )


def records_statement(wanted: Collection[tuple[int, str, str]]) -> Select[*tuple[Any, ...]]:
    """
    Return a statement for the values of some records.

    :param wanted: run, task and key
    """
    columns = (XComModel.dag_id, XComModel.run_id, XComModel.map_index, XComModel.value, XComModel.timestamp)
    return select(*_XCOM_KEY, *columns).where(*_is_one_of(wanted))


def _is_one_of(wanted: Collection[tuple[int, str, str]]) -> tuple[Any, ...]:
    # SQLite uses an index for the first condition only, and takes 3 s for an OR of them or a join.
    return XComModel.dag_run_id.in_({run for run, _, _ in wanted}), tuple_(*_XCOM_KEY).in_(wanted)


def runs_statement(
    failed: Collection[tuple[int, str, str]], sensors: Collection[tuple[str, str]]
) -> CompoundSelect[*tuple[Any, ...]]:
    """
    Return a statement for the task instances behind failed attempts, and for the newest run of each sensor.

    :param failed: run, task and key of failed attempts
    :param sensors: Dag and task of sensors
    """
    return union_all(_failed(failed), _newest_of_sensors(sensors))


_INSTANCE = (
    TaskInstance.state,
    TaskInstance.operator,
    TaskInstance.try_number,
    TaskInstance.end_date,
    TaskInstance.retry_delay_override,
)


def _failed(wanted: Collection[tuple[int, str, str]]) -> Select[*tuple[Any, ...]]:
    rows = (
        select(*_XCOM_KEY, XComModel.dag_id, XComModel.run_id, XComModel.map_index)
        .where(*_is_one_of(wanted))
        .subquery()
    )
    same = and_(
        TaskInstance.dag_id == rows.c.dag_id,
        TaskInstance.run_id == rows.c.run_id,
        TaskInstance.task_id == rows.c.task_id,
        TaskInstance.map_index == rows.c.map_index,
    )
    missing: Any = cast(null(), DagRun.run_after.type)
    return select(
        literal("failed").label("part"),
        rows.c.dag_id,
        rows.c.task_id,
        rows.c.dag_run_id.label("run"),
        rows.c.key,
        rows.c.map_index,
        *_INSTANCE,
        missing.label("scheduled_at"),
    ).join(TaskInstance, same)


def _newest_of_sensors(sensors: Collection[tuple[str, str]]) -> Select[*tuple[Any, ...]]:
    scheduled: Any = func.max(case((DagRun.run_type == "scheduled", DagRun.run_after)))
    newest = (
        select(DagRun.dag_id, func.max(DagRun.id).label("run"), scheduled.label("scheduled_at"))
        .where(DagRun.dag_id.in_({dag_id for dag_id, _ in sensors}))
        .group_by(DagRun.dag_id)
        .subquery()
    )
    of_run = and_(
        TaskInstance.dag_id == DagRun.dag_id,
        TaskInstance.run_id == DagRun.run_id,
        TaskInstance.task_id.in_({task_id for _, task_id in sensors}),
    )
    return (
        select(
            literal("sensor").label("part"),
            newest.c.dag_id,
            TaskInstance.task_id,
            newest.c.run,
            literal("").label("key"),
            TaskInstance.map_index,
            *_INSTANCE,
            newest.c.scheduled_at,
        )
        .join(DagRun, DagRun.id == newest.c.run)
        .join(TaskInstance, of_run)
    )
