# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The repair of a head, for any lines in any portions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_registry_triggers.registry.http.response_head import MAX_HEAD, HeadReader, cut_off, repaired

LINES = st.lists(
    st.binary(min_size=1, max_size=30).map(lambda line: line.replace(b"\n", b"").replace(b"\r", b"") or b"x"),
    max_size=8,
)


@given(st.integers(200, 599), LINES, st.lists(st.integers(1, 12), max_size=40), st.booleans())
def test_head_reader_of_any_lines_in_any_portions_keeps_status_and_rest(
    status: int, lines: list[bytes], portions: list[int], interim: bool
) -> None:
    first = b"HTTP/1.1 103 Early\r\nX: 1\r\n\r\n" if interim else b""
    data = first + b"\r\n".join([b"HTTP/1.1 %d X" % status, *lines, b"", b"rest"])
    reader, rest, at = HeadReader(), None, 0
    for size in [*portions, len(data)]:
        part, at = data[at : at + size], at + size
        if rest is None:
            rest = reader.feed(part)
        else:
            rest += part
    assert rest == b"rest"
    assert reader.head.startswith(b"HTTP/1.1 %d X" % status)
    assert (repaired(reader.head) or b"").startswith(b"HTTP/1.1 %d X" % status)


@given(st.binary(max_size=300), st.lists(st.integers(1, 40), max_size=20))
def test_head_reader_of_any_bytes_raises_nothing(data: bytes, portions: list[int]) -> None:
    reader, at = HeadReader(), 0
    for size in [*portions, len(data)]:
        reader.feed(data[at : at + size])
        at += size
    repaired(reader.head)
    cut_off(reader.whole_lines)
    assert isinstance(reader.is_http, bool)


def test_head_reader_of_an_endless_head_keeps_128_kib_of_whole_lines() -> None:
    reader = HeadReader()
    assert reader.feed(b"HTTP/1.1 200 OK\r\n") is None
    for _ in range(100):
        assert reader.feed(b"X: 0123456789\r\n" * 1000) is None
    assert MAX_HEAD - 20 < len(reader.head) <= MAX_HEAD
    assert set(reader.head.split(b"\r\n")[1:]) == {b"X: 0123456789"}
    assert reader.feed(b"\r\nrest") == b"rest"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (b"Content-Length: 5\r\nTransfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
        (b"Content-Length: 5\r\nContent-Length: 5", b"Content-Length: 5"),
        (b"Content-Length: 5, 5", b"Content-Length: 5"),
        (b"Content-Length: 5\r\nContent-Length: 6", b"Connection: close"),
        (b"Content-Length: x\r\nConnection: keep-alive", b"Connection: close"),
        (b"Transfer-Encoding: gzip", b"Connection: close"),
        (b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: chunked"),
        (b"A : b\r\nno colon\r\nC: d\r\n e", b"A: b\r\nC: d e"),
        (b"Upgrade: h2c\r\nX: \x00", b""),
    ],
)
def test_repaired_with_faulty_lines_keeps_what_a_strict_parser_accepts(lines: bytes, expected: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\n" + lines
    assert repaired(head) == b"\r\n".join([b"HTTP/1.1 200 OK", expected]).rstrip(b"\r\n")


@pytest.mark.parametrize("head", [b"", b"HTTP/2 200 OK", b"HTTP/1.1 20", b"HTTP/1.1 2000 OK", b"ICY 200 OK"])
def test_repaired_without_a_status_line_returns_none(head: bytes) -> None:
    assert repaired(head) is None
    assert cut_off(head) is None


def test_cut_off_with_a_length_names_a_body_that_never_comes() -> None:
    head = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: keep-alive\r\nX: 1"
    lines = (cut_off(head) or b"").split(b"\r\n")
    assert lines == [b"HTTP/1.1 404 Not Found", b"X: 1", b"Content-Length: 1", b"Connection: close"]
