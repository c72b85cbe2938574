# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A cloud's message as errors show it: short, on one line, without secrets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_registry_triggers.hooks.clouds.request import CloudFailure, CloudRequest, CloudToken, shown
from tests.unit.hooks.clouds.targets import cloud

SECRET = "planted secret/0123456789"


def connection(**extra):
    return cloud("aws", login="AKIA", password=SECRET, extra=extra)


@given(st.text(max_size=400), st.text(max_size=400))
def test_shown_text_has_one_printable_line_without_the_password(before, after):
    text = shown(before + SECRET + after, connection())
    assert SECRET not in text
    assert text.isprintable()
    assert len(text) <= 301


@pytest.mark.parametrize(
    "extra",
    [
        {"aws_session_token": "planted-value-1"},
        {"access_key_secret": "planted-value-1"},
        {"keyfile_dict": {"private_key": "planted-value-1"}},
        {"proxy": "http://u:planted-value-1@proxy"},
    ],
)
def test_shown_text_contains_no_secret_of_the_extra(extra):
    (value,) = extra.values()
    secret = value if isinstance(value, str) else value["private_key"]
    assert "planted-value-1" not in shown(f"x {secret} y", connection(**extra))


def test_shown_text_contains_no_token_of_an_answer():
    token = "eyJ" + "a" * 80 + "." + "b" * 40
    assert shown(f"the token {token} is not valid", connection()) == "the token *** is not valid"


def test_shown_text_keeps_paths_and_names():
    assert (
        shown("no file '/keys/key.json'", connection(key_path="/keys/key.json")) == "no file '/keys/key.json'"
    )


def test_repr_of_a_request_and_of_a_token_shows_no_secret():
    request = CloudRequest(connection(), "h", proxy="http://u:planted@p")
    assert "planted" not in repr(request)
    assert "planted" not in repr(CloudToken("user", "planted", 1.0))


def test_text_of_a_request_is_the_first_that_is_set():
    request = CloudRequest(connection(a="", b="value", c=7), "h")
    assert request.text("a", "b") == "value"
    assert request.text("a") == ""
    with pytest.raises(CloudFailure, match="c in the extra must be text"):
        request.text("a", "c")
