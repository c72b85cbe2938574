# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Paths of a body, and the errors that name them."""

from __future__ import annotations

import pytest

from airflow_registry_triggers.inbound.fields import Fields, NotUnderstood, lower_names, parse_body

BODY = Fields({"a": {"b": "text", "n": 5, "null": None}, "list": [{"c": "x"}, {}]})


def test_get_of_absent_path_returns_none() -> None:
    assert (BODY.get("a.x.y"), BODY.get("a.b.c"), BODY.get("a.b")) == (None, None, "text")


def test_has_is_true_for_null() -> None:
    assert BODY.has("a.null")
    assert not BODY.has("a.x")
    assert not BODY.has("a.b.c")


def test_text_of_another_kind_is_empty() -> None:
    assert (BODY.text("a.n"), BODY.text("a.b"), BODY.text("x")) == ("", "text", "")


def test_each_names_the_item_in_its_errors() -> None:
    first, second = BODY.each("list")
    assert first.required("c") == "x"
    with pytest.raises(NotUnderstood, match=r"^the key list\[\]\.c is missing or is not text$"):
        second.required("c")


def test_each_of_another_kind_raises() -> None:
    with pytest.raises(NotUnderstood, match="the key a is missing or is not a list"):
        BODY.each("a")


def test_within_keeps_the_path() -> None:
    with pytest.raises(NotUnderstood, match=r"the key a\.x is"):
        BODY.within("a").required("x")


def test_lower_names_changes_no_value() -> None:
    assert lower_names({"X-Api-Key": "VaLue"}) == {"x-api-key": "VaLue"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_parse_body_reads_each_encoding_of_json(encoding: str) -> None:
    assert parse_body('{"a": "ü"}'.encode(encoding), {}) == {"a": "ü"}
