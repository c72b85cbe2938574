# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
Merge and read the stored form of hints: one JSON value with the tags to poll now.

``{"v": 1, "seq": 1764112345678, "hints": {"registry_default|team/app": {"v1.2": 1764112345678}}}``. Each tag
carries the ``seq`` of its last hint, so a reader finds the new ones by the last ``seq`` it has seen.
"""

from __future__ import annotations

import heapq
import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_registry_triggers.oci_names import is_repository

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from airflow_registry_triggers.inbound.push_event import PushEvent

__all__ = ["ALL_TAGS", "Hints", "hints_of", "is_stored", "merge", "newer_than", "seq_of", "tag_count"]

ALL_TAGS = "*"
"""Stands for all tags of a repository; not a legal tag."""

VERSION = 1
MAX_AGE_MS = 60_000
MAX_TAGS = 50
"""Tags of one repository; more become :data:`ALL_TAGS`."""
MAX_SEQ = 2**53
"""Larger numbers are not exact in every JSON reader, and thousands of digits cannot be written."""
MAX_ROW = 40_000
"""Characters of the row as JSON. Airflow warns above 65,535 bytes, and quotes the value once more."""

Hints = dict[tuple[str, str], set[str]]
"""Tags by Connection id and repository name without a host."""

_Tags = dict[str, int]


class _Row(NamedTuple):
    seq: int
    hints: dict[str, _Tags]

    def to_dict(self) -> dict[str, Any]:
        return {"v": VERSION, "seq": self.seq, "hints": self.hints}

    def size(self) -> int:
        return len(json.dumps(self.to_dict()))


def hints_of(conn_id: str, events: Iterable[PushEvent]) -> Hints:
    """
    Return the tags to poll for some push events.

    A repository of a registry with a prefix gets hints under both names that a Connection may use for it.

    :param events: names outside the OCI grammar are skipped
    """
    hints: Hints = defaultdict(set)
    for event in events:
        for repository in _names(event):
            hints[conn_id, repository].add(event.tag or ALL_TAGS)
    return dict(hints)


def tag_count(events: Iterable[PushEvent]) -> int:
    """Return the number of different tags that get a hint, each counted once whatever its names are."""
    return len({(event.repository, event.tag) for event in events if _names(event)})


def merge(row: object, hints: Mapping[tuple[str, str], Collection[str]], now_ms: int) -> dict[str, Any]:
    """
    Return the row with hints added, old entries removed, and within its limits.

    :param row: as stored; an unreadable one counts as empty
    :param hints: tags by Connection id and repository, :data:`ALL_TAGS` for all
    :param now_ms: this machine's time; a clock that is behind does not make ``seq`` go down
    """
    stored = _read(row)
    seq = max(stored.seq + 1, now_ms)
    merged: dict[str, _Tags] = {}
    for key, tags in stored.hints.items():
        if fresh := {tag: at for tag, at in tags.items() if at >= seq - MAX_AGE_MS}:
            merged[key] = fresh
    for (conn_id, repository), new_tags in hints.items():
        if new_tags:
            merged.setdefault(f"{conn_id}|{repository}", {}).update(dict.fromkeys(new_tags, seq))
    result = _Row(seq, {key: _collapsed(tags) for key, tags in merged.items()})
    _trim(result)
    return result.to_dict()


def newer_than(row: object, seq: int) -> Hints:
    """
    Return the hints that a reader has not seen.

    :param row: as stored; an unreadable one counts as empty
    :param seq: ``seq_of(row)`` at the last read, -1 before the first; if the row's is lower, all are new
    """
    stored = _read(row)
    after = seq if stored.seq >= seq else -1
    hints: Hints = {}
    for key, tags in stored.hints.items():
        if new := {tag for tag, at in tags.items() if at > after}:
            conn_id, _, repository = key.rpartition("|")
            hints[conn_id, repository] = new
    return hints


def seq_of(row: object) -> int:
    """Return the ``seq`` of a row, 0 if it is unreadable."""
    return _read(row).seq


def is_stored(row: object, hints: Mapping[tuple[str, str], Collection[str]], seq: int) -> bool:
    """
    Return True if a row contains the writer's own hints, or newer ones of the same tags.

    :param seq: of the row that was written
    """
    stored = _read(row).hints
    for (conn_id, repository), tags in hints.items():
        found = stored.get(f"{conn_id}|{repository}", {})
        if any(max(found.get(tag, -1), found.get(ALL_TAGS, -1)) < seq for tag in tags):
            return False
    return True


def _names(event: PushEvent) -> list[str]:
    prefix = event.registry.partition("/")[2]
    names = [event.repository, *([f"{prefix}/{event.repository}"] if prefix else [])]
    return [name for name in names if is_repository(name)]


def _read(row: object) -> _Row:
    if not isinstance(row, dict) or row.get("v") != VERSION or not _is_seq(row.get("seq")):
        return _Row(0, {})
    seq, stored = row["seq"], row.get("hints")
    hints: dict[str, _Tags] = {}
    for key, tags in stored.items() if isinstance(stored, dict) else ():
        if isinstance(tags, dict) and isinstance(key, str) and "|" in key:
            # An entry above the row's seq would be new at each read.
            hints[key] = {tag: min(at, seq) for tag, at in tags.items() if _is_seq(at)}
    return _Row(seq, hints)


def _is_seq(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_SEQ


def _collapsed(tags: _Tags) -> _Tags:
    if len(tags.keys() - {ALL_TAGS}) <= MAX_TAGS:
        return tags
    return {ALL_TAGS: max(tags.values())}


def _trim(row: _Row) -> None:
    """Remove the oldest entries of the Connection with the most bytes until the row fits."""
    freed = _freed_by_removal(row) if row.size() > MAX_ROW else iter(())
    while (excess := row.size() - MAX_ROW) > 0:
        for size in freed:
            excess -= size
            if excess <= 0:
                break
        else:
            return


def _freed_by_removal(row: _Row) -> Iterator[int]:
    """Remove an entry in each step; yield its size."""
    by_connection: dict[str, list[tuple[int, str, str]]] = defaultdict(list)
    sizes: dict[str, int] = defaultdict(int)
    for key, tags in row.hints.items():
        conn_id = key.rpartition("|")[0]
        by_connection[conn_id] += [(at, key, tag) for tag, at in tags.items()]
        sizes[conn_id] += _size_of_key(key) + sum(_size_of_tag(tag, at) for tag, at in tags.items())
    for entries in by_connection.values():
        entries.sort(reverse=True)
    heap = [(-size, conn_id) for conn_id, size in sizes.items() if by_connection[conn_id]]
    heapq.heapify(heap)
    while heap:
        _, conn_id = heap[0]
        size = _remove(row, *by_connection[conn_id].pop())
        sizes[conn_id] -= size
        if by_connection[conn_id]:
            heapq.heapreplace(heap, (-sizes[conn_id], conn_id))
        else:
            heapq.heappop(heap)
        yield size


def _remove(row: _Row, at: int, key: str, tag: str) -> int:
    """Remove an entry, and a repository without entries; return the bytes that this saves."""
    del row.hints[key][tag]
    if row.hints[key]:
        return _size_of_tag(tag, at)
    del row.hints[key]
    return _size_of_tag(tag, at) + _size_of_key(key)


def _size_of_tag(tag: str, at: int) -> int:
    return len(json.dumps(tag)) + len(str(at)) + 4  # as in JSON: colon, comma and space


def _size_of_key(key: str) -> int:
    return len(json.dumps(key)) + 6
