# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A watcher that measures how late the triggerer's event loop wakes it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PAUSE = 0.1


class LoopDelayTrigger(BaseEventTrigger):
    """
    Sleep for PAUSE and write down, in seconds, by how much it lasted longer.

    :param path: file to which a line is added each time
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{type(self).__module__}.{type(self).__qualname__}", {"path": self.path}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(PAUSE)
            late = time.perf_counter() - began - PAUSE
            with Path(self.path).open("a") as file:
                file.write(f"{late:.6f}\n")
            if late < 0:
                yield TriggerEvent(late)  # never: it is what makes this a generator
