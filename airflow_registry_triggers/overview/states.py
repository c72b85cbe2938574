# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
The nine states of a trigger; the first whose condition is true is shown.

The states are decided for all triggers with counts and statuses only. Their sentences need the values of
records, which are read for the rows on the page.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.access_log.entries import result_of
from airflow_registry_triggers.access_record import Status
from airflow_registry_triggers.overview.instances import delivery_statuses, is_failure
from airflow_registry_triggers.overview.sentences import Sentence, counted, error_text, plain
from airflow_registry_triggers.overview.watching import repository_of, why_not_watched

if TYPE_CHECKING:
    from airflow_registry_triggers.overview.facts import AssetStatus, Facts, TaskRun, Trigger

__all__ = ["Delivery", "State", "decide", "last_delivery", "last_match_run", "watchers_of"]

_OK = frozenset({"delivered", Status.DRY_RUN})


class State(IntEnum):
    """The states in their order."""

    BROKEN = 1
    PAUSED = 2
    NOT_WATCHED = 3
    REGISTRY_ERROR = 4
    STORM = 5
    BASELINE = 6
    UNTRIGGERED = 7
    DELIVERY = 8
    OK = 9

    @property
    def word(self) -> str:
        """Name in the API."""
        return self.name.lower()

    @property
    def is_problem(self) -> bool:
        """Whether a person has to do something."""
        return self in _PROBLEMS


_PROBLEMS = frozenset({State.BROKEN, State.NOT_WATCHED, State.REGISTRY_ERROR, State.STORM, State.DELIVERY})


@dataclass(frozen=True, slots=True)
class Delivery:
    """
    The last delivery of a trigger.

    :param run: number of its run
    :param result: ``delivered``, ``retrying``, ``failed`` or ``blocked``
    :param instance: task instance of a failed attempt
    """

    run: int
    task_id: str
    status: str
    result: str
    instance: TaskRun | None = None


def decide(trigger: Trigger, facts: Facts) -> tuple[State, Sentence | None]:
    """
    Return the state of a trigger, and its sentence if no record is needed for it.

    :param facts: facts about all triggers of the page
    """
    dag = trigger.dag
    if dag.is_held or dag.is_stale or dag.has_import_errors:
        return State.BROKEN, _why_broken(trigger)
    if dag.is_paused or dag.is_disabled:
        return State.PAUSED, _why_paused(trigger)
    if (sentence := why_not_watched(trigger, facts)) is not None:
        return State.NOT_WATCHED, sentence
    if (sentence := _why_registry_error(trigger, facts)) is not None:
        return State.REGISTRY_ERROR, sentence
    for _, report in watchers_of(trigger, facts):
        if report and report.status.error_kind == "storm":
            return State.STORM, Sentence(f"{plain(report.status.note)} Raise storm_limit to send them.")
    return _of_records(trigger, facts)


def _why_broken(trigger: Trigger) -> Sentence:
    dag = trigger.dag
    if dag.is_held:
        return Sentence(plain(dag.description) or "Held: the trigger file has problems.")
    if not dag.has_import_errors:
        return Sentence("The Dag is no longer in its file.")
    if dag.parsed_at is None:
        return Sentence("The Dag file has an import error.")
    # Airflow renews the time of an import error at each parse; the last good parse was before the error.
    return Sentence("The Dag file has an import error since {0}.", (dag.parsed_at,))


def _why_paused(trigger: Trigger) -> Sentence:
    if trigger.dag.is_disabled:
        task = trigger.dag.shape.tasks.get(trigger.task_id)
        declared = task.about.get("declared_in", "the Dag file") if task else "the Dag file"
        return Sentence(f"Disabled in {plain(str(declared))}.")
    return Sentence("Paused. Airflow queues no asset events for a paused Dag.")


def watchers_of(trigger: Trigger, facts: Facts) -> list[tuple[str, AssetStatus | None]]:
    """Return the watched assets of a trigger without sensors, each with its status."""
    if trigger.sensors:
        return []
    names = {asset.name: None for asset in facts.assets.get(trigger.dag.dag_id, [])}
    return [(name, facts.statuses.get(name)) for name in names]


def _why_registry_error(trigger: Trigger, facts: Facts) -> Sentence | None:
    for name, report in watchers_of(trigger, facts):
        if report and report.status.error_kind not in (None, "storm"):
            return error_text(report.status, repository_of(name))
    for task_id in trigger.sensors:
        run = facts.sensors.get((trigger.dag.dag_id, task_id))
        if run is not None and run.state == "failed":
            times = (run.ended_at,) if run.ended_at else ()
            form = " at {0}" if times else ""
            return Sentence(f"The sensor {plain(task_id)} failed{form}. Its task log has the reason.", times)
    return None


def _of_records(trigger: Trigger, facts: Facts) -> tuple[State, Sentence | None]:
    delivery = last_delivery(trigger, facts)
    matched, unmatched = last_match_run(trigger, facts)
    if not matched and not unmatched and delivery is None:
        return State.BASELINE, _recorded(trigger, facts)
    is_failing = delivery is not None and delivery.result not in _OK
    if unmatched > matched and not is_failing and not _failed_recently(trigger, facts):
        return State.UNTRIGGERED, None
    return (State.DELIVERY, None) if is_failing else (State.OK, None)


def _recorded(trigger: Trigger, facts: Facts) -> Sentence:
    watchers = watchers_of(trigger, facts)
    known = [report.status.tags for _, report in watchers if report and report.status.tags is not None]
    if known:
        return Sentence(f"{counted(sum(known), 'tag')} recorded; no push since.")
    return Sentence("The watcher has not polled yet." if watchers else "No push yet.")


def last_match_run(trigger: Trigger, facts: Facts) -> tuple[int, int]:
    """
    Return the newest run with a push that matched, and the newest with one that did not; 0 for none.

    If a run has both, its last push counts as matched: the pushes of one poll have no order.
    """
    counts = facts.counts_of(*trigger.key)
    runs = [counts[status].run if status in counts else 0 for status in ("triggered", "untriggered")]
    return runs[0], runs[1]


def last_delivery(trigger: Trigger, facts: Facts) -> Delivery | None:
    """Return the last delivery; of several in its run one that failed, if there is one."""
    newest: list[Delivery] = []
    for task_id in trigger.deliveries:
        for status, count in delivery_statuses(facts.counts_of(trigger.dag.dag_id, task_id)).items():
            if newest and count.run < newest[0].run:
                continue
            if newest and count.run > newest[0].run:
                newest = []
            newest += _deliveries(trigger, facts, task_id, status, count.run)
    return min(newest, key=lambda delivery: delivery.result in _OK, default=None)


def _deliveries(trigger: Trigger, facts: Facts, task_id: str, status: str, run: int) -> list[Delivery]:
    if not is_failure(status):
        return [Delivery(run, task_id, status, "delivered")]
    found = [
        Delivery(run, task_id, status, _result(status, item.state), item)
        for item in facts.failed.get(trigger.dag.dag_id, [])
        if (item.run, item.task_id, item.key) == (run, task_id, status)
    ]
    return found or [Delivery(run, task_id, status, _result(status, None))]


def _result(status: str, state: str | None) -> str:
    record: dict[str, Any] = {"status_code": status}
    return result_of(record, state)


def _failed_recently(trigger: Trigger, facts: Facts) -> bool:
    """Return True if a delivery of the last 24 hours is retried or failed."""
    for task_id in trigger.deliveries:
        for status, count in facts.counts_of(trigger.dag.dag_id, task_id).items():
            if count.recent and is_failure(status):
                found = _deliveries(trigger, facts, task_id, status, count.run)
                if any(delivery.result not in _OK for delivery in found):
                    return True
    return False
