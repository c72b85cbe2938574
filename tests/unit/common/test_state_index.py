# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

import json
import zlib

import pytest

from airflow_registry_triggers.common import state_index
from airflow_registry_triggers.common.state_index import INDEX_KEY, INDEXES, UNUSED_DAYS, mark_used
from airflow_registry_triggers.common.state_store import WatermarkStore
from airflow_registry_triggers.registry.watermark import Watermark
from tests.unit.common.test_state_store import MemoryStore, many, watermark

DAY = 86_400.0


@pytest.fixture
def clock(monkeypatch):
    now = [20_000 * DAY]
    monkeypatch.setattr(state_index.time, "time", lambda: now[0])
    return now


def same_index(prefix):
    """Return another prefix whose entry is in the same value of the index."""
    wanted = zlib.crc32(prefix.encode()) % INDEXES
    return next(
        name
        for name in map("other{}/".format, range(10_000))
        if zlib.crc32(name.encode()) % INDEXES == wanted
    )


def test_mark_used_called_twice_a_day_writes_once(clock):
    store = MemoryStore()
    for _ in range(3):
        mark_used(store, "p/")
    assert [name for name, _ in store.calls] == ["get", "set", "get", "get"]


def test_mark_used_with_an_unused_watermark_removes_it(clock):
    store = MemoryStore()
    deleted, used = "watermark/deleted/", same_index("watermark/deleted/")
    WatermarkStore(store, deleted).save(watermark(*many(3000)), Watermark())
    WatermarkStore(store, deleted).load()
    clock[0] += UNUSED_DAYS * DAY
    mark_used(store, used)
    assert WatermarkStore(store, deleted).load().epoch, "a use within the time keeps it"
    clock[0] += (UNUSED_DAYS + 1) * DAY
    mark_used(store, used)
    assert not [key for key in store.values if key.startswith(deleted)]
    assert deleted not in json.dumps(store.values)


def test_mark_used_with_several_unused_states_removes_one(clock, monkeypatch):
    monkeypatch.setattr(state_index, "INDEXES", 1)
    store = MemoryStore()
    for prefix in ("processed/a/", "processed/b/"):
        store.values |= {f"{prefix}00": {"tags": {}}, f"{prefix}1f": {"tags": {}}}
        mark_used(store, prefix, shards=32)
    clock[0] += (UNUSED_DAYS + 1) * DAY
    for kept in (["processed/b/00", "processed/b/1f"], []):
        mark_used(store, f"processed/used{len(kept)}/", shards=32)
        assert (
            sorted(key for key in store.values if key.endswith(("00", "1f")) and "index" not in key) == kept
        )


def test_mark_used_after_a_long_pause_keeps_its_own_state(clock):
    store = MemoryStore()
    saved = watermark(*many(3))
    WatermarkStore(store, "w/").save(saved, Watermark())
    WatermarkStore(store, "w/").load()
    clock[0] += 3 * UNUSED_DAYS * DAY
    assert WatermarkStore(store, "w/").load() == saved


@pytest.mark.parametrize("damaged", [None, 1, [], {"p/": 1}, {"p/": ["x", 0]}, {"p/": [1]}])
def test_mark_used_with_a_damaged_index_writes_it_again(clock, damaged):
    store = MemoryStore()
    key = f"{INDEX_KEY}/{zlib.crc32(b'p/') % INDEXES:02x}"
    if damaged is not None:
        store.values[key] = damaged
    mark_used(store, "p/")
    assert store.values[key] == {"p/": [20_000, 0]}


def test_mark_used_with_a_full_index_stays_below_the_value_limit(clock, monkeypatch):
    monkeypatch.setattr(state_index, "INDEXES", 1)
    store = MemoryStore()
    for number in range(1000):
        mark_used(store, f"watermark/{number:032x}/", shards=32)
    assert all(len(json.dumps(value)) < 65_535 for value in store.values.values())
