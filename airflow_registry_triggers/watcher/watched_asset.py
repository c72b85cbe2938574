# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
One asset of a stream: its watermark, its outbox, and the state machine between them.

::

                     nothing unacknowledged in the outbox
    NEW ──load──> LOADED ─────────────────────────────────> POLLING <─────┐
     ▲              │                                          │           │
     │              │ notifications without acknowledgement    │ pushes    │ all rounds
     │              ▼                                          ▼           │ acknowledged
     │           EMITTING <────────────────────────────────────┘           │
     │              └──────────────────────────────────────────────────────┘
     │
     ├── reset(): a write failed, so only the store knows what is stored
     └── resume(), or the time is over ── BACKING_OFF <── back_off() from any state

The order of writes is the guarantee that no push is lost and none gets two ids:

1. outbox: the notification with its id; from now on it survives the process.
2. emit: Airflow stores the asset event.
3. acknowledge: Airflow reports the event as stored.
4. watermark, only forward: its shards first and its head last.

A process that dies between 1 and 4 leaves an entry in the outbox that is ahead of the watermark. The next
watcher emits this entry again before it polls, because a poll compares with the watermark only.
"""

from __future__ import annotations

import time
from enum import Enum
from typing import TYPE_CHECKING

from airflow_registry_triggers.common.state_store import WatermarkStore, state_of_asset
from airflow_registry_triggers.registry.caching_client import CachingClient
from airflow_registry_triggers.registry.poll_memory import PollMemory
from airflow_registry_triggers.registry.scan import compute
from airflow_registry_triggers.registry.watermark import TagState, Watermark
from airflow_registry_triggers.watcher.backoff import FailureBackoff
from airflow_registry_triggers.watcher.outbox import Outbox
from airflow_registry_triggers.watcher.push_batch import PushBatch, split

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from airflow_registry_triggers.hooks.registry_target import RegistryTarget
    from airflow_registry_triggers.notification import Notification
    from airflow_registry_triggers.registry.client import RegistryClient
    from airflow_registry_triggers.registry.poll import Poll
    from airflow_registry_triggers.watcher.subscribers import Subscription

__all__ = ["AssetState", "WatchedAsset"]


class AssetState(Enum):
    """State of a watched asset; the module's docstring has the diagram."""

    NEW = "new"
    """Neither outbox nor watermark have been read, or they must be read again."""
    LOADED = "loaded"
    """Both have been read; what an earlier watcher emitted without acknowledgement comes first."""
    POLLING = "polling"
    """All that was emitted is acknowledged, so the watermark is what a poll compares with."""
    EMITTING = "emitting"
    """Batches are on their way; the watermark moves with each acknowledgement."""
    BACKING_OFF = "backing_off"
    """The last poll failed for this asset alone."""


class WatchedAsset:
    """
    An asset that is watched.

    ``_stored`` is the watermark that is known to be in the metadata database, and nothing else.

    :param subscription: the asset and its rule
    :param repository: its repository, for the log
    """

    def __init__(self, subscription: Subscription, repository: str) -> None:
        self.asset, self.rule, self._newest = subscription.asset, subscription.rule, subscription.newest
        self.state = AssetState.NEW
        state = state_of_asset(self.asset)
        self._store = WatermarkStore(state)
        self._outbox = Outbox(state, subscription.trigger_id)
        self._stored = Watermark()
        self._memory = PollMemory()
        self.note = ""
        self.hinted: frozenset[str] = frozenset()
        """Hinted tags that the last poll requested."""
        self._open_batches = 0
        self.backoff = FailureBackoff(f"watcher of {repository} for asset {self.asset}")
        self.backs_off_until = 0.0

    @property
    def tags(self) -> int | None:
        """Number of tags in the stored watermark; None before it was read."""
        return None if self._stored.epoch is None else self._stored.size

    def held_until(self, polled_at: float) -> dict[str, float]:
        """Return the tags whose pushes ``flap_limit`` holds, and when they may be sent (since the epoch)."""
        return self._memory.flaps.held_until(polled_at)

    @property
    def is_backing_off(self) -> bool:
        """Whether the asset still waits after a failure of its own."""
        if self.state is AssetState.BACKING_OFF and time.monotonic() >= self.backs_off_until:
            self.resume()
        return self.state is AssetState.BACKING_OFF

    def back_off(self, error: Exception, interval: float) -> None:
        """
        Leave the asset out of the next polls.

        :param error: reason of the failure
        :param interval: seconds between two polls
        """
        self.backs_off_until = time.monotonic() + self.backoff.record_failure(error, interval)
        self.state = AssetState.BACKING_OFF
        self.hinted = frozenset()

    def resume(self) -> None:
        """End the back-off."""
        if self.state is AssetState.BACKING_OFF:
            self.reset()

    def reset(self) -> None:
        """Read outbox and watermark again before the next poll."""
        self.state = AssetState.NEW

    async def next_batches(
        self,
        target: RegistryTarget,
        client: RegistryClient | CachingClient,
        only: Collection[str] | None = None,
    ) -> list[PushBatch]:
        """
        Return the batches to emit: those of an earlier watcher without acknowledgement, else those of a poll.

        :param target: repository and settings
        :param client: an open client of its registry
        :param only: tags that a hint names; None for a full poll
        """
        self.hinted = frozenset()
        if self.state is AssetState.NEW:
            await self._load()
        if self.state is AssetState.LOADED:
            if replayed := self._outbox.pop_pending(self._is_unacknowledged):
                return await self._emitting(replayed, [])
            self.state = AssetState.POLLING
        await self._outbox.expire()
        found = await self._polled(target, client, only)
        self.hinted = found.hinted
        # Baselines and a new scope; the entries of the notifications follow with their acknowledgement.
        await self._save(found.watermark_before)
        self.backoff.record_success()
        return await self._emitting(self._outbox.pop_undelivered(), found.notifications)

    async def append_to_outbox(self, batch: PushBatch) -> None:
        """
        Store what is about to be emitted.

        :param batch: one of :meth:`next_batches`
        """
        await self._outbox.append(batch.notifications)

    async def acknowledge(self, batches: Sequence[PushBatch]) -> None:
        """
        Move the watermark.

        :param batches: batches that are in the metadata database
        """
        by_epoch: dict[str, list[TagState]] = {}
        for notification in (notification for batch in batches for notification in batch.notifications):
            by_epoch.setdefault(notification.epoch, []).append(notification.tag_state())
        after = self._stored
        for epoch, states in by_epoch.items():
            after = after.advanced(states, epoch)
        await self._save(after)
        for batch in batches:
            await self._outbox.acknowledge(batch.notifications)
        self._open_batches -= len(batches)
        if self.state is AssetState.EMITTING and self._open_batches <= 0:
            # An earlier watcher may have left more than one event; LOADED looks for the rest.
            self.state = AssetState.LOADED

    async def _emitting(self, replayed: list[Notification], new: list[Notification]) -> list[PushBatch]:
        batches = []
        left = len(replayed)
        # Converting a notification costs as much as comparing about twenty tags.
        parts = await compute(20 * (len(replayed) + len(new)), lambda: list(split([*replayed, *new])))
        for notifications in parts:
            batches.append(PushBatch(self, notifications, min(len(notifications), left)))
            left -= batches[-1].replayed
        self._open_batches = len(batches)
        if batches:
            self.state = AssetState.EMITTING
        return batches

    def _is_unacknowledged(self, notification: Notification) -> bool:
        # Another epoch proves nothing: the watermark was lost after the notification was stored.
        stored = self._stored.state_of(notification.tag)
        is_same_epoch = self._stored.epoch == notification.epoch
        return not is_same_epoch or stored is None or stored.generation < notification.tag_state().generation

    async def _polled(
        self, target: RegistryTarget, client: RegistryClient | CachingClient, only: Collection[str] | None
    ) -> Poll:
        found = await self._poll(target, client, only)
        if only is None:
            self.note = found.note
        if (found.notifications or self._stored.epoch is None) and await self._reload_if_stale(found):
            if isinstance(client, CachingClient):
                client.forget()
            found = await self._poll(target, client, only)
        return found

    async def _poll(
        self, target: RegistryTarget, client: RegistryClient | CachingClient, only: Collection[str] | None
    ) -> Poll:
        return await target.poll_with(
            client,
            self._stored,
            self.rule,
            memory=self._memory,
            newest=self._newest,
            recheck_interval=target.settings.recheck_interval,
            only=only,
        )

    async def _reload_if_stale(self, found: Poll) -> bool:
        """
        Return True if the stored watermark is another one, and read it.

        This happens after the process was frozen or cut off from the database, and another triggerer took
        over its watchers meanwhile. Only the shards of the pushed tags are read: each call to the state
        store delays the event.
        """
        has_baseline = self._stored.epoch is not None
        if has_baseline and await self._store.ais_current(self._stored, found.watermark_after):
            return False
        known, self._stored = self._stored, await self._store.aload()
        return known != self._stored

    async def _load(self) -> None:
        await self._outbox.load()
        self._stored = await self._store.aload()
        self.state = AssetState.LOADED

    async def _save(self, watermark: Watermark) -> None:
        try:
            await self._store.asave(watermark, self._stored)
        except BaseException:
            # A write that fails half way leaves something that only the store knows.
            self.reset()
            raise
        self._stored = watermark
