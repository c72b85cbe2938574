# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

import json

import pytest
from airflow.sdk import Asset
from hypothesis import given
from hypothesis import strategies as st

from airflow_registry_triggers.common.state_store import STATE_ASSET
from airflow_registry_triggers.matching.deduplication import (
    MAX_SHARD,
    Deduplicator,
    DedupShard,
    NullDeduplicator,
    Processed,
    run_key,
    shard_of,
)
from airflow_registry_triggers.notification import Notification
from tests.unit.memory_store import MemoryStore


def push(tag="v1", push_id="1", repository="team/app"):
    return Notification.from_dict(
        {
            "push_data": {"tag": tag},
            "repository": {"repo_full_name": repository},
            "event": {"id": push_id, "registry": "r", "generation": 1},
        }
    )


def by(run, at=1_767_225_600):
    return Processed(run_key("dag", run), at)


def through_json(shard):
    return DedupShard(json.loads(json.dumps(shard.to_dict())))


def test_shard_with_a_processed_push_returns_its_run():
    shard = DedupShard()
    assert shard.processed(push()) is None
    shard.add(push(), by("run-1"))
    shard.add(push(push_id="2"), by("run-2"))
    assert through_json(shard).processed(push()) == by("run-1")
    assert through_json(shard).processed(push(push_id="2")) == by("run-2")


@pytest.mark.parametrize("other", [push(tag="v2"), push(repository="b/c")])
def test_shard_with_another_tag_does_not_know_it(other):
    shard = DedupShard()
    shard.add(push(), by("run-1"))
    assert shard.processed(other) is None


def test_shard_with_the_same_generation_and_another_id_does_not_know_it():
    """A watcher killed before it stored its watermark counts the next push with the same generation."""
    shard = DedupShard()
    shard.add(push(push_id="first"), by("run-1"))
    assert shard.processed(push(push_id="second")) is None


def test_shard_without_an_id_remembers_nothing():
    bare = Notification.from_dict({"push_data": {"tag": "a"}, "repository": {"name": "b"}})
    shard = DedupShard()
    shard.add(bare, by("run"))
    assert shard.processed(bare) is None
    assert shard.to_dict() == {}


@pytest.mark.parametrize(
    "broken",
    [
        None, 1, "x", [], {"k": 1}, {"runs": 1, "tags": 2}, {"runs": [], "tags": {"k": [[0, "id"]]}},
        {"runs": [["r", 1]], "tags": {"k": 1}}, {"runs": [["r", 1]], "tags": {"k": [["0", "id"]]}},
        {"runs": ["r"], "tags": {}}, {"runs": [["r", "x"]], "tags": {}},
    ],
)  # fmt: skip
def test_shard_of_a_broken_store_is_empty(broken):
    assert DedupShard(broken).to_dict() == {}


def test_shard_that_is_full_forgets_the_oldest_tags():
    shard = DedupShard()
    for number in range(1500):
        shard.add(push(tag=f"t{number}", push_id=f"{number:032x}"), by("run"))
    assert len(json.dumps(shard.to_dict())) <= MAX_SHARD
    shard = through_json(shard)
    assert shard.processed(push(tag="t1499", push_id=f"{1499:032x}")) == by("run")
    assert shard.processed(push(tag="t0", push_id=f"{0:032x}")) is None


@pytest.mark.parametrize("pushes", [33, 100, 500])
def test_shard_with_all_pushes_of_a_long_run_knows_them_in_the_next(pushes):
    """Events that came during a run belong to the next one, and once more to the run after that."""
    one_by_one, at_once = DedupShard(), DedupShard()
    for number in range(pushes):
        one_by_one.add(push(push_id=f"{number:032x}"), by(f"run-{number}"))
        at_once.add(push(push_id=f"{number:032x}"), by("run-0"))
    for number in range(pushes):
        assert through_json(at_once).processed(push(push_id=f"{number:032x}")) == by("run-0")
        assert through_json(one_by_one).processed(push(push_id=f"{number:032x}")) == by(f"run-{number}")


def test_shard_with_one_tag_that_never_rests_knows_the_last_pushes():
    shard = DedupShard()
    for number in range(3000):
        shard.add(push(push_id=str(number)), by(f"run-{number}"))
    assert len(json.dumps(shard.to_dict())) <= MAX_SHARD
    after = through_json(shard)
    known = [number for number in range(3000) if after.processed(push(push_id=str(number)))]
    assert known == list(range(known[0], 3000))
    assert len(known) > 500


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 60), st.sampled_from("xyz"), st.integers(0, 9))))
def test_shard_after_any_pushes_knows_the_last_run_of_each(added):
    shard, known = DedupShard(), {}
    for tag, number, run, at in added:
        shard.add(push(tag=f"t{tag}", push_id=str(number)), by(run, at))
        known[tag, number] = by(run, at)
    after = through_json(shard)
    for (tag, number), processed in known.items():
        assert after.processed(push(tag=f"t{tag}", push_id=str(number))) == processed


def test_shard_of_any_tag_returns_one_of_32_stable_names():
    names = {shard_of(push(tag=f"t{number}")) for number in range(500)}
    assert len(names) == 32
    assert all(len(name) == 2 and int(name, 16) < 32 for name in names)
    assert shard_of(push()) == shard_of(push(push_id="9"))


class TaskInstance:
    def __init__(self, map_index=-1):
        self.dag_id, self.task_id, self.map_index = "secret_dag", "secret_task", map_index


class Stores(dict):
    def __missing__(self, asset):
        assert isinstance(asset, Asset)
        self[asset] = MemoryStore()
        return self[asset]


def memory_of(stores, run_id="secret_run", map_index=-1, rule_key=("rule",)):
    context = {"ti": TaskInstance(map_index), "run_id": run_id, "asset_state_store": stores}
    return Deduplicator(context, rule_key)


def test_deduplicator_in_another_run_names_the_time_of_the_first():
    stores = Stores()
    first = memory_of(stores)
    first.claim(push())
    first.save()
    reason = memory_of(stores, "second").duplicate_reason(push())
    assert "an earlier run of this Dag processed this push at 20" in reason


def test_deduplicator_in_a_retry_finds_no_duplicate():
    stores = Stores()
    first = memory_of(stores)
    first.claim(push())
    first.save()
    assert memory_of(stores).duplicate_reason(push()) is None


def test_deduplicator_with_the_same_push_twice_names_the_run():
    memory = memory_of(Stores())
    memory.claim(push())
    assert memory.duplicate_reason(push()) == "this push is in the same run twice"


def test_deduplicator_before_save_stores_nothing():
    stores = Stores()
    memory_of(stores).claim(push())
    assert stores[STATE_ASSET].values == {}


def test_deduplicator_of_a_mapped_task_remembers_each_rule_apart():
    stores = Stores()
    first = memory_of(stores, map_index=0, rule_key=("a",))
    first.claim(push())
    first.save()
    assert memory_of(stores, "second", map_index=1, rule_key=("b",)).duplicate_reason(push()) is None
    assert memory_of(stores, "second", map_index=1, rule_key=("a",)).duplicate_reason(push())


def test_deduplicator_after_save_stores_no_run_and_no_tag_name():
    stores = Stores()
    memory = memory_of(stores)
    memory.claim(push(tag="secret_tag"))
    memory.save()
    stored = json.dumps(list(stores[STATE_ASSET].values.values()))
    assert stored != "[]"
    assert "secret" not in stored


def test_null_deduplicator_with_the_same_push_finds_no_duplicate():
    memory = NullDeduplicator()
    memory.claim(push())
    memory.save()
    assert memory.duplicate_reason(push()) is None


def test_deduplicator_first_save_registers_its_state_for_removal():
    stores = Stores()
    memory = memory_of(stores)
    memory.claim(push())
    memory.save()
    keys = [key for key in next(iter(stores.values())).values if key.startswith("index/")]
    assert len(keys) == 1
