# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The watermark of a repository and its stored form: a head and shards of at most 48 KB each."""

from __future__ import annotations

import hashlib
import json
import secrets
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from airflow_registry_triggers.notification import TagState
from airflow_registry_triggers.oci_names import is_digest, is_tag
from airflow_registry_triggers.registry.scope import WatchScope
from airflow_registry_triggers.registry.sharding import MAX_SHARDS, shard_number, split_shards
from airflow_registry_triggers.registry.watermark_codec import KEY_SIZE, Entry, Shard, pack, unpack

__all__ = ["HEAD_KEY", "TagState", "WatchScope", "Watermark"]

HEAD_KEY = "head"
"""Key of the value that is read first and written last."""

_FORM = 1


@dataclass(frozen=True, slots=True)
class Watermark:
    """
    The acknowledged digests of a repository. Immutable: each step returns another watermark.

    Stored under ``head`` and ``s<count>.<number>``. An entry holds a keyed hash of its tag, so that its size
    does not depend on the tag's length. The shards of a larger count are written before the head that names
    them: a process that is killed between two writes leaves the older state intact.

    :param epoch: random, created with the first baseline; None before it
    :param salt: key of the hashes of tags
    :param scope: the tags that were watched; None before the first baseline
    :param shards: entries by hash; None for a shard that cannot be read
    :param lost: whether there was a state that cannot be read
    :param newest: the greatest tag that was notified or recorded; None unless the scope has an order
    """

    epoch: str | None = None
    salt: str = ""
    scope: WatchScope | None = None
    shards: tuple[Shard | None, ...] = ()
    lost: bool = False
    newest: str | None = None

    @classmethod
    def new(cls, scope: WatchScope) -> Watermark:
        """Return an empty watermark with a new epoch."""
        return cls(secrets.token_hex(8), secrets.token_hex(8), scope, ({},))

    def __repr__(self) -> str:
        return f"Watermark({self.epoch}, {self.size} tags in {len(self.shards)} shards, lost={self.lost})"

    @property
    def size(self) -> int:
        """Number of tags."""
        return sum(len(shard) for shard in self.shards if shard)

    @property
    def lost_shards(self) -> int:
        """Number of shards that cannot be read."""
        return self.shards.count(None)

    def state_of(self, tag: str) -> TagState | None:
        """Return the state of a tag, or None if the tag is not known."""
        if not self.shards:
            return None
        key, shard = self._place(tag)
        entry = shard.get(key) if shard else None
        return TagState(tag, *entry) if entry else None

    def is_lost(self, tag: str) -> bool:
        """Return True if the state of a tag cannot be read."""
        return self.lost or (bool(self.shards) and self._place(tag)[1] is None)

    def advanced(self, states: Iterable[TagState], epoch: str) -> Watermark:
        """
        Return the watermark after notifications were acknowledged. Forward only, so it may be repeated.

        :param states: states from the notifications; one without a higher generation is ignored
        :param epoch: epoch of the notifications; other epochs are ignored
        """
        if epoch != self.epoch:
            return self
        known = [state for state in states if is_digest(state.digest)]
        after, order = self._with(known, forward=True), self.scope and self.scope.order
        return after.with_newest(order.highest(self.newest, known)) if order else after

    def with_baseline(self, states: Iterable[tuple[str, int, str | None]]) -> Watermark:
        """Return the watermark with states that need no notification."""
        return self._with(states, forward=False)

    def with_scope(self, scope: WatchScope) -> Watermark:
        """Return the watermark for the tags that are watched now."""
        if scope == self.scope:
            return self
        is_same_order = self.scope is not None and self.scope.has_same_order(scope)
        return replace(self, scope=scope, newest=self.newest if is_same_order else None)

    def with_newest(self, tag: str | None) -> Watermark:
        """Return the watermark with another greatest tag."""
        return self if tag == self.newest else replace(self, newest=tag)

    def without_digests(self) -> Watermark:
        """Return the watermark with its generations only; the next poll records the digests as a baseline."""
        return replace(
            self,
            shards=tuple(
                shard and {key: (generation, None) for key, (generation, _) in shard.items()}
                for shard in self.shards
            ),
        )

    def with_new_epoch(self) -> Watermark:
        """Return the watermark with empty shards for lost ones; the epoch keeps ids unique after that."""
        return replace(
            self, epoch=secrets.token_hex(8), shards=tuple(shard or {} for shard in self.shards), lost=False
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the stored form in the order of writing, without lost shards."""
        return self.changes_since(Watermark())

    @classmethod
    def from_dict(cls, data: object) -> Watermark:
        """
        Read the stored form. Any value is accepted.

        :param data: values by key; :meth:`keys` returns the keys to read
        :return: an empty watermark with ``lost`` set if there is a value that cannot be read
        """
        if not isinstance(data, Mapping):
            return cls(lost=data is not None)
        head = data.get(HEAD_KEY)
        if head is None:
            # A process killed before its first head leaves shards; first_run="notify" leaves empty ones.
            return cls(lost=any(not _is_empty_shard(value) for value in data.values()))
        try:
            epoch, salt, scope = _read_head(head)
        except (ValueError, TypeError, KeyError):
            return cls(lost=True)
        shards = tuple(unpack(data.get(key), epoch) for key in cls.keys(head))
        newest = head.get("newest") if scope and scope.newest else None
        return cls(epoch, salt, scope, shards, newest=newest if is_tag(newest) else None)

    @staticmethod
    def keys(head: object) -> tuple[str, ...]:
        """
        Return the keys to read in addition to the head's; an empty tuple for a value that is not a head.

        :param head: the value of the head
        """
        count = head.get("shards") if isinstance(head, Mapping) else None
        if type(count) is not int or not 0 < count <= MAX_SHARDS or count & (count - 1):
            return ()
        return tuple(f"s{count}.{number:02}" for number in range(count))

    @staticmethod
    def obsolete_keys(head: object, older_head: object = None) -> tuple[str, ...]:
        """
        Return the keys of shards that the head no longer names. Delete them after the head is written.

        :param head: the value of the current head
        :param older_head: the value before it; without it, all keys of smaller counts, which may not exist
        """
        count = len(Watermark.keys(head))
        if older_head is None:
            counts = [1 << power for power in range(max(0, count.bit_length() - 1))]
        else:
            counts = [len(Watermark.keys(older_head))] if count else []
        return tuple(key for older in counts if older != count for key in Watermark.keys({"shards": older}))

    @property
    def head(self) -> dict[str, Any]:
        """The value that is stored under :data:`HEAD_KEY`."""
        head = {"form": _FORM, "epoch": self.epoch, "salt": self.salt, "shards": len(self.shards)}
        if self.scope:
            head |= self.scope.to_dict()
        if self.newest is not None:
            head["newest"] = self.newest
        return {**head, "check": _checksum(head)}

    def changes_since(self, older: Watermark) -> dict[str, Any]:
        """
        Return the values that differ from the stored ones, in the order of writing: head last.

        :param older: the stored watermark
        """
        return dict(self.iter_changes(older))

    def iter_changes(self, older: Watermark) -> Iterator[tuple[str, Any]]:
        """
        Yield the items of :meth:`changes_since`. Each shard is packed when requested, in about 1 ms.

        :param older: the stored watermark
        """
        if self.epoch is None or self.scope is None:
            return
        is_new = self.epoch != older.epoch or len(self.shards) != len(older.shards)
        for number, (key, shard) in enumerate(zip(self._keys, self.shards, strict=True)):
            if shard is None:
                continue
            before = None if is_new else older.shards[number]
            if before is None or (shard is not before and shard != before):
                yield key, pack(shard, self.epoch)
        if is_new or self.head != older.head:
            yield HEAD_KEY, self.head

    @property
    def _keys(self) -> tuple[str, ...]:
        return self.keys({"shards": len(self.shards)})

    def _key(self, tag: str) -> bytes:
        return hashlib.blake2b(tag.encode(), digest_size=KEY_SIZE, key=self.salt.encode()).digest()

    def _place(self, tag: str) -> tuple[bytes, Shard | None]:
        key = self._key(tag)
        return key, self.shards[shard_number(key, len(self.shards))]

    def _with(self, states: Iterable[tuple[str, int, str | None]], *, forward: bool) -> Watermark:
        changed: dict[int, dict[bytes, Entry]] = {}
        count = len(self.shards)
        for tag, generation, digest in states:
            key = self._key(tag)
            number = shard_number(key, count)
            shard = changed.get(number, self.shards[number])
            # A lost shard stays lost until a poll records a baseline for all of its tags. If it held this
            # state alone, all its other tags would look new.
            if shard is None:
                continue
            before = shard.get(key)
            if before == (generation, digest) or (forward and before and before[0] >= generation):
                continue
            copy = changed.get(number)
            if copy is None:
                # One copy for each shard and call: with a copy for each tag, 110,000 tags took 83 seconds.
                copy = changed[number] = dict(shard)
            copy[key] = (generation, digest)
        if not changed:
            return self
        shards = [changed.get(number, shard) for number, shard in enumerate(self.shards)]
        return replace(self, shards=tuple(split_shards(shards, changed)))


def _checksum(head: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(head, sort_keys=True).encode())


def _read_head(head: Any) -> tuple[str, str, WatchScope | None]:
    if not isinstance(head, Mapping):
        raise TypeError("not an object")
    values = {key: value for key, value in head.items() if key != "check"}
    if values["form"] != _FORM or head["check"] != _checksum(values) or not Watermark.keys(head):
        raise ValueError("another form, or damaged")
    try:
        scope = WatchScope.from_dict(values)
    except ValueError:
        # The rule was valid once and is not now: no tag counts as covered, so all tags get a baseline.
        scope = None
    return str(values["epoch"]), str(values["salt"]), scope


def _is_empty_shard(value: object) -> bool:
    return isinstance(value, Mapping) and value.get("columns") == {}
