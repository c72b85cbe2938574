# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Kind F of registry-answers: a status that was read decides, on real sockets."""

from __future__ import annotations

import asyncio
import time
import tracemalloc
from random import Random

import pytest

from airflow_registry_triggers.registry.client import RegistryClient
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.http import session
from airflow_registry_triggers.registry.http.rate_limits import Limits
from tests.unit.registry.raw_server import RawServer, Script, Talk, reply, says

REPOSITORY = "team/app"
DIGEST = "sha256:" + "a" * 64
DIGEST_LINE = f"Docker-Content-Digest: {DIGEST}".encode()
OK = b"HTTP/1.1 200 OK\r\n"
PAGE = b'{"name":"team/app","tags":["v1"]}'
LENGTH = b"Content-Length: %d" % len(PAGE)
SECONDS = 30.0
"""The deadline of a request."""
DECIDES = SECONDS - 0.5
"""A moment at which the status of an incomplete head has decided, and the request is not over yet."""
OVER = SECONDS + 1
"""A moment after the deadline."""


async def digest(script: Script, **limits: float) -> str | None:
    async with RawServer(script) as server, RegistryClient(server.url, limits=Limits(**limits)) as client:
        return await client.digest(REPOSITORY, "v1")


async def tags(script: Script, **limits: float) -> list[str]:
    async with RawServer(script) as server, RegistryClient(server.url, limits=Limits(**limits)) as client:
        return await client.list_tags(REPOSITORY)


async def kind(script: Script, **limits: float) -> str:
    with pytest.raises(RegistryError) as caught:
        await tags(script, **limits)
    return caught.value.kind


@pytest.mark.parametrize(
    "head",
    [
        LENGTH + b"\r\n" + LENGTH,
        b"Content-Length: %d, %d" % (len(PAGE), len(PAGE)),
        b"Content-Length: 3\r\nContent-Length: 9",
        b"Content-Length: nonsense",
        b"Content-Length: -1",
        b"Content-Length: 99999999999999999999",
        b"no colon\r\n" + LENGTH,
        b": nameless\r\n" + LENGTH,
        b"Server : x\r\n" + LENGTH,
        b"Content-Length : %d" % len(PAGE),
        b"X: a\x00b\r\n" + LENGTH,
        b"X: \xff\xfe\r\n" + LENGTH,
        b" folded at once\r\n" + LENGTH,
        b"X: a\r\n folded\r\n" + LENGTH,
        b"Transfer-Encoding: identity\r\n" + LENGTH,
        b"Transfer-Encoding: nonsense",
        b"Connection: upgrade\r\nUpgrade: h2c\r\n" + LENGTH,
        b"X: " + b"a" * 9_000 + b"\r\n" + LENGTH,
        b"X: " + b"a" * 65_000 + b"\r\n" + LENGTH,
        b"X: " + b"a" * 300_000 + b"\r\n" + LENGTH,
        b"X: a\r\n" * 9_000 + LENGTH,
        LENGTH + b"\r\nX: a" * 30_000,
    ],
    ids=lambda head: repr(head[:40]),
)
async def test_list_tags_with_a_faulty_head_returns_the_tags(head: bytes) -> None:
    assert await tags(says(OK + head + b"\r\n\r\n" + PAGE), seconds=SECONDS) == ["v1"]


@pytest.mark.parametrize(
    "head",
    [
        b"Transfer-Encoding: chunked\r\nContent-Length: 2",
        b"Content-Length: 2\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: identity, chunked",
    ],
)
async def test_list_tags_with_chunked_and_another_framing_reads_the_chunks(head: bytes) -> None:
    body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(PAGE), PAGE)
    assert await tags(says(OK + head + b"\r\n\r\n" + body, holds=True), seconds=SECONDS) == ["v1"]


@pytest.mark.parametrize(
    "first",
    [b"HTTP/1.1 200\r\n", b"HTTP/1.1  200  OK\r\n", b"HTTP/1.0 200 OK\n", b"HTTP/1.1 200 \xff\x01\r\n"],
)
async def test_list_tags_with_an_unusual_status_line_returns_the_tags(first: bytes) -> None:
    assert await tags(says(first + LENGTH + b"\r\n\r\n" + PAGE)) == ["v1"]
    assert await tags(says(b"\r\n" + first + LENGTH + b"\r\n\r\n" + PAGE)) == ["v1"]


async def test_list_tags_in_single_bytes_after_interim_answers_returns_the_tags() -> None:
    answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nX: 1\r\n\r\n" + reply(200, PAGE)
    assert await tags(says(*[b"%c" % byte for byte in answer])) == ["v1"]
    assert await tags(says(b"HTTP/1.1 103 Early\r\n\r\n" * 20_000 + reply(200, PAGE))) == ["v1"]


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (b"HTTP/1.1 401 X\r\n", "credentials"),
        (b"HTTP/1.1 403 X\r\n", "credentials"),
        (b"HTTP/1.1 429 X\r\nRetry-After: 60\r\n", "rate_limited"),
        (b"HTTP/1.1 500 X\r\n", "unavailable"),
        (b"HTTP/1.1 503 X\r\nRetry-After: 60\r\n", "rate_limited"),
        (b"HTTP/1.1 407 X\r\n", "proxy"),
    ],
)
@pytest.mark.parametrize("rest", [b"", b"X: a", b"no colon\r\nX: a\r\n"])
@pytest.mark.parametrize("holds", [False, True], ids=["closed", "stalled"])
async def test_list_tags_with_a_head_that_never_ends_has_the_kind_of_its_status(
    first: bytes, expected: str, rest: bytes, holds: bool
) -> None:
    assert await kind(says(first + rest, holds=holds, passes=DECIDES), seconds=SECONDS) == expected


@pytest.mark.parametrize("holds", [False, True], ids=["closed", "stalled"])
async def test_digest_with_a_head_that_never_ends_believes_what_it_has_read(holds: bool) -> None:
    head = OK + DIGEST_LINE + b"\r\nX: "
    assert await digest(says(head, holds=holds, passes=DECIDES), seconds=SECONDS) == DIGEST
    absent = says(b"HTTP/1.1 404 Not Found\r\nX", holds=holds, passes=DECIDES)
    assert await digest(absent, seconds=SECONDS) is None


@pytest.mark.parametrize("holds", [False, True], ids=["closed", "stalled"])
@pytest.mark.parametrize("sent", [OK, OK + b"X: 1\r\n", OK + LENGTH + b"\r\n\r\n" + PAGE[:9]])
async def test_list_tags_with_a_200_that_breaks_off_is_unavailable(sent: bytes, holds: bool) -> None:
    assert await kind(says(sent, holds=holds, passes=OVER), seconds=SECONDS) == "unavailable"


@pytest.mark.parametrize(
    ("status", "expected"), [(401, "credentials"), (404, "no_such_repository"), (500, "unavailable")]
)
@pytest.mark.parametrize(
    "body",
    [
        b"Transfer-Encoding: chunked\r\n\r\nnot a chunk\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"Content-Length: 100\r\n\r\nab",
        b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nab",
    ],
)
@pytest.mark.parametrize("holds", [False, True], ids=["closed", "stalled"])
async def test_list_tags_with_an_error_whose_body_is_broken_has_the_kind_of_its_status(
    status: int, expected: str, body: bytes, holds: bool
) -> None:
    async def script(talk: Talk) -> None:
        if talk.path == "/v2/":
            await talk.send(reply(200, b"{}"))
        else:
            await talk.send(b"HTTP/1.1 %d X\r\n" % status + body)
            if holds:
                await talk.hold(OVER)

    assert await kind(script, seconds=SECONDS) == expected


async def test_list_tags_with_a_broken_chunk_ends_at_once() -> None:
    started = time.monotonic()
    script = says(OK + b'Transfer-Encoding: chunked\r\n\r\n5\r\n{"tag\r\nnonsense\r\n', holds=True)
    assert await kind(script, seconds=20) == "unavailable"
    assert time.monotonic() - started < 10


async def test_digest_with_a_body_behind_head_or_204_keeps_the_status() -> None:
    head = OK + DIGEST_LINE + b"\r\nContent-Length: 5\r\n\r\nhello"

    async def script(talk: Talk) -> None:
        await talk.send(head)
        talk.keeps = True

    async with RawServer(script) as server, RegistryClient(server.url) as client:
        assert [await client.digest(REPOSITORY, tag) for tag in ("v1", "v2", "v3")] == [DIGEST] * 3


async def test_list_tags_with_a_204_that_has_a_body_is_no_listing() -> None:
    assert await kind(says(b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello")) in (
        "refused_answer",
        "not_a_registry",
    )


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/2 200 OK\r\n\r\n", b"ICY 200 OK\r\n\r\n", b"HTTP/1.1 2000 OK\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n"],
)
async def test_list_tags_with_an_answer_that_is_not_http_is_refused(answer: bytes) -> None:
    assert await kind(says(answer)) == "refused_answer"


FLOODS = {
    "interim answers": (b"", b"HTTP/1.1 103 Early\r\n\r\n" * 5_000),
    "headers": (OK, b"X: abcdefgh\r\n" * 5_000),
    "one header": (OK + b"X: ", b"a" * 65_536),
    "chunks": (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n" * 5_000),
    "status line": (b"HTTP/1.1 200 ", b"a" * 65_536),
    "single bytes": (OK, b"a"),
}


@pytest.mark.parametrize(("first", "portion"), FLOODS.values(), ids=FLOODS)
async def test_list_tags_with_a_flood_ends_at_the_deadline_with_flat_memory(
    first: bytes, portion: bytes
) -> None:
    async def script(talk: Talk) -> None:
        await talk.send(first)
        while True:
            await talk.send(portion, pause=0.001)

    tracemalloc.start()
    started = time.monotonic()
    try:
        assert await kind(script, seconds=1.5, page_bytes=1 << 20) in ("unavailable", "refused_answer")
        used = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.monotonic() - started < 20
    assert used < 16 << 20


async def test_digest_with_slow_drip_within_the_deadline_is_read() -> None:
    answer = OK + DIGEST_LINE + b"\r\n\r\n"
    parts = [answer[at : at + 4] for at in range(0, len(answer), 4)]
    assert await digest(says(*parts, pause=0.01), seconds=SECONDS) == DIGEST


async def test_client_with_a_server_that_closes_idle_connections_reads_on() -> None:
    async def script(talk: Talk) -> None:
        await talk.send(reply(200, b"", DIGEST_LINE.decode()))
        talk.keeps = True
        # As nginx with keepalive_timeout: the connection is closed when the next request may be on its way.
        asyncio.get_running_loop().call_later(0.001, talk.writer.close)

    async with RawServer(script) as server, RegistryClient(server.url) as client:
        for number in range(40):
            assert await client.digest(REPOSITORY, f"v{number}") == DIGEST
            await asyncio.sleep(0.001 * (number % 3))


PIECES = [
    b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 404 X\r\n", b"HTTP/1.1 401 X\r\n", b"HTTP/1.1 307 X\r\n", b"HTTP/1.1 100 X\r\n\r\n",
    b"HTTP/1.1 204 X\r\n", b"HTTP/1.1 304 X\r\n", b"HTTP/1.1 101 X\r\n", b"HTTP/1.1 999 X\r\n", b"HTTP/1.1 429 X\r\n",
    b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Content-Length: x\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Content-Encoding: gzip\r\n", b"Content-Encoding: br\r\n", b"Connection: upgrade\r\nUpgrade: x\r\n", b"Connection: close\r\n",
    b"Location: /v2/\r\n", b"Location: http://[::1\r\n", b"Location: \xff\r\n", b"Location:\r\n", b"Link: <?a>; rel=next\r\n",
    b'WWW-Authenticate: Bearer realm="http://127.0.0.1:1/t"\r\n', b'WWW-Authenticate: Basic realm="\xff"\r\n',
    b"WWW-Authenticate: Bearer realm=\r\n", b"Retry-After: 1e9\r\n", b"ratelimit-remaining: 0\r\n", b"Set-Cookie: a=b; \xff\r\n",
    b"Docker-Content-Digest: sha256:x\r\n", b"Content-Type: text/html; charset=\xff\r\n", b"Date: never\r\n",
    b"\r\n", b"\r\n\r\n", b"5\r\nhello\r\n", b"0\r\n\r\n", b"-1\r\n", b"ffffffffffffffffff\r\n", b"{}", b'{"tags":["a"]}', b"\x1f\x8b",
    b"\x00", b"\xff" * 9, b"X" * 9_000, b": \r\n", b" x\r\n", b"\n\n", b"\r", b"\x15\x03\x01",
]  # fmt: skip


@pytest.mark.parametrize(
    "seed", [*range(2), *(pytest.param(n, marks=pytest.mark.fuzz) for n in range(2, 30))]
)
async def test_client_with_random_answers_raises_nothing_but_registry_errors(seed: int) -> None:
    random = Random(seed)
    sent: list[bytes] = []

    async def script(talk: Talk) -> None:
        first = PIECES[: random.choice((1, 10))]
        answer = random.choice(first) + b"".join(random.choices(PIECES, k=random.randint(0, 6)))
        sent.append(answer)
        await talk.send(*(answer[at : at + 40] for at in range(0, len(answer), 40)))
        talk.keeps = random.random() < 0.5
        if random.random() < 0.1:
            await talk.hold()

    async with RawServer(script) as server:
        for number in range(25):
            session.forget_everything()
            limits = Limits(seconds=0.3, connect_seconds=0.3)
            async with RegistryClient(server.url, "robot", "hunter2", limits=limits) as client:
                call = random.choice((client.check, client.list_tags, client.digest))
                arguments = {"check": (), "list_tags": (REPOSITORY,), "digest": (REPOSITORY, "v1")}[
                    call.__name__
                ]
                try:
                    async with asyncio.timeout(60):
                        await call(*arguments)
                except RegistryError as error:
                    assert "\n" not in str(error), sent[-1]
                    assert "hunter2" not in str(error)
                except Exception as error:
                    raise AssertionError(f"{number}: {sent[-3:]!r}") from error
