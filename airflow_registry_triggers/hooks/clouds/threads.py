# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Two threads for the SDKs of clouds, which block, import for seconds and may hang."""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_registry_triggers.hooks.clouds.quiet_gc import QuietGc

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DEADLINE", "run_in_cloud_thread", "silence"]

DEADLINE = 30.0
"""Seconds until a caller stops waiting; the thread itself cannot be ended."""

THREADS = 2
_NAME = "cloud-login-"

Value = TypeVar("Value")


class _Pool:
    """Daemon threads: an SDK that hangs must not keep the process from ending."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self._jobs: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = queue.SimpleQueue()
        for number in range(THREADS):
            threading.Thread(target=self._work, name=f"{_NAME}{number}", daemon=True).start()

    def submit(self, function: Callable[[], Value]) -> Future[Value]:
        future: Future[Value] = Future()
        self._jobs.put((future, function))
        return future

    def _work(self) -> None:
        while True:
            future, function = self._jobs.get()
            if not future.set_running_or_notify_cancel():
                continue  # its caller no longer waits
            try:
                future.set_result(function())
            except BaseException as error:
                future.set_exception(error)
            del future, function


def silence(logger: str) -> None:
    """
    Drop the lines of a logger that come from the threads for clouds, because they contain tokens.

    :param logger: its name
    """
    silenced = logging.getLogger(logger)
    if _is_elsewhere not in silenced.filters:
        silenced.addFilter(_is_elsewhere)


def _is_elsewhere(record: logging.LogRecord) -> bool:
    return not (record.threadName or "").startswith(_NAME)


_pool: _Pool | None = None
_imported: set[str] = set()


async def run_in_cloud_thread(
    function: Callable[[], Value], sdk: str = "", deadline: float | None = None
) -> Value:
    """
    Run a function of a cloud's SDK in one of two threads.

    :param function: imports what it needs itself
    :param sdk: name of the SDK; the first function of each imports it
    :param deadline: seconds, default :data:`DEADLINE`
    :raises TimeoutError: there was no result in time
    """
    global _pool  # noqa: PLW0603
    if _pool is None or _pool.process != os.getpid():  # threads do not survive a fork
        _pool = _Pool()
    quiet = QuietGc() if sdk and sdk not in _imported else None
    _imported.add(sdk)
    try:
        future = asyncio.wrap_future(_pool.submit(function))
        async with asyncio.timeout(DEADLINE if deadline is None else deadline):
            return await future
    finally:
        if quiet is not None:
            quiet.end()
