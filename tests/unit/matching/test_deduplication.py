# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_registry_triggers.matching.deduplication import MAX_SHARD, DedupShard, shard_of
from airflow_registry_triggers.notification import Notification


def push(tag="v1", push_id="1", repository="team/app"):
    return Notification.from_dict(
        {
            "push_data": {"tag": tag},
            "repository": {"repo_full_name": repository},
            "event": {"id": push_id, "registry": "r", "generation": 1},
        }
    )


def through_json(passed):
    return DedupShard(json.loads(json.dumps(passed.to_dict())))


def test_what_was_passed_on_is_known_with_its_run():
    passed = DedupShard()
    assert passed.by_whom(push()) is None
    passed.add(push(), "run-1")
    passed.add(push(push_id="2"), "run-2")
    assert through_json(passed).by_whom(push()) == "run-1"
    assert through_json(passed).by_whom(push(push_id="2")) == "run-2"


@pytest.mark.parametrize("other", [push(tag="v2"), push(repository="b/c")])
def test_another_tag_is_another(other):
    passed = DedupShard()
    passed.add(push(), "run-1")
    assert passed.by_whom(other) is None


def test_the_same_generation_with_another_id_has_not_been_passed_on():
    """A watcher killed before its watermark moved counts the next push with the same generation."""
    passed = DedupShard()
    passed.add(push(push_id="first"), "run-1")
    assert passed.by_whom(push(push_id="second")) is None


def test_without_an_id_nothing_is_a_repeat():
    bare = Notification.from_dict({"push_data": {"tag": "a"}, "repository": {"name": "b"}})
    passed = DedupShard()
    passed.add(bare, "run")
    assert passed.by_whom(bare) is None
    assert passed.to_dict() == {}


@pytest.mark.parametrize(
    "broken",
    [
        None, 1, "x", [], {"k": 1}, {"runs": 1, "tags": 2}, {"runs": [], "tags": {"k": [[0, "id"]]}},
        {"runs": ["r"], "tags": {"k": 1}}, {"runs": ["r"], "tags": {"k": [["0", "id"]]}},
    ],
)  # fmt: skip
def test_a_broken_store_counts_as_empty(broken):
    assert DedupShard(broken).to_dict() == {}


def test_the_oldest_make_room():
    passed = DedupShard()
    for number in range(1500):
        passed.add(push(tag=f"t{number}", push_id=f"{number:032x}"), "run")
    assert len(json.dumps(passed.to_dict())) <= MAX_SHARD
    passed = through_json(passed)
    assert passed.by_whom(push(tag="t1499", push_id=f"{1499:032x}")) == "run"
    assert passed.by_whom(push(tag="t0", push_id=f"{0:032x}")) is None


@pytest.mark.parametrize("pushes", [33, 100, 500])
def test_all_pushes_of_a_tag_while_one_run_lasted_are_known_to_the_next(pushes):
    """Events that came while runs were held up are given to one run, and once more to the one behind it."""
    runs = [f"asset_triggered__2026-01-01T00:00:00.{number:06}+00:00" for number in range(pushes)]
    one_by_one, at_once = DedupShard(), DedupShard()
    for number, run in enumerate(runs):
        one_by_one.add(push(push_id=f"{number:032x}"), run)
        at_once.add(push(push_id=f"{number:032x}"), runs[0])
    for number, run in enumerate(runs):
        assert through_json(at_once).by_whom(push(push_id=f"{number:032x}")) == runs[0]
        assert through_json(one_by_one).by_whom(push(push_id=f"{number:032x}")) == run


def test_of_one_tag_that_moves_for_ever_the_last_are_known():
    passed = DedupShard()
    for number in range(3000):
        passed.add(push(push_id=str(number)), f"run-{number}")
    assert len(json.dumps(passed.to_dict())) <= MAX_SHARD
    known = [number for number in range(3000) if through_json(passed).by_whom(push(push_id=str(number)))]
    assert known == list(range(known[0], 3000))
    assert len(known) > 500


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 60), st.sampled_from("xyz"))))
def test_what_was_added_last_is_what_is_known(added):
    passed, known = DedupShard(), {}
    for tag, number, run in added:
        passed.add(push(tag=f"t{tag}", push_id=str(number)), run)
        known[tag, number] = run
    after = through_json(passed)
    for (tag, number), run in known.items():
        assert after.by_whom(push(tag=f"t{tag}", push_id=str(number))) == run


def test_shards_are_two_hexadecimal_digits_and_stable():
    names = {shard_of(push(tag=f"t{number}")) for number in range(500)}
    assert len(names) == 32
    assert all(len(name) == 2 and int(name, 16) < 32 for name in names)
    assert shard_of(push()) == shard_of(push(push_id="9"))
