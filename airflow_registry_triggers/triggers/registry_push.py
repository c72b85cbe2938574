# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""What waits in the triggerer."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, BaseTrigger, TriggerEvent

from airflow_registry_triggers.common.state_store import WatermarkStore, shared_state
from airflow_registry_triggers.hooks.registry import RegistryHook
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.tag_rule import TagRule
from airflow_registry_triggers.watcher.producer import RegistryProducer
from airflow_registry_triggers.watcher.subscribers import StreamKey, watching

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow.triggers.shared_stream import SharedStreamProducer

    from airflow_registry_triggers.watcher.watched_asset import PushEvent

__all__ = ["RegistryChangeTrigger", "RegistryPushTrigger"]

MAX_WAIT = 3600.0
"""Seconds, the longest pause after an error."""


class RegistryChangeTrigger(BaseTrigger):
    """
    Wait for a deferred sensor until a covered tag differs from what was handed on.

    It stores nothing: the worker polls again and decides, so a trigger that runs twice loses and invents
    nothing. The watermark is read at each poll, never from the arguments.

    :param repository: as the Dag author wrote it, rendered
    :param registry_conn_id: the Connection
    :param tags: tags that are asked about
    :param tag_regex: expression for tags that are asked about
    :param first_run: ``baseline`` or ``notify``
    :param state_prefix: where the sensor keeps its watermark
    :param poll_interval: seconds between two polls
    """

    def __init__(
        self,
        *,
        repository: str,
        registry_conn_id: str,
        tags: list[str] | None,
        tag_regex: str | None,
        first_run: str,
        state_prefix: str,
        poll_interval: float,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.repository = repository
        self.registry_conn_id = registry_conn_id
        self.tags = tags
        self.tag_regex = tag_regex
        self.first_run = first_run
        self.state_prefix = state_prefix
        self.poll_interval = poll_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give the class path and the arguments."""
        names = ("repository", "registry_conn_id", "tags", "tag_regex", "first_run", "state_prefix")
        arguments = {name: getattr(self, name) for name in names}
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {**arguments, "poll_interval": self.poll_interval}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll until something differs, or until only a person can help; the worker then finds the same."""
        rule = TagRule(tags=self.tags, tag_regex=self.tag_regex)
        store = WatermarkStore(shared_state(), self.state_prefix)
        failures = 0
        while True:
            try:
                await asyncio.sleep(self._pause(failures))
                if await self._differs(store, rule):
                    yield TriggerEvent({"status": "changed"})
                    return
                failures = 0
            except RegistryError as error:
                if not error.transient:
                    yield TriggerEvent({"status": "failed"})
                    return
                failures += 1
                self.log.warning("%s; waiting", error)
                await asyncio.sleep(min(error.retry_after or 0, MAX_WAIT))

    async def _differs(self, store: WatermarkStore, rule: TagRule) -> bool:
        watermark = await store.aload()
        target = await RegistryHook(self.registry_conn_id).atarget(self.repository)
        found = await target.poll(watermark, rule, self.first_run)
        return bool(found.notifications or found.watermark_before.changes_since(watermark))

    def _pause(self, failures: int) -> float:
        pause = min(self.poll_interval * 2.0 ** min(failures, 10), max(MAX_WAIT, self.poll_interval))
        return pause * random.uniform(0.9, 1.1)


class RegistryPushTrigger(BaseEventTrigger):
    """
    Watch a repository for an asset; made by :func:`airflow_registry_triggers.assets.oci.repository_asset`.

    All watchers of one Connection and repository share one poll. The watermark moves when the events are
    in the metadata database, so a triggerer may be killed at any moment.

    :param repository: ``team/app``, or with a host
    :param registry_conn_id: the Connection
    :param tags: tags that are asked about
    :param tag_regex: expression for tags that are asked about
    """

    def __init__(
        self,
        repository: str,
        registry_conn_id: str,
        tags: list[str] | None = None,
        tag_regex: str | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.repository = repository
        self.registry_conn_id = registry_conn_id
        self.tags = tags
        self.tag_regex = tag_regex

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give the class path and the arguments: no secret, and nothing that is set on the Connection."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "repository": self.repository,
            "registry_conn_id": self.registry_conn_id,
            "tags": self.tags,
            "tag_regex": self.tag_regex,
        }

    def shared_stream_key(self) -> StreamKey:
        """Name the poll that is shared: one for each Connection and repository."""
        return ("registry-push", self.registry_conn_id, self.repository)

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> SharedStreamProducer:
        """
        Make what polls.

        :param kwargs: arguments of one of the stream's triggers
        """
        return RegistryProducer(cls(**kwargs).shared_stream_key())

    async def filter_shared_stream(
        self, shared_stream: AsyncIterator[PushEvent]
    ) -> AsyncIterator[TriggerEvent]:
        """
        Give the pushes of this watcher's asset.

        :param shared_stream: the pushes of all assets of the stream
        """
        from airflow_registry_triggers.registry.asset_uri import asset_uri

        rule = TagRule(tags=self.tags, tag_regex=self.tag_regex)
        asset = asset_uri(self.repository, self.registry_conn_id, self.tags, self.tag_regex)
        with watching(self.shared_stream_key(), asset, rule):
            async for event in shared_stream:
                if event.asset == asset:
                    event.taken = True
                    yield TriggerEvent(event.payload)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Not used by Airflow for a trigger with a shared stream."""
        raise NotImplementedError("this trigger runs as part of a shared stream (Airflow 3.3 or newer)")
        yield  # type: ignore[unreachable] # an async generator, as the base class wants
