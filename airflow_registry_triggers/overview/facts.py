# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The facts about triggers that the database has."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_registry_triggers.overview.serialized import DagShape

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from airflow_registry_triggers.watcher.status_values import WatcherStatus

__all__ = [
    "AssetFacts",
    "AssetStatus",
    "Count",
    "DagFacts",
    "Facts",
    "Heartbeats",
    "SensorRun",
    "TaskRun",
    "Trigger",
]


@dataclass(frozen=True, slots=True)
class DagFacts:
    """
    A Dag with a trigger.

    :param parsed_at: time of the last parse without an error
    :param next_run_at: time at which the next scheduled run is due; None without a schedule by time
    :param description: of a held Dag, the sentence that the page shows
    """

    dag_id: str
    is_paused: bool = False
    is_stale: bool = False
    has_import_errors: bool = False
    is_held: bool = False
    is_disabled: bool = False
    parsed_at: datetime | None = None
    next_run_at: datetime | None = None
    description: str = ""
    shape: DagShape = field(default_factory=DagShape)


@dataclass(frozen=True, slots=True)
class AssetFacts:
    """
    A watched asset of a Dag's schedule.

    :param created_at: time at which the Airflow trigger was created; None if the asset has none
    :param heartbeat: last heartbeat of the triggerer that runs it; None if no triggerer does
    """

    name: str
    created_at: datetime | None = None
    heartbeat: datetime | None = None
    is_running: bool = False


@dataclass(frozen=True, slots=True)
class Heartbeats:
    """
    The triggerers of the installation.

    :param last: newest heartbeat of any triggerer, None if none ever ran
    :param running: newest heartbeat of a triggerer that has not ended
    """

    last: datetime | None = None
    running: datetime | None = None


@dataclass(frozen=True, slots=True)
class AssetStatus:
    """
    The status that a triggerer process stored for an asset.

    :param at: time of the write, in seconds since 1970
    """

    status: WatcherStatus
    at: float


@dataclass(frozen=True, slots=True)
class Count:
    """
    The records of a task with one status.

    :param run: newest run with such a record
    :param recent: number of runs with such a record within 24 hours
    """

    run: int
    recent: int = 0


@dataclass(frozen=True, slots=True)
class TaskRun:
    """A task instance with a failed attempt in the newest run of its status."""

    run: int
    task_id: str
    key: str
    map_index: int
    state: str | None
    next_attempt_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SensorRun:
    """
    The newest run of a sensor.

    :param state: state of the sensor in it; None before it starts
    :param scheduled_at: time of the newest scheduled run
    """

    state: str | None = None
    ended_at: datetime | None = None
    scheduled_at: datetime | None = None
    operator: str | None = None


@dataclass(frozen=True, slots=True)
class Trigger:
    """
    A trigger: a match task, or a sensor without one.

    :param task_id: the match task, the sensor or the task of a held trigger
    :param sensors: ids of the sensors that watch for it
    :param deliveries: ids of the delivery tasks behind it
    """

    dag: DagFacts
    task_id: str
    kind: str
    sensors: tuple[str, ...] = ()
    deliveries: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """Dag and task."""
        return self.dag.dag_id, self.task_id

    @property
    def name(self) -> str:
        """Name in the access log; a template as it stands in the Dag."""
        task = self.dag.shape.tasks.get(self.task_id)
        name = task.fields.get("trigger_name") if task else None
        return str(name or f"{self.dag.dag_id}.{self.task_id}")


@dataclass(slots=True)
class Facts:
    """
    All facts that decide states.

    :param assets: watched assets by Dag
    :param statuses: newest status of each asset
    :param unreadable: number of status values that cannot be read
    :param counts: records by Dag, task and status
    :param failed: task instances of failed attempts, by Dag
    :param sensors: newest run by Dag and sensor
    """

    now: datetime
    assets: Mapping[str, list[AssetFacts]] = field(default_factory=dict)
    heartbeats: Heartbeats = field(default_factory=Heartbeats)
    statuses: Mapping[str, AssetStatus] = field(default_factory=dict)
    unreadable: int = 0
    dead_keys: list[str] = field(default_factory=list)
    counts: Mapping[tuple[str, str], Mapping[str, Count]] = field(default_factory=dict)
    failed: Mapping[str, list[TaskRun]] = field(default_factory=dict)
    sensors: Mapping[tuple[str, str], SensorRun] = field(default_factory=dict)
    heartbeat_limit: float = 30.0

    def counts_of(self, dag_id: str, task_id: str) -> Mapping[str, Count]:
        """Return the records of a task by status."""
        return self.counts.get((dag_id, task_id), {})
