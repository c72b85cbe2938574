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
"""Bytes of JSON of one shard; the tags that moved longest ago make room."""

MAX_IDS = 32
"""Pushes that are remembered of one tag. What can come twice is what was not yet confirmed: a few."""


def _key(notification: Notification) -> str:
    parts = [notification.registry, notification.repository, notification.tag]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def shard_of(notification: Notification) -> str:
    """
    Name the shard that knows of a notification's tag.

    :param notification: a notification
    """
    return f"{int(_key(notification)[:8], 16) % SHARDS:02x}"


class PassedOn:
    """
    One shard: for each tag the ids that were passed on, and by which run.

    Ids and not the highest generation: runs may finish out of order, and a watcher that was killed before
    its watermark moved counts from the same generation again, for another digest.

    :param stored: what :meth:`to_dict` gave; anything else counts as empty, which can repeat a push but
        lose none
    """

    def __init__(self, stored: Any = None) -> None:
        self._tags: dict[str, dict[str, str]] = {}
        if isinstance(stored, Mapping):
            self._tags = {str(key): dict(runs) for key, runs in stored.items() if _is_entry(runs)}

    def to_dict(self) -> dict[str, Any]:
        """Give the stored form: ids to runs, by tag."""
        return self._tags

    def by_whom(self, notification: Notification) -> str | None:
        """
        Tell which run passed it on, None where none did.

        :param notification: a notification
        """
        return self._tags.get(_key(notification), {}).get(notification.id or "")

    def add(self, notification: Notification, run_id: str) -> None:
        """
        Remember that a run passes it on.

        :param notification: a notification
        :param run_id: the run
        """
        if not notification.id:
            return
        key = _key(notification)
        runs = self._tags.pop(key, {})
        runs.pop(notification.id, None)
        runs[notification.id] = run_id
        while len(runs) > MAX_IDS:
            del runs[next(iter(runs))]
        self._tags[key] = runs  # last, as the newest
        self._make_room()

    def _make_room(self) -> None:
        while len(self._tags) > 1 and len(json.dumps(self._tags)) > MAX_SHARD:
            del self._tags[next(iter(self._tags))]


def _is_entry(runs: Any) -> bool:
    return isinstance(runs, Mapping) and all(isinstance(run, str) for run in runs.values())
