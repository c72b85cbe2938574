# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""What happened before a delivery."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow.sdk import Context

__all__ = ["check_upstream"]

_FAILED = {"failed", "upstream_failed"}


def check_upstream(context: Context, *, has_notifications: bool) -> None:
    """
    Refuse to go on after a failed task, unless that is a match that passed notifications on.

    :param context: Airflow's context
    :param has_notifications: whether there is something to deliver
    :raises AirflowFailException: another task before this one failed
    """
    from airflow_registry_triggers.operators.trigger_match import TriggerMatchOperator

    dag = context["dag"]
    for name, states in sorted(_failed_before(context).items()):
        before = dag.get_task(name)
        kind = getattr(before, "operator_class", type(before))
        is_match = isinstance(kind, type) and issubclass(kind, TriggerMatchOperator)
        # A match that did not run at all has passed nothing on; what it left may be an older run's.
        if not (is_match and has_notifications and states == {"failed"}):
            raise AirflowFailException(f"task {name} failed before this one: nothing is sent")


def _failed_before(context: Context) -> dict[str, set[str]]:
    task, ti = context["task"], context["ti"]
    names = sorted(task.upstream_task_ids)
    if not names:
        return {}
    run_id = str(context["run_id"])
    states = ti.get_task_states(dag_id=ti.dag_id, task_ids=names, run_ids=[run_id]).get(run_id, {})
    group = task.get_closest_mapped_task_group()
    failed: dict[str, set[str]] = {}
    for name in names:
        before = context["dag"].get_task(name)
        same_group = group is not None and before.get_closest_mapped_task_group() is group
        seen = {str(state) for state in _states_of(name, states, ti.map_index or 0, same_group)}
        if seen & _FAILED:
            failed[name] = seen & _FAILED
    return failed


def _states_of(name: str, states: Mapping[str, Any], map_index: int, same_group: bool) -> Iterator[Any]:
    """Airflow keys the state of a mapped instance by the task's name, an underscore and its index."""
    if same_group:
        yield states.get(f"{name}_{map_index}")
        return
    for key, state in states.items():
        if key == name or (key.startswith(f"{name}_") and key[len(name) + 1 :].isdigit()):
            yield state
