# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Which pushes a match task has passed on, so that one that comes twice is passed on once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_registry_triggers.notification import Notification

__all__ = ["PassedOn", "shard_of"]

SHARDS = 32
MAX_SHARD = 40 * 1024
"""Bytes of JSON of one shard; the entries that moved longest ago make room."""


def _key(notification: Notification) -> str:
    """Name the tag within its epoch: after lost state generations begin anew, and so must this."""
    epoch = notification.to_dict().get("event", {}).get("epoch")
    parts = [epoch, notification.registry, notification.repository, notification.tag]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _generation(notification: Notification) -> int | None:
    generation = notification.to_dict().get("event", {}).get("generation")
    return generation if isinstance(generation, int) and not isinstance(generation, bool) else None


def shard_of(notification: Notification) -> str:
    """
    Name the shard that knows of a notification's tag.

    :param notification: a notification
    """
    return f"{int(_key(notification)[:8], 16) % SHARDS:02x}"


class PassedOn:
    """
    One shard: for each tag the generations that were passed on, as intervals, and the run that did it last.

    Intervals and not the highest alone: runs may finish out of order, and a generation that was skipped
    over by a faster run has not been passed on.

    :param stored: what :meth:`to_dict` gave; anything else counts as empty, which can repeat a push but
        lose none
    """

    def __init__(self, stored: Any = None) -> None:
        self._tags: dict[str, dict[str, Any]] = {}
        if isinstance(stored, Mapping):
            self._tags = {key: dict(entry) for key, entry in stored.items() if _is_entry(entry)}

    def to_dict(self) -> dict[str, Any]:
        """Give the stored form."""
        return self._tags

    def by_whom(self, notification: Notification) -> str | None:
        """
        Tell which run passed it on, None where none did or it cannot be told.

        :param notification: a notification; one without a generation is never a repeat
        """
        generation = _generation(notification)
        entry = self._tags.get(_key(notification))
        if generation is None or entry is None:
            return None
        known = any(low <= generation <= high for low, high in entry["generations"])
        return str(entry["run"]) if known else None

    def add(self, notification: Notification, run_id: str) -> None:
        """
        Remember that a run passes it on.

        :param notification: a notification
        :param run_id: the run
        """
        generation = _generation(notification)
        if generation is None:
            return
        key = _key(notification)
        entry = self._tags.pop(key, {"generations": []})
        merged = _merged([*entry["generations"], [generation, generation]])
        self._tags[key] = {"generations": merged, "run": run_id}  # last, as the newest
        self._make_room()

    def _make_room(self) -> None:
        while len(self._tags) > 1 and len(json.dumps(self._tags)) > MAX_SHARD:
            del self._tags[next(iter(self._tags))]


def _merged(intervals: list[list[int]]) -> list[list[int]]:
    merged: list[list[int]] = []
    for low, high in sorted(intervals):
        if merged and low <= merged[-1][1] + 1:
            merged[-1][1] = max(merged[-1][1], high)
        else:
            merged.append([low, high])
    return merged


def _is_entry(entry: Any) -> bool:
    return (
        isinstance(entry, Mapping)
        and isinstance(entry.get("run"), str)
        and isinstance(entry.get("generations"), list)
        and all(
            isinstance(pair, list) and len(pair) == 2 and all(isinstance(n, int) for n in pair)
            for pair in entry["generations"]
        )
    )
