# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Large pages are parsed in portions at any depth, so that the event loop continues."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from airflow_registry_triggers.registry.http.json_pages import parse_page
from airflow_registry_triggers.registry.http.pagination import ListingReader
from airflow_registry_triggers.registry.http.rate_limits import Limits

KEYS = b",".join(b'"%07d":1' % number for number in range(500_000))
FILLER = ["f"] * 20_000  # more elements than a page that is parsed at once


async def longest_block(body: bytes) -> float:
    """Return the longest time in seconds that the event loop stood still while a page was read."""
    longest, last = 0.0, time.perf_counter()
    reading = asyncio.create_task(ListingReader(Limits(), "listing").read(body))
    while not reading.done():
        await asyncio.sleep(0.001)
        longest, last = max(longest, time.perf_counter() - last), time.perf_counter()
    assert await reading
    return longest


@pytest.mark.parametrize(
    ("before", "after"),
    [(b'"x":[{', b"}]"), (b'"manifest":{"d":{', b"}}"), (b'"x":{"a":{"b":[{"c":{', b"}}]}}")],
    ids=["array", "manifest", "deep"],
)
async def test_read_of_a_page_with_one_large_value_below_the_second_level_blocks_no_loop(
    before: bytes, after: bytes
) -> None:
    body = b'{"name":"team/app","tags":[],' + before + KEYS + after + b"}"
    began = time.perf_counter()
    json.loads(body)
    at_once = time.perf_counter() - began
    # The time of one call, so that the limit is also right on a slow machine.
    assert min([await longest_block(body) for _ in range(2)]) < max(0.1, at_once / 4)


@pytest.mark.parametrize("length", range(2020, 2056))
def test_parse_page_equals_json_where_a_portion_ends(length: int) -> None:
    text = ('a\\"]}é ' * 300)[:length]
    page = {
        "name": "a",
        "tags": FILLER,
        "x": [[text, 12345.5e3, True, None, {"k": [text[:9], -1]}], {"y": 1}],
    }
    for indent in (None, 1):
        assert parse_page(json.dumps(page, indent=indent).encode()) == page
        assert parse_page(json.dumps(page, indent=indent, ensure_ascii=False).encode()) == page


@pytest.mark.parametrize("depth", [1, 2, 3, 10, 30])
def test_parse_page_equals_json_at_any_depth(depth: int) -> None:
    value: object = {"tags": ["t" * 10] * 1000, "empty": [{}, [], ""]}
    for level in range(depth):
        value = {"k": value, "n": level} if level % 2 else [value, level]
    page = {"tags": FILLER, "x": value}
    assert parse_page(json.dumps(page).encode()) == page


@pytest.mark.parametrize(
    "value", ["[[%s", "[[%s}]", '[{"a":%s]', "[[%s,]]", "[[[%s]]", '[{"a" [%s]}]', "[[1 [%s]]]", "[[nul,%s]]"]
)
@pytest.mark.parametrize("length", [1, 5000])
def test_parse_page_with_a_fault_in_a_nested_value_is_not_json(value: str, length: int) -> None:
    body = f'{{"tags":{json.dumps(FILLER)},"x":' + value % f'"{"a" * length}"' + "}"
    assert parse_page(body.encode()) is None


def test_parse_page_with_long_values_below_32_levels_is_not_json() -> None:
    """Each level costs a portion that is parsed in vain, so their number has a limit."""
    leaf = b"[" * 400 + b'"%s"' % (b"a" * 2000) + b"]" * 400
    body = b'{"tags":[],"x":[' + b",".join([leaf] * 2400) + b"]}"
    assert parse_page(body) is None
    assert parse_page(b'{"tags":[],"x":' + b"[" * 900_000) is None
