# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The stored form of hints: nothing lost below the limits, ``seq`` grows, the row stays small and fair."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from airflow_registry_triggers.inbound.dialects import PushEvent
from airflow_registry_triggers.inbound.hint_row import (
    ALL_TAGS,
    Hints,
    hints_of,
    is_stored,
    merge,
    newer_than,
    seq_of,
    tag_count,
)

NOW = 1_764_112_345_678
KEY = ("registry_default", "team/app")
LIMIT = 40_000


def event(repository: str, tag: str | None = "v1", registry: str = "") -> PushEvent:
    return PushEvent(registry, repository, tag, None, "")


def size(row: dict[str, Any]) -> int:
    return len(json.dumps(row).encode())


# The form


def test_merge_into_nothing_gives_the_documented_form() -> None:
    assert merge(None, {KEY: {"v1.2"}}, NOW) == {
        "v": 1,
        "seq": NOW,
        "hints": {"registry_default|team/app": {"v1.2": NOW}},
    }


def test_merge_keeps_the_tags_of_the_row_with_their_seq() -> None:
    row = merge(merge(None, {KEY: {"v1", "v2"}}, NOW), {KEY: {"v2"}, ("other", "app"): {ALL_TAGS}}, NOW + 5)
    assert row["hints"] == {
        "registry_default|team/app": {"v1": NOW, "v2": NOW + 5},
        "other|app": {"*": NOW + 5},
    }


def test_merge_does_not_change_the_row_it_is_given() -> None:
    row = merge(None, {KEY: {f"v{number}" for number in range(50)}}, NOW)
    before = copy.deepcopy(row)
    merge(row, {KEY: {"w"}}, NOW + 1)
    assert row == before


def test_merge_with_a_clock_that_is_behind_still_grows() -> None:
    row = merge(None, {KEY: {"v1"}}, NOW)
    assert merge(row, {KEY: {"v1"}}, NOW - 3_600_000)["seq"] == NOW + 1


def test_merge_removes_entries_older_than_60_seconds() -> None:
    row = merge(None, {KEY: {"v1"}}, NOW)
    assert "registry_default|team/app" in merge(row, {("c", "r"): {"t"}}, NOW + 60_000)["hints"]
    assert list(merge(row, {("c", "r"): {"t"}}, NOW + 60_001)["hints"]) == ["c|r"]


def test_merge_of_more_than_50_tags_becomes_all_tags() -> None:
    fifty = {f"v{number}" for number in range(50)}
    row = merge(None, {KEY: fifty}, NOW)
    assert row["hints"]["registry_default|team/app"].keys() == fifty
    row = merge(row, {KEY: {"v0"}}, NOW + 1)
    assert len(row["hints"]["registry_default|team/app"]) == 50
    row = merge(row, {KEY: {"new"}}, NOW + 2)
    assert row["hints"]["registry_default|team/app"] == {"*": NOW + 2}


def test_merge_keeps_all_tags_beside_single_tags() -> None:
    row = merge(merge(None, {KEY: {ALL_TAGS}}, NOW), {KEY: {f"v{n}" for n in range(50)}}, NOW + 1)
    assert len(row["hints"]["registry_default|team/app"]) == 51


@pytest.mark.parametrize(
    "row",
    [
        None,
        5,
        "text",
        [],
        {},
        {"v": 2, "seq": NOW, "hints": {}},
        {"v": 1, "seq": "1", "hints": {}},
        {"v": 1, "seq": True, "hints": {}},
        {"v": 1, "seq": -5, "hints": {}},
        {"v": 1, "seq": 2**53, "hints": {"c|r": {"t": 1}}},
        {"v": 1, "seq": 10**4299, "hints": {"c|r": {"t": 1}}},
        {"v": 1, "hints": {"c|r": {"t": 1}}},
    ],
)
def test_unreadable_row_counts_as_empty(row: Any) -> None:
    assert seq_of(row) == 0
    assert newer_than(row, -1) == {}
    assert not is_stored(row, {KEY: {"v1"}}, NOW)
    assert merge(row, {KEY: {"v1"}}, NOW) == merge(None, {KEY: {"v1"}}, NOW)


def test_row_with_the_largest_seq_is_read() -> None:
    row = {"v": 1, "seq": 2**53 - 1, "hints": {"c|r": {"t": 2**53 - 1, "u": 2**53}}}
    assert seq_of(row) == 2**53 - 1
    assert newer_than(row, -1) == {("c", "r"): {"t"}}


@pytest.mark.parametrize(
    "hints", [5, None, [], {"c|r": 5}, {"no separator": {"t": NOW}}, {"c|r": {"t": "x", "u": None}}]
)
def test_unreadable_entries_of_a_row_are_left_out(hints: Any) -> None:
    row = {"v": 1, "seq": NOW, "hints": hints}
    assert merge(row, {KEY: {"v1"}}, NOW) == {
        "v": 1,
        "seq": NOW + 1,
        "hints": {"registry_default|team/app": {"v1": NOW + 1}},
    }


def test_entry_above_the_seq_of_its_row_is_not_new_forever() -> None:
    row = {"v": 1, "seq": NOW, "hints": {"c|r": {"t": NOW + 10**9}}}
    assert newer_than(row, NOW - 1) == {("c", "r"): {"t"}}
    assert newer_than(row, seq_of(row)) == {}


# Reading


def test_newer_than_returns_only_what_was_not_seen() -> None:
    first = merge(None, {KEY: {"v1"}}, NOW)
    second = merge(first, {KEY: {"v2"}, ("other", "app"): {"x"}}, NOW + 1)
    assert newer_than(second, -1) == {KEY: {"v1", "v2"}, ("other", "app"): {"x"}}
    assert newer_than(second, seq_of(first)) == {KEY: {"v2"}, ("other", "app"): {"x"}}
    assert newer_than(second, seq_of(second)) == {}


def test_newer_than_with_a_seq_that_went_down_returns_the_whole_row() -> None:
    row = merge(None, {KEY: {"v1"}}, NOW)
    assert newer_than(row, NOW + 1) == {KEY: {"v1"}}


def test_is_stored_is_true_only_with_all_own_hints() -> None:
    own: Hints = {KEY: {"v1", "v2"}}
    row = merge(None, own, NOW)
    assert is_stored(row, own, NOW)
    assert is_stored(merge(row, {KEY: {"v2"}}, NOW + 5), own, NOW)
    assert is_stored(merge(row, {KEY: {f"w{n}" for n in range(50)}}, NOW + 5), own, NOW)
    assert not is_stored(row, own, NOW + 1)
    assert not is_stored(merge(None, {KEY: {"v1"}}, NOW + 5), own, NOW)
    assert not is_stored(merge(None, {("other", "team/app"): {"v1", "v2"}}, NOW + 5), own, NOW)


# From push events


def test_hints_of_collects_the_tags_of_a_repository() -> None:
    events = [event("team/app", "v1"), event("team/app", "v2"), event("team/app", None), event("other", "v1")]
    assert hints_of("c", events) == {("c", "team/app"): {"v1", "v2", ALL_TAGS}, ("c", "other"): {"v1"}}
    assert tag_count([*events, *events]) == 4


@pytest.mark.parametrize("registry", ["example.jfrog.io/docker-local", "/docker-local"])
def test_hints_of_registry_with_a_prefix_has_both_names(registry: str) -> None:
    events = [event("team/app", "v1", registry)]
    assert hints_of("c", events) == {("c", "team/app"): {"v1"}, ("c", "docker-local/team/app"): {"v1"}}
    assert tag_count(events) == 1


def test_hints_of_prefix_outside_the_grammar_has_the_plain_name() -> None:
    assert hints_of("c", [event("team/app", "v1", "host/Docker-Local")]) == {("c", "team/app"): {"v1"}}


@pytest.mark.parametrize(
    "name", ["Team/App", "namespace/repoTest", "../app", "team/app:v1", "", "a" * 256, "team|app"]
)
def test_hints_of_skips_names_outside_the_grammar(name: str) -> None:
    assert hints_of("c", [event(name)]) == {}
    assert tag_count([event(name)]) == 0


# Properties

CONNECTIONS = st.sampled_from(["a", "registry_default", "c.d-e_f"])
REPOSITORIES = st.sampled_from(["app", "team/app", "team/other"])
TAGS = st.sampled_from([ALL_TAGS, *(f"v{number}" for number in range(60))])
HINTS = st.dictionaries(
    st.tuples(CONNECTIONS, REPOSITORIES), st.sets(TAGS, min_size=1, max_size=60), min_size=1, max_size=4
)
CLOCKS = st.integers(NOW - 30_000, NOW + 30_000)


def is_found(found: Hints, key: tuple[str, str], tag: str) -> bool:
    return bool({tag, ALL_TAGS} & found.get(key, set()))


@given(writes=st.lists(st.tuples(HINTS, CLOCKS), min_size=1, max_size=12), reads=st.sets(st.integers(0, 11)))
def test_no_tag_is_lost_and_seq_grows_with_clocks_that_differ(
    writes: list[tuple[Hints, int]], reads: set[int]
) -> None:
    """A reader that comes now and then sees each hint, as all clocks are within the 60 seconds."""
    row: Any = None
    seen, pending = -1, set()
    for number, (hints, clock) in enumerate(writes):
        before = seq_of(row)
        row = json.loads(json.dumps(merge(row, hints, clock)))
        assert row["seq"] > before
        assert is_stored(row, hints, row["seq"])
        pending |= {(key, tag) for key, tags in hints.items() for tag in tags}
        if number in reads or number == len(writes) - 1:
            found = newer_than(row, seen)
            assert all(is_found(found, key, tag) for key, tag in pending)
            seen, pending = seq_of(row), set()
            assert newer_than(row, seen) == {}


@given(
    row=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["v", "seq", "hints", "a|b", "x"]), inner, max_size=4)
        ),
        max_leaves=12,
    )
)
def test_any_stored_value_can_be_read_and_merged(row: Any) -> None:
    merged = merge(row, {KEY: {"v1"}}, NOW)
    assert newer_than(merged, seq_of(row))[KEY] == {"v1"}
    assert size(merged) <= LIMIT
    newer_than(row, 0)
    is_stored(row, {KEY: {"v1"}}, 0)


# Limits


def many(conn_id: str, count: int, length: int = 30) -> Hints:
    return {(conn_id, f"r{number:05}".ljust(length, "x")): {"v1"} for number in range(count)}


@settings(max_examples=30, deadline=None)
@given(
    writes=st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(1, 1500), st.integers(10, 250)), min_size=1, max_size=5
    )
)
def test_row_never_exceeds_its_size(writes: list[tuple[str, int, int]]) -> None:
    row: Any = None
    for number, (conn_id, count, length) in enumerate(writes):
        row = merge(row, many(conn_id, count, length), NOW + number)
        assert size(row) <= LIMIT
        assert row["hints"]
        assert all(row["hints"].values())


@pytest.mark.parametrize("text", ["ü" * 100, "\\" * 100, '"' * 100])
def test_row_with_escaped_text_never_exceeds_its_size(text: str) -> None:
    row = merge(None, {("c", f"{text}{number}"): {text} for number in range(200)}, NOW)
    assert 0 < size(row) <= LIMIT


def test_row_is_filled_up_to_its_size() -> None:
    row = merge(None, many("a", 5000), NOW)
    assert LIMIT - 200 < size(row) <= LIMIT


def test_row_keeps_the_newest_entries_of_the_connection_that_floods_it() -> None:
    row = merge(None, many("a", 300), NOW)
    row = merge(row, {("a", f"new{number}"): {"v1"} for number in range(700)}, NOW + 1)
    kept = newer_than(row, -1)
    assert all(("a", f"new{number}") in kept for number in range(700))
    assert 0 < sum(name.startswith("r") for _, name in kept) < 300


def test_connection_cannot_push_out_the_hints_of_another() -> None:
    own: Hints = {("quiet", f"app{number}"): {"v1"} for number in range(20)}
    row = merge(None, own, NOW)
    for number in range(5):
        row = merge(row, many("flood", 5000), NOW + 1 + number)
    assert is_stored(row, own, NOW)
    assert size(row) <= LIMIT


def test_connection_with_few_large_entries_cannot_push_out_many_small_ones() -> None:
    own: Hints = {("quiet", f"app{number}"): {"v1"} for number in range(200)}
    row = merge(None, own, NOW)
    row = merge(row, many("flood", 150, 250), NOW + 1)
    assert is_stored(row, own, NOW)
    assert size(row) <= LIMIT


@settings(max_examples=30, deadline=None)
@given(
    quiet=st.tuples(st.integers(1, 350), st.integers(6, 30)),
    floods=st.lists(st.tuples(st.integers(30, 400), st.integers(20, 900)), min_size=1, max_size=4),
)
def test_connection_with_at_most_half_of_the_row_keeps_all_hints(
    quiet: tuple[int, int], floods: list[tuple[int, int]]
) -> None:
    own = many("quiet", *quiet)
    row = merge(None, own, NOW)
    assume(size(row) < LIMIT / 2)
    for number, (count, length) in enumerate(floods):
        row = merge(row, many("flood", count, length), NOW + 1 + number)
        assert is_stored(row, own, NOW)


def test_connections_that_all_flood_keep_equal_shares() -> None:
    row: Any = None
    for number, conn_id in enumerate("abc"):
        row = merge(row, many(conn_id, 3000), NOW + number)
    shares = [sum(key[0] == conn_id for key in newer_than(row, -1)) for conn_id in "abc"]
    assert max(shares) - min(shares) <= 1


def test_one_entry_above_the_limit_leaves_an_empty_row() -> None:
    assert merge(None, {("c", "r" * 50_000): {"v1"}}, NOW) == {"v": 1, "seq": NOW, "hints": {}}
