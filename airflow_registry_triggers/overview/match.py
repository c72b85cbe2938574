# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Answer "Would it match?" from the serialized rule, without a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.overview.rows import repositories_of
from airflow_registry_triggers.overview.serialized import CONDITIONS, TemplatedRule
from airflow_registry_triggers.tag_rule import TagRule

if TYPE_CHECKING:
    from airflow_registry_triggers.overview.facts import Trigger
    from airflow_registry_triggers.overview.serialized import WatchedRepository

__all__ = ["would_match"]


def would_match(trigger: Trigger, tag: str, repository: str = "") -> dict[str, Any]:
    """
    Return whether a push of a tag would trigger: the rule of the task, and what its watchers look at.

    :param tag: the tag
    :param repository: repository of the push; empty for any that the trigger watches
    :raises TemplatedRule: the rule is known only in a run
    :raises ValueError: the rule is not valid
    """
    watched = repositories_of(trigger)
    if repository and watched and repository not in watched:
        return _answer(False, "not_watched", f"{repository!a} is not watched; {', '.join(watched)} is")
    verdict = trigger.dag.shape.tasks[trigger.task_id].rule().judge(tag)
    if verdict.triggered and (reason := _why_not_seen(trigger, tag, repository)):
        return _answer(False, "not_watched", reason)
    return _answer(verdict.triggered, verdict.kind, verdict.reason)


def _why_not_seen(trigger: Trigger, tag: str, repository: str) -> str:
    """Return why no watcher or sensor would report the tag; empty if one would."""
    reason = ""
    for task_id in trigger.sensors:
        sensor = trigger.dag.shape.tasks[task_id]
        if repository and sensor.fields.get("repository") != repository:
            continue
        try:
            verdict = sensor.rule().judge(tag)
        except TemplatedRule:
            return ""
        if verdict.triggered:
            return ""
        reason = f"the sensor {task_id} ignores it: {verdict.reason}"
    for watched in trigger.dag.shape.watched:
        if not watched.asset or (repository and watched.repository != repository):
            continue
        reason = _why_not_reported(watched, tag)
        if not reason:
            return ""
    return reason


def _why_not_reported(watched: WatchedRepository, tag: str) -> str:
    conditions = {name: value for name, value in watched.conditions.items() if name in CONDITIONS}
    verdict = TagRule(**conditions).judge(tag)
    return "" if verdict.triggered else f"the watcher of {watched.repository} ignores it: {verdict.reason}"


def _answer(triggered: bool, kind: str, reason: str) -> dict[str, Any]:
    return {"triggered": triggered, "kind": kind, "reason": reason}
