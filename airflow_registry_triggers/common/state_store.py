# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Where operators keep what they must not forget: Airflow's own state stores."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from airflow.sdk import Asset

from airflow_registry_triggers.registry.watermark import HEAD_KEY, Watermark

if TYPE_CHECKING:
    from airflow.sdk.execution_time.context import AssetStateStoreAccessor

__all__ = [
    "STATE_ASSET",
    "SharedStateMixin",
    "Store",
    "WatermarkStore",
    "load_chunked",
    "save_chunked",
    "shared_state",
    "state_of_asset",
    "state_prefix",
]

# One asset for every operator: rows of an asset that no Dag names any more are deleted by the scheduler
# (Airflow 3.3), so a task's own asset would lose its state when the task leaves the file for a minute.
STATE_ASSET = Asset(name="airflow-registry-triggers-state", uri="x-airflow-registry-triggers://state")

MAX_KEY = 512
"""Length of a key in Airflow's state stores."""

MAX_VALUE = 40 * 1024
"""Characters of one part; quoted once more it stays below the 65,535 bytes Airflow complains at."""


class Store(Protocol):
    """What both of Airflow's state stores can do."""

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of a key."""

    def set(self, key: str, value: Any) -> None:
        """Write the value of a key."""


class SharedStateMixin:
    """Mixin, before the operator's base, that makes the shared state reachable as an inlet."""

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
    """Give the shared state where there is no task context, in the triggerer."""
    return state_of_asset(STATE_ASSET.name)


def state_of_asset(name: str) -> AssetStateStoreAccessor:
    """
    Give an asset's state where there is no task context, in the triggerer.

    ``AssetStateStoreAccessor`` is no public name of Airflow 3.3; it is used here and nowhere else.

    :param name: name of the asset
    """
    from airflow.sdk.execution_time.context import AssetStateStoreAccessor

    return AssetStateStoreAccessor(name=name)


def state_prefix(kind: str, dag_id: str, task_id: str, *parts: object) -> str:
    """
    Name a task's part of the shared state.

    :param kind: what is kept there
    :param dag_id: the Dag
    :param task_id: the task, which may be mapped
    :param parts: what else tells one state from another
    :return: a prefix that leaves room for a key behind it
    """
    detail = hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:16]
    prefix = f"{kind}/{dag_id}/{task_id}/{detail}/"
    if len(prefix) <= MAX_KEY - 32:
        return prefix
    whole = hashlib.sha256(prefix.encode()).hexdigest()
    return f"{kind}/{whole}/"


class WatermarkStore:
    """
    A watermark in an asset's state store.

    :param store: accessor of the asset
    :param prefix: what stands before each key
    """

    def __init__(self, store: AssetStateStoreAccessor, prefix: str = "") -> None:
        self._store = store
        self._prefix = prefix

    def load(self) -> Watermark:
        """Read the watermark; an empty one where nothing was stored."""
        values: dict[str, Any] = {HEAD_KEY: self._store.get(self._prefix + HEAD_KEY)}
        for key in _shards_of(values[HEAD_KEY]):
            values[key] = self._store.get(self._prefix + key)
        return _watermark_of(values)

    def save(self, watermark: Watermark, since: Watermark) -> None:
        """
        Write what has changed.

        :param watermark: what is to be stored
        :param since: what was loaded
        """
        for key, value in watermark.changes_since(since).items():
            self._store.set(self._prefix + key, value)

    async def aload(self) -> Watermark:
        """Read the watermark from a coroutine; an empty one where nothing was stored."""
        values: dict[str, Any] = {HEAD_KEY: await self._aget(HEAD_KEY)}
        for key in _shards_of(values[HEAD_KEY]):
            values[key] = await self._aget(key)
        return _watermark_of(values)

    async def asave(self, watermark: Watermark, since: Watermark) -> None:
        """
        Write what has changed, from a coroutine.

        :param watermark: what is to be stored
        :param since: what was loaded
        """
        for key, value in watermark.changes_since(since).items():
            await self._store.aset(self._prefix + key, value)

    async def _aget(self, key: str) -> Any:
        try:
            return await self._store.aget(self._prefix + key)
        except AttributeError:
            # dag.test() runs triggers in its own process, whose channel has no coroutine (Airflow 3.3).
            return self._store.get(self._prefix + key)


def _shards_of(head: Any) -> tuple[str, ...]:
    # Where there is no head, a shard tells whether this is the first run or the head was lost.
    return Watermark.keys(head or {"shards": 1})


def _watermark_of(values: Mapping[str, Any]) -> Watermark:
    return Watermark.from_dict({key: value for key, value in values.items() if value is not None})


def save_chunked(store: Store, key: str, value: Any) -> None:
    """
    Write a value of any size, in parts that Airflow's stores take; whole or not at all.

    :param store: a state store
    :param key: name of the value
    :param value: JSON
    """
    text = json.dumps(value, separators=(",", ":"))
    parts = [text[at : at + MAX_VALUE] for at in range(0, len(text), MAX_VALUE)]
    for number, part in enumerate(parts[1:], start=1):
        store.set(f"{key}.{number}", part)
    # The first part goes last: without it there is nothing.
    store.set(key, {"parts": len(parts), "text": parts[0]})


def load_chunked(store: Store, key: str, default: Any = None) -> Any:
    """
    Read what :func:`save_chunked` wrote.

    :param store: a state store
    :param key: name of the value
    :param default: what to give where there is nothing
    """
    first = store.get(key)
    if not isinstance(first, Mapping):
        return default
    rest = [store.get(f"{key}.{number}") for number in range(1, int(first["parts"]))]
    if any(part is None for part in rest):
        return default
    return json.loads("".join([str(first["text"]), *map(str, rest)]))
