# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The shared stream behind the watchers of a repository: one poll, and a watermark for each asset."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow.triggers.shared_stream import AdvanceItem, SharedStreamProducer

from airflow_registry_triggers.hooks.registry import RegistryHook, RegistryTarget
from airflow_registry_triggers.metrics import WATCHER, count_detected
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.watermark import Mark, Watermark
from airflow_registry_triggers.state import WatermarkStore, state_of_asset
from airflow_registry_triggers.triggers.last_push import LastPush

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from airflow_registry_triggers.registry.client import RegistryClient
    from airflow_registry_triggers.registry.shared_round import SharedRound
    from airflow_registry_triggers.tag_rule import TagRule

__all__ = ["RegistryProducer", "StreamKey", "WatchedEvent", "watching"]

log = logging.getLogger(__name__)

StreamKey = tuple[str, str, str]

MAX_BACK_OFF = 300.0
"""Seconds, the longest pause after errors of our own choice."""

MAX_ASKED = 3600.0
"""Seconds, the longest pause that a registry may ask for."""

FIRST_BACK_OFF = 5.0

FIRST_POLL_WITHIN = 2.0

CONNECTION_SECONDS = 30.0
"""How long a Connection that was read is used: a changed password is seen within this time."""


@dataclass(slots=True)
class WatchedEvent:
    """
    A push as it goes through the shared stream.

    :param asset: name of the asset whose watcher it is for
    :param payload: the notification's JSON
    :param taken: whether that watcher has taken it; another one's passing it by is no proof of anything
    """

    asset: str
    payload: dict[str, Any]
    taken: bool = False


@dataclass(frozen=True, slots=True)
class _Pushed:
    """What is to be stored once a push is in the metadata database; no mark where it was there before."""

    event: WatchedEvent
    epoch: str
    mark: Mark | None


@dataclass(slots=True)
class _Watch:
    """
    One asset's part of a stream.

    ``stored`` holds what is known to be in the metadata database, and nothing else: a crash before that
    announces again, with the same ids.
    """

    asset: str
    rule: TagRule
    store: WatermarkStore
    last: LastPush
    stored: Watermark = field(default_factory=Watermark)
    loaded: bool = False

    @classmethod
    def of_asset(cls, asset: str, rule: TagRule) -> _Watch:
        state = state_of_asset(asset)
        return cls(asset, rule, WatermarkStore(state), LastPush(state))

    async def load(self) -> None:
        if not self.loaded:
            self.stored = await self.store.aload()
            await self.last.load()
            self.loaded = True

    async def confirm(self, epoch: str, pushes: Sequence[_Pushed]) -> None:
        await self.last.remember(pushes[-1].event.payload)
        await self.save(self.stored.advanced((push.mark for push in pushes if push.mark), epoch))

    async def save(self, watermark: Watermark) -> None:
        await self.store.asave(watermark, self.stored)
        self.stored = watermark


class _Subscribers:
    """Which assets are watched through a stream at this moment, and by how many triggers."""

    def __init__(self) -> None:
        self._counts: dict[StreamKey, dict[tuple[str, TagRule], int]] = {}

    def add(self, key: StreamKey, asset: str, rule: TagRule) -> None:
        counts = self._counts.setdefault(key, {})
        counts[asset, rule] = counts.get((asset, rule), 0) + 1

    def remove(self, key: StreamKey, asset: str, rule: TagRule) -> None:
        counts = self._counts[key]
        counts[asset, rule] -= 1
        if not counts[asset, rule]:
            del counts[asset, rule]
        if not counts:
            del self._counts[key]

    def of(self, key: StreamKey) -> list[tuple[str, TagRule]]:
        return list(self._counts.get(key, ()))


# The producer is made from one trigger's arguments; what the others of the stream watch stands here.
_subscribers = _Subscribers()


@contextlib.contextmanager
def watching(key: StreamKey, asset: str, rule: TagRule) -> Iterator[None]:
    """
    Be one of those whom a stream polls for.

    :param key: the stream
    :param asset: name of the asset
    :param rule: which of its tags are watched
    """
    _subscribers.add(key, asset, rule)
    try:
        yield
    finally:
        _subscribers.remove(key, asset, rule)


class RegistryProducer(SharedStreamProducer):
    """
    Poll a repository for ever; move the watermark when the events are in the metadata database.

    A registry's fault never ends the stream: it is logged once, and once more when it is over.

    :param key: the stream: kind, Connection, repository
    """

    def __init__(self, key: StreamKey) -> None:
        _, self._conn_id, self._repository = self._key = key
        self._watches: dict[str, _Watch] = {}
        self._client: RegistryClient | None = None
        self._target: RegistryTarget | None = None
        self._target_read = 0.0
        self._trouble: str | None = None
        self._failures = 0
        self._unconfirmed = 0
        self._all_confirmed = asyncio.Event()

    async def open_stream(self) -> AsyncIterator[tuple[WatchedEvent, _Pushed]]:
        """Yield each push, with what is to be stored once it is in the metadata database."""
        # A triggerer that starts with a thousand watchers does not ask for all at once: a few seconds before
        # the first poll, which takes the baseline, and the second somewhere within the interval.
        share = (0.1, 1.0)
        await asyncio.sleep(random.uniform(0, FIRST_POLL_WITHIN))
        while True:
            began = time.monotonic()
            try:
                target = await self._connected()
                pushes = await self._round(target)
                pause = target.settings.poll_interval * random.uniform(*share)
                share = (1.0, 1.0)
                self._recovered()
            except Exception as error:  # the watcher outlives whatever goes wrong, and says so
                pushes = []
                pause = self._failed(error)
            self._unconfirmed = len(pushes)
            self._all_confirmed.clear()
            for push in pushes:
                yield push
                # Airflow's queue for a watcher is bounded, and is emptied only when this gives way.
                await asyncio.sleep(0)
            if pushes:
                # A push that two polls have seen is then in the metadata database, whoever is killed.
                await self._all_confirmed.wait()
            await self._wait(max(0.0, pause - (time.monotonic() - began)))

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        """
        Store what is confirmed.

        :param batch: what Airflow knows of the events that were yielded
        :raises RuntimeError: some are not in the metadata database: the stream begins anew from the store
        """
        if not all(item.outcome.is_clean for item in batch):
            raise RuntimeError("some pushes did not reach the metadata database; they are announced again")
        confirmed: dict[tuple[str, str], list[_Pushed]] = {}
        for item in batch:
            pushed: _Pushed = item.broker_payload
            # One whose watcher left while the poll was under way is announced when that is back.
            if pushed.event.taken:
                confirmed.setdefault((pushed.event.asset, pushed.epoch), []).append(pushed)
        for (asset, epoch), pushes in confirmed.items():
            await self._watches[asset].confirm(epoch, pushes)
            count_detected(len(pushes), WATCHER)
        self._unconfirmed -= len(batch)
        if not self._unconfirmed:
            self._all_confirmed.set()

    async def aclose(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.__aexit__(None, None, None)

    async def _round(self, target: RegistryTarget) -> list[tuple[WatchedEvent, _Pushed]]:
        """
        Poll once for every asset of the stream; tags and digests are asked for once for all.

        What goes wrong for one asset holds up no other: it is raised only when nothing went well.
        """
        from airflow_registry_triggers.registry.shared_round import SharedRound

        if self._client is None:
            raise RuntimeError("not connected")
        pushes: list[tuple[WatchedEvent, _Pushed]] = []
        errors: list[Exception] = []
        subscribed = _subscribers.of(self._key)
        client = SharedRound(self._client) if len(subscribed) > 1 else self._client
        for asset, rule in subscribed:
            try:
                pushes += await self._poll(target, client, asset, rule)
            except Exception as error:
                errors.append(error)
        if errors and len(errors) == len(subscribed):
            raise errors[0]
        for fault in errors:
            log.error("watching %s for one of its assets: %s", self._repository, fault)
        return pushes

    async def _poll(
        self, target: RegistryTarget, client: RegistryClient | SharedRound, asset: str, rule: TagRule
    ) -> list[tuple[WatchedEvent, _Pushed]]:
        if asset not in self._watches:
            self._watches[asset] = _Watch.of_asset(asset, rule)
        watch = self._watches[asset]
        await watch.load()
        found = await target.poll_with(client, watch.stored, rule)
        await watch.save(found.groundwork)
        again = watch.last.take()
        await watch.last.settle()
        if again and not found.notifications:
            return [_push_of(asset, again, is_stored=True)]
        return [_push_of(asset, notification.to_dict()) for notification in found.notifications]

    async def _wait(self, seconds: float) -> None:
        """Wait; after a failure only until the Connection says something else."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            await asyncio.sleep(min(left, CONNECTION_SECONDS) if self._failures else left)
            if self._failures and left > CONNECTION_SECONDS and await self._is_changed():
                return

    async def _is_changed(self) -> bool:
        try:
            return await RegistryHook(self._conn_id).atarget(self._repository) != self._target
        except Exception:
            return False

    async def _connected(self) -> RegistryTarget:
        """Read the Connection now and then, and after any failure; keep the client while it is the same."""
        if (
            self._target is None
            or self._failures
            or time.monotonic() - self._target_read > CONNECTION_SECONDS
        ):
            target = await RegistryHook(self._conn_id).atarget(self._repository)
            self._target_read = time.monotonic()
            if target != self._target or self._client is None:
                await self.aclose()
                client = target.client()
                self._client = await client.__aenter__()
            self._target = target
        return self._target

    def _failed(self, error: Exception) -> float:
        """Say once what is wrong; give the pause."""
        text = (
            str(error)
            if isinstance(error, RegistryError | ValueError)
            else f"{type(error).__name__}: {error}"
        )
        kind = getattr(error, "kind", type(error).__name__)
        if kind != self._trouble:
            log.error("watching %s through %r: %s; going on", self._repository, self._conn_id, text)
        self._trouble = kind
        interval = self._target.settings.poll_interval if self._target else FIRST_BACK_OFF
        back_off = min(max(interval, FIRST_BACK_OFF) * 2.0 ** min(self._failures, 10), MAX_BACK_OFF)
        self._failures += 1
        asked: float = getattr(error, "retry_after", None) or 0.0
        return max(back_off * random.uniform(0.8, 1.2), min(asked, MAX_ASKED))

    def _recovered(self) -> None:
        if self._trouble is not None:
            log.info("watching %s through %r is well again", self._repository, self._conn_id)
        self._trouble = None
        self._failures = 0


def _push_of(asset: str, payload: dict[str, Any], *, is_stored: bool = False) -> tuple[WatchedEvent, _Pushed]:
    event, push_data = payload["event"], payload["push_data"]
    mark = None if is_stored else Mark(push_data["tag"], event["generation"], push_data["digest"])
    watched = WatchedEvent(asset, payload)
    return watched, _Pushed(watched, event["epoch"], mark)
