# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Rules 5 to 10, 12, 15 and 16: one attempt, against a server that does what it likes."""

from __future__ import annotations

import asyncio
import errno
import gzip
import itertools
import os
import random
import socket
import threading
import time
from typing import Any

import pytest
from standardwebhooks import Webhook

from airflow_registry_triggers.addresses.guard import LOOKUP_TIMEOUT
from airflow_registry_triggers.webhook.attempt import Attempt, request_headers, send
from airflow_registry_triggers.webhook.body import Body
from airflow_registry_triggers.webhook.network_errors import classify_error
from airflow_registry_triggers.webhook.outcome import Outcome
from airflow_registry_triggers.webhook.redaction.fields import Masker
from airflow_registry_triggers.webhook.url import parse_endpoint
from tests.unit.loop_clock import advance
from tests.unit.webhook.cases import json_cases, tsv_cases
from tests.unit.webhook.scripted_server import (
    LIMIT,
    LOOPBACK,
    Conversation,
    Script,
    ScriptedServer,
    answering,
    response,
    stalling,
)

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


async def post(
    url: str, content: bytes = b"{}", headers: dict[str, str] | None = None, **options: Any
) -> Attempt:
    endpoint = parse_endpoint(url, allowed_networks=LOOPBACK)
    options = {"timeout": LIMIT, "allowed_networks": LOOPBACK, **options}
    return await send(
        endpoint, content, {"Content-Type": "application/json"} if headers is None else headers, **options
    )


async def told(script: Script | bytes, **options: Any) -> Attempt:
    """Send to a server with this script, or with this answer."""
    async with ScriptedServer(answering(script) if isinstance(script, bytes) else script) as server:
        attempt = await post(server.url, **options)
        assert server.connections == 1
        return attempt


def verdict(attempt: Attempt) -> tuple[str, str, bool]:
    return attempt.status_code, attempt.outcome.value, attempt.ambiguous


# What is sent


async def test_send_request_has_the_expected_bytes() -> None:
    headers = request_headers({"X-Team": "app"}, Body(b'{"a":1}'), webhook_id="msg_1", timestamp=1614265330)
    async with ScriptedServer(answering(response(200))) as server:
        attempt = await post(f"http://{server.host}:{server.port}/a%2Fb/../c|d?x=%20y'z", b'{"a":1}', headers)
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    request_line, *lines = head.decode().split("\r\n")
    assert request_line == "POST /c|d?x=%20y%27z HTTP/1.1"
    assert dict(line.split(": ", 1) for line in lines) == {
        "Host": f"127.0.0.1:{server.port}",
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "Connection": "close",
        "User-Agent": headers["User-Agent"],
        "X-Team": "app",
        "Content-Type": "application/json",
        "webhook-id": "msg_1",
        "webhook-timestamp": "1614265330",
        "Content-Length": "7",
    }
    assert body == b'{"a":1}'
    assert attempt.request_headers == headers


async def test_send_signed_bytes_are_the_sent_bytes_on_every_attempt() -> None:
    body = Body('{"tag":"\u00fc"}'.encode())
    async with ScriptedServer(answering(response(503))) as server:
        for _ in range(2):
            headers = request_headers(
                {}, body, webhook_id="msg_1", timestamp=int(time.time()), signing_secrets=[SECRET]
            )
            await post(server.url, body.content, headers)
    ids = set()
    for request in server.requests:
        head, _, content = request.partition(b"\r\n\r\n")
        received = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
        Webhook(SECRET).verify(content, received)
        ids.add(received["webhook-id"])
    assert ids == {"msg_1"}


async def test_send_secret_query_is_appended_and_not_recorded() -> None:
    async with ScriptedServer(answering(response(200, b"you sent tokenSECRET"))) as server:
        attempt = await post(f"{server.url}?a=1", secret_query="?key=tokenSECRET")
        await post(server.url, secret_query="key=tokenSECRET")
    assert server.requests[0].startswith(b"POST /hook?a=1&key=tokenSECRET HTTP/1.1")
    assert server.requests[1].startswith(b"POST /hook?key=tokenSECRET HTTP/1.1")
    assert "SECRET" not in repr(attempt)
    assert attempt.response_body == "you sent ***"


@pytest.mark.parametrize("query", ["a=b c", "a=\r\nX: y", "a#b", "a\x00"])
async def test_send_invalid_secret_query_raises_without_it(query: str) -> None:
    with pytest.raises(ValueError, match="secret_query") as refused:
        await post("http://127.0.0.1:1025/", secret_query=query)
    assert query not in str(refused.value)


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": 0.5},
        {"timeout": 61},
        {"success_statuses": [700]},
        {"headers": {"X": "a\r\nb"}},
        {"headers": {"Host": "other"}},
        {"headers": {"Transfer-Encoding": "chunked"}},
        {"allowed_networks": ["nowhere"]},
    ],
)
async def test_send_invalid_argument_raises(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        await post("http://127.0.0.1:1025/", **options)


async def test_send_environment_and_netrc_are_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password netrc-password\n")
    netrc.chmod(0o600)
    async with (
        ScriptedServer(answering(response(200))) as proxy,
        ScriptedServer(answering(response(401))) as server,
    ):
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NETRC", str(netrc))
        monkeypatch.setenv("HOME", str(tmp_path))
        (tmp_path / ".netrc").write_text(netrc.read_text())
        (tmp_path / ".netrc").chmod(0o600)
        attempt = await post(server.url)
    assert (attempt.status_code, proxy.connections, server.connections) == ("401", 0, 1)
    assert b"authorization" not in server.requests[0].lower()


async def test_send_twice_has_no_cookies_and_new_connections() -> None:
    keep = response(200, b"", "Set-Cookie: a=b; Path=/", "Connection: keep-alive")

    async def to(server: ScriptedServer, timeout: float = 30) -> Attempt:
        endpoint = parse_endpoint(f"http://h.test:{server.port}/")
        return await send(
            endpoint, b"{}", {}, timeout=timeout, allowed_networks=LOOPBACK, lookup=lambda *_: ["127.0.0.1"]
        )

    async with ScriptedServer(answering(hold=30)) as slow, ScriptedServer(answering(keep, hold=1)) as server:
        # What is under way shares a session: it must not share more.
        under_way = asyncio.create_task(to(slow, timeout=1))
        while not slow.requests:
            await asyncio.sleep(0.01)
        await to(server)
        await to(server)
        await under_way
    assert server.connections == 2
    assert b"cookie" not in server.requests[1].lower()


# What an answer means


async def test_send_shared_status_cases_have_their_outcome() -> None:
    rows = tsv_cases("status-policy.tsv")
    kinds = {"retry-after": "retry"}
    wrong = []

    async def one(row: dict[str, str]) -> None:
        line = f"HTTP/1.1 {row['status']} Text\r\nContent-Length: 0\r\n\r\n".encode()
        attempt = await told(answering(line))
        if row["expected"] in ("protocol-error", "not-final"):
            # An interim answer and then the end of the connection: no answer came.
            ok = attempt.outcome is Outcome.RETRY and attempt.status_code in (
                "protocol_error",
                "connection_reset",
            )
            ok = ok and attempt.ambiguous
        else:
            ok = attempt.outcome.value == kinds.get(row["expected"], row["expected"])
            ok = ok and attempt.status_code in (row["status"], "protocol_error")
        if not ok:
            wrong.append((row, attempt))

    for at in range(0, len(rows), 16):
        await asyncio.gather(*(one(row) for row in rows[at : at + 16]))
    assert wrong == []


async def test_send_success_status_is_delivered() -> None:
    assert verdict(await told(response(409))) == ("409", "final", False)
    assert verdict(await told(response(409), success_statuses=[409])) == ("409", "delivered", False)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_send_redirect_is_final_and_not_followed(status: int) -> None:
    async with ScriptedServer(answering(response(200))) as other:
        answer = response(status, b"", f"Location: http://127.0.0.1:{other.port}/next?token=SECRET")
        attempt = await told(answer)
        assert other.connections == 0
    assert verdict(attempt) == (str(status), "final", False)
    assert "redirects are not followed" in attempt.reason
    assert "SECRET" not in repr(attempt)


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (503, ["Retry-After: 7"], 7),
        (429, ["retry-after: 120"], 120),
        (503, ["Retry-After: 1", "Retry-After: 2"], None),
        (503, ["Retry-After: soon"], None),
        (503, ["Retry-After: 31536000"], 31536000),
        (503, [], None),
        (200, ["Retry-After: 7"], None),
        (301, ["Retry-After: 7"], None),
        (404, ["Retry-After: 7"], None),
    ],
)
async def test_send_retry_after_is_returned(status: int, headers: list[str], seconds: float | None) -> None:
    assert (await told(response(status, b"", *headers))).retry_after == seconds


async def test_send_retry_after_with_a_nul_is_ignored() -> None:
    attempt = await told(b"HTTP/1.1 503 X\r\nRetry-After: 7\x00\r\nContent-Length: 0\r\n\r\n")
    assert attempt.outcome is Outcome.RETRY
    assert attempt.retry_after is None


# Faults


async def flood(talk: Conversation) -> None:
    for portions in itertools.count():
        await talk.send(b"HTTP/1.1 100 Continue\r\n\r\n" * 500)
        if portions == 100:
            advance(LIMIT)


async def reset(talk: Conversation) -> None:
    talk.reset()


async def reset_in_the_body(talk: Conversation) -> None:
    await talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome", pause=0.2)
    talk.reset()


FAULTS: dict[str, tuple[Script, tuple[str, str, bool]]] = {
    "hang": (stalling(), ("timeout", "retry", True)),
    "drip-head": (stalling(*[b"%c" % byte for byte in b"HTTP/1.1 200 OK\r\nX: "], then=b"a" * 200), ("200", "delivered", False)),
    "drip-body": (
        stalling(b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n", *[b"x"] * 9, then=b"x" * 191),
        ("200", "delivered", False),
    ),
    "close-before-status": (answering(), ("connection_reset", "retry", True)),
    "close-in-status": (answering(b"HTTP/1.1 20"), ("connection_reset", "retry", True)),
    "reset": (reset, ("connection_reset", "retry", True)),
    "reset-in-body": (reset_in_the_body, ("200", "delivered", False)),
    "short-body": (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"), ("200", "delivered", False)),
    "bad-chunk-2xx": (
        answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nx"),
        ("200", "delivered", False),
    ),
    "bad-chunk-2xx-late": (
        answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"2\r\nab\r\n", b"ZZ\r\nx", pause=0.05),
        ("200", "delivered", False),
    ),
    "bad-chunk-5xx": (
        answering(b"HTTP/1.1 500 X\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nx"),
        ("500", "retry", False),
    ),
    "early-hints": (
        answering(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + response(200)),
        ("200", "delivered", False),
    ),
    "continue-then-bad-chunk": (
        answering(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n"
        ),
        ("200", "delivered", False),
    ),
    "continue-flood": (flood, ("timeout", "retry", True)),
    "big-header": (
        answering(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n"),
        ("protocol_error", "retry", True),
    ),
    "many-headers": (
        answering(b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 100_000 + b"\r\n"),
        ("protocol_error", "retry", True),
    ),
    "ssh-banner": (answering(b"SSH-2.0-OpenSSH_9.6\r\n"), ("protocol_error", "retry", True)),
    "http09": (answering(b"<html>hello</html>"), ("protocol_error", "retry", True)),
    "garbage": (answering(bytes(range(256)) * 8), ("protocol_error", "retry", True)),
    "status-600": (answering(response(600)), ("protocol_error", "retry", True)),
    "switching-protocols": (
        answering(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
        ("protocol_error", "final", True),
    ),
    "refresh-header": (answering(response(200, b"", "Refresh: 0; url=http://127.0.0.1/")), ("200", "delivered", False)),
    "www-authenticate": (answering(response(401, b"", "WWW-Authenticate: Basic realm=x")), ("401", "final", False)),
    "redirect-internal": (
        answering(response(302, b"", "Location: http://169.254.169.254/")),
        ("302", "final", False),
    ),
    "body-without-length": (answering(b"HTTP/1.1 200 OK\r\n\r\nuntil the end"), ("200", "delivered", False)),
    "endless-body": (answering(b"HTTP/1.1 200 OK\r\n\r\n", *[b"x" * 65536] * 200), ("200", "delivered", False)),
    "http10": (answering(b"HTTP/1.0 200 OK\r\n\r\nold"), ("200", "delivered", False)),
    "gone": (answering(response(410)), ("410", "gone", False)),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
async def test_send_fault_has_its_result(fault: str) -> None:
    script, wanted = FAULTS[fault]
    async with ScriptedServer(script) as server:
        began = time.monotonic()
        attempt = await post(server.url)
        took = time.monotonic() - began
        assert server.connections == 1
    assert verdict(attempt) == wanted
    assert took < 15, "a fault ends at the limit, not when the server closes"
    assert attempt.reason
    assert attempt.duration_ms / 1000 <= took + 0.001
    assert took - attempt.duration_ms / 1000 < 5


async def test_send_content_length_and_chunked_at_once_is_delivered() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    assert verdict(await told(answer)) in (("200", "delivered", False), ("protocol_error", "retry", True))


async def test_send_body_that_ends_early_is_marked() -> None:
    for fault, says in {
        "drip-body": "the time limit was reached",
        "short-body": "the body broke off",
        "bad-chunk-2xx": "the body broke off",
        "reset-in-body": "the body broke off",
        "endless-body": "longer than 64 KiB",
    }.items():
        attempt = await told(FAULTS[fault][0])
        assert says in attempt.response_body, fault
    partial = await told(FAULTS["bad-chunk-2xx-late"][0])
    assert partial.response_body.startswith("ab [cut: ")


def test_shared_fault_cases_are_all_tested() -> None:
    covered = set(FAULTS) | {
        "gzip-bomb",  # test_memory.py and below
        "unreachable",
        "dns-hang",  # test_network.py
        "cl-and-te",
        "redirect-302",
        "redirect-307",
        "keepalive-stale",
        "escape-codes",
        "bidi",
        "slow-tls",  # test_tls.py
        "worker-killed",  # the operator's
        "cleared",  # the operator's
    }
    assert {case["id"] for case in json_cases("http-faults.json")} - covered == set()


async def test_send_closed_port_is_connection_refused() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        attempt = await post(f"http://127.0.0.1:{unused.getsockname()[1]}/")
    assert verdict(attempt) == ("connection_refused", "retry", False)


async def test_send_without_a_route_is_unreachable() -> None:
    # 255.255.255.255 is no unicast address: the kernel itself answers ENETUNREACH or EACCES.
    endpoint = parse_endpoint("http://255.255.255.255/", allowed_networks=["0.0.0.0/0"])
    attempt = await send(endpoint, b"{}", {}, timeout=30, allowed_networks=["0.0.0.0/0"])
    assert verdict(attempt) == ("unreachable", "retry", False)


@pytest.mark.parametrize(
    ("number", "status_code"),
    [
        (errno.EHOSTUNREACH, "unreachable"),
        (errno.ENETUNREACH, "unreachable"),
        (errno.ECONNREFUSED, "connection_refused"),
        (errno.ECONNRESET, "connection_reset"),
        (errno.ETIMEDOUT, "timeout"),
    ],
)
def test_classify_error_errno_has_its_class(number: int, status_code: str) -> None:
    import aiohttp

    key: Any = type("Key", (), {"host": "h", "port": 1, "ssl": True, "is_ssl": False})()
    fault = classify_error(aiohttp.ClientConnectorError(key, OSError(number, os.strerror(number))))
    assert (fault.status_code, fault.outcome) == (status_code, Outcome.RETRY)


async def test_send_unknown_name_is_a_dns_error() -> None:
    def nothing(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, f"no such host SECRET {host}")

    attempt = await send(parse_endpoint("http://h.test/"), b"{}", {}, lookup=nothing)
    assert verdict(attempt) == ("dns_error", "retry", False)
    assert "SECRET" not in attempt.reason


async def test_send_name_without_an_address_is_a_dns_error() -> None:
    attempt = await send(parse_endpoint("http://h.test/"), b"{}", {}, lookup=lambda *_: [])
    assert verdict(attempt) == ("dns_error", "retry", False)


async def test_send_slow_lookup_counts_towards_the_time_limit() -> None:
    over = threading.Event()

    def slow(host: str, port: int) -> list[str]:
        over.wait(60)
        return ["127.0.0.1"]

    try:
        attempt = await send(parse_endpoint("http://h.test/"), b"{}", {}, timeout=1, lookup=slow)
    finally:
        over.set()
    assert verdict(attempt) == ("timeout", "retry", False)
    assert attempt.duration_ms < LOOKUP_TIMEOUT * 1000, "not that of the lookup alone"


async def test_send_answer_before_the_end_of_the_request_counts() -> None:
    async def early(talk: Conversation) -> None:
        await talk.reader.readuntil(b"\r\n\r\n")
        await talk.send(response(413))

    async with ScriptedServer(early, reads=False) as server:
        attempt = await post(server.url, b"x" * 1_000_000)
    assert verdict(attempt) == ("413", "final", False)


async def test_send_server_that_speaks_first_is_a_protocol_error() -> None:
    async with ScriptedServer(answering(b"220 smtp ready\r\n", hold=0.5), reads=False) as server:
        attempt = await post(server.url)
    assert attempt.status_code == "protocol_error"


async def test_send_sixteen_that_hang_take_no_longer_than_one() -> None:
    async with ScriptedServer(answering(hold=30)) as server:
        began = time.monotonic()
        attempts = await asyncio.gather(*(post(server.url, timeout=2) for _ in range(16)))
        took = time.monotonic() - began
    assert {verdict(attempt) for attempt in attempts} == {("timeout", "retry", True)}
    assert took < 16, "sixteen, one after the other, take 32 s"


async def test_send_attempts_at_once_do_not_mix() -> None:
    async def echo(talk: Conversation) -> None:
        path = talk.request.split(b" ", 2)[1]
        await asyncio.sleep(random.random() / 20)
        await talk.send(response(200, path))

    async def one(number: int) -> None:
        def lookup(host: str, port: int) -> list[str]:
            time.sleep(random.random() / 50)
            return ["127.0.0.1"] if number % 3 else ["127.0.0.2"]

        endpoint = parse_endpoint(f"http://h{number}.test:{server.port}/{number}")
        attempt = await send(
            endpoint, b"{}", {}, timeout=60, allowed_networks=["127.0.0.1/32"], lookup=lookup
        )
        if number % 3:
            assert (attempt.status_code, attempt.response_body) == ("200", f"/{number}")
        else:
            assert attempt.status_code == "blocked"
            assert "127.0.0.2" in attempt.reason

    async with ScriptedServer(echo) as server:
        await asyncio.gather(*(one(number) for number in range(90)))


async def test_send_cancelled_attempt_leaves_nothing_open() -> None:
    async with ScriptedServer(answering(hold=30)) as server:
        task = asyncio.create_task(post(server.url))
        while not server.requests:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await told(response(200))).status_code == "200"


# What is recorded


async def test_send_attempt_has_all_fields() -> None:
    attempt = await told(response(200, b"fine", "X-One: a", "X-Two: b", "X-Two: c"))
    assert attempt.response_body == "fine"
    assert attempt.response_headers == {"Content-Length": "4", "X-One": "a", "X-Two": "b, c"}
    assert attempt.request_time.endswith("Z")
    assert len(attempt.request_time) == len("2026-11-23T12:00:00.000Z")
    assert attempt.reason == "the receiver answered 200: delivered"


@pytest.mark.parametrize("size", [4096, 4097, 20_000, 100_000])
async def test_send_body_is_recorded_up_to_4_kib(size: int) -> None:
    attempt = await told(response(200, b"x" * size))
    assert len(attempt.response_body) <= 4096
    assert ("[cut: " in attempt.response_body) == (size > 4096)
    assert attempt.response_body.startswith("x" * 4000)


async def test_send_forged_lines_and_escapes_are_escaped() -> None:
    forged = "\n[2026-11-23T12:00:00] INFO - forged\n::endgroup::\n::group::x\n\x1b[31m\x07\u202e\u200b"
    attempt = await told(response(200, forged.encode(), "X-Esc: \x1b[31m::group::"))
    recorded = [
        attempt.response_body,
        attempt.reason,
        *attempt.response_headers,
        *attempt.response_headers.values(),
    ]
    for text in recorded:
        assert text.isascii()
        assert text.isprintable()
        assert "::group" not in text
        assert "::endgroup" not in text
    assert "forged" in attempt.response_body or attempt.status_code == "protocol_error"


async def test_send_secrets_and_their_echoes_are_masked() -> None:
    secrets = {
        "header": "header-SECRET-1",
        "query": "query/SECRET+2",
        "path": "path-SECRET-3-aaaaaaaaaaaa",
        "signing": SECRET,
    }

    async def echo(talk: Conversation) -> None:
        await talk.send(
            response(200, talk.request, "X-Echo: " + talk.request.split(b" ")[1].decode(), f"X-Sig: {SECRET}")
        )

    async with ScriptedServer(echo) as server:
        attempt = await post(
            f"http://{server.host}:{server.port}/{secrets['path']}?a=1",
            SECRET.encode(),
            {"Authorization": f"Bearer {secrets['header']}", "X-Api-Key": secrets["header"]},
            secret_query=f"token={secrets['query'].replace('+', '%2B')}",
            masker=Masker([SECRET]),
        )
    assert attempt.status_code == "200"
    assert "SECRET" not in repr(attempt)
    assert SECRET[6:] not in repr(attempt)
    assert attempt.request_headers["Authorization"] == "***"


@pytest.mark.parametrize("charset", ["utf-16", "utf-8", "iso-8859-1"])
async def test_send_echo_in_another_charset_is_masked(charset: str) -> None:
    body = "you sent token-SECRET \u00fc".encode(charset)
    attempt = await told(
        response(200, body, f"Content-Type: text/plain; charset={charset}"), masker=Masker(["token-SECRET"])
    )
    assert "SECRET" not in attempt.response_body.replace("\\u0000", "")


async def test_send_echo_that_is_cut_is_masked() -> None:
    secret = "SECRET" + "".join(chr(ord("a") + at % 26) for at in range(60))
    for filled in (4096, 16384, 65536):
        for part in (20, 40, 65):
            body = b"x" * (filled - part) + secret.encode() * 4
            attempt = await told(response(200, body), masker=Masker([secret]))
            assert "SECRE" not in attempt.response_body, (filled, part)
    short = await told(
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + secret.encode()[:30], masker=Masker([secret])
    )
    assert "SECRE" not in short.response_body


async def test_send_compressed_body_is_not_unpacked_and_not_shown() -> None:
    packed = gzip.compress(b"token-SECRET" + bytes(60_000_000))
    attempt = await told(response(200, packed, "Content-Encoding: gzip"))
    assert attempt.outcome is Outcome.DELIVERED
    assert attempt.response_body == f"[not shown: Content-Encoding gzip, {len(packed)} bytes read]"


async def test_send_random_answers_never_raise() -> None:
    rng = random.Random()
    heads = [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 503 X\r\n",
        b"HTTP/1.1 ",
        b"HTTP/9.9 200 OK\r\n",
        b"",
        b"ICY 200 OK\r\n",
    ]
    lines = [
        b"Content-Length: 3\r\n",
        b"Content-Length: -1\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: x\r\n",
    ]
    lines += [
        b": x\r\n",
        b" folded\r\n",
        b"Set-Cookie: a=b; Expires=Never\r\n",
        b"Location: http://[\r\n",
        b"A: \xff\xfe\r\n",
        b"\r\n",
    ]
    lines += [
        b"Connection: upgrade\r\nUpgrade: websocket\r\n",
        b"Content-Encoding: br\r\n",
        b"A\x00: b\r\n",
        b"\n",
        b"3\r\nabc\r\n",
        b"0\r\n\r\n",
    ]

    def made() -> bytes:
        parts = [
            rng.choice(heads),
            *rng.choices(lines, k=rng.randrange(7)),
            b"\r\n",
            rng.randbytes(rng.randrange(9)),
        ]
        raw = bytearray(b"".join(parts))
        if raw and rng.randrange(2):
            raw[rng.randrange(len(raw))] = rng.randrange(256)
        return bytes(raw)

    async def script(talk: Conversation) -> None:
        raw = made()
        cut = rng.randrange(len(raw) + 1)
        await talk.send(raw[:cut], pause=0.001)
        await talk.send(raw[cut:])

    async with ScriptedServer(script) as server:
        for _ in range(40):
            for attempt in await asyncio.gather(*(post(server.url, timeout=1) for _ in range(16))):
                assert isinstance(attempt, Attempt)
                assert attempt.reason
