# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The shared stream of all watchers of a repository: one poll, and one watermark for each asset."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from math import inf
from typing import TYPE_CHECKING

from airflow.sdk.configuration import conf
from airflow.triggers.shared_stream import AdvanceItem, SharedStreamProducer

from airflow_registry_triggers.common.metrics import WATCHER, count_detected, count_hints_polled
from airflow_registry_triggers.watcher.backoff import FIRST_BACK_OFF, FailureBackoff
from airflow_registry_triggers.watcher.collection_clock import CollectionClock
from airflow_registry_triggers.watcher.connection_cache import MAX_AGE, MAX_AGE_AFTER_FAILURE, target_for
from airflow_registry_triggers.watcher.hints import record_collection
from airflow_registry_triggers.watcher.poll_timer import PollTimer
from airflow_registry_triggers.watcher.push_batch import by_asset, in_rounds
from airflow_registry_triggers.watcher.status import PollProgress, reporting
from airflow_registry_triggers.watcher.subscribers import (
    StreamKey,
    Subscription,
    notified_of_joins,
    subscriptions_of,
)
from airflow_registry_triggers.watcher.watched_asset import WatchedAsset

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterator, Sequence

    from airflow_registry_triggers.hooks.registry_target import RegistryTarget
    from airflow_registry_triggers.registry.client import RegistryClient
    from airflow_registry_triggers.watcher.push_batch import PushBatch
    from airflow_registry_triggers.watcher.status_values import WatcherStatus

__all__ = ["RegistryProducer"]

FIRST_POLL_WITHIN = 2.0
"""Seconds within which a new watcher polls for the first time."""

MAX_JITTER = 0.5
"""Seconds by which a poll may come earlier or later."""

MAX_EVENTS_IN_ROUND = 50
"""Asset events that are emitted before any is acknowledged: Airflow ends a watcher whose queue is full."""

COLLECTION_LEAD = 0.25
"""Seconds from the beginning of a poll to the collection; a poll and its two state calls take about 0.06."""

MIN_SHIFTED_INTERVAL = 1.0
"""Seconds of the shortest interval whose polls are moved before a collection."""


class RegistryProducer(SharedStreamProducer):
    """
    Poll a repository until the last Airflow trigger leaves; emit one asset event for each asset and poll.

    An error of the registry never ends the stream: :class:`FailureBackoff` logs it once.

    :param key: the stream: kind, Connection, repository
    """

    def __init__(self, key: StreamKey) -> None:
        _, self._conn_id, self._repository = self._key = key
        self._watched: dict[Subscription, WatchedAsset] = {}
        self._client: RegistryClient | None = None
        self._target: RegistryTarget | None = None
        self._backoff = FailureBackoff(f"watcher of {self._repository}, Connection {self._conn_id!r}")
        self._progress = PollProgress()
        self._full_poll_at = 0.0
        self._is_first = True
        self._is_hinted = False
        self._collections = CollectionClock(COLLECTION_LEAD)
        self._unacknowledged = 0
        self._all_acknowledged = asyncio.Event()

    async def open_stream(self) -> AsyncIterator[tuple[PushBatch, PushBatch]]:
        """Yield each batch after it is in the outbox; poll again after Airflow has stored all of them."""
        with reporting(self):
            await asyncio.sleep(random.uniform(0, FIRST_POLL_WITHIN))
            timer = PollTimer(self._conn_id, self._repository)
            with contextlib.closing(timer), notified_of_joins(self._key, timer.poll_all):
                async for batch in self._batches(timer):
                    yield batch, batch

    def statuses(self) -> Iterator[tuple[str, WatcherStatus]]:
        """Yield the name and the status of each watched asset."""
        for subscription in subscriptions_of(self._key):
            watched = self._watched.get(subscription)
            backoff = watched.backoff if watched and watched.backoff.failures else self._backoff
            tags, note = (watched.tags, watched.note) if watched else (None, "")
            yield subscription.asset, self._progress.status(backoff, self._interval, tags, note)

    async def _batches(self, timer: PollTimer) -> AsyncIterator[PushBatch]:
        only: Collection[str] | None = None
        while True:
            began, failures = time.monotonic(), self._backoff.failures
            with self._progress.measured():
                batches, pause = await self._next_batches(only)
            for of_round in in_rounds(batches, _round_size()):
                if back_off := await self._append_to_outbox(of_round):
                    # Later batches are not emitted either: an asset's pushes keep their order.
                    for batch in batches:
                        batch.watched.reset()
                    pause = back_off
                    break
                self._unacknowledged = len(of_round)
                self._all_acknowledged.clear()
                for batch in of_round:
                    yield batch
                # A push that two polls saw is in the metadata database then, whatever is killed.
                await self._all_acknowledged.wait()
            if self._backoff.failures == failures:
                self._backoff.record_success()
            if self._target is not None:
                timer.follow(self._target)
                timer.hold(self._watched.values(), self._interval, began)
            if only is None or self._backoff.failures or not pause:
                wait = self._seconds_until(began + pause) if pause else 0.0
                self._full_poll_at = time.monotonic() + wait
            if self._backoff.failures:
                await self._wait(self._full_poll_at - time.monotonic())
                timer.full_poll_begins()
                only = None
            else:
                only = await timer.wait(min(self._full_poll_at, self._missed_hint_at))
            self._is_hinted = timer.is_hinted

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        """
        Move the watermarks.

        :param batch: batches of this stream, with Airflow's report on each
        :raises RuntimeError: some are not in the metadata database; Airflow starts the stream again, which
            emits them again from the outbox
        """
        self._collections.observe(time.monotonic())
        record_collection()
        if not all(item.outcome.is_clean for item in batch):
            raise RuntimeError(
                f"{self._repository}: Airflow did not store every asset event; the watcher emits them again"
            )
        emitted: list[PushBatch] = [item.broker_payload for item in batch]
        for watched, batches in by_asset(of for of in emitted if of.consumed).items():
            await watched.acknowledge(batches)
            count_detected(sum(len(of.notifications) - of.replayed for of in batches), WATCHER)
        for unseen in (of for of in emitted if not of.consumed):
            # Its own trigger left while the poll was under way; the outbox has the batch for the next one.
            unseen.watched.reset()
        self._unacknowledged -= len(batch)
        if not self._unacknowledged:
            self._all_acknowledged.set()

    async def aclose(self) -> None:
        """Close the connections to the registry."""
        client, self._client = self._client, None
        if client is not None:
            await client.__aexit__(None, None, None)

    async def _next_batches(self, only: Collection[str] | None) -> tuple[list[PushBatch], float]:
        """
        Poll; return the batches to emit and the seconds from the start of this poll to the next full one.

        :param only: tags that a hint names; None for a full poll
        """
        before = self._target
        try:
            target = await self._connected()
            if only is not None and target != before:
                return [], 0.0  # the baseline of changed settings needs a full poll
            batches = await self._poll_assets(target, only)
        except Exception as error:  # the stream must outlive any error, a programming error included
            return [], self._record_failure(error)
        if any(batch.replayed for batch in batches):
            return batches, 0.0  # an asset with a replay may not have polled the registry yet
        if only is not None:
            requested = {tag for watched in self._watched.values() for tag in watched.hinted}
            count_hints_polled(requested, {item.tag for batch in batches for item in batch.notifications})
        if self._is_first:
            # A triggerer that starts with a thousand watchers takes the baselines within a few seconds and
            # spreads the polls after them over the interval.
            self._is_first = False
            return batches, self._interval * random.uniform(0.1, 1.0)
        jitter = min(MAX_JITTER, 0.1 * self._interval)
        return batches, self._interval + random.uniform(-jitter, jitter)

    async def _poll_assets(self, target: RegistryTarget, only: Collection[str] | None) -> list[PushBatch]:
        """
        Poll once for every asset of the stream; the assets share each request.

        :param only: tags that a hint names; None for a full poll
        :raises Exception: the error of the first asset if all of them failed; otherwise only the failed
            assets back off
        """
        from airflow_registry_triggers.registry.caching_client import CachingClient

        if self._client is None:
            raise RuntimeError("not connected")
        self._follow_subscriptions()
        due = [watched for watched in self._watched.values() if not watched.is_backing_off]
        client = CachingClient(self._client) if len(due) > 1 else self._client
        batches: list[PushBatch] = []
        errors: dict[WatchedAsset, Exception] = {}
        for watched in due:
            try:
                batches += await watched.next_batches(target, client, only)
            except Exception as error:
                errors[watched] = error
        if errors and len(errors) == len(self._watched):
            raise next(iter(errors.values()))
        for watched in self._watched.values():
            watched.backoff.missed_hint |= self._is_hinted and (watched in errors or watched not in due)
        for failed, reason in errors.items():
            failed.back_off(reason, self._interval)
        return batches

    def _follow_subscriptions(self) -> None:
        """Drop assets without subscription: another triggerer may have watched one when it comes back."""
        self._watched = {
            subscription: self._watched.get(subscription) or WatchedAsset(subscription, self._repository)
            for subscription in subscriptions_of(self._key)
        }

    async def _append_to_outbox(self, batches: Sequence[PushBatch]) -> float:
        """Store what is about to be emitted; return the seconds to wait if a write failed, else 0."""
        try:
            for batch in batches:
                await batch.watched.append_to_outbox(batch)
        except Exception as error:
            return self._record_failure(error)
        return 0.0

    def _record_failure(self, error: Exception) -> float:
        self._backoff.missed_hint |= self._is_hinted
        return self._backoff.record_failure(error, self._interval)

    @property
    def _interval(self) -> float:
        return self._target.settings.poll_interval if self._target else FIRST_BACK_OFF

    @property
    def _missed_hint_at(self) -> float:
        """Time at which an asset that missed a hint may take a full poll; infinite without one."""
        missed = (watched for watched in self._watched.values() if watched.backoff.missed_hint)
        return min((watched.backs_off_until for watched in missed), default=inf)

    def _seconds_until(self, next_poll: float) -> float:
        """
        Return the seconds to sleep, so that the poll ends shortly before Airflow collects events.

        Without the shift, the poll after an acknowledgement would begin just after a collection, and so would
        all polls after it.

        :param next_poll: time of the next poll without the shift (``time.monotonic()``)
        """
        now = time.monotonic()
        if self._interval < MIN_SHIFTED_INTERVAL:
            return max(0.0, next_poll - now)
        return self._collections.before_collection(next_poll, now) - now

    async def _wait(self, seconds: float) -> None:
        """Sleep; after a failure only until the Connection has changed."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            await asyncio.sleep(min(left, MAX_AGE) if self._backoff.failures else left)
            if self._backoff.failures and left > MAX_AGE and await self._is_connection_changed():
                return

    async def _is_connection_changed(self) -> bool:
        try:
            return await target_for(self._conn_id, self._repository, MAX_AGE_AFTER_FAILURE) != self._target
        except Exception:
            return False

    async def _connected(self) -> RegistryTarget:
        """Return the target; open another client if the Connection has changed."""
        max_age = MAX_AGE_AFTER_FAILURE if self._backoff.failures else MAX_AGE
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
            watched.resume()


def _round_size() -> int:
    queue_size: int = conf.getint("triggerer", "shared_stream_subscriber_queue_size", fallback=1024)
    return max(1, min(MAX_EVENTS_IN_ROUND, queue_size // 2))
