# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Task instances of failed attempts, with the time of their next try, and the newest runs of sensors."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow.models.taskinstance import TaskInstance

from airflow_registry_triggers.access_record import VERDICTS, XCOM_PREFIX, Status
from airflow_registry_triggers.overview.facts import Count, Facts, SensorRun, TaskRun, Trigger
from airflow_registry_triggers.overview.statements import runs_statement

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sqlalchemy.engine import Row
    from sqlalchemy.orm import Session

    from airflow_registry_triggers.overview.serialized import DagShape

__all__ = ["delivery_statuses", "is_failure", "read_runs", "utc"]

_NOT_DELIVERIES = frozenset({*VERDICTS, Status.DRY_RUN})


def is_failure(status: str) -> bool:
    """Return True if a status belongs to a delivery that did not get a 2xx answer."""
    return status not in _NOT_DELIVERIES and not (status.isdecimal() and status.startswith("2"))


def delivery_statuses(counts: Mapping[str, Count]) -> dict[str, Count]:
    """Return the statuses that belong to deliveries; dry runs do not."""
    return {status: count for status, count in counts.items() if status not in _NOT_DELIVERIES}


def read_runs(
    session: Session, triggers: Collection[Trigger], facts: Facts
) -> tuple[dict[str, list[TaskRun]], dict[tuple[str, str], SensorRun]]:
    """
    Return the task instances of failed attempts by Dag, and the newest run of each sensor.

    :param session: session of the metadata database
    :param triggers: triggers that the user may see
    :param facts: facts with their counts
    """
    failed: dict[str, list[TaskRun]] = defaultdict(list)
    sensors: dict[tuple[str, str], SensorRun] = {}
    wanted = [
        (count.run, task_id, XCOM_PREFIX + status)
        for (_, task_id), counts in facts.counts.items()
        for status, count in counts.items()
        if is_failure(status)
    ]
    watching = {(trigger.dag.dag_id, task_id) for trigger in triggers for task_id in trigger.sensors}
    if not wanted and not watching:
        return failed, sensors
    shapes = {trigger.dag.dag_id: trigger.dag.shape for trigger in triggers}
    for row in session.execute(runs_statement(wanted, watching)):
        if row.part == "sensor":
            sensors[row.dag_id, row.task_id] = SensorRun(
                row.state and str(row.state), utc(row.end_date), utc(row.scheduled_at), row.operator
            )
        elif row.dag_id in shapes:
            failed[row.dag_id].append(
                TaskRun(
                    row.run,
                    row.task_id,
                    row.key.removeprefix(XCOM_PREFIX),
                    row.map_index,
                    row.state and str(row.state),
                    _next_attempt(row, shapes[row.dag_id]),
                )
            )
    return failed, sensors


def _next_attempt(row: Row[Any], shape: DagShape) -> datetime | None:
    """Return the time of the next try of a task that Airflow retries."""
    if row.state is None or str(row.state) != "up_for_retry" or row.end_date is None:
        return None
    fields = shape.tasks[row.task_id].fields if row.task_id in shape.tasks else {}
    task = SimpleNamespace(
        retry_delay=timedelta(seconds=_seconds(fields.get("retry_delay"), 300.0)),
        retry_exponential_backoff=fields.get("retry_exponential_backoff") or 0,
        max_retry_delay=timedelta(seconds=_seconds(fields["max_retry_delay"], 0.0))
        if fields.get("max_retry_delay")
        else None,
    )
    instance: Any = SimpleNamespace(
        task=task,
        end_date=utc(row.end_date),
        retry_delay_override=row.retry_delay_override,
        try_number=row.try_number,
        dag_id=row.dag_id,
        task_id=row.task_id,
        logical_date=None,
    )
    at: datetime = TaskInstance.next_retry_datetime(instance)
    return at


def _seconds(value: Any, default: float) -> float:
    value = value.get("__var") if isinstance(value, dict) else value
    return float(value) if isinstance(value, int | float) else default


def utc(value: Any) -> Any:
    """Return a time with its zone."""
    # A maximum of times has no zone on SQLite.
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value
