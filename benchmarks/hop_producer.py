# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A producer that writes down the moments of a poll, and those at which the triggerer collects events."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from airflow.jobs.triggerer_job_runner import TriggerRunner

from airflow_registry_triggers.common.state_store import WatermarkStore
from airflow_registry_triggers.hooks.registry_target import RegistryTarget
from airflow_registry_triggers.watcher import status
from airflow_registry_triggers.watcher.producer import RegistryProducer

PATH = "HOP_CLOCK"
"""Environment variable with the file to which a line of JSON is added for each moment."""

STATUS = "HOP_STATUS"
"""Environment variable that is ``off`` if the status of the watchers is not written."""


def write(name: str, **values: Any) -> None:
    with Path(os.environ[PATH]).open("a") as file:
        file.write(json.dumps({"name": name, "at": time.time(), **values}) + "\n")


class TimedProducer(RegistryProducer):
    async def _next_batches(self, only):
        write("poll began")
        return await super()._next_batches(only)

    async def _append_to_outbox(self, batches):
        write("outbox began")
        failed = await super()._append_to_outbox(batches)
        write("emitted")
        return failed

    async def advance(self, batch):
        write("acknowledged")
        await super().advance(batch)


def observe() -> None:
    """Write down when a poll ends, when it was checked, and when the triggerer collects events."""
    if getattr(observe, "is_done", False):
        return
    observe.is_done = True  # type: ignore[attr-defined]
    if os.environ.get(STATUS) == "off":
        status.MAX_FIRST_POLLS = status.TICK = 1e9  # the first write does not come
    poll_with, is_current = RegistryTarget.poll_with, WatermarkStore.ais_current
    collect = TriggerRunner.process_trigger_events

    async def timed_poll(self, *arguments: Any, **options: Any) -> Any:
        found = await poll_with(self, *arguments, **options)
        write("poll ended", pushes=len(found.notifications))
        return found

    async def timed_check(self, *arguments: Any) -> bool:
        checked = await is_current(self, *arguments)
        write("checked")
        return checked

    def timed_collect(self, *arguments: Any, **options: Any) -> Any:
        write("collected", events=len(self.events))
        return collect(self, *arguments, **options)

    RegistryTarget.poll_with = timed_poll  # type: ignore[method-assign]
    WatermarkStore.ais_current = timed_check  # type: ignore[method-assign]
    TriggerRunner.process_trigger_events = timed_collect  # type: ignore[method-assign]
