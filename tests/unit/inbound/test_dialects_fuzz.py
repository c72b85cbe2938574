# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Mutated webhooks: push events or ``NotUnderstood``, never another exception, never a value in its text."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_registry_triggers.inbound.dialects import DIALECTS, NotUnderstood, PushEvent, read_push_events
from airflow_registry_triggers.oci_names import is_digest, is_tag
from tests.unit.inbound.samples import EXPECTED, encode, parse_sample, read_sample

NAMES = sorted(EXPECTED)
RAW = {name: read_sample(name) for name in NAMES}
SAMPLES = {name: parse_sample(name) for name in NAMES}
SECRET = "planted-secret-8f2a"
DIALECT_NAMES = {row.name for row in DIALECTS}

HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "X-Gitea-Event",
            "x-forgejo-event",
            "X-GitHub-Event",
            "x-nexus-webhook-id",
            "ce-type",
            "ce-id",
            "content-type",
        ]
    ),
    st.sampled_from(
        [
            "package",
            "zotregistry.image.updated",
            "zotregistry.",
            "application/x-www-form-urlencoded",
            "",
            "\xff",
        ]
    ),
    max_size=3,
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.sampled_from(["\ud800", "\x00", SECRET, "a/b:c@d", "push", "INSERT", "/", ":", "@", "PUSH_ARTIFACT"]),
)
KEYS = st.sampled_from(
    [
        "events",
        "action",
        "target",
        "repository",
        "tag",
        "digest",
        "data",
        "resources",
        "message",
        "type",
        "owner",
        "name",
        "component",
        "format",
        "x",
    ]
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=4,
)


def paths(value: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [prefix] if prefix else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found += paths(item, (*prefix, key))
    return found


PATHS = {name: [path for path in paths(SAMPLES[name]) if len(path) <= 5] for name in NAMES}


def mutate(value: Any, path: tuple[Any, ...], action: str, new: Any) -> None:
    for part in path[:-1]:
        if not isinstance(value, dict | list):
            return
        try:
            value = value[part]
        except (LookupError, TypeError):
            return
    last = path[-1]
    if (isinstance(value, dict) and last in value) or (
        isinstance(value, list) and isinstance(last, int) and last < len(value)
    ):
        if action == "remove":
            del value[last]
        else:
            value[last] = new


PLAIN = [
    None,
    True,
    5,
    -1.5,
    10**30,
    "",
    "x",
    SECRET,
    "\ud800",
    "\x00",
    "a/b:c@d",
    "push",
    "/",
    [],
    {},
    [[]],
    {"x": {}},
]


def mutated(rng: random.Random) -> bytes:
    """Return a sample with one to four keys removed, or replaced by other values, some from other samples."""
    name = rng.choice(NAMES)
    body = json.loads(RAW[name])
    for _ in range(rng.randrange(1, 5)):
        other = json.loads(RAW[rng.choice(NAMES)])
        new = rng.choice(
            [*PLAIN, other, rng.choice(list(other.values() if isinstance(other, dict) else other))]
        )
        mutate(body, rng.choice(PATHS[name]), rng.choice(["remove", "replace", "replace"]), new)
    return encode([body] if rng.random() < 0.05 else body)


def broken(rng: random.Random) -> bytes:
    """Return a sample with some of its bytes replaced."""
    body = bytearray(RAW[rng.choice(NAMES)])
    at = rng.randrange(len(body))
    body[at : at + rng.randrange(40)] = rng.randbytes(rng.randrange(6))
    return bytes(body)


def check(body: bytes, headers: dict[str, str]) -> None:
    try:
        name, events = read_push_events(body, headers)
    except NotUnderstood as problem:
        assert SECRET not in str(problem)
        assert re.fullmatch(r"[ -~]{1,300}", str(problem))
        return
    assert name in DIALECT_NAMES
    for event in events:
        check_event(event)


def check_event(event: PushEvent) -> None:
    assert event.repository
    assert event.repository.isprintable()
    assert event.registry.isprintable()
    assert event.event_id.isprintable()
    assert event.tag is None or is_tag(event.tag)
    assert event.digest is None or is_digest(event.digest)
    json.dumps(event).encode()
    "".join(part or "" for part in event).encode()


# One number is drawn for each example, as hypothesis takes ten times as long to draw the parts of a body.
SEEDS = st.integers(0, 2**64)


@settings(max_examples=5000, deadline=None)
@given(seed=SEEDS, headers=HEADERS)
def test_read_push_events_of_mutated_json_raises_only_not_understood(
    seed: int, headers: dict[str, str]
) -> None:
    check(mutated(random.Random(seed)), headers)


@settings(max_examples=1000, deadline=None)
@given(seed=SEEDS, headers=HEADERS)
def test_read_push_events_of_broken_bytes_raises_only_not_understood(
    seed: int, headers: dict[str, str]
) -> None:
    check(broken(random.Random(seed)), headers)


@settings(max_examples=500, deadline=None)
@given(body=st.binary(max_size=60) | VALUES.map(encode), headers=HEADERS)
def test_read_push_events_of_any_body_raises_only_not_understood(
    body: bytes, headers: dict[str, str]
) -> None:
    check(body, headers)


@settings(max_examples=500, deadline=None)
@given(name=st.sampled_from(NAMES), at=st.integers(0, 1000), new=VALUES)
def test_read_push_events_with_any_value_at_a_key_raises_only_not_understood(
    name: str, at: int, new: Any
) -> None:
    body = json.loads(RAW[name])
    mutate(body, PATHS[name][at % len(PATHS[name])], "replace", new)
    check(encode(body), {})


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("new", [..., None, 5, True, "", "x", [], [5], {}, {"x": 5}])
def test_read_push_events_with_each_key_removed_or_changed_raises_only_not_understood(
    name: str, new: Any
) -> None:
    for path in PATHS[name]:
        body = json.loads(RAW[name])
        mutate(body, path, "remove" if new is ... else "replace", new)
        check(encode(body), {})
