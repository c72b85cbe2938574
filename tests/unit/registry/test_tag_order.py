# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

import functools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_registry_triggers.registry.tag_order import TagOrder
from airflow_registry_triggers.tag_rule import TagRule
from airflow_registry_triggers.version_range import parse_version

VERSIONS = st.from_regex(r"v?[0-2]\.[0-2]\.[0-2](-(rc\.(0|[1-9][0-9]?)|alpine|0|[1-9]))?", fullmatch=True)
TAGS = VERSIONS | st.from_regex(r"[a-c0-3]{1,3}", fullmatch=True)


@pytest.mark.parametrize(
    ("newest", "conditions", "tags", "expected"),
    [
        ("version", {}, ["1.9.0", "latest", "1.10.0", "2.0.0-rc.1"], ["2.0.0-rc.1", "1.10.0", "1.9.0"]),
        ("version", {"semver": "*"}, ["1.9.0", "latest", "1.10.0", "2.0.0-rc.1"], ["1.10.0", "1.9.0"]),
        ("version", {"exclude_regex": "1.10.*"}, ["1.9.0", "1.10.0"], ["1.9.0"]),
        (
            "version",
            {"tag_regex": "app-(?P<version>.*)"},
            ["app-1.2.3", "1.9.0", "app-1.10.0"],
            ["app-1.10.0", "app-1.2.3"],
        ),
        (
            "version",
            {"tag_regex": "(?P<version>.*)-(?P<order>.*)"},
            ["1.2.3-2.0.0", "1.9.0-1.0.0"],
            ["1.2.3-2.0.0", "1.9.0-1.0.0"],
        ),
        ("number", {}, ["9", "10", "010", "1.0", "main", "\u0663"], ["010", "10", "9"]),
        (
            "number",
            {"tag_regex": "main-(?P<order>.*)"},
            ["main-9", "main-10", "11", "main-x"],
            ["main-10", "main-9"],
        ),
        ("number", {"tag_regex": "main-(?P<version>.*)"}, ["main-9"], []),
        ("number", {"tag_regex": "main(-(?P<order>.*))?"}, ["main", "main-1"], ["main-1"]),
        (
            "text",
            {},
            ["b", "a", "B", "2024-01-02", "2024-01-10"],
            ["b", "a", "B", "2024-01-10", "2024-01-02"],
        ),
        ("text", {"tag_regex": ".*_(?P<order>.*)"}, ["a_1", "b_0", "c"], ["a_1", "b_0"]),
    ],
)
def test_greatest_returns_covered_tags_with_a_key_in_descending_order(newest, conditions, tags, expected):
    assert TagOrder(newest, TagRule(**conditions)).greatest(tags) == expected


def test_greatest_returns_at_most_five_tags():
    tags = [f"1.0.{patch}" for patch in range(10)]
    assert TagOrder("version", TagRule()).greatest(tags) == tags[:4:-1]


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (None, ["1.2.3", "v1.2.3"]),
        ("v1.2.3", ["v1.2.3", "1.2.3"]),
        ("1.2.3", ["1.2.3", "v1.2.3"]),
        ("9.9.9", ["1.2.3", "v1.2.3"]),
    ],
)
def test_greatest_of_equal_keys_returns_the_stored_tag_first(stored, expected):
    order = TagOrder("version", TagRule())
    assert order.greatest(["v1.2.3", "1.0.0", "1.2.3"], stored)[:2] == expected
    assert order.greatest(["1.2.3", "1.0.0", "v1.2.3"], stored)[:2] == expected


@given(st.lists(VERSIONS, max_size=20, unique=True), st.randoms())
def test_greatest_by_version_agrees_with_the_order_of_the_library(tags, random):
    expected = sorted(tags)
    expected.sort(key=functools.cmp_to_key(lambda a, b: parse_version(b).compare(parse_version(a))))
    shuffled = random.sample(tags, len(tags))
    assert TagOrder("version", TagRule()).greatest(shuffled, limit=20) == expected


@given(st.sampled_from(["version", "number", "text"]), st.lists(TAGS, min_size=2, max_size=2), st.lists(TAGS))
def test_compare_agrees_with_greatest(newest, pair, others):
    order = TagOrder(newest, TagRule())
    result = order.compare(*pair)
    assert order.compare(*reversed(pair)) == -result
    if result > 0:
        ranked = order.greatest([*pair, *others], limit=1000)
        assert pair[1] not in ranked or ranked.index(pair[0]) < ranked.index(pair[1])


def test_key_of_very_many_digits_is_none():
    assert TagOrder("number", TagRule()).key("9" * 5000) is None
    assert TagOrder("number", TagRule()).key("9" * 128) == int("9" * 128)


@pytest.mark.parametrize(
    ("newest", "conditions", "text"),
    [
        ("latest", {}, "newest='latest' is not one of version, number, text."),
        (["version"], {}, "newest=['version'] is not one of version, number, text."),
        (
            "version",
            {"tags": ["a"]},
            "tags=['a'] and newest='version': newest cannot be combined with tags. Set one of them.",
        ),
    ],
)
def test_order_with_a_fault_raises_its_text(newest, conditions, text):
    with pytest.raises(ValueError) as error:
        TagOrder(newest, TagRule(**conditions))
    assert str(error.value) == text
