# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
Index of the operators' state on the shared asset, so that the state of deleted Dags and rules is removed.

Airflow's state stores cannot list keys, and a task does not know which Dags exist. The index therefore holds
the day on which each task used its state last. A task that registers its own use removes at most one other
state that nobody has used for :data:`UNUSED_DAYS`.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.registry.flapping import FLAPS_KEY
from airflow_registry_triggers.registry.watermark import HEAD_KEY, Watermark

if TYPE_CHECKING:
    from airflow_registry_triggers.common.chunked_values import Store

__all__ = ["INDEX_KEY", "UNUSED_DAYS", "mark_used"]

INDEX_KEY = "index"

UNUSED_DAYS = 400
"""Days. A sensor that runs once a year keeps its watermark; without it, its next run would be a baseline."""

INDEXES = 64
"""Values that the index is spread over, so that tasks seldom write the same one at once."""

MAX_ENTRIES = 800
"""Entries of one value, about 40 KB. A state beyond that is not removed automatically."""


def mark_used(store: Store, prefix: str, shards: int = 0) -> None:
    """
    Register that a state is in use; remove one state that is not in use any more.

    It costs one read, and a write on the first use of a day.

    :param store: the shared state
    :param prefix: beginning of the state's keys
    :param shards: number of the state's keys, which end in 00, 01 and so on (hexadecimal); 0 for a watermark
    """
    today = int(time.time() // 86_400)
    index_key = f"{INDEX_KEY}/{zlib.crc32(prefix.encode()) % INDEXES:02x}"
    index = _read(store.get(index_key))
    if index.get(prefix) == (today, shards):
        return
    index.pop(prefix, None)
    unused = next((name for name, (day, _) in index.items() if today - day > UNUSED_DAYS), None)
    if unused is not None:
        _remove(store, unused, index.pop(unused)[1])
    if len(index) < MAX_ENTRIES:
        index[prefix] = today, shards
    store.set(index_key, {name: list(entry) for name, entry in index.items()})


def _read(stored: Any) -> dict[str, tuple[int, int]]:
    entries = stored.items() if isinstance(stored, Mapping) else ()
    return {str(name): (value[0], value[1]) for name, value in entries if _is_entry(value)}


def _is_entry(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(number, int) for number in value)


def _remove(store: Store, prefix: str, shards: int) -> None:
    if shards:
        names = [f"{number:02x}" for number in range(min(shards, 256))]
    else:
        # The head goes last: until then, another task can find the shards again.
        names = [FLAPS_KEY, *Watermark.keys(store.get(prefix + HEAD_KEY)), HEAD_KEY]
    for name in names:
        store.delete(prefix + name)
