# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""State in Airflow's own stores: the shared state asset and watermarks."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset

from airflow_registry_triggers.common.state_index import mark_used
from airflow_registry_triggers.registry.flapping import FLAPS_KEY, FlapGuard
from airflow_registry_triggers.registry.watermark import HEAD_KEY, Watermark
from airflow_registry_triggers.registry.watermark_codec import unpack

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow.sdk.execution_time.context import AssetStateStoreAccessor

__all__ = [
    "STATE_ASSET",
    "TASK_HINTS_KEY",
    "WEBHOOK_HINTS_KEY",
    "SharedStateMixin",
    "WatermarkStore",
    "shared_state",
    "state_of_asset",
    "state_prefix",
]

# One asset for all operators: the scheduler deletes the state of an asset that no Dag names any more (Airflow
# 3.3), so an asset for each task would lose its state when the task leaves the Dag file for a minute.
STATE_ASSET = Asset(
    name="airflow-registry-triggers-state",
    uri="x-airflow-registry-triggers://state",
    group="registry-internal",
    extra={"about": "Internal state of registry triggers. Do not delete, do not create events."},
)

WEBHOOK_HINTS_KEY = "hints/webhooks"
"""Key of the hints from registries' webhooks; the api-server writes it."""

TASK_HINTS_KEY = "hints/tasks"
"""Key of the hints from ``RegistryHintOperator``."""

MAX_SHARDS_INLINE = 4
"""Shards that are unpacked on the event loop; more of them are unpacked in a thread."""

MAX_SHARDS_CHECKED = 4
"""Shards that are read to find out whether a watermark is current; for more, all of it is read."""


class SharedStateMixin:
    """Add the shared state asset to an operator's inlets; stands before the operator's base class."""

    def __init__(self, *, inlets: Any = None, **kwargs: Any) -> None:
        super().__init__(inlets=_with_state(inlets), **kwargs)  # type: ignore[call-arg]

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Set up a mapped task; see the operator for the arguments."""
        kwargs["inlets"] = _with_state(kwargs.get("inlets"))
        return super().partial(**kwargs)  # type: ignore[misc]


def _with_state(inlets: Any) -> list[Any]:
    if inlets is None:
        given: list[Any] = []
    else:
        given = list(inlets) if isinstance(inlets, list | tuple) else [inlets]
    return given if STATE_ASSET in given else [*given, STATE_ASSET]


def shared_state() -> AssetStateStoreAccessor:
    """Return the shared state without a task context, as in the triggerer."""
    return state_of_asset(STATE_ASSET.name)


def state_of_asset(name: str) -> AssetStateStoreAccessor:
    """
    Return an asset's state without a task context, as in the triggerer.

    ``AssetStateStoreAccessor`` is not a public name of Airflow 3.3; no other module uses it.

    :param name: name of the asset
    """
    from airflow.sdk.execution_time.context import AssetStateStoreAccessor

    return AssetStateStoreAccessor(name=name)


def state_prefix(kind: str, dag_id: str, task_id: str, *parts: object) -> str:
    """
    Return the beginning of the keys of a task in the shared state.

    Everyone who may view assets can read these keys, also without access to the Dag. Dag, task and rule
    therefore appear as a hash only.

    :param kind: kind of the state, such as ``watermark``
    :param dag_id: the Dag
    :param task_id: the task, which may be mapped
    :param parts: values that tell states of the same task apart
    """
    owner = json.dumps([dag_id, task_id, parts], default=str)
    return f"{kind}/{hashlib.sha256(owner.encode()).hexdigest()[:32]}/"


class WatermarkStore:
    """
    A watermark in an asset's state store.

    :param store: accessor of the asset
    :param prefix: beginning of each key; empty on a repository's own asset
    """

    def __init__(self, store: AssetStateStoreAccessor, prefix: str = "") -> None:
        self._store = store
        self._prefix = prefix

    def load(self) -> Watermark:
        """Read the watermark; an empty one if nothing was stored."""
        if self._prefix:
            mark_used(self._store, self._prefix)
        head = self._store.get(self._prefix + HEAD_KEY)
        while True:
            values = {key: self._store.get(self._prefix + key) for key in _shards_of(head)}
            if None not in values.values():
                return _watermark_of(head, values)
            # Another process may have replaced these shards by those of a larger count.
            before, head = head, self._store.get(self._prefix + HEAD_KEY)
            if head == before:
                return _watermark_of(head, values)

    def save(self, watermark: Watermark, since: Watermark) -> None:
        """
        Write the values that differ, the head last; then delete the shards that no head names any more.

        :param watermark: the watermark to store
        :param since: the watermark that is stored
        """
        for key, value in watermark.iter_changes(since):
            self._store.set(self._prefix + key, value)
        for key in _obsolete_keys(watermark, since):
            self._store.delete(self._prefix + key)

    async def aload(self) -> Watermark:
        """Read the watermark from a coroutine; an empty one if nothing was stored."""
        head = await self._aget(HEAD_KEY)
        while True:
            values = {key: await self._aget(key) for key in _shards_of(head)}
            if None not in values.values():
                return await _awatermark_of(head, values)
            before, head = head, await self._aget(HEAD_KEY)
            if head == before:
                return await _awatermark_of(head, values)

    async def asave(self, watermark: Watermark, since: Watermark) -> None:
        """
        Write the values that differ from a coroutine; see :meth:`save`.

        :param watermark: the watermark to store
        :param since: the watermark that is stored
        """
        for key, value in watermark.iter_changes(since):
            await self._store.aset(self._prefix + key, value)
        for key in _obsolete_keys(watermark, since):
            await self._store.adelete(self._prefix + key)

    async def ais_current(self, stored: Watermark, after: Watermark) -> bool:
        """
        Return True if the shards in which two watermarks differ are stored as expected.

        :param stored: the watermark that is expected to be stored
        :param after: the watermark that is to be stored next
        """
        keys = [key for key in after.changes_since(stored) if key != HEAD_KEY]
        is_same_layout = stored.epoch == after.epoch and len(stored.shards) == len(after.shards)
        if not is_same_layout or not 0 < len(keys) <= MAX_SHARDS_CHECKED:
            return False
        for key in keys:
            number = int(key.partition(".")[2])
            if unpack(await self._aget(key), str(stored.epoch)) != stored.shards[number]:
                return False
        return True

    def load_flaps(self) -> FlapGuard:
        """Read the times of recent pushes, which a sensor stores for its next run."""
        return FlapGuard.from_dict(self._store.get(self._prefix + FLAPS_KEY))

    async def aload_flaps(self) -> FlapGuard:
        """Read the times of recent pushes from a coroutine."""
        return FlapGuard.from_dict(await self._aget(FLAPS_KEY))

    def save_flaps(self, flaps: FlapGuard) -> None:
        """Write the times of recent pushes; they are one value of at most about 40 KB."""
        self._store.set(self._prefix + FLAPS_KEY, flaps.to_dict())

    async def _aget(self, key: str) -> Any:
        try:
            return await self._store.aget(self._prefix + key)
        except AttributeError:
            # dag.test() runs triggers in its own process, whose channel has no coroutine (Airflow 3.3).
            return self._store.get(self._prefix + key)


def _shards_of(head: Any) -> tuple[str, ...]:
    # Without a head, a shard tells a first run from a lost head.
    return Watermark.keys(head or {"shards": 1})


def _watermark_of(head: Any, shards: Mapping[str, Any]) -> Watermark:
    values = {HEAD_KEY: head, **shards}
    return Watermark.from_dict({key: value for key, value in values.items() if value is not None})


async def _awatermark_of(head: Any, shards: Mapping[str, Any]) -> Watermark:
    # 200,000 tags in 256 shards take a second, during which the triggerer would do nothing else.
    if len(shards) <= MAX_SHARDS_INLINE:
        return _watermark_of(head, shards)
    return await asyncio.to_thread(_watermark_of, head, shards)


def _obsolete_keys(watermark: Watermark, since: Watermark) -> Iterable[str]:
    count, before = len(watermark.shards), len(since.shards)
    if watermark.epoch is None or not before or count == before:
        return ()
    # A process that was killed here leaves shards of smaller counts too.
    obsolete = {*Watermark.keys({"shards": before}), *Watermark.obsolete_keys({"shards": count})}
    return sorted(obsolete - set(Watermark.keys({"shards": count})))
