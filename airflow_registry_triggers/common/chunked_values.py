# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Values of any size in Airflow's state stores, stored in parts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from airflow.sdk.execution_time.context import AssetStateStoreAccessor

__all__ = ["MAX_VALUE", "Store", "aload_chunked", "asave_chunked", "load_chunked", "save_chunked"]

MAX_VALUE = 40 * 1024
"""Characters of one part. With its quotes escaped, a part stays below the 65,535 bytes of
``[state_store] max_value_storage_bytes``."""


class Store(Protocol):
    """The calls that both of Airflow's state stores have."""

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of a key."""

    def set(self, key: str, value: Any) -> None:
        """Write the value of a key."""

    def delete(self, key: str) -> None:
        """Delete a key; do nothing if it does not exist."""


def save_chunked(store: Store, key: str, value: Any, *, replaces: bool = False) -> int:
    """
    Write a value of any size, in parts that Airflow's stores accept; whole or not at all.

    :param store: a state store
    :param key: key of the value
    :param value: JSON
    :param replaces: whether the value before it may have had parts
    :return: number of parts
    """
    parts = _split(value)
    before = store.get(key) if replaces or len(parts) > 1 else None
    writes, obsolete = _plan(key, parts, before)
    for name, part in writes:
        store.set(name, part)
    for name in obsolete:
        store.delete(name)
    return len(parts)


async def asave_chunked(
    store: AssetStateStoreAccessor, key: str, value: Any, *, replaces: bool = False
) -> int:
    """
    Write a value of any size from a coroutine; see :func:`save_chunked`.

    :param store: state of an asset
    :param key: key of the value
    :param value: JSON
    :param replaces: whether the value before it may have had parts
    :return: number of parts
    """
    parts = _split(value)
    before = await store.aget(key) if replaces or len(parts) > 1 else None
    writes, obsolete = _plan(key, parts, before)
    for name, part in writes:
        await store.aset(name, part)
    for name in obsolete:
        await store.adelete(name)
    return len(parts)


def load_chunked(store: Store, key: str, default: Any = None) -> Any:
    """
    Read what :func:`save_chunked` wrote.

    :param store: a state store
    :param key: key of the value
    :param default: returned if the value is missing or incomplete
    """
    head = store.get(key)
    return _joined(head, [store.get(name) for name in _part_names(key, head)], default)


async def aload_chunked(store: AssetStateStoreAccessor, key: str, default: Any = None) -> Any:
    """
    Read what :func:`asave_chunked` wrote, from a coroutine.

    :param store: state of an asset
    :param key: key of the value
    :param default: returned if the value is missing or incomplete
    """
    head = await store.aget(key)
    return _joined(head, [await store.aget(name) for name in _part_names(key, head)], default)


# The stored form: the first part and the number of parts under the key itself, the others under
# <key>.<slot>.<number>. A value with parts alternates between two slots. The first part goes last and makes
# the others valid, so a process that is killed between two writes leaves the older value whole.


def _split(value: Any) -> list[str]:
    text = json.dumps(value, separators=(",", ":"))
    return [text[at : at + MAX_VALUE] for at in range(0, len(text), MAX_VALUE)]


def _plan(key: str, parts: list[str], before: Any) -> tuple[list[tuple[str, Any]], tuple[str, ...]]:
    """Return the writes in their order, and the keys to delete after them."""
    slot = "b" if isinstance(before, Mapping) and before.get("slot") == "a" else "a"
    writes: list[tuple[str, Any]] = [
        (f"{key}.{slot}.{number}", part) for number, part in enumerate(parts[1:], start=1)
    ]
    writes.append((key, {"parts": len(parts), "slot": slot, "text": parts[0]}))
    return writes, _part_names(key, before)


def _part_names(key: str, head: Any) -> tuple[str, ...]:
    try:
        return tuple(f"{key}.{head['slot']}.{number}" for number in range(1, int(head["parts"])))
    except (TypeError, KeyError, ValueError):
        return ()


def _joined(head: Any, rest: list[Any], default: Any) -> Any:
    try:
        return json.loads("".join([head["text"], *rest])) if head["parts"] == 1 + len(rest) else default
    except (TypeError, KeyError, ValueError):
        return default
