# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Reading headers: total for whatever is sent, and right for what is known."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_registry_triggers.registry.http.headers import (
    Challenge,
    next_link,
    parse_challenges,
    quota_pause,
)

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
TOKEN = st.from_regex(r"[A-Za-z][A-Za-z0-9._-]{0,10}", fullmatch=True)
QUOTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('Basic realm="x"', [Challenge("basic", {"realm": "x"})]),
        ("BASIC REALM=x", [Challenge("basic", {"realm": "x"})]),
        ("Negotiate", [Challenge("negotiate")]),
        ("Negotiate YII==, Basic realm=x", [Challenge("negotiate"), Challenge("basic", {"realm": "x"})]),
        ("Negotiate, Basic realm=x", [Challenge("negotiate"), Challenge("basic", {"realm": "x"})]),
        (
            'Bearer realm="https://a.example/t?x=1,2",service="a, b",scope="repository:n:pull,push"',
            [
                Challenge(
                    "bearer",
                    {
                        "realm": "https://a.example/t?x=1,2",
                        "service": "a, b",
                        "scope": "repository:n:pull,push",
                    },
                )
            ],
        ),
        (
            'Bearer realm="a",Basic realm="b"',
            [Challenge("bearer", {"realm": "a"}), Challenge("basic", {"realm": "b"})],
        ),
        ('Bearer realm = "a" , service = b', [Challenge("bearer", {"realm": "a", "service": "b"})]),
        (r'Basic realm="say \"hi\" \\"', [Challenge("basic", {"realm": r'say "hi" ' + "\\"})]),
        ("", []),
        (",,", []),
        ('realm="x"', []),
    ],
)
def test_parse_challenges_of_one_header_returns_its_challenges(value: str, expected: list[Challenge]) -> None:
    assert parse_challenges([value]) == expected


def test_parse_challenges_of_several_headers_returns_all() -> None:
    assert [challenge.scheme for challenge in parse_challenges(["Basic realm=x", "Bearer realm=y"])] == [
        "basic",
        "bearer",
    ]


@given(
    st.lists(
        st.tuples(TOKEN, st.dictionaries(TOKEN.map(str.lower), QUOTABLE, min_size=1, max_size=4)), max_size=4
    )
)
def test_parse_challenges_of_any_written_challenges_returns_them(
    challenges: list[tuple[str, dict[str, str]]],
) -> None:
    def quoted(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    header = ", ".join(
        f"{scheme} " + ", ".join(f"{name}={quoted(value)}" for name, value in parameters.items())
        for scheme, parameters in challenges
    )
    assert parse_challenges([header]) == [
        Challenge(scheme.lower(), dict(found)) for scheme, found in challenges
    ]


@given(st.lists(st.text(max_size=200), max_size=3))
def test_parse_challenges_and_next_link_of_any_text_raise_nothing(values: list[str]) -> None:
    assert isinstance(parse_challenges(values), list)
    assert isinstance(next_link(values), str | None)


@pytest.mark.parametrize(
    "text", ['"' * 16000, "<" * 16000, 'a="' * 5000, "a," * 8000, "a=b;" * 4000, " " * 16000]
)
def test_parse_challenges_and_next_link_of_hostile_text_take_linear_time(text: str) -> None:
    began = time.thread_time()  # of this thread alone, whatever else the machine does
    parse_challenges([text, f"Bearer {text}"])
    next_link([text, f"<x>; {text}"])
    assert time.thread_time() - began < 5


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('</v2/x?last=1>; rel="next"', "/v2/x?last=1"),
        ("</v2/x?a=1,2;3>; rel=next", "/v2/x?a=1,2;3"),
        ('/v2/x?last=1; rel="next"', "/v2/x?last=1"),
        ('</a>; rel="prev", </b>; rel="next"', "/b"),
        ('</a>; rel="first"', None),
        ("</a>", None),
        ('</a>; rel="next-archive"', None),
        ('</a>; title="rel=next"', None),
        ("", None),
    ],
)
def test_next_link_of_a_header_returns_the_url_or_none(value: str, expected: str | None) -> None:
    assert next_link([value]) == expected


@pytest.mark.parametrize(
    ("remaining", "limit", "reset", "expected"),
    [
        ("1", None, None, None),
        ("76;w=21600", "100;w=21600", None, None),
        ("0;w=21600", "100;w=21600", None, 216.0),
        ("0;w=21600", None, None, 21600.0),
        ("0", "100;w=60", None, 0.6),
        ("0", "0;w=60", None, 60.0),
        ("0", None, "30", 30.0),
        ("0", "100;w=21600", "1800000060", 60.0),
        ("0", None, "1799999999", 0.0),
        ("0", None, None, 0.0),
        ("none", "100;w=60", "3", None),
        (None, None, "3", None),
    ],
)
def test_quota_pause_of_rate_limit_headers_returns_seconds_or_none(
    remaining: str | None, limit: str | None, reset: str | None, expected: float | None
) -> None:
    assert quota_pause(remaining, limit, reset, 1_800_000_000) == expected


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_quota_pause_of_any_text_raises_nothing(remaining: str, limit: str, reset: str) -> None:
    told = quota_pause(remaining, limit, reset, 1_800_000_000)
    assert told is None or told >= 0
