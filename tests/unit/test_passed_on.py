# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_registry_triggers.notification import Notification
from airflow_registry_triggers.passed_on import MAX_SHARD, PassedOn, shard_of


def push(tag="v1", generation=1, epoch="e", repository="team/app"):
    return Notification.from_dict(
        {
            "push_data": {"tag": tag},
            "repository": {"repo_full_name": repository},
            "event": {"epoch": epoch, "generation": generation, "registry": "r"},
        }
    )


def test_what_was_passed_on_is_known_with_its_run():
    passed = PassedOn()
    assert passed.by_whom(push()) is None
    passed.add(push(), "run-1")
    assert PassedOn(json.loads(json.dumps(passed.to_dict()))).by_whom(push()) == "run-1"


@pytest.mark.parametrize(
    "other", [push(tag="v2"), push(generation=2), push(epoch="f"), push(repository="b/c")]
)
def test_another_push_is_not(other):
    passed = PassedOn()
    passed.add(push(), "run-1")
    assert passed.by_whom(other) is None


def test_a_generation_that_a_faster_run_skipped_over_has_not_been_passed_on():
    passed = PassedOn()
    passed.add(push(generation=6), "fast")
    assert passed.by_whom(push(generation=5)) is None
    passed.add(push(generation=5), "slow")
    assert passed.by_whom(push(generation=5)) == "slow"


def test_without_a_generation_nothing_is_a_repeat():
    bare = Notification.from_dict({"push_data": {"tag": "a"}, "repository": {"name": "b"}})
    passed = PassedOn()
    passed.add(bare, "run")
    assert passed.by_whom(bare) is None
    assert passed.to_dict() == {}


@pytest.mark.parametrize(
    "broken", [None, 1, "x", [], {"k": 1}, {"k": {"run": 1}}, {"k": {"run": "r", "generations": [1]}}]
)
def test_a_broken_store_counts_as_empty(broken):
    assert PassedOn(broken).to_dict() == {}


def test_the_oldest_make_room():
    passed = PassedOn()
    for number in range(1500):
        passed.add(push(tag=f"t{number}"), "run")
    assert len(json.dumps(passed.to_dict())) <= MAX_SHARD
    assert passed.by_whom(push(tag="t1499")) == "run"
    assert passed.by_whom(push(tag="t0")) is None


@given(st.lists(st.integers(1, 40)), st.integers(1, 40))
def test_exactly_the_added_generations_are_known(generations, asked):
    passed = PassedOn()
    for generation in generations:
        passed.add(push(generation=generation), "run")
    assert (passed.by_whom(push(generation=asked)) is not None) is (asked in generations)


def test_shards_are_two_hexadecimal_digits_and_stable():
    names = {shard_of(push(tag=f"t{number}")) for number in range(500)}
    assert len(names) == 32
    assert all(len(name) == 2 and int(name, 16) < 32 for name in names)
    assert shard_of(push()) == shard_of(push(generation=9))
