# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Rule F: a status line that was read decides, whatever headers follow."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_registry_triggers.webhook.answer import MAX_HEAD, AnswerHead
from tests.unit.webhook.scripted_server import ScriptedServer, answering, stalling
from tests.unit.webhook.test_attempt import post, told, verdict

OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok", "ok"),
        (b"Content-Length: 2\r\nContent-Length: 9\r\n\r\nok", "ok"),
        (b"Content-Length: 2, 2\r\n\r\nok", "ok"),
        (b"Content-Length: two\r\n\r\nok", "ok"),
        (b"Content-Length: -1\r\n\r\nok", "ok"),
        (b"Content-Length : 2\r\n\r\nok", "ok"),
        (b"no colon here\r\nContent-Length: 2\r\n\r\nok", "ok"),
        (b"Server : x\r\nContent-Length: 2\r\n\r\nok", "ok"),
        (b": nameless\r\nContent-Length: 2\r\n\r\nok", "ok"),
        (b"N\xc3\xa4me: \x01\x7f\xff\r\nContent-Length: 2\r\n\r\nok", "ok"),
        (b"X: a\x00b\r\nContent-Length: 2\r\n\r\nok", "ok"),
        (b"X: a\r\n folded\r\nContent-Length: 2\r\n\r\nok", "ok"),
        (b" folded at once\r\nContent-Length: 2\r\n\r\nok", "ok"),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n", "ok"),
        (b"Content-Length: 2\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "ok"),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "ok"),
        (b"Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nok", "ok"),
        (b"Transfer-Encoding: nonsense\r\n\r\nok", "ok"),
        (b"Content-Length: 2\n\nok", "ok"),
        (b"X: " + b"a" * 9_000 + b"\r\nContent-Length: 2\r\n\r\nok", "ok"),
        (b"X: " + b"a" * 65_000 + b"\r\nContent-Length: 2\r\n\r\nok", "ok"),
        (b"X: a\r\n" * 9_000 + b"Content-Length: 2\r\n\r\nok", "ok"),
        (b"Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nok", "ok"),
    ],
)
async def test_send_faulty_header_after_status_is_delivered(answer: bytes, body: str) -> None:
    attempt = await told(OK + answer)
    assert verdict(attempt) == ("200", "delivered", False)
    assert attempt.response_body == body


@pytest.mark.parametrize("status", [204, 302, 404, 410, 429, 503])
async def test_send_faulty_header_after_any_status_keeps_the_status(status: int) -> None:
    attempt = await told(
        b"HTTP/1.1 %d X\r\nServer : x\r\nContent-Length: 0\r\nContent-Length: 1\r\n\r\n" % status
    )
    assert attempt.status_code == str(status)
    assert not attempt.ambiguous


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nX: a", b"HTTP/1.1 200\r\nX: a\r\n", b"HTTP/1.0 200 OK\n"],
)
async def test_send_connection_closed_in_the_headers_keeps_the_status(answer: bytes) -> None:
    attempt = await told(answer)
    assert verdict(attempt) == ("200", "delivered", False)
    assert "the body broke off" in attempt.response_body


async def test_send_headers_that_never_end_keep_the_status_at_the_time_limit() -> None:
    attempt = await told(stalling(b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\n"))
    assert (attempt.status_code, attempt.retry_after, attempt.ambiguous) == ("503", 7, False)
    assert "the time limit was reached" in attempt.response_body


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 20\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"HTTP/1.1200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * MAX_HEAD + b"\r\n\r\n",
    ],
)
async def test_send_answer_that_is_not_http_is_a_protocol_error(answer: bytes) -> None:
    assert verdict(await told(answer)) == ("protocol_error", "retry", True)


async def test_send_headers_of_an_attempt_are_recorded_up_to_4_kib() -> None:
    headers = {f"X-{number}": "a" * 400 for number in range(20)}
    attempt = await told(OK + b"Y: " + b"b" * 900 + b"\r\n" + b"Z: c\r\n" * 900 + b"\r\n", headers=headers)
    recorded = json.dumps(attempt.request_headers) + json.dumps(attempt.response_headers)
    assert 2000 < len(recorded) <= 4096
    assert attempt.request_headers["[cut]"].endswith(" more headers")
    assert attempt.response_headers["Y"] == "b" * 900


async def test_send_answer_in_single_bytes_is_read_whole() -> None:
    answer = b"\r\nHTTP/1.1 103 Early\r\nX: 1\r\n\r\n" + OK + b"Server : x\r\nContent-Length: 2\r\n\r\nok"
    async with ScriptedServer(answering(*[b"%c" % byte for byte in answer])) as server:
        attempt = await post(server.url)
    assert (attempt.status_code, attempt.response_body) == ("200", "ok")
    assert attempt.response_headers == {"Server": "x", "Content-Length": "2"}


LINES = st.lists(
    st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"").replace(b"\r", b"")), max_size=8
)


@given(st.integers(200, 599), LINES, st.lists(st.integers(1, 12), max_size=40))
def test_answer_head_any_header_lines_in_any_portions_keep_the_status(
    status: int, lines: list[bytes], portions: list[int]
) -> None:
    lines = [line for line in lines if line]
    data = b"\r\n".join([b"HTTP/1.1 %d X" % status, *lines, b"", b"rest"])
    head, rest, at = AnswerHead(), b"", 0
    for size in [*portions, len(data)]:
        part, at = data[at : at + size], at + size
        rest += part if head.is_complete else head.feed(part)
    answer = head.answer()
    assert answer is not None
    assert answer.status == status
    assert rest == b"rest"


@given(st.binary(max_size=200))
def test_answer_head_any_bytes_never_raise(data: bytes) -> None:
    head = AnswerHead()
    head.feed(data)
    head.answer()
    head.framing()
