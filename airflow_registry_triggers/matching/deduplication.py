# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Remember the pushes that a match task processed, so that each triggers once."""

from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_registry_triggers.common.mapping import is_mapped
from airflow_registry_triggers.common.state_index import mark_used
from airflow_registry_triggers.common.state_store import STATE_ASSET, state_prefix

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow.sdk import Context

    from airflow_registry_triggers.notification import Notification

__all__ = ["DedupShard", "Deduplicator", "NullDeduplicator", "Processed", "run_key", "shard_of"]

SHARDS = 32

MAX_SHARD = 40 * 1024
"""Bytes of JSON of one shard: 500 to 2,000 pushes. The tags that were pushed longest ago make room."""

_ID_DIGITS = 16


class Processed(NamedTuple):
    """
    The run that processed a push.

    The state store of an asset is visible to everyone who may read assets, Dags of other teams included, so
    that a run is stored as a hash.

    :param run: hash of the run's id, from :func:`run_key`
    :param at: seconds since the epoch
    """

    run: str
    at: int


def run_key(dag_id: str, run_id: str) -> str:
    """Return the hash that stands for a run in the shared state."""
    return hashlib.sha256(json.dumps([dag_id, run_id]).encode()).hexdigest()[:_ID_DIGITS]


def _tag_key(notification: Notification) -> str:
    parts = [notification.registry, notification.repository, notification.tag]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _push_key(push_id: str) -> str:
    return hashlib.sha256(push_id.encode()).hexdigest()[:_ID_DIGITS]


def shard_of(notification: Notification) -> str:
    """Return the name of the shard that holds a notification's tag."""
    return f"{int(_tag_key(notification)[:8], 16) % SHARDS:02x}"


class DedupShard:
    """
    One shard: for each tag the ids of its processed pushes, each with the run that processed it.

    It stores ids and not only the highest generation. Runs may finish out of order, and a watcher that was
    killed before it stored its watermark counts the same generation again, for another digest. It stores
    many ids of a tag, because the run that follows a long run gets all events of that time once more.

    :param stored: JSON from :meth:`to_dict`; anything else counts as empty, which can repeat a push and
        cannot lose one
    """

    def __init__(self, stored: Any = None) -> None:
        self._tags = _unpacked(stored)

    def to_dict(self) -> dict[str, Any]:
        """Return the stored form, without the oldest tags if it would exceed :data:`MAX_SHARD`."""
        stored = _packed(self._tags)
        while len(json.dumps(stored)) > MAX_SHARD:
            self._make_room()
            stored = _packed(self._tags)
        return stored

    def processed(self, notification: Notification) -> Processed | None:
        """Return the run that processed a notification, None if the shard does not know one."""
        return self._tags.get(_tag_key(notification), {}).get(_push_key(notification.id or ""))

    def add(self, notification: Notification, by: Processed) -> None:
        """Remember that a run processed a notification; one without an id cannot be a duplicate."""
        if not notification.id:
            return
        key, push = _tag_key(notification), _push_key(notification.id)
        pushes = self._tags.pop(key, {})
        pushes.pop(push, None)
        pushes[push] = by
        self._tags[key] = pushes  # inserted last, as the newest tag

    def _make_room(self) -> None:
        oldest = next(iter(self._tags))
        if len(self._tags) > 1:
            del self._tags[oldest]
        else:
            pushes = list(self._tags[oldest].items())
            self._tags[oldest] = dict(pushes[1 + len(pushes) // 10 :])


def _packed(tags: Mapping[str, Mapping[str, Processed]]) -> dict[str, Any]:
    """Store each run once, and the ids of consecutive pushes of one run as one text."""
    runs: dict[Processed, int] = {}
    packed: dict[str, list[list[Any]]] = {}
    for key, pushes in tags.items():
        groups: list[list[Any]] = []
        for push, by in pushes.items():
            number = runs.setdefault(by, len(runs))
            if groups and groups[-1][0] == number:
                groups[-1][1] += push
            else:
                groups.append([number, push])
        packed[key] = groups
    return {"runs": [list(by) for by in runs], "tags": packed} if packed else {}


def _unpacked(stored: Any) -> dict[str, dict[str, Processed]]:
    try:
        runs = [Processed(str(run), int(at)) for run, at in stored["runs"]]
        return {str(key): dict(_pushes(groups, runs)) for key, groups in stored["tags"].items()}
    except (TypeError, KeyError, ValueError, IndexError, AttributeError):
        return {}


def _pushes(groups: Any, runs: list[Processed]) -> Iterator[tuple[str, Processed]]:
    for number, text in groups:
        for begin in range(0, len(text), _ID_DIGITS):
            yield text[begin : begin + _ID_DIGITS], runs[number]


class Deduplicator:
    """
    The pushes that a match task processed, in this run and in others.

    :param rule_key: identifies the rule; each rule of a mapped task has its own memory
    """

    def __init__(self, context: Context, rule_key: tuple[object, ...]) -> None:
        ti = context["ti"]
        rule = rule_key if is_mapped(ti) else ()
        self._me = Processed(run_key(ti.dag_id, str(context["run_id"])), int(time.time()))
        self._store = context["asset_state_store"][STATE_ASSET]
        self._prefix = state_prefix("processed", ti.dag_id, ti.task_id, *rule)
        self._new: set[str] = set()
        self._shards: dict[str, DedupShard] = {}
        self._changed: set[str] = set()
        self._has_new_shard = False

    def duplicate_reason(self, notification: Notification) -> str | None:
        """
        Return the reason why a notification is a duplicate, None if it is not.

        A notification that this run processed in an earlier try is not a duplicate: a retry and a clear
        give the same result again.
        """
        if notification.id in self._new:
            return "this push is in the same run twice"
        by = self._shard(shard_of(notification)).processed(notification)
        if by is None or by.run == self._me.run:
            return None
        at = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(by.at))
        return f"an earlier run of this Dag processed this push at {at}"

    def claim(self, notification: Notification) -> None:
        """Remember that this run processes a notification; :meth:`save` stores it."""
        if notification.id:
            self._new.add(notification.id)
        name = shard_of(notification)
        self._shard(name).add(notification, self._me)
        self._changed.add(name)

    def save(self) -> None:
        """Store the claims."""
        for name in sorted(self._changed):
            self._store.set(self._prefix + name, self._shards[name].to_dict())
        # One save in ten registers the use: it costs a call to the store, and 400 days have many saves.
        if self._changed and (self._has_new_shard or self._me.at % 10 == 0):
            mark_used(self._store, self._prefix, SHARDS)

    def _shard(self, name: str) -> DedupShard:
        if name not in self._shards:
            stored = self._store.get(self._prefix + name)
            self._has_new_shard |= stored is None
            self._shards[name] = DedupShard(stored)
        return self._shards[name]


class NullDeduplicator:
    """The memory of a test of the trigger: a test neither is a duplicate nor makes one."""

    def duplicate_reason(self, notification: Notification) -> str | None:
        """Return None."""

    def claim(self, notification: Notification) -> None:
        """Remember nothing."""

    def save(self) -> None:
        """Store nothing."""
