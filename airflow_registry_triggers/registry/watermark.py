# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""What has been handed on of a repository, and its stored form: a head and shards of at most 48 KB."""

from __future__ import annotations

import hashlib
import json
import secrets
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from airflow_registry_triggers.oci_names import is_digest
from airflow_registry_triggers.registry.scope import WatchScope
from airflow_registry_triggers.registry.watermark_codec import (
    KEY_SIZE,
    MAX_VALUE,
    Entry,
    Shard,
    estimated_size,
    pack,
    unpack,
)

__all__ = ["HEAD_KEY", "TagState", "WatchScope", "Watermark"]

HEAD_KEY = "head"
"""Key of the value that is read first and written last."""

_FORM = 1
_MAX_SHARDS = 4096


class TagState(NamedTuple):
    """
    What has been handed on of one tag.

    :param tag: the tag
    :param generation: count of its changes, 0 for what was there at the baseline
    :param digest: what it pointed at; None where the baseline could not tell yet
    """

    tag: str
    generation: int
    digest: str | None


@dataclass(frozen=True, slots=True)
class Watermark:
    """
    What has been handed on of a repository. It never changes: each step gives another one.

    Kept under ``head`` and ``s<count>.<number>``; an entry has a keyed hash of its tag, so that its size does
    not depend on the tag's. The shards of a larger count are written before the head names them, so that a
    process killed between two writes leaves the older state whole.

    :param epoch: random, made with the first baseline; None before it
    :param salt: key of the tags' hashes
    :param coverage: what was watched; None before the first baseline
    :param shards: entries by hash; None in the place of one that is lost
    :param lost: whether there was a state that cannot be read
    """

    epoch: str | None = None
    salt: str = ""
    coverage: WatchScope | None = None
    shards: tuple[Shard | None, ...] = ()
    lost: bool = False

    @classmethod
    def begun(cls, coverage: WatchScope) -> Watermark:
        """Give an empty watermark with an epoch of its own."""
        return cls(secrets.token_hex(8), secrets.token_hex(8), coverage, ({},))

    def __repr__(self) -> str:
        return f"Watermark({self.epoch}, {self.size} tags in {len(self.shards)} shards, lost={self.lost})"

    @property
    def size(self) -> int:
        """How many tags are remembered."""
        return sum(len(shard) for shard in self.shards if shard)

    @property
    def lost_shards(self) -> int:
        """How many shards cannot be read."""
        return self.shards.count(None)

    def mark_of(self, tag: str) -> TagState | None:
        """Tell what is remembered of a tag, None for nothing."""
        if not self.shards:
            return None
        key, shard = self._place(tag)
        entry = shard.get(key) if shard else None
        return TagState(tag, *entry) if entry else None

    def is_lost(self, tag: str) -> bool:
        """Tell whether what was remembered of a tag, if anything, cannot be read."""
        return self.lost or (bool(self.shards) and self._place(tag)[1] is None)

    def advanced(self, marks: Iterable[TagState], epoch: str) -> Watermark:
        """
        Remember what was handed on, forward only: doing it again, or late, changes nothing.

        :param marks: what was handed on; one with a generation that is not higher is left out
        :param epoch: the epoch that the notifications carried; another one's marks are left out
        """
        if epoch != self.epoch:
            return self
        return self._with((mark for mark in marks if is_digest(mark.digest)), forward=True)

    def baselined(self, marks: Iterable[TagState]) -> Watermark:
        """Remember what is there without handing it on."""
        return self._with(marks, forward=False)

    def covering(self, coverage: WatchScope) -> Watermark:
        """Give the same for what is watched now."""
        return self if coverage == self.coverage else replace(self, coverage=coverage)

    def undigested(self) -> Watermark:
        """Forget which digests there were, not how often they changed: they are to be learned anew."""
        return replace(
            self,
            shards=tuple(
                shard and {key: Entry(entry.generation, None) for key, entry in shard.items()}
                for shard in self.shards
            ),
        )

    def renewed(self) -> Watermark:
        """Begin another epoch, with lost shards empty: generations begin again, ids must not."""
        return replace(
            self, epoch=secrets.token_hex(8), shards=tuple(shard or {} for shard in self.shards), lost=False
        )

    def to_dict(self) -> dict[str, Any]:
        """Give the whole stored form, in the order in which it must be written; lost shards are left out."""
        return self.changes_since(Watermark())

    @classmethod
    def from_dict(cls, data: object) -> Watermark:
        """
        Read the stored form; whatever is given, this ends in a watermark.

        :param data: values by key; :meth:`keys` tells which are wanted
        :return: an empty one with ``lost`` set where something is there that cannot be read
        """
        if not isinstance(data, Mapping):
            return cls(lost=data is not None)
        head = data.get(HEAD_KEY)
        if head is None:
            # A process killed before its first head has left shards; those of first_run="notify" are empty.
            return cls(lost=any(not _is_empty_shard(value) for value in data.values()))
        try:
            epoch, salt, coverage = _read_head(head)
        except (ValueError, TypeError, KeyError):
            return cls(lost=True)
        return cls(epoch, salt, coverage, tuple(unpack(data.get(key), epoch) for key in cls.keys(head)))

    @staticmethod
    def keys(head: object) -> tuple[str, ...]:
        """
        Tell which keys are to be read besides the head's, so that a store is asked no more than needed.

        :param head: the value of the head; what is no head asks for nothing
        """
        count = head.get("shards") if isinstance(head, Mapping) else None
        if type(count) is not int or not 0 < count <= _MAX_SHARDS or count & (count - 1):
            return ()
        return tuple(f"s{count}.{number:02}" for number in range(count))

    @staticmethod
    def obsolete_keys(head: object) -> tuple[str, ...]:
        """
        Tell which keys an older head named; they may be deleted, a poll or so after the head was written.

        :param head: the value of the head
        """
        count = len(Watermark.keys(head))
        older = [1 << n for n in range(max(0, count.bit_length() - 1))]
        return tuple(key for smaller in older for key in Watermark.keys({"shards": smaller}))

    def changes_since(self, older: Watermark) -> dict[str, Any]:
        """
        Give only what differs from what is stored, in the order in which it must be written: head last.

        :param older: what is stored
        """
        if self.epoch is None or self.coverage is None:
            return {}
        all_anew = self.epoch != older.epoch or len(self.shards) != len(older.shards)
        changes: dict[str, Any] = {}
        for number, (key, shard) in enumerate(zip(self._keys, self.shards, strict=True)):
            if shard is not None and (all_anew or shard != older.shards[number]):
                changes[key] = pack(shard, self.epoch)
        if all_anew or self._head() != older._head():
            changes[HEAD_KEY] = self._head()
        return changes

    @property
    def _keys(self) -> tuple[str, ...]:
        return self.keys({"shards": len(self.shards)})

    def _head(self) -> dict[str, Any]:
        head = {"form": _FORM, "epoch": self.epoch, "salt": self.salt, "shards": len(self.shards)}
        if self.coverage:
            head |= self.coverage.to_dict()
        return {**head, "check": _checksum(head)}

    def _key(self, tag: str) -> bytes:
        return hashlib.blake2b(tag.encode(), digest_size=KEY_SIZE, key=self.salt.encode()).digest()

    def _place(self, tag: str) -> tuple[bytes, Shard | None]:
        key = self._key(tag)
        return key, self.shards[_number(key, len(self.shards))]

    def _with(self, marks: Iterable[TagState], *, forward: bool) -> Watermark:
        changed: dict[int, dict[bytes, Entry]] = {}
        for tag, generation, digest in marks:
            key = self._key(tag)
            number = _number(key, len(self.shards))
            shard = changed.get(number, self.shards[number])
            # What is lost stays lost until a poll has made a baseline of it: a shard that holds this mark
            # alone would make all the others look new.
            if shard is None:
                continue
            before = shard.get(key)
            if before == (generation, digest) or (forward and before and before.generation >= generation):
                continue
            changed.setdefault(number, dict(shard))[key] = Entry(generation, digest)
        if not changed:
            return self
        shards = [changed.get(number, shard) for number, shard in enumerate(self.shards)]
        while len(shards) < _MAX_SHARDS and any(
            estimated_size(shards[number] or {}) > MAX_VALUE for number in changed
        ):
            shards = _doubled(shards)
            changed = {number: {} for number in range(len(shards))}
        return replace(self, shards=tuple(shards))


def _number(key: bytes, count: int) -> int:
    return int.from_bytes(key[:2]) & (count - 1)


def _doubled(shards: list[Any]) -> list[Any]:
    count = 2 * len(shards)
    halves: list[Any] = [None if shards[number % len(shards)] is None else {} for number in range(count)]
    for shard in shards:
        for key, entry in (shard or {}).items():
            halves[_number(key, count)][key] = entry
    return halves


def _checksum(head: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(head, sort_keys=True).encode())


def _read_head(head: Any) -> tuple[str, str, WatchScope | None]:
    if not isinstance(head, Mapping):
        raise TypeError("no object")
    told = {key: value for key, value in head.items() if key != "check"}
    if told["form"] != _FORM or head["check"] != _checksum(told) or not Watermark.keys(head):
        raise ValueError("another form, or damaged")
    try:
        coverage = WatchScope.from_dict(told)
    except ValueError:
        # The rule worked once and does not now: nothing counts as covered, so all is a baseline.
        coverage = None
    return str(told["epoch"]), str(told["salt"]), coverage


def _is_empty_shard(value: object) -> bool:
    return isinstance(value, Mapping) and value.get("marks") == {}
