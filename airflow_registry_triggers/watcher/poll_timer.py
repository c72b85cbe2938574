# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Wait for the next poll of a repository: a full one by the interval, or one of hinted tags."""

from __future__ import annotations

import asyncio
import time
from math import inf
from typing import TYPE_CHECKING

from airflow_registry_triggers.registry.flapping import MIN_INTERVAL
from airflow_registry_triggers.watcher.hint_schedule import HintSchedule
from airflow_registry_triggers.watcher.hints import hint_waiter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_registry_triggers.hooks.registry_target import RegistryTarget
    from airflow_registry_triggers.watcher.hints import HintWaiter
    from airflow_registry_triggers.watcher.watched_asset import WatchedAsset

__all__ = ["PollTimer"]


class PollTimer:
    """
    Decide between full polls and polls of hinted tags.

    :param waiter: hints for the repository; default those of this event loop's reader
    :param conn_id: the Connection
    :param repository: the repository as a Dag author writes it
    """

    def __init__(self, conn_id: str, repository: str, waiter: HintWaiter | None = None) -> None:
        self._waiter = waiter or hint_waiter(conn_id, repository)
        self._schedule = HintSchedule()
        self._is_full_wanted = False
        self.is_hinted = False
        """Whether hints wait for the poll that begins: a failure of it must not delay them for long."""

    async def wait(self, full_poll_at: float, *, holds_hints: bool = False) -> frozenset[str] | None:
        """
        Wait until a poll is due.

        :param full_poll_at: time of the next full poll (``time.monotonic()``)
        :param holds_hints: whether hints wait for the full poll, as during a back-off
        :return: the tags to poll, None for a full poll
        """
        if holds_hints:
            await asyncio.sleep(full_poll_at - time.monotonic())
            self.full_poll_begins()
            return None
        self._schedule.add(self._waiter.take(), time.monotonic())
        while True:
            now = time.monotonic()
            full_at = min(full_poll_at, self._schedule.full_poll_at)
            # An overdue full poll comes first: otherwise it and a hint would block each other.
            if now >= full_at or self._is_full_wanted:
                break
            if tags := self._schedule.pop_due(now):
                self.is_hinted = True
                return tags
            hinted = await self._waiter.wait(min(full_at, self._schedule.next_at) - now)
            self._schedule.add(hinted or (), time.monotonic())
        self.full_poll_begins()
        return None

    def follow(self, target: RegistryTarget) -> None:
        """Take hints as the Connection allows; see :meth:`HintWaiter.follow`."""
        self._waiter.follow(target)

    def hold(self, assets: Iterable[WatchedAsset], interval: float, polled_at: float) -> None:
        """
        Poll the tags of held pushes as soon as these may be sent.

        :param assets: the assets of the stream
        :param interval: seconds between two full polls; short ones find a held push soon enough
        :param polled_at: start of the last poll (``time.monotonic()``); a moment since then is not missed
        """
        offset = time.monotonic() - time.time()
        first: dict[str, float] = {}
        for watched in assets if interval > MIN_INTERVAL else ():
            for tag, at in watched.held_until(polled_at - offset).items():
                first[tag] = min(at + offset, first.get(tag, inf))
        self._schedule.hold(first)

    def full_poll_begins(self) -> None:
        """Forget the hints that a full poll replaces; their repeats stay, for tags not readable yet."""
        now = time.monotonic()
        self._is_full_wanted = False
        self._schedule.add(self._waiter.take(), now)
        self.is_hinted = self._schedule.is_pending
        self._schedule.full_poll_begins(now)

    def poll_all(self) -> None:
        """End the wait with a full poll, or make the next wait end so."""
        self._is_full_wanted = True
        self._waiter.wake()

    def close(self) -> None:
        """Take no more hints."""
        self._waiter.close()
