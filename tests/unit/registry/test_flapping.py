# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The limit on the pushes of a tag that keeps changing."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_registry_triggers.notification import TagState
from airflow_registry_triggers.registry.flapping import MIN_INTERVAL, WINDOW, FlapGuard

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def admitted(guard, times, limit, tag="v1"):
    """Push a tag at each of the times; a held push keeps its generation, as in a poll."""
    sent = []
    for now in times:
        if guard.admit(TagState(tag, len(sent) + 1, f"sha256:{now}"), limit, now):
            sent.append(now)
        guard.new_flapping(limit)
    return sent


def test_admit_of_fewer_pushes_than_the_limit_holds_none():
    times = [1000.0 + 400 * n for n in range(20)]
    assert admitted(FlapGuard(), times, 10) == times


def test_admit_after_the_limit_allows_one_push_in_five_minutes():
    sent = admitted(FlapGuard(), range(10_000, 20_000, 10), 10)
    assert sent[:10] == list(range(10_000, 10_100, 10))
    assert {after - before for before, after in itertools.pairwise(sent[9:])} == {MIN_INTERVAL}


def test_held_until_is_the_time_at_which_the_held_push_is_sent():
    guard = FlapGuard()
    admitted(guard, [1000, 1010], 2)
    assert guard.held_until(1010) == {}
    admitted(guard, [1000], 2, tag="calm")
    assert not guard.admit(TagState("v1", 3, "d"), 2, 1020)
    assert guard.held_until(1020) == {"v1": 1010 + MIN_INTERVAL}
    assert guard.held_until(1010 + MIN_INTERVAL) == {}, "a poll that found nothing more is not repeated"
    assert guard.admit(TagState("v1", 3, "d"), 2, 1010 + MIN_INTERVAL)
    assert guard.held_until(1011 + MIN_INTERVAL) == {}


def test_admit_after_a_calm_hour_counts_anew():
    guard = FlapGuard()
    admitted(guard, range(1000, 1100, 10), 3)
    later = 1100 + WINDOW
    assert guard.admit(TagState("v1", 90, "d"), 3, later)
    assert guard.admit(TagState("v1", 91, "d"), 3, later + 1)


def test_admit_of_the_same_generation_does_not_count():
    guard = FlapGuard()
    assert all(guard.admit(TagState("v1", 7, "d"), 2, 1000.0 + n) for n in range(50))
    assert guard.new_flapping(2) == []


def test_admit_after_the_clock_was_set_back_holds_nothing_for_long():
    guard = FlapGuard()
    admitted(guard, range(90_000, 90_100, 10), 3)
    assert admitted(guard, [5000.0], 3) == [5000.0]


def test_admit_with_limit_0_records_nothing():
    guard = FlapGuard()
    admitted(guard, range(1000, 1100), 0)
    assert guard.to_dict() == {}


def test_new_flapping_returns_each_tag_once():
    guard = FlapGuard()
    for generation in range(4):
        guard.admit(TagState("v1", generation, "d"), 3, 1000.0 + generation)
    assert [guard.new_flapping(3), guard.new_flapping(3)] == [["v1"], []]


@pytest.mark.parametrize("limit", [2, 10, 50])
def test_guard_after_a_round_trip_before_each_push_decides_the_same(limit):
    times = list(range(10_000, 20_000, 20))
    guard, sent = FlapGuard(), []
    for now in times:
        guard = FlapGuard.from_dict(json.loads(json.dumps(guard.to_dict())))
        if guard.admit(TagState("v1", len(sent) + 1, "d"), limit, now):
            sent.append(now)
        guard.new_flapping(limit)
    assert sent == admitted(FlapGuard(), times, limit)


def test_to_dict_of_many_tags_stays_small_and_keeps_the_latest():
    guard = FlapGuard()
    for number in range(5000):
        guard.admit(TagState(f"{number:0128}", 1, "d"), 10, 1000.0)
    stored = guard.to_dict()
    assert len(json.dumps(stored)) < 48_000
    assert f"{4999:0128}" in stored


def test_prune_forgets_tags_after_an_hour():
    guard = FlapGuard()
    guard.admit(TagState("v1", 1, "d"), 10, 1000.0)
    guard.prune(1000.0 + WINDOW)
    assert guard.to_dict() == {}


@given(JUNK)
def test_from_dict_of_any_value_returns_a_guard(value):
    assert FlapGuard.from_dict(value).admit(TagState("v1", 1, "d"), 10, 1.0)
