# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

import pytest
from airflow.sdk import Asset
from hypothesis import given
from hypothesis import strategies as st

from airflow_registry_triggers import RegistryPushSensor, TriggerMatchOperator
from airflow_registry_triggers.common.state_store import (
    MAX_KEY,
    STATE_ASSET,
    WatermarkStore,
    load_chunked,
    save_chunked,
    state_prefix,
)
from airflow_registry_triggers.common.templating import is_literal
from airflow_registry_triggers.matching.asset_events import notifications_of_events
from airflow_registry_triggers.matching.inputs import flattened, notifications_of_conf, numbered, parsed
from airflow_registry_triggers.registry.watermark import TagState, WatchScope, Watermark
from airflow_registry_triggers.tag_rule import TagRule

D1, D2 = (f"sha256:{character * 64}" for character in "ab")


class FullStore(Exception):
    pass


class MemoryStore:
    """A state store that can be made to fail, as one does when its worker is killed."""

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

    async def aget(self, key, default=None):
        return self.get(key, default)

    async def aset(self, key, value):
        self.set(key, value)


def watermark(*marks):
    begun = Watermark.begun(WatchScope(TagRule(), True, False, "accept"))
    return begun.baselined(marks)


def test_a_watermark_is_read_back_with_two_calls_where_it_is_small():
    store = MemoryStore()
    saved = watermark(TagState("a", 0, D1))
    WatermarkStore(store, "p/").save(saved, Watermark())
    store.calls.clear()
    loaded = WatermarkStore(store, "p/").load()
    assert loaded.mark_of("a") == TagState("a", 0, D1)
    assert len(store.calls) == 2
    assert all(key.startswith("p/") for _, key in store.calls)


async def test_a_head_that_vanished_is_no_first_run():
    store = MemoryStore()
    WatermarkStore(store).save(watermark(TagState("a", 3, D1)), Watermark())
    del store.values["head"]
    assert WatermarkStore(store).load().lost
    assert (await WatermarkStore(store).aload()).lost
    assert not WatermarkStore(MemoryStore()).load().lost


def test_a_change_of_one_tag_writes_one_value():
    store = MemoryStore()
    before = watermark(TagState("a", 0, D1), TagState("b", 0, D1))
    after = before.advanced([TagState("a", 1, D2)], before.epoch)
    WatermarkStore(store).save(before, Watermark())
    store.calls.clear()
    WatermarkStore(store).save(after, before)
    assert len(store.calls) == 1


async def test_the_coroutines_do_the_same():
    store = MemoryStore()
    saved = watermark(TagState("a", 3, D1))
    await WatermarkStore(store).asave(saved, Watermark())
    assert (await WatermarkStore(store).aload()).mark_of("a") == TagState("a", 3, D1)
    assert WatermarkStore(MemoryStore()).load().epoch is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(JSON)
def test_what_is_remembered_is_recalled(value):
    store = MemoryStore()
    save_chunked(store, "k", value)
    assert load_chunked(store, "k", "nothing") == value


def test_a_large_value_is_split_and_is_there_whole_or_not_at_all():
    value = ["é" * 1000] * 100
    writes = MemoryStore()
    save_chunked(writes, "k", value)
    assert len(writes.values) > 2
    assert all(len(str(part)) < 65_535 for part in writes.values.values())
    for cut in range(len(writes.values)):
        store = MemoryStore()
        store.left = cut
        with pytest.raises(FullStore):
            save_chunked(store, "k", value)
        assert load_chunked(store, "k", "nothing") == "nothing"


def test_prefixes_tell_tasks_apart_and_leave_room():
    prefixes = {
        state_prefix("w", "d", "t", "r", "a/b"),
        state_prefix("w", "d", "t", "r", "a/c"),
        state_prefix("w", "d", "u", "r", "a/b"),
        state_prefix("v", "d", "t", "r", "a/b"),
        state_prefix("w", "d" * 250, "t" * 250, 1),
        state_prefix("w", "d" * 250, "t" * 249, 1),
    }
    assert len(prefixes) == 6
    assert all(len(prefix) <= MAX_KEY - 32 for prefix in prefixes)


def test_tasks_declare_the_shared_state_beside_their_own_inlets():
    mine = Asset("mine")
    assert STATE_ASSET in TriggerMatchOperator(task_id="a").inlets
    both = TriggerMatchOperator(task_id="b", inlets=[mine]).inlets
    assert mine in both
    assert STATE_ASSET in both
    assert RegistryPushSensor(task_id="c", repository="a/b", inlets=mine).inlets == [mine, STATE_ASSET]
    mapped = TriggerMatchOperator.partial(task_id="d", inlets=[mine]).expand(notifications=[{}])
    assert mapped.inlets == [mine, STATE_ASSET]


@pytest.mark.parametrize(
    ("value", "literal"),
    [
        (None, True), ("plain", True), (3, True), (["a", {"b": "c"}], True), ("v[0-9]{1,2}", True),
        ("{{ x }}", False), ("a{% if x %}", False), (["{{ x }}"], False), ({"a": "{{ x }}"}, False), (object(), False),
    ],
)  # fmt: skip
def test_what_is_literal(value, literal):
    assert is_literal(value) is literal


@pytest.mark.parametrize(
    ("value", "flat"),
    [
        (None, []), ({"a": 1}, [{"a": 1}]), ([{"a": 1}], [{"a": 1}]), ([[{"a": 1}], [], [{"b": 2}]], [{"a": 1}, {"b": 2}]),
        ("text", ["text"]), (3, [3]), ([None, {"a": 1}], [{"a": 1}]), (iter([[1], [2]]), [1, 2]),
    ],
)  # fmt: skip
def test_lists_are_flattened_one_level(value, flat):
    assert flattened(value) == flat


class Event:
    def __init__(self, extra, timestamp):
        self.extra = extra
        self.timestamp = timestamp


def test_events_of_all_repositories_are_taken_in_the_order_of_time():
    context = {
        "triggering_asset_events": {
            Asset("oci://h/a", uri="oci://h/a"): [Event({"from_trigger": True, "payload": 1}, 1), Event({"payload": 3}, 3)],
            Asset("oci://h/b", uri="oci://h/b"): [Event({"push_data": {"tag": "x"}}, 2), Event({"notification": 4}, 4)],
            Asset("s3://other", uri="s3://other/x"): [Event({"payload": 9}, 0)],
        }
    }  # fmt: skip
    found = notifications_of_events(context)
    assert [incoming.value for incoming in found] == [1, {"push_data": {"tag": "x"}}, 3, 4]
    assert len({(incoming.source, incoming.position) for incoming in found}) == 4
    assert notifications_of_events({}) == []


@pytest.mark.parametrize(
    ("conf", "found"),
    [(None, None), ({}, None), ({"notification": {"a": 1}}, [{"a": 1}]), ({"notification": [1, 2]}, [1, 2]), ({"notification": None}, [])],
)  # fmt: skip
def test_a_conf(conf, found):
    run = type("Run", (), {"conf": conf})()
    assert notifications_of_conf({"dag_run": run}) == found


def test_what_is_none_keeps_its_place_and_says_which_it_was():
    good = {"push_data": {"tag": "a"}, "repository": {"name": "b"}}
    first, second, third = parsed(numbered([good, "bad", good], "run"))
    assert (first[0].id, third[0].id) != (None, None)
    assert first[0].id != third[0].id
    assert second[0] is None
    assert second[1].startswith("number 2: not a notification")
