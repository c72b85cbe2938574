# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The recorded part of headers and bodies is masked, escaped and at most 4 KiB."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_registry_triggers.webhook.answer import Answer
from airflow_registry_triggers.webhook.redaction.capture import (
    MAX_RECORDED,
    kept_body,
    recorded_body,
    recorded_headers,
    recorded_request_body,
)
from airflow_registry_triggers.webhook.redaction.secrets import MASK, Masker

SECRET = "planted-secret"
MASKER = Masker([SECRET])


@given(
    st.lists(st.tuples(st.text(max_size=300), st.text(max_size=3000)), max_size=150),
    st.integers(100, MAX_RECORDED),
)
def test_recorded_headers_of_any_size_are_within_the_limit(
    headers: list[tuple[str, str]], limit: int
) -> None:
    recorded = recorded_headers(headers, Masker(), limit=limit)
    assert len(json.dumps(recorded)) <= limit
    assert json.dumps(recorded).isascii()


def test_recorded_headers_over_the_limit_say_how_many_are_left_out() -> None:
    headers = [(f"X-{number}", "a" * 500) for number in range(120)]
    recorded = recorded_headers(headers, Masker())
    kept = [name for name in recorded if name.startswith("X-")]
    assert kept == [f"X-{number}" for number in range(len(kept))]
    assert 5 < len(kept) < 9
    assert recorded["[cut]"] == f"{120 - len(kept)} more headers"


def test_recorded_headers_within_the_limit_are_whole() -> None:
    headers = [("Content-Type", "text/plain"), ("X-A", "1"), ("X-A", "2")]
    assert recorded_headers(headers, Masker()) == {"Content-Type": "text/plain", "X-A": "1, 2"}


def test_recorded_headers_secret_names_are_masked_in_any_case() -> None:
    recorded = recorded_headers([("X-PIN", "12"), ("Accept", "*/*")], Masker(), {"x-pin"})
    assert recorded == {"X-PIN": MASK, "Accept": "*/*"}


@pytest.mark.parametrize("at", range(MAX_RECORDED - 20, MAX_RECORDED + 2, 3))
def test_recorded_request_body_secret_at_the_cut_is_left_out(at: int) -> None:
    recorded = recorded_request_body(b"." * at + SECRET.encode() + b"." * 99, MASKER)
    assert len(recorded) <= MAX_RECORDED
    assert SECRET[:4] not in recorded


@given(st.binary(max_size=9000))
def test_recorded_body_of_any_bytes_is_short_ascii(body: bytes) -> None:
    recorded = recorded_body(Answer(200, [], bytearray(body)), MASKER)
    assert len(recorded) <= MAX_RECORDED
    assert recorded.isascii()
    assert recorded.isprintable() or not recorded


def test_recorded_body_that_is_compressed_is_not_shown() -> None:
    answer = Answer(200, [("Content-Encoding", "gzip")], bytearray(b"\x1f\x8b" + SECRET.encode()))
    assert recorded_body(answer, MASKER) == "[not shown: Content-Encoding gzip, 16 bytes read]"


def test_kept_body_of_utf8_json_stays_json() -> None:
    body = '{\n  "error": "Gültigkeit: 部署"\n}'
    assert kept_body(Answer(200, [], bytearray(body.encode())), Masker()) == body


def test_kept_body_of_long_utf8_is_cut_at_4_kib() -> None:
    shown = kept_body(Answer(200, [], bytearray("ü".encode() * 5000)), Masker())
    assert MAX_RECORDED - 1 <= len(shown.encode()) <= MAX_RECORDED
    assert shown.endswith("only the beginning is recorded]")
