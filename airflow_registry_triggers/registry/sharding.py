# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The shards of a watermark: the shard of a hash, and more shards for a repository that grows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.registry.watermark_codec import MAX_VALUE, estimated_size

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_registry_triggers.registry.watermark_codec import Shard

__all__ = ["MAX_SHARDS", "shard_number", "split_shards"]

MAX_SHARDS = 4096
"""Shards of one watermark."""


def shard_number(key: bytes, count: int) -> int:
    """Return the position of the shard that holds a hash, among ``count`` shards."""
    return int.from_bytes(key[:2]) & (count - 1)


def split_shards(shards: list[Shard | None], changed: Iterable[int]) -> list[Shard | None]:
    """Return the shards, more of them if one of the changed ones is too large to be stored."""
    largest = max(estimated_size(shards[number] or {}) for number in changed)
    while largest > MAX_VALUE and len(shards) < MAX_SHARDS:
        factor = 1 << (-(-largest // MAX_VALUE) - 1).bit_length()
        shards = _resharded(shards, min(MAX_SHARDS, len(shards) * factor))
        largest = max(estimated_size(shard or {}) for shard in shards)
    return shards


def _resharded(shards: list[Shard | None], count: int) -> list[Shard | None]:
    parts: list[Any] = [None if shards[number % len(shards)] is None else {} for number in range(count)]
    for shard in shards:
        for key, entry in (shard or {}).items():
            parts[shard_number(key, count)][key] = entry
    return parts
