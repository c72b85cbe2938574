# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Rule 1: path and query in the spelling of the URL standard."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_registry_triggers.webhook.url_target import normalize_target, with_query

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@pytest.mark.parametrize(
    ("tail", "target"),
    [
        ("", "/"),
        ("?", "/"),
        ("#fragment", "/"),
        ("/a/./b/../c", "/a/c"),
        ("/a/%2e%2E/b", "/b"),
        ("/../../a", "/a"),
        ("/a/..", "/"),
        ("/a/.", "/a/"),
        ("/a//b", "/a//b"),
        ("/a b|c?d'e", "/a%20b|c?d%27e"),
        ("/\u00fc?\u00fc", "/%C3%BC?%C3%BC"),
        ("/a%2Fb", "/a%2Fb"),
        ("?a=b#c?d", "/?a=b"),
    ],
)
def test_normalize_target_of_a_tail_returns_its_spelling(tail: str, target: str) -> None:
    assert normalize_target(tail) == target


@given(TEXT)
def test_normalize_target_of_any_tail_is_stable_ascii(tail: str) -> None:
    target = normalize_target(f"/{tail}")
    assert target.startswith("/")
    assert target.isascii()
    assert normalize_target(target) == target


@pytest.mark.parametrize(
    ("target", "query", "result"),
    [
        ("/a", "", "/a"),
        ("/a", "?&k=v", "/a?k=v"),
        ("/a?b", "k=v", "/a?b&k=v"),
        ("/a", "k=\u00fc'", "/a?k=%C3%BC%27"),
    ],
)
def test_with_query_of_parameters_appends_them(target: str, query: str, result: str) -> None:
    assert with_query(target, query) == result


@pytest.mark.parametrize("query", ["planted b", "planted#b", "planted\r\n", "planted\x7f", "planted\ud800"])
def test_with_query_of_what_cannot_be_sent_raises_without_the_text(query: str) -> None:
    with pytest.raises(ValueError, match="secret_query") as error:
        with_query("/", query)
    assert "planted" not in str(error.value)
