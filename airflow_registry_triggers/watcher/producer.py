# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The shared stream behind the watchers of a repository: one poll, and a watermark for each asset."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING

from airflow.sdk.configuration import conf
from airflow.triggers.shared_stream import AdvanceItem, SharedStreamProducer

from airflow_registry_triggers.common.metrics import WATCHER, count_detected
from airflow_registry_triggers.watcher.backoff import FIRST_BACK_OFF, FailureBackoff
from airflow_registry_triggers.watcher.connection_cache import MAX_AGE, MAX_AGE_IN_TROUBLE, target_for
from airflow_registry_triggers.watcher.subscribers import StreamKey, Subscription, subscriptions_of
from airflow_registry_triggers.watcher.watched_asset import PushEvent, WatchedAsset

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from airflow_registry_triggers.hooks.registry import RegistryTarget
    from airflow_registry_triggers.registry.client import RegistryClient

__all__ = ["RegistryProducer"]

FIRST_POLL_WITHIN = 2.0

MAX_JITTER = 0.5
"""Seconds by which a poll may come earlier or later."""

MAX_ANNOUNCED_AT_ONCE = 50
"""Events that are under way at once: Airflow ends a watcher whose queue is full."""


class RegistryProducer(SharedStreamProducer):
    """
    Poll a repository for ever; move the watermark when the events are in the metadata database.

    A registry's fault never ends the stream: it is logged once, and once more when it is over.

    :param key: the stream: kind, Connection, repository
    """

    def __init__(self, key: StreamKey) -> None:
        _, self._conn_id, self._repository = self._key = key
        self._watched: dict[Subscription, WatchedAsset] = {}
        self._client: RegistryClient | None = None
        self._target: RegistryTarget | None = None
        self._trouble = FailureBackoff(f"watching {self._repository} through {self._conn_id!r}")
        self._is_first = True
        self._unconfirmed = 0
        self._all_confirmed = asyncio.Event()

    async def open_stream(self) -> AsyncIterator[tuple[PushEvent, PushEvent]]:
        """Yield each push; it is written down before, and the next poll waits until Airflow has stored it."""
        await asyncio.sleep(random.uniform(0, FIRST_POLL_WITHIN))
        while True:
            began, failures = time.monotonic(), self._trouble.failures
            events, pause = await self._events()
            for chunk in _chunks(events):
                if fault := await self._write_down(chunk):
                    # Nothing of it is announced, nor of what comes after it; all of it is found again.
                    for event in events:
                        event.watched.begin_anew()
                    pause = fault
                    break
                self._unconfirmed = len(chunk)
                self._all_confirmed.clear()
                for event in chunk:
                    yield event, event
                # What two polls have seen is then in the metadata database, whoever is killed.
                await self._all_confirmed.wait()
            if self._trouble.failures == failures:
                self._trouble.ended()
            await self._wait(max(0.0, pause - (time.monotonic() - began)))

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        """
        Store what is confirmed.

        :param batch: what Airflow knows of the events that were yielded
        :raises RuntimeError: some are not in the metadata database: the stream begins anew from the store
        """
        if not all(item.outcome.is_clean for item in batch):
            raise RuntimeError("some pushes did not reach the metadata database; they are announced again")
        # One whose watcher left while the poll was under way is announced when that is back.
        taken = [item.broker_payload for item in batch if item.broker_payload.taken]
        for watched, events in _by_asset(taken).items():
            await watched.confirm(events)
            count_detected(sum(not event.again for event in events), WATCHER)
        self._unconfirmed -= len(batch)
        if not self._unconfirmed:
            self._all_confirmed.set()

    async def aclose(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.__aexit__(None, None, None)

    async def _events(self) -> tuple[list[PushEvent], float]:
        """Poll; give what is to be announced, and the seconds until the next poll."""
        try:
            target = await self._connected()
            events = await self._round(target)
        except Exception as error:  # the watcher outlives whatever goes wrong, and says so
            return [], self._trouble.began(error, self._interval)
        if any(event.again for event in events):
            return events, 0.0  # the registry has not been asked yet
        if self._is_first:
            # A triggerer that starts with a thousand watchers does not ask for all at once: the baseline
            # within a few seconds, and what comes after it spread over the interval.
            self._is_first = False
            return events, self._interval * random.uniform(0.1, 1.0)
        # Airflow collects events once a second; a watcher in step with that would always wait as long for it.
        jitter = min(MAX_JITTER, 0.1 * self._interval)
        return events, self._interval + random.uniform(-jitter, jitter)

    async def _round(self, target: RegistryTarget) -> list[PushEvent]:
        """
        Poll once for every asset of the stream; tags and digests are asked for once for all.

        What goes wrong for one asset holds up no other: it is raised only when nothing went well.
        """
        from airflow_registry_triggers.registry.caching_client import CachingClient

        if self._client is None:
            raise RuntimeError("not connected")
        self._keep_up_with_subscriptions()
        due = [watched for watched in self._watched.values() if not watched.rests]
        client = CachingClient(self._client) if len(due) > 1 else self._client
        events: list[PushEvent] = []
        faults: dict[WatchedAsset, Exception] = {}
        for watched in due:
            try:
                events += await watched.pushes(target, client)
            except Exception as error:
                faults[watched] = error
        if faults and len(faults) == len(self._watched):
            raise next(iter(faults.values()))
        for watched, fault in faults.items():
            watched.failed(fault, self._interval)
        return events

    def _keep_up_with_subscriptions(self) -> None:
        """Forget what is watched no more: when it comes back, another triggerer may have been at it."""
        self._watched = {
            subscription: self._watched.get(subscription) or WatchedAsset(subscription, self._repository)
            for subscription in subscriptions_of(self._key)
        }

    async def _write_down(self, events: Sequence[PushEvent]) -> float:
        """Store what is about to be announced; give the seconds to wait where that cannot be done."""
        try:
            for watched, of_asset in _by_asset(events).items():
                await watched.write_down(of_asset)
        except Exception as error:
            return self._trouble.began(error, self._interval)
        return 0.0

    @property
    def _interval(self) -> float:
        return self._target.settings.poll_interval if self._target else FIRST_BACK_OFF

    async def _wait(self, seconds: float) -> None:
        """Wait; after a failure only until the Connection says something else."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            await asyncio.sleep(min(left, MAX_AGE) if self._trouble.failures else left)
            if self._trouble.failures and left > MAX_AGE and await self._is_changed():
                return

    async def _is_changed(self) -> bool:
        try:
            return await target_for(self._conn_id, self._repository, MAX_AGE_IN_TROUBLE) != self._target
        except Exception:
            return False

    async def _connected(self) -> RegistryTarget:
        """Keep the client while the Connection is the same."""
        max_age = MAX_AGE_IN_TROUBLE if self._trouble.failures else MAX_AGE
        target = await target_for(self._conn_id, self._repository, max_age)
        if target != self._target or self._client is None:
            await self._reconnect(target)
        self._target = target
        return target

    async def _reconnect(self, target: RegistryTarget) -> None:
        await self.aclose()
        client = target.client()
        self._client = await client.__aenter__()
        for watched in self._watched.values():
            watched.go_on()


def _by_asset(events: Sequence[PushEvent]) -> dict[WatchedAsset, list[PushEvent]]:
    groups: dict[WatchedAsset, list[PushEvent]] = {}
    for event in events:
        groups.setdefault(event.watched, []).append(event)
    return groups


def _chunks(events: list[PushEvent]) -> Iterator[list[PushEvent]]:
    queue_size = conf.getint("triggerer", "shared_stream_subscriber_queue_size", fallback=1024)
    size = max(1, min(MAX_ANNOUNCED_AT_ONCE, queue_size // 2))
    for begin in range(0, len(events), size):
        yield events[begin : begin + size]
