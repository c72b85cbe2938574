# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
The state of a sensor, and the order in which it is written.

1. Shared state: the watermark without the pushes of this poll (baselines, a changed scope).
2. Task state: the result, so that a retry and a clear return the same notifications.
3. Shared state: the watermark with the pushes; only forward, so that a repetition changes nothing.

A sensor that is killed before 2 finds the same pushes again, with the same ids. After 2 it returns the
result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.common.chunked_values import load_chunked, save_chunked
from airflow_registry_triggers.common.state_store import STATE_ASSET, WatermarkStore
from airflow_registry_triggers.notification import Notification
from airflow_registry_triggers.registry.confirmation import Confirmations
from airflow_registry_triggers.registry.poll_memory import PollMemory

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_registry_triggers.hooks.watch_settings import WatchSettings
    from airflow_registry_triggers.registry.poll import Poll
    from airflow_registry_triggers.registry.watermark import Watermark

__all__ = ["SensorState"]

RESULT_KEY = "result"
"""Key in the task's state: the notifications that this task instance returns."""

CONFIRMATIONS_KEY = "confirmations"
"""Key in the task's state: new digests that not enough polls have found yet."""


class SensorState:
    """
    Read and write the state of one sensor.

    :param context: Airflow's context
    :param prefix: beginning of the sensor's keys in the shared state
    :param settings: settings of the registry's Connection
    """

    def __init__(self, context: Context, prefix: str, settings: WatchSettings) -> None:
        self._task_store: Any = context["task_state_store"]
        self._store = WatermarkStore(context["asset_state_store"][STATE_ASSET], prefix)
        self._settings = settings

    def result(self) -> list[dict[str, Any]] | None:
        """Return the stored result, None before the first one."""
        found: list[dict[str, Any]] | None = load_chunked(self._task_store, RESULT_KEY)
        return found

    def watermark(self) -> Watermark:
        """Return the stored watermark."""
        return self._store.load()

    def memory(self) -> PollMemory:
        """Return the memory of polls in other processes, as far as the settings need it."""
        memory = PollMemory()
        if self._settings.flap_limit:
            memory.flaps = self._store.load_flaps()
        if self._settings.confirm_polls > 1:
            memory.confirmations = Confirmations.from_dict(load_chunked(self._task_store, CONFIRMATIONS_KEY))
        return memory

    def save_baseline(self, poll: Poll, stored: Watermark, memory: PollMemory) -> None:
        """
        Store the watermark without the pushes of a poll.

        :param poll: the poll
        :param stored: the watermark that is stored
        :param memory: memory of the polls so far
        """
        self._store.save(poll.watermark_before, stored)
        if self._settings.confirm_polls > 1 and not poll.notifications:
            # In the modes reschedule and deferrable, the next poll runs in another process.
            self._save_confirmations(memory.confirmations.to_dict())

    def save_result(self, result: list[dict[str, Any]], memory: PollMemory) -> None:
        """
        Store the result, before the watermark moves past it.

        :param result: JSON of the notifications
        :param memory: memory of the polls so far
        """
        save_chunked(self._task_store, RESULT_KEY, result)
        if self._settings.flap_limit:
            self._store.save_flaps(memory.flaps)

    def advance(self, result: list[dict[str, Any]]) -> None:
        """
        Move the watermark past the result.

        :param result: JSON of the notifications
        """
        notifications = [Notification.from_dict(item) for item in result]
        watermark = self._store.load()
        states = (notification.tag_state() for notification in notifications)
        self._store.save(watermark.advanced(states, notifications[0].epoch), watermark)

    def _save_confirmations(self, confirmations: dict[str, Any]) -> None:
        stored = load_chunked(self._task_store, CONFIRMATIONS_KEY)
        if confirmations != (stored or {}):
            save_chunked(self._task_store, CONFIRMATIONS_KEY, confirmations, replaces=True)
