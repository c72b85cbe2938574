# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Fills a metadata database with access history, as tasks leave it, without running them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.access_log.writer import by_xcom_key
from airflow_registry_triggers.access_record import AccessRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.harness.airflow_home import AirflowHome

BUNDLE = "made-by-tests"


def record(number: int = 1, *, status: str = "200", **values: Any) -> dict[str, Any]:
    """Give an access record of a usual size."""
    verdict = status in {"triggered", "untriggered", "duplicate"}
    known = {
        "trigger_name": "prod",
        "status_code": status,
        "trigger_log_id": f"{number:032x}" if verdict else f"msg_{number:032x}/1",
        "trigger_url": "" if verdict else "https://deploy.example.com/hook",
        "trigger_type": "ALL",
        "repo_event": "new",
        "repository": "team/app",
        "tag": f"v{number}",
        "digest": f"sha256:{number:064x}",
        "notification_id": f"{number:032x}",
        "reason": f"because {status}",
    }
    if not verdict:
        known |= {
            "request_headers": {f"x-request-{n}": "r" * 30 for n in range(8)},
            "request_body": '{"push_data": {}}' + "r" * 500,
            "response_headers": {f"x-response-{n}": "a" * 30 for n in range(8)},
            "response_body": "a" * 500,
            "duration_ms": 12,
        }
    return AccessRecord(**{**known, **values}).to_dict()


@dataclass
class Task:
    """A task instance and its records; ``value`` is one key's value as it stands in the database."""

    dag_id: str
    run: int
    records: list[dict[str, Any]] = field(default_factory=list)
    task_id: str = "deliver"
    map_index: int = -1
    state: str = "success"
    at: datetime | None = None
    xcoms: dict[str, Any] = field(default_factory=dict)

    @property
    def run_id(self) -> str:
        return f"manual__{self.run:06}"


class HistoryRows:
    """
    Writes rows through Airflow's own tables.

    :param home: whose database; it must have been migrated
    :param known: Dags that the database has already, from Dag files
    """

    def __init__(self, home: AirflowHome, known: Iterable[str] = ()) -> None:
        from sqlalchemy import create_engine

        self._engine = create_engine(home.database)
        self._dags: set[str] = set(known)
        self._runs: set[int] = set()

    def add(self, tasks: Iterable[Task]) -> None:
        """Write task instances; runs are numbered in the order of their time."""
        from airflow.models.dagrun import DagRun
        from airflow.models.taskinstance import TaskInstance
        from airflow.models.xcom import XComModel
        from sqlalchemy import insert

        tasks = list(tasks)
        with self._engine.begin() as connection:
            self._add_dags(connection, {task.dag_id for task in tasks})
            for model, rows in (
                (DagRun, self._new_runs(tasks)),
                (TaskInstance, [_task_instance(task) for task in tasks]),
                (XComModel, [row for task in tasks for row in _xcoms(task)]),
            ):
                if rows:
                    connection.execute(insert(model.__table__), rows)

    def add_asset_event(self, task: Task, extra: dict[str, Any]) -> int:
        """Write an event that began the task's run, of an asset of its own; give the asset's id."""
        from airflow.models.asset import AssetEvent, AssetModel, association_table
        from sqlalchemy import insert, select
        from sqlalchemy.orm import Session

        with Session(self._engine) as session:
            name = f"asset-of-{task.run}"
            session.execute(insert(AssetModel.__table__), [_asset(name)])
            (asset_id,) = session.scalars(select(AssetModel.id).where(AssetModel.name == name))
            event = AssetEvent(asset_id=asset_id, extra=extra)
            session.add(event)
            session.flush()
            session.execute(insert(association_table), [{"dag_run_id": task.run, "event_id": event.id}])
            session.commit()
            return int(asset_id)

    def execute(self, text: str, **values: Any) -> None:
        """Run a statement of SQL."""
        import sqlalchemy

        with self._engine.begin() as connection:
            connection.execute(sqlalchemy.text(text), values)

    def _add_dags(self, connection: Any, dag_ids: set[str]) -> None:
        from airflow.models.dag import DagModel
        from airflow.models.dagbundle import DagBundleModel
        from sqlalchemy import insert

        if not self._dags:
            connection.execute(insert(DagBundleModel.__table__), [{"name": BUNDLE, "active": True}])
        new = dag_ids - self._dags
        rows = [
            {
                "dag_id": dag_id,
                "bundle_name": BUNDLE,
                "fileloc": "",
                "is_paused": False,
                "is_stale": False,
                "timetable_type": "",
                "timetable_partitioned": False,
                "max_active_tasks": 16,
                "max_consecutive_failed_dag_runs": 0,
                "has_task_concurrency_limits": False,
            }
            for dag_id in sorted(new)
        ]
        if rows:
            connection.execute(insert(DagModel.__table__), rows)
        self._dags |= new

    def _new_runs(self, tasks: list[Task]) -> list[dict[str, Any]]:
        rows = {}
        for task in tasks:
            if task.run not in self._runs:
                rows[task.run] = {
                    "id": task.run,
                    "dag_id": task.dag_id,
                    "run_id": task.run_id,
                    "run_type": "manual",
                    "state": "success",
                    "run_after": _at(task),
                    "queued_at": _at(task),
                    "start_date": _at(task),
                    "updated_at": _at(task),
                    "clear_number": 0,
                    "conf": {},
                }
        self._runs |= set(rows)
        return list(rows.values())


def _asset(name: str) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "name": name,
        "uri": f"x-test://{name}",
        "group": "",
        "extra": {},
        "created_at": now,
        "updated_at": now,
    }


def _at(task: Task) -> datetime:
    return task.at or datetime.now(UTC) - timedelta(days=10) + timedelta(seconds=task.run)


def _task_instance(task: Task) -> dict[str, Any]:
    return {
        "id": uuid.uuid4(),
        "dag_id": task.dag_id,
        "run_id": task.run_id,
        "task_id": task.task_id,
        "map_index": task.map_index,
        "state": task.state,
        "try_number": 1,
        "max_tries": 8,
        "pool": "default_pool",
        "pool_slots": 1,
        "queue": "default",
        "priority_weight": 1,
        "operator": "WebhookDeliverOperator",
        "executor_config": {},
        "start_date": _at(task),
        "end_date": _at(task),
        "updated_at": _at(task),
    }


def _xcoms(task: Task) -> Iterator[dict[str, Any]]:
    for key, value in {**by_xcom_key(task.records), **task.xcoms}.items():
        yield {
            "dag_run_id": task.run,
            "task_id": task.task_id,
            "map_index": task.map_index,
            "key": key,
            "dag_id": task.dag_id,
            "run_id": task.run_id,
            "value": value,
            "timestamp": _at(task),
        }
