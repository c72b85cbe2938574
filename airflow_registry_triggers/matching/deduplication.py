# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Which pushes a match task has passed on, so that one that comes twice is passed on once."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.common.state_store import STATE_ASSET, state_prefix

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow.sdk import Context

    from airflow_registry_triggers.notification import Notification

__all__ = ["DedupShard", "Deduplicator", "NullDeduplicator", "shard_of"]

SHARDS = 32

MAX_SHARD = 40 * 1024
"""Bytes of JSON of one shard: some 500 to 2,000 pushes. The tags that moved longest ago make room."""

_ID_DIGITS = 16


def _key(notification: Notification) -> str:
    parts = [notification.registry, notification.repository, notification.tag]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _short(push_id: str) -> str:
    return hashlib.sha256(push_id.encode()).hexdigest()[:_ID_DIGITS]


def shard_of(notification: Notification) -> str:
    """
    Name the shard that knows of a notification's tag.

    :param notification: a notification
    """
    return f"{int(_key(notification)[:8], 16) % SHARDS:02x}"


class DedupShard:
    """
    One shard: for each tag the ids that were passed on, and by which run.

    Ids and not the highest generation: runs may finish out of order, and a watcher that was killed before
    its watermark moved counts from the same generation again, for another digest. As many as there is room
    for: the run that comes after one that lasted long is given all events of that time once more.

    :param stored: what :meth:`to_dict` gave; anything else counts as empty, which can repeat a push but
        lose none
    """

    def __init__(self, stored: Any = None) -> None:
        self._tags = _read(stored)

    def to_dict(self) -> dict[str, Any]:
        """Give the stored form: the runs, and by tag the ids of each, the oldest first; as much as fits."""
        stored = _packed(self._tags)
        while len(json.dumps(stored)) > MAX_SHARD:
            self._make_room()
            stored = _packed(self._tags)
        return stored

    def by_whom(self, notification: Notification) -> str | None:
        """
        Tell which run passed it on, None where none did.

        :param notification: a notification
        """
        return self._tags.get(_key(notification), {}).get(_short(notification.id or ""))

    def add(self, notification: Notification, run_id: str) -> None:
        """
        Remember that a run passes it on.

        :param notification: a notification
        :param run_id: the run
        """
        if not notification.id:
            return
        key, push = _key(notification), _short(notification.id)
        runs = self._tags.pop(key, {})
        runs.pop(push, None)
        runs[push] = run_id
        self._tags[key] = runs  # last, as the newest

    def _make_room(self) -> None:
        oldest = next(iter(self._tags))
        if len(self._tags) > 1:
            del self._tags[oldest]
        else:
            pushes = list(self._tags[oldest].items())
            self._tags[oldest] = dict(pushes[1 + len(pushes) // 10 :])


def _packed(tags: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    runs: dict[str, int] = {}
    packed: dict[str, list[list[Any]]] = {}
    for key, pushes in tags.items():
        groups: list[list[Any]] = []
        for push, run_id in pushes.items():
            number = runs.setdefault(run_id, len(runs))
            if groups and groups[-1][0] == number:
                groups[-1][1] += push
            else:
                groups.append([number, push])
        packed[key] = groups
    return {"runs": list(runs), "tags": packed} if packed else {}


def _read(stored: Any) -> dict[str, dict[str, str]]:
    try:
        runs, tags = stored["runs"], stored["tags"]
        return {str(key): dict(_pushes(groups, runs)) for key, groups in tags.items()}
    except (TypeError, KeyError, ValueError, IndexError, AttributeError):
        return {}


def _pushes(groups: Any, runs: Any) -> Iterator[tuple[str, str]]:
    for number, text in groups:
        for begin in range(0, len(text), _ID_DIGITS):
            yield text[begin : begin + _ID_DIGITS], str(runs[number])


class Deduplicator:
    """
    What a match task passed on, in this run and in others; a mapped one keeps each rule apart.

    :param context: Airflow's context
    :param rule_key: tells the rules of a mapped task apart
    """

    def __init__(self, context: Context, rule_key: tuple[object, ...]) -> None:
        ti = context["ti"]
        is_mapped = ti.map_index is not None and ti.map_index >= 0
        rule = rule_key if is_mapped else ()
        self._run_id = str(context["run_id"])
        self._store = context["asset_state_store"][STATE_ASSET]
        self._prefix = state_prefix("passed_on", ti.dag_id, ti.task_id, *rule)
        self._new: set[str] = set()
        self._shards: dict[str, DedupShard] = {}
        self._changed: set[str] = set()

    def passed_on_by(self, notification: Notification) -> str | None:
        """
        Tell which other run passed it on, or this try, a moment ago: a repeated try judges the same.

        :param notification: a notification
        """
        if notification.id in self._new:
            return self._run_id
        run = self._shard(shard_of(notification)).by_whom(notification)
        return None if run == self._run_id else run

    def claim(self, notification: Notification) -> None:
        """
        Remember that this run passes it on.

        :param notification: a notification
        """
        if notification.id:
            self._new.add(notification.id)
        name = shard_of(notification)
        self._shard(name).add(notification, self._run_id)
        self._changed.add(name)

    def save(self) -> None:
        """Store what was claimed."""
        for name in sorted(self._changed):
            self._store.set(self._prefix + name, self._shards[name].to_dict())

    def _shard(self, name: str) -> DedupShard:
        if name not in self._shards:
            self._shards[name] = DedupShard(self._store.get(self._prefix + name))
        return self._shards[name]


class NullDeduplicator:
    """What a test of the trigger knows of other runs."""

    def passed_on_by(self, notification: Notification) -> str | None:
        """Tell of no run: a test repeats nothing."""
        return None

    def claim(self, notification: Notification) -> None:
        """Remember nothing: no push is a repeat of a test."""

    def save(self) -> None:
        """Store nothing."""
