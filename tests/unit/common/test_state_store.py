# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

import pytest
from airflow.sdk import Asset
from hypothesis import given
from hypothesis import strategies as st

from airflow_registry_triggers import RegistryPushSensor, TriggerMatchOperator
from airflow_registry_triggers.common.chunked_values import (
    aload_chunked,
    asave_chunked,
    load_chunked,
    save_chunked,
)
from airflow_registry_triggers.common.state_store import STATE_ASSET, WatermarkStore, state_prefix
from airflow_registry_triggers.registry.watermark import TagState, WatchScope, Watermark
from airflow_registry_triggers.tag_rule import TagRule

D1, D2 = (f"sha256:{character * 64}" for character in "ab")


class FullStore(Exception):
    pass


class MemoryStore:
    """A state store that can be made to fail, as one does when its process is killed."""

    def __init__(self):
        self.values = {}
        self.calls = []
        self.left = None

    def get(self, key, default=None):
        self.calls.append(("get", key))
        return self.values.get(key, default)

    def set(self, key, value):
        if self.left is not None:
            if not self.left:
                raise FullStore
            self.left -= 1
        self.calls.append(("set", key))
        self.values[key] = value

    def delete(self, key):
        self.calls.append(("delete", key))
        self.values.pop(key, None)

    async def aget(self, key, default=None):
        return self.get(key, default)

    async def aset(self, key, value):
        self.set(key, value)

    async def adelete(self, key):
        self.delete(key)


def watermark(*states):
    return Watermark.new(WatchScope(TagRule(), True, False, "accept")).with_baseline(states)


def many(count, generation=0):
    return [TagState(f"t{number}", generation, D1) for number in range(count)]


async def test_watermark_store_with_a_small_watermark_reads_with_two_calls():
    store = MemoryStore()
    WatermarkStore(store).save(watermark(TagState("a", 0, D1)), Watermark())
    store.calls.clear()
    assert WatermarkStore(store).load().state_of("a") == TagState("a", 0, D1)
    assert len(store.calls) == 2
    assert (await WatermarkStore(store).aload()).state_of("a") == TagState("a", 0, D1)
    assert len(store.calls) == 4


def test_watermark_store_with_prefix_keeps_states_apart():
    store = MemoryStore()
    WatermarkStore(store, "p/").save(watermark(TagState("a", 0, D1)), Watermark())
    assert WatermarkStore(store, "q/").load().epoch is None
    assert WatermarkStore(store, "p/").load().state_of("a") == TagState("a", 0, D1)


async def test_watermark_store_with_a_missing_head_is_not_a_first_run():
    store = MemoryStore()
    WatermarkStore(store).save(watermark(TagState("a", 3, D1)), Watermark())
    del store.values["head"]
    assert WatermarkStore(store).load().lost
    assert (await WatermarkStore(store).aload()).lost
    assert not WatermarkStore(MemoryStore()).load().lost


def test_watermark_store_with_one_changed_tag_writes_one_value():
    store = MemoryStore()
    before = watermark(TagState("a", 0, D1), TagState("b", 0, D1))
    after = before.advanced([TagState("a", 1, D2)], before.epoch)
    WatermarkStore(store).save(before, Watermark())
    store.calls.clear()
    WatermarkStore(store).save(after, before)
    assert len(store.calls) == 1


@pytest.mark.parametrize("is_async", [False, True])
async def test_watermark_store_with_a_grown_watermark_deletes_its_former_shards(is_async):
    store = MemoryStore()
    small = watermark(*many(10))
    large = small.with_baseline(many(3000))
    assert len(large.shards) > len(small.shards)
    for after, since in ((small, Watermark()), (large, small)):
        if is_async:
            await WatermarkStore(store).asave(after, since)
        else:
            WatermarkStore(store).save(after, since)
    assert set(store.values) == {"head", *Watermark.keys(store.values["head"])}
    assert WatermarkStore(store).load() == large


def test_watermark_store_with_a_smaller_watermark_deletes_the_larger_shards():
    store = MemoryStore()
    large, fresh = watermark(*many(3000)), watermark(TagState("a", 0, D1))
    WatermarkStore(store).save(large, Watermark())
    WatermarkStore(store).save(fresh, large)
    assert set(store.values) == {"head", "s1.00"}


@pytest.mark.parametrize("cut", range(12))
def test_watermark_store_killed_during_growth_keeps_one_complete_state(cut):
    store = MemoryStore()
    small = watermark(*many(10))
    large = small.with_baseline(many(3000))
    WatermarkStore(store).save(small, Watermark())
    store.left = cut
    try:
        WatermarkStore(store).save(large, small)
    except FullStore:
        assert WatermarkStore(store).load() == small
    else:
        assert WatermarkStore(store).load() == large


def test_watermark_store_load_during_growth_by_another_process_reads_the_new_state():
    store = MemoryStore()
    small = watermark(*many(10))
    large = small.with_baseline(many(3000))
    WatermarkStore(store).save(small, Watermark())
    read = store.get

    def read_and_grow(key, default=None):
        found = read(key, default)
        if key == "head" and "s1.00" in store.values:
            WatermarkStore(store).save(large, small)
        return found

    store.get = read_and_grow
    assert WatermarkStore(store).load() == large


async def test_watermark_store_is_current_after_another_writer_returns_false():
    store = MemoryStore()
    stored = watermark(*many(5))
    after = stored.advanced([TagState("t1", 1, D2)], stored.epoch)
    WatermarkStore(store).save(stored, Watermark())
    assert await WatermarkStore(store).ais_current(stored, after)
    WatermarkStore(store).save(stored.advanced([TagState("t1", 2, D2)], stored.epoch), stored)
    assert not await WatermarkStore(store).ais_current(stored, after)
    store.values.clear()
    assert not await WatermarkStore(store).ais_current(stored, after)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(JSON, JSON)
async def test_save_chunked_of_any_value_can_be_loaded(value, before):
    store = MemoryStore()
    save_chunked(store, "k", before)
    save_chunked(store, "k", value)
    assert load_chunked(store, "k", "nothing") == value
    assert await aload_chunked(store, "k", "nothing") == value
    await asave_chunked(store, "k", before)
    assert load_chunked(store, "k", "nothing") == before


@pytest.mark.parametrize("sizes", [(0, 3), (3, 3), (3, 1), (5, 2), (2, 5)])
@pytest.mark.parametrize("cut", range(8))
async def test_save_chunked_killed_between_writes_keeps_the_older_value(sizes, cut):
    old, new = ([f"{size}é" * 10_000] * size for size in sizes)
    store = MemoryStore()
    if old:
        save_chunked(store, "k", old)
    assert all(len(str(part)) < 65_535 for part in store.values.values())
    store.left = cut
    try:
        await asave_chunked(store, "k", new, replaces=True)
    except FullStore:
        assert load_chunked(store, "k", []) == old
    else:
        assert load_chunked(store, "k", []) == new


async def test_save_chunked_of_a_smaller_value_deletes_the_larger_parts():
    store = MemoryStore()
    save_chunked(store, "k", ["x" * 1000] * 200)
    assert len(store.values) > 3
    save_chunked(store, "k", [], replaces=True)
    assert list(store.values) == ["k"]


@pytest.mark.parametrize("damaged", [1, "x", [], {}, {"parts": "x"}, {"parts": 2, "slot": "a", "text": "["}])
async def test_load_chunked_of_a_damaged_value_returns_default(damaged):
    store = MemoryStore()
    store.values["k"] = damaged
    assert load_chunked(store, "k", "nothing") == "nothing"
    assert await aload_chunked(store, "k", "nothing") == "nothing"


def test_state_prefix_of_different_tasks_differs_without_their_names():
    prefixes = {
        state_prefix("w", "dag", "task", "r", "a/b"),
        state_prefix("w", "dag", "task", "r", "a/c"),
        state_prefix("w", "dag", "other", "r", "a/b"),
        state_prefix("v", "dag", "task", "r", "a/b"),
        state_prefix("w", "d" * 250, "t" * 250, 1),
        state_prefix("w", "d" * 250, "t" * 249, 1),
    }
    assert len(prefixes) == 6
    assert all(len(prefix) < 60 for prefix in prefixes)
    assert not any(name in prefix for prefix in prefixes for name in ("dag", "task", "other", "a/b"))


def test_state_mixin_of_an_operator_adds_the_state_asset_to_its_inlets():
    mine = Asset("mine")
    assert STATE_ASSET in TriggerMatchOperator(task_id="a").inlets
    both = TriggerMatchOperator(task_id="b", inlets=[mine]).inlets
    assert mine in both
    assert STATE_ASSET in both
    assert RegistryPushSensor(task_id="c", repository="a/b", inlets=mine).inlets == [mine, STATE_ASSET]
    mapped = TriggerMatchOperator.partial(task_id="d", inlets=[mine]).expand(notifications=[{}])
    assert mapped.inlets == [mine, STATE_ASSET]
    assert STATE_ASSET.group == "registry-internal"
    assert STATE_ASSET.extra == {
        "about": "Internal state of registry triggers. Do not delete, do not create events."
    }
