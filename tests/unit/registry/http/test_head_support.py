# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Kinds A and L: a failing HEAD is not believed, and its cost stays small, on real sockets."""

from __future__ import annotations

import asyncio
import hashlib
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from airflow_registry_triggers.registry import client as client_module
from airflow_registry_triggers.registry.client import RegistryClient
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.http import head_support
from airflow_registry_triggers.registry.http.head_support import HeadSupport
from airflow_registry_triggers.registry.poll import poll
from airflow_registry_triggers.registry.watermark import Watermark
from airflow_registry_triggers.tag_rule import TagRule
from tests.unit.registry.raw_server import RawServer, Talk, by_method, reply
from tests.unit.registry.scripted_registry import SignIn, digest_of, manifest_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.registry.scripted_registry import ScriptedRegistry

REPOSITORY = "team/app"
MANIFEST = manifest_of("one")
DIGEST = digest_of("one")
OTHER = "sha256:" + "b" * 64
FOUND = reply(200, MANIFEST, f"Docker-Content-Digest: {DIGEST}")


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return a function that moves the clock of the record of HEADs."""
    offset = 0.0

    def move(seconds: float) -> None:
        nonlocal offset
        offset += seconds

    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + offset)
    monkeypatch.setattr(head_support, "time", clock)
    return move


HEADS_THAT_FAIL = {
    "200 without a digest": reply(200),
    "empty digest": reply(200, b"", "Docker-Content-Digest:"),
    "joined digest": reply(200, b"", f"Docker-Content-Digest: {DIGEST}, {DIGEST}"),
    "digest twice": reply(200, b"", f"Docker-Content-Digest: {DIGEST}", f"Docker-Content-Digest: {OTHER}"),
    "short digest": reply(200, b"", "Docker-Content-Digest: sha256:abc"),
    "digest in upper case": reply(200, b"", f"Docker-Content-Digest: {DIGEST.upper()}"),
    "quoted digest": reply(200, b"", f'Docker-Content-Digest: "{DIGEST}"'),
    "204": reply(204),
    **{
        str(status): reply(status)
        for status in (400, 402, 403, 404, 405, 406, 409, 410, 411, 412, 413, 415, 418, 422, 431, 451, 501)
    },
}


@pytest.mark.parametrize("head", HEADS_THAT_FAIL.values(), ids=HEADS_THAT_FAIL)
async def test_digest_with_any_head_that_get_might_answer_sends_one_get(head: bytes) -> None:
    async with RawServer(by_method(HEAD=head, GET=FOUND)) as server, RegistryClient(server.url) as client:
        assert await client.digest(REPOSITORY, "v1") == DIGEST
    assert [talk.method for talk in server.requests] == ["HEAD", "GET"]


@pytest.mark.parametrize(
    ("status", "kind"), [(429, "rate_limited"), (500, "unavailable"), (502, "unavailable")]
)
async def test_digest_with_a_head_that_fails_for_another_reason_sends_no_get(status: int, kind: str) -> None:
    answers = by_method(HEAD=reply(status), GET=FOUND)
    async with RawServer(answers) as server, RegistryClient(server.url) as client:
        with pytest.raises(RegistryError) as caught:
            await client.digest(REPOSITORY, "v1")
    assert caught.value.kind == kind
    assert [talk.method for talk in server.requests] == ["HEAD"]


async def test_digest_with_a_head_401_signs_in_and_sends_no_get(registry: ScriptedRegistry) -> None:
    registry.put(REPOSITORY, {"v1": "one"})
    registry.sign_in = SignIn()
    async with RegistryClient(registry.url) as client:
        assert await client.digest(REPOSITORY, "v1") == DIGEST
    assert registry.by_kind == {"head": 2, "token": 1}


async def test_digest_with_a_head_403_renews_a_cached_token_before_it_sends_get(
    registry: ScriptedRegistry,
) -> None:
    registry.put(REPOSITORY, {"v1": "one"})
    registry.sign_in = SignIn()
    async with RegistryClient(registry.url) as client:
        await client.list_tags(REPOSITORY)

        async def stale(request: web.Request) -> web.Response | None:
            is_first = request.headers.get("Authorization") == "Bearer token-1"
            return web.Response(status=403) if is_first and request.method == "HEAD" else None

        registry.faults.append(stale)
        registry.asked.clear()
        assert await client.digest(REPOSITORY, "v1") == DIGEST
    assert registry.by_kind == {"head": 2, "token": 1}


@pytest.mark.parametrize("status", [400, 403, 404, 405, 501])
async def test_digest_of_a_ghost_tag_costs_one_get_an_hour(
    status: int, later: Callable[[float], None]
) -> None:
    async def script(talk: Talk) -> None:
        known = talk.path.endswith("/known")
        await talk.send(by_name(talk, FOUND if known else reply(status if talk.method == "HEAD" else 404)))
        talk.keeps = True

    async with RawServer(script) as server, RegistryClient(server.url) as client:
        assert await client.digest(REPOSITORY, "known") == DIGEST
        for _ in range(5):
            assert await client.digest(REPOSITORY, "ghost") is None
        assert [talk.method for talk in server.requests].count("GET") == 1
        later(3601)
        for _ in range(5):
            assert await client.digest(REPOSITORY, "ghost") is None
        assert [talk.method for talk in server.requests].count("GET") == 2


def by_name(talk: Talk, answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if talk.method == "HEAD" else answer


async def test_digest_of_a_ghost_tag_that_is_pushed_is_found_by_its_next_head(
    registry: ScriptedRegistry,
) -> None:
    registry.put(REPOSITORY, {"known": "one"})
    async with RegistryClient(registry.url) as client:
        assert await client.digest(REPOSITORY, "v1") is None
        registry.put(REPOSITORY, {"v1": "one"})
        assert await client.digest(REPOSITORY, "v1") == DIGEST
        registry.tells_digest = False
        assert await client.digest(REPOSITORY, "v1") == DIGEST
    assert registry.by_kind == {"head": 3, "get": 2}


async def test_digest_of_a_tag_that_is_not_listed_believes_a_404(registry: ScriptedRegistry) -> None:
    registry.put(REPOSITORY, {"v1": "one"})
    registry.head_status = 404
    async with RegistryClient(registry.url) as client:
        assert await client.digest(REPOSITORY, "v1", listed=False) is None
    assert registry.by_kind == {"head": 1}


async def test_digests_of_a_registry_without_head_use_get_and_recheck_once_an_hour(
    registry: ScriptedRegistry, later: Callable[[float], None]
) -> None:
    tags = [f"v{number}" for number in range(40)]
    registry.put(REPOSITORY, tags, "one")
    registry.head_status = 404

    async def read_all(client: RegistryClient) -> dict[str, int]:
        registry.asked.clear()
        found = await asyncio.gather(*(client.digest(REPOSITORY, tag) for tag in tags))
        assert set(found) == {DIGEST}
        return registry.by_kind

    async with RegistryClient(registry.url) as client:
        for tag in tags:
            assert await client.digest(REPOSITORY, tag) == DIGEST
    assert registry.by_kind == {"head": 3, "get": 40}
    async with RegistryClient(registry.url, max_in_flight=10) as client:
        assert await read_all(client) == {"get": 40}
        later(3599)
        assert await read_all(client) == {"get": 40}
        later(2)
        assert await read_all(client) == {"head": 1, "get": 40}  # one of the ten in flight
        assert await read_all(client) == {"get": 40}
        later(3601)
        registry.head_status = None
        await client.digest(REPOSITORY, "v0")
        assert await read_all(client) == {"head": 40}


async def test_digests_with_a_head_that_works_for_some_tags_only_keep_head(
    registry: ScriptedRegistry,
) -> None:
    tags = [f"v{number}" for number in range(20)]
    registry.put(REPOSITORY, tags, "one")

    async def half(request: web.Request) -> web.Response | None:
        is_odd = request.path[-1] in "13579" and "manifests" in request.path
        return web.Response(status=405) if request.method == "HEAD" and is_odd else None

    registry.faults.append(half)
    async with RegistryClient(registry.url) as client:
        for _ in range(3):
            found = await poll(client, REPOSITORY, Watermark())
            assert (found.watermark_after.size, found.unknown) == (20, {})
    assert registry.by_kind == {"list": 3, "head": 60, "get": 30}


async def test_poll_of_a_named_tag_that_head_hides_finds_it(registry: ScriptedRegistry) -> None:
    registry.head_status = 404
    rule = TagRule(tags=["v1"])
    async with RegistryClient(registry.url) as client:
        registry.put(REPOSITORY, {"other": "one"})
        before = (await poll(client, REPOSITORY, Watermark(), rule)).watermark_after
        registry.put(REPOSITORY, {"v1": "one"})
        client._opened.memory.head._ghosts.clear()  # an hour later
        assert len((await poll(client, REPOSITORY, before, rule)).notifications) == 1


@pytest.mark.parametrize("head", [reply(405), reply(501), reply(200), reply(403)])
async def test_digest_on_docker_hub_sends_no_get_and_reports_the_fault(
    monkeypatch: pytest.MonkeyPatch, head: bytes
) -> None:
    monkeypatch.setattr(client_module, "is_docker_hub", lambda host: True)
    async with RawServer(by_method(HEAD=head, GET=FOUND)) as server, RegistryClient(server.url) as client:
        for tag in ("v1", "v2", "v3", "v4", "v5"):
            with pytest.raises(RegistryError) as caught:
                await client.digest(REPOSITORY, tag)
            assert caught.value.kind in ("refused_answer", "credentials", "unavailable")
    assert {talk.method for talk in server.requests} == {"HEAD"}


async def test_digest_of_a_missing_tag_on_docker_hub_is_none_without_a_get(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client_module, "is_docker_hub", lambda host: True)
    answers = by_method(HEAD=reply(404), GET=FOUND)
    async with RawServer(answers) as server, RegistryClient(server.url) as client:
        assert await client.digest(REPOSITORY, "v1") is None
    assert {talk.method for talk in server.requests} == {"HEAD"}


async def test_digest_on_a_mirror_that_redirects_to_docker_hub_sends_no_get(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with RawServer(by_method(HEAD=reply(405), GET=FOUND), host="127.0.0.2") as hub:
        monkeypatch.setattr(client_module, "is_docker_hub", lambda host: host == "127.0.0.2")

        async def redirect(talk: Talk) -> None:
            await talk.send(reply(307, b"", f"Location: {hub.url}{talk.path}"))

        async with RawServer(redirect) as mirror, RegistryClient(mirror.url) as client:
            with pytest.raises(RegistryError):
                await client.digest(REPOSITORY, "v1")
    assert {talk.method for talk in (*hub.requests, *mirror.requests)} == {"HEAD"}


async def test_digest_by_get_that_fails_too_is_unknown_and_not_remembered() -> None:
    answers = [reply(404), reply(500), reply(404), FOUND]

    async def script(talk: Talk) -> None:
        await talk.send(by_name(talk, answers.pop(0)))
        talk.keeps = True

    async with RawServer(script) as server, RegistryClient(server.url) as client:
        with pytest.raises(RegistryError):
            await client.digest(REPOSITORY, "v1")
        assert await client.digest(REPOSITORY, "v1") == DIGEST


def test_head_support_keeps_a_bounded_number_of_ghosts() -> None:
    support = HeadSupport()
    for number in range(25_000):
        support.add_ghost(REPOSITORY, f"v{number}", 404)
    assert len(support._ghosts) == 20_000
    assert support.is_ghost(REPOSITORY, "v24999", 404)
    assert not support.is_ghost(REPOSITORY, "v24999", 405)


# L. Compression on HEAD


async def test_digests_of_many_tags_use_one_connection_of_a_server_that_would_compress() -> None:
    """nginx with gzip closes the connection after a HEAD whose answer it would have compressed."""

    async def script(talk: Talk) -> None:
        wants_gzip = "gzip" in talk.head.lower()
        await talk.send(by_name(talk, FOUND))
        talk.keeps = not (talk.method == "HEAD" and wants_gzip)

    async with RawServer(script) as server, RegistryClient(server.url, max_in_flight=1) as client:
        for number in range(20):
            assert await client.digest(REPOSITORY, f"v{number}") == DIGEST
    assert server.connections == 1
    assert all("Accept-Encoding: identity" in talk.head for talk in server.requests)


def test_manifest_of_the_tests_has_its_digest() -> None:
    assert "sha256:" + hashlib.sha256(MANIFEST).hexdigest() == DIGEST
