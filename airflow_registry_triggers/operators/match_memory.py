# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""What a match task passed on, in this run and in others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_registry_triggers.matching.deduplication import PassedOn, shard_of
from airflow_registry_triggers.common.state_store import STATE, state_prefix

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_registry_triggers.notification import Notification
    from airflow_registry_triggers.operators.trigger_match import TriggerMatchOperator

__all__ = ["MatchMemory", "NoMemory"]


class MatchMemory:
    """
    What a match task passed on, in this run and in others; a mapped one keeps each rule apart.

    :param task: the task
    :param context: Airflow's context
    """

    def __init__(self, task: TriggerMatchOperator, context: Context) -> None:
        ti = context["ti"]
        is_mapped = ti.map_index is not None and ti.map_index >= 0
        rule = (task.trigger_name, task.tags, task.tag_regex) if is_mapped else ()
        self._run_id = str(context["run_id"])
        self._store = context["asset_state_store"][STATE]
        self._prefix = state_prefix("passed_on", ti.dag_id, ti.task_id, *rule)
        self._new: set[str] = set()
        self._shards: dict[str, PassedOn] = {}
        self._changed: set[str] = set()

    def passed_on_by(self, notification: Notification) -> str | None:
        """
        Tell which other run passed it on, or this try, a moment ago: a repeated try judges the same.

        :param notification: a notification
        """
        if notification.id in self._new:
            return self._run_id
        run = self._shard(shard_of(notification)).by_whom(notification)
        return None if run == self._run_id else run

    def claim(self, notification: Notification) -> None:
        """
        Remember that this run passes it on.

        :param notification: a notification
        """
        if notification.id:
            self._new.add(notification.id)
        name = shard_of(notification)
        self._shard(name).add(notification, self._run_id)
        self._changed.add(name)

    def save(self) -> None:
        """Store what was claimed."""
        for name in sorted(self._changed):
            self._store.set(self._prefix + name, self._shards[name].to_dict())

    def _shard(self, name: str) -> PassedOn:
        if name not in self._shards:
            self._shards[name] = PassedOn(self._store.get(self._prefix + name))
        return self._shards[name]


class NoMemory:
    """What a test of the trigger knows of other runs."""

    def passed_on_by(self, notification: Notification) -> str | None:
        """Tell of no run: a test repeats nothing."""
        return None

    def claim(self, notification: Notification) -> None:
        """Remember nothing: no push is a repeat of a test."""

    def save(self) -> None:
        """Store nothing."""
