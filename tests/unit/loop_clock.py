# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The clock of an event loop: a test moves it, so that a deadline comes without real time."""

from __future__ import annotations

import asyncio

__all__ = ["advance", "settle"]


async def settle() -> None:
    """Let the loop read and handle what has arrived on its sockets."""
    for _ in range(50):
        await asyncio.sleep(0)


def advance(seconds: float) -> None:
    """Move the clock of the running loop forward, and with it all timers: ``asyncio.timeout`` and aiohttp's."""
    loop = asyncio.get_running_loop()
    now = loop.time
    loop.time = lambda: now() + seconds  # type: ignore[method-assign]
