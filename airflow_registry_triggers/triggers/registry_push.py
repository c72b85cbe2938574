# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The Airflow triggers: one for deferred sensors, one that watches a repository for an asset."""

from __future__ import annotations

import contextlib
import random
import time
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, BaseTrigger, TriggerEvent

from airflow_registry_triggers.common.state_store import WatermarkStore, shared_state, state_of_asset
from airflow_registry_triggers.hooks.registry import RegistryHook
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.poll_memory import PollMemory
from airflow_registry_triggers.registry.scope import checked_first_run
from airflow_registry_triggers.tag_rule import TagRule
from airflow_registry_triggers.watcher.backoff import FIRST_BACK_OFF, MAX_BACK_OFF
from airflow_registry_triggers.watcher.outbox import record_detached
from airflow_registry_triggers.watcher.poll_timer import PollTimer
from airflow_registry_triggers.watcher.producer import RegistryProducer
from airflow_registry_triggers.watcher.subscribers import StreamKey, watching

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from airflow.triggers.shared_stream import SharedStreamProducer

    from airflow_registry_triggers.hooks.registry_target import RegistryTarget
    from airflow_registry_triggers.registry.scope import FirstRun
    from airflow_registry_triggers.watcher.push_batch import PushBatch

__all__ = ["RegistryChangeTrigger", "RegistryPushTrigger"]

MAX_WAIT = 3600.0
"""Seconds, the longest pause after an error."""


class RegistryChangeTrigger(BaseTrigger):
    """
    Wait for a deferred sensor until the registry differs from the sensor's watermark.

    The trigger stores nothing: the worker polls again and decides, so a trigger that runs twice neither loses
    nor invents a push. It reads the watermark from the store before each poll.

    :param repository: the repository as the Dag author wrote it, rendered
    :param registry_conn_id: the Connection
    :param tags: exact tags to watch
    :param tag_regex: expression for the tags to watch
    :param first_run: ``baseline`` or ``notify``
    :param state_prefix: beginning of the keys of the sensor's watermark
    :param poll_interval: seconds between two polls
    :param semver: range of the versions to watch
    :param exclude_regex: expression for tags that are not watched
    :param newest: order of the tags of which only the greatest is watched
    """

    def __init__(
        self,
        *,
        repository: str,
        registry_conn_id: str,
        tags: list[str] | None,
        tag_regex: str | None,
        first_run: FirstRun,
        state_prefix: str,
        poll_interval: float,
        semver: str | None = None,
        exclude_regex: str | None = None,
        newest: str | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.repository = repository
        self.registry_conn_id = registry_conn_id
        self.tags = tags
        self.tag_regex = tag_regex
        self.first_run = first_run
        self.state_prefix = state_prefix
        self.poll_interval = poll_interval
        self.semver = semver
        self.exclude_regex = exclude_regex
        self.newest = newest

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments."""
        names = ("repository", "registry_conn_id", "tags", "tag_regex", "first_run", "state_prefix")
        arguments = {name: getattr(self, name) for name in names}
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {**arguments, "poll_interval": self.poll_interval, **_later_arguments(self)}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll until something differs, or until retrying cannot help; the worker then finds the same."""
        with contextlib.closing(PollTimer(self.registry_conn_id, self.repository)) as timer:
            async for event in self._events(timer):
                yield TriggerEvent(event)
                return

    async def _events(self, timer: PollTimer) -> AsyncIterator[dict[str, Any]]:
        rule = _rule(self)
        store = WatermarkStore(shared_state(), self.state_prefix)
        memory = PollMemory(flaps=await store.aload_flaps())
        failures, missed_hint = 0, False
        full_poll_at = time.monotonic() + self._pause(failures, missed_hint)
        while True:
            only = await timer.wait(full_poll_at, holds_hints=failures > 0)
            retry_after = 0.0
            try:
                target = await RegistryHook(self.registry_conn_id).atarget(self.repository)
                timer.follow(target)
                if await self._differs(target, store, rule, memory, only):
                    # The worker's poll is one more that has to find the same digests.
                    yield {"status": "changed", "confirmations": memory.confirmations.to_dict()}
                failures, missed_hint = 0, False
            except RegistryError as error:
                if not error.transient:
                    yield {"status": "failed"}
                failures, missed_hint = failures + 1, missed_hint or timer.is_hinted
                retry_after = min(error.retry_after or 0.0, MAX_WAIT)
                self.log.warning("%s; the trigger retries", error)
            if only is None or failures:
                full_poll_at = time.monotonic() + self._pause(failures, missed_hint, retry_after)

    async def _differs(
        self,
        target: RegistryTarget,
        store: WatermarkStore,
        rule: TagRule,
        memory: PollMemory,
        only: Collection[str] | None,
    ) -> bool:
        watermark = await store.aload()
        found = await target.poll(
            watermark, rule, checked_first_run(self.first_run), memory, newest=self.newest, only=only
        )
        return bool(found.notifications or found.watermark_before.changes_since(watermark))

    def _pause(self, failures: int, missed_hint: bool, retry_after: float = 0.0) -> float:
        jitter, factor = random.uniform(0.9, 1.1), 2.0 ** min(failures, 10)
        if missed_hint:
            # The interval of a sensor in push mode may be an hour; the hint must not wait that long.
            pause = min(min(self.poll_interval, FIRST_BACK_OFF) * factor, MAX_BACK_OFF)
            return max(pause * jitter, retry_after)
        pause = min(self.poll_interval * factor, max(MAX_WAIT, self.poll_interval))
        return retry_after + pause * jitter


class RegistryPushTrigger(BaseEventTrigger):
    """
    Watch a repository for an asset; made by :func:`airflow_registry_triggers.assets.oci.repository_asset`.

    All watchers of one Connection and repository share one poll. The watermark moves after the asset events
    are in the metadata database, so the triggerer may be killed at any moment.

    :param repository: ``team/app``, or with a host
    :param registry_conn_id: the Connection
    :param tags: exact tags to watch
    :param tag_regex: expression for the tags to watch
    :param semver: range of the versions to watch
    :param exclude_regex: expression for tags that are not watched
    :param newest: order of the tags of which only the greatest is watched
    """

    def __init__(
        self,
        repository: str,
        registry_conn_id: str,
        tags: list[str] | None = None,
        tag_regex: str | None = None,
        semver: str | None = None,
        exclude_regex: str | None = None,
        newest: str | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.repository = repository
        self.registry_conn_id = registry_conn_id
        self.tags = tags
        self.tag_regex = tag_regex
        self.semver = semver
        self.exclude_regex = exclude_regex
        self.newest = newest

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments: no secret, and no setting of the Connection."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "repository": self.repository,
            "registry_conn_id": self.registry_conn_id,
            "tags": self.tags,
            "tag_regex": self.tag_regex,
            **_later_arguments(self),
        }

    def shared_stream_key(self) -> StreamKey:
        """Return the key of the shared poll: one for each Connection and repository."""
        return ("registry-push", self.registry_conn_id, self.repository)

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> SharedStreamProducer:
        """
        Make the producer of the shared poll.

        :param kwargs: arguments of one of the stream's triggers
        """
        return RegistryProducer(cls(**kwargs).shared_stream_key())

    async def filter_shared_stream(
        self, shared_stream: AsyncIterator[PushBatch]
    ) -> AsyncIterator[TriggerEvent]:
        """
        Yield one event for each batch of this watcher's asset; its payload is the list of notifications.

        :param shared_stream: the batches of all assets of the stream
        """
        asset = self._asset_name()
        with watching(self.shared_stream_key(), asset, _rule(self), self.trigger_id, self.newest):
            async for batch in shared_stream:
                if batch.asset == asset:
                    batch.consumed = True
                    yield TriggerEvent(batch.payload)

    async def on_kill(self) -> None:
        """Store that Airflow detached this trigger; Airflow does not call it when the triggerer stops."""
        await record_detached(state_of_asset(self._asset_name()), self.trigger_id)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Raise: Airflow does not call it for a trigger with a shared stream."""
        raise NotImplementedError("RegistryPushTrigger needs shared streams (Airflow 3.3 or newer)")
        yield  # type: ignore[unreachable] # makes it an async generator, as in the base class

    def _asset_name(self) -> str:
        from airflow_registry_triggers.registry.asset_uri import asset_name

        arguments = _later_arguments(self)
        return asset_name(self.repository, self.registry_conn_id, self.tags, self.tag_regex, **arguments)


def _rule(trigger: RegistryChangeTrigger | RegistryPushTrigger) -> TagRule:
    return TagRule(
        trigger.tags, trigger.tag_regex, semver=trigger.semver, exclude_regex=trigger.exclude_regex
    )


def _later_arguments(trigger: RegistryChangeTrigger | RegistryPushTrigger) -> dict[str, str]:
    """
    Return the arguments that are serialized only if they are set.

    A key with None would change the hash of every Airflow trigger, and an upgrade would recreate all of them.
    """
    later = {
        "semver": trigger.semver,
        "exclude_regex": trigger.exclude_regex,
        "newest": trigger.newest,
    }
    return {name: value for name, value in later.items() if value is not None}
