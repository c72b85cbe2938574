# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Collect the hints of concurrent webhooks, so that one transaction stores all of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_registry_triggers.inbound.hint_row import Hints

__all__ = ["HintWriter"]


class HintWriter:
    """
    Store hints, one write at a time. Hints that arrive during a write share the next one.

    The row has a lock, so concurrent writes would wait for each other and keep as many connections of the
    api-server to the database.

    :param write: stores hints; called in a thread
    """

    def __init__(self, write: Callable[[Hints], None]) -> None:
        self._write = write
        self._pending: Hints = {}
        self._stored: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None

    async def store(self, hints: Hints) -> None:
        """
        Return after the hints are stored.

        :raises Exception: the write that contained them failed
        """
        for key, tags in hints.items():
            self._pending.setdefault(key, set()).update(tags)
        if self._stored is None:
            self._stored = asyncio.get_running_loop().create_future()
        stored = self._stored
        if self._task is None or self._task.done():
            # A task of its own: a sender that disconnects must not cancel the write of others.
            self._task = asyncio.create_task(self._run())
        await asyncio.shield(stored)

    async def _run(self) -> None:
        while self._stored is not None:
            hints, stored = self._pending, self._stored
            self._pending, self._stored = {}, None
            try:
                await asyncio.to_thread(self._write, hints)
            except Exception as error:
                stored.set_exception(error)
                stored.exception()  # read, also if every sender has disconnected
            else:
                stored.set_result(None)
