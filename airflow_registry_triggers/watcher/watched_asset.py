# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""One asset's part of a stream: its watermark, what it announced lately, what it announces now."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.common.state_store import WatermarkStore, state_of_asset
from airflow_registry_triggers.registry.caching_client import CachingClient
from airflow_registry_triggers.registry.watermark import TagState, Watermark
from airflow_registry_triggers.watcher.backoff import FailureBackoff
from airflow_registry_triggers.watcher.outbox import Outbox

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from airflow_registry_triggers.hooks.registry import RegistryTarget
    from airflow_registry_triggers.registry.client import RegistryClient
    from airflow_registry_triggers.registry.poll import Poll
    from airflow_registry_triggers.watcher.subscribers import Subscription

__all__ = ["PushEvent", "WatchedAsset"]


@dataclass(slots=True)
class PushEvent:
    """
    A push as it goes through the shared stream.

    :param watched: the asset that it is for
    :param payload: the notification's JSON
    :param again: whether an earlier watcher may have announced it
    :param taken: whether the asset's trigger has taken it; that another's passed it by proves nothing
    """

    watched: WatchedAsset
    payload: dict[str, Any]
    again: bool = False
    taken: bool = False

    @property
    def asset(self) -> str:
        """Name of the asset."""
        return self.watched.asset

    @property
    def mark(self) -> TagState:
        """What is to be remembered once it is in the metadata database."""
        pushed = self.payload["push_data"]
        return TagState(pushed["tag"], self.payload["event"]["generation"], pushed["digest"])


class WatchedAsset:
    """
    An asset that is watched.

    ``stored`` holds what is known to be in the metadata database, and nothing else.

    :param subscription: which asset, and which of its tags
    :param repository: its repository, for the log
    """

    def __init__(self, subscription: Subscription, repository: str) -> None:
        self.asset, self.rule = subscription.asset, subscription.rule
        state = state_of_asset(self.asset)
        self._store = WatermarkStore(state)
        self._announced = Outbox(state)
        self._stored = Watermark()
        self._unknown: Collection[str] = ()
        self._is_loaded = False
        self._is_begun = False
        self._trouble = FailureBackoff(f"watching {repository} for the asset {self.asset}")
        self._rests_until = 0.0

    @property
    def rests(self) -> bool:
        """Whether it waits because something was wrong with it alone."""
        return time.monotonic() < self._rests_until

    def failed(self, error: Exception, interval: float) -> None:
        """
        Rest for a while; what is wrong is said once.

        :param error: what went wrong
        :param interval: seconds between two polls
        """
        self._rests_until = time.monotonic() + self._trouble.began(error, interval)

    def go_on(self) -> None:
        """Rest no longer."""
        self._rests_until = 0.0

    async def pushes(self, target: RegistryTarget, client: RegistryClient | CachingClient) -> list[PushEvent]:
        """
        Give what is to be announced: first what an earlier watcher may not have brought through.

        :param target: what is polled
        :param client: an open client of it
        """
        if not self._is_begun:
            await self._announced.load()
            self._is_begun = True
        await self._load()
        if unconfirmed := self._announced.take(self._is_unconfirmed):
            # Before the registry is asked: a poll compares with what was announced, not with what was stored.
            return self._again(unconfirmed)
        await self._announced.settle()
        found = await self._polled(target, client)
        await self._save(found.watermark_before)
        self._trouble.ended()
        new = [PushEvent(self, notification.to_dict()) for notification in found.notifications]
        return new + self._again(self._announced.take())

    def begin_anew(self) -> None:
        """Read again what was written down, and announce it before anything else."""
        self._is_begun = False

    async def write_down(self, events: Sequence[PushEvent]) -> None:
        """
        Store what is about to be announced.

        :param events: some of :meth:`pushes`
        """
        await self._announced.add(event.payload for event in events)

    async def confirm(self, events: Sequence[PushEvent]) -> None:
        """
        Move the watermark.

        :param events: those that are in the metadata database
        """
        after = self._stored
        for event in events:
            after = after.advanced([event.mark], event.payload["event"]["epoch"])
        await self._save(after)

    def _again(self, payloads: Sequence[dict[str, Any]]) -> list[PushEvent]:
        return [PushEvent(self, payload, again=True) for payload in payloads]

    def _is_unconfirmed(self, payload: dict[str, Any]) -> bool:
        mark = PushEvent(self, payload).mark
        stored = self._stored.mark_of(mark.tag)
        return self._stored.epoch == payload["event"]["epoch"] and (
            stored is None or stored.generation < mark.generation
        )

    async def _polled(self, target: RegistryTarget, client: RegistryClient | CachingClient) -> Poll:
        found = await self._poll(target, client)
        if (found.notifications or self._stored.epoch is None) and await self._is_behind():
            if isinstance(client, CachingClient):
                client.forget()
            found = await self._poll(target, client)
        return found

    async def _poll(self, target: RegistryTarget, client: RegistryClient | CachingClient) -> Poll:
        found = await target.poll_with(client, self._stored, self.rule, unknown_before=self._unknown)
        self._unknown = found.unknown
        return found

    async def _is_behind(self) -> bool:
        """
        Read what is stored once more, and tell whether it is something else.

        It is where this process was frozen, or cut off, and another triggerer went on for it.
        """
        known, self._stored = self._stored, await self._store.aload()
        return known != self._stored

    async def _load(self) -> None:
        if not self._is_loaded:
            self._stored = await self._store.aload()
            self._is_loaded = True

    async def _save(self, watermark: Watermark) -> None:
        # A write that fails half way leaves what only the store can tell.
        self._is_loaded = False
        await self._store.asave(watermark, self._stored)
        self._stored, self._is_loaded = watermark, True
