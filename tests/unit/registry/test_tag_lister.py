# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Kinds B and M: the page size that a registry accepts, and a listing that is empty in another form."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web

from airflow_registry_triggers.registry.client import RegistryClient
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.poll import poll
from airflow_registry_triggers.registry.watermark import Watermark
from tests.unit.registry.raw_server import RawServer, Talk, reply
from tests.unit.registry.scripted_registry import Paging, ScriptedRegistry

REPOSITORY = "team/app"
PAGE = b'{"name":"team/app","tags":["v1"]}'
NOT_ABOUT_SIZE = {401: "credentials", 403: "credentials", 429: "rate_limited", 500: "unavailable"}


class Picky:
    """A registry that accepts only some values of ``n``."""

    def __init__(self, status: int, largest: int | None) -> None:
        self.status = status
        self.largest = largest
        self.sizes: list[str | None] = []
        self.missing: set[str] = set()

    async def __call__(self, talk: Talk) -> None:
        talk.keeps = True
        parts = urlsplit(talk.path)
        if not parts.path.endswith("/tags/list"):
            await talk.send(reply(200, b"{}"))
            return
        size = parse_qs(parts.query).get("n", [None])[0]
        self.sizes.append(size)
        name = parts.path.removeprefix("/v2/").removesuffix("/tags/list")
        if size is not None and (self.largest is None or int(size) > self.largest):
            await talk.send(reply(self.status, b'{"errors":[]}'))
        else:
            found = name not in self.missing
            await talk.send(reply(200, PAGE) if found else reply(404, b'{"errors":[]}'))


@pytest.mark.parametrize("status", [400, 402, 404, 405, 406, 409, 413, 414, 416, 422, 431])
@pytest.mark.parametrize(
    ("largest", "sizes", "then"),
    [(999, ["1000", "100"], "100"), (100, ["1000", "100"], "100"), (None, ["1000", "100", None], None)],
)
async def test_list_tags_with_a_refused_page_size_tries_smaller_ones_and_remembers(
    status: int, largest: int | None, sizes: list[str | None], then: str | None
) -> None:
    """image-reflector-controller#585: Quay answers 413 to n=1000; zuul-registry answers 404 to any n."""
    picky = Picky(status, largest)
    async with RawServer(picky) as server:
        async with RegistryClient(server.url) as client:
            assert await client.list_tags(REPOSITORY) == ["v1"]
        # Of the registry, so also for other repositories and later clients.
        async with RegistryClient(server.url) as client:
            assert await client.list_tags("team/other") == ["v1"]
    assert picky.sizes == [*sizes, then]


@pytest.mark.parametrize(("status", "kind"), NOT_ABOUT_SIZE.items())
async def test_list_tags_with_another_error_does_not_try_smaller_pages(status: int, kind: str) -> None:
    picky = Picky(status, 100)
    async with RawServer(picky) as server, RegistryClient(server.url) as client:
        with pytest.raises(RegistryError) as caught:
            await client.list_tags(REPOSITORY)
    assert caught.value.kind == kind
    assert picky.sizes == ["1000"]


async def test_list_tags_that_fails_with_every_page_size_reports_the_status() -> None:
    picky = Picky(413, None)

    async def never(talk: Talk) -> None:
        picky.sizes.append(talk.path)
        await talk.send(reply(413, b"{}"))

    async with RawServer(never) as server, RegistryClient(server.url) as client:
        with pytest.raises(RegistryError, match="answered 413") as caught:
            await client.list_tags(REPOSITORY)
    assert caught.value.kind == "refused_answer"
    assert len(picky.sizes) == 3


async def test_list_tags_of_a_missing_repository_keeps_the_page_size_that_worked() -> None:
    picky = Picky(413, 100)
    picky.missing.add("team/missing")
    async with RawServer(picky) as server, RegistryClient(server.url) as client:
        await client.list_tags(REPOSITORY)
        for _ in range(2):
            with pytest.raises(RegistryError) as caught:
                await client.list_tags("team/missing")
            assert caught.value.kind == "no_such_repository"
        await client.list_tags(REPOSITORY)
    assert picky.sizes == ["1000", "100", "100", "100", "100"]


async def test_list_tags_with_a_refused_later_page_discards_the_listing(registry: ScriptedRegistry) -> None:
    """Only the first page may be requested with another size; the link of a later one is the registry's."""
    registry.put(REPOSITORY, [f"v{number}" for number in range(9)])
    registry.paging = Paging(size=4)

    async def refuse(request: web.Request) -> web.Response | None:
        return web.Response(status=413) if "last" in request.query else None

    registry.faults.append(refuse)
    async with RegistryClient(registry.url) as client:
        with pytest.raises(RegistryError, match="413"):
            await client.list_tags(REPOSITORY)
    assert registry.count() == 2


# M. A listing that is empty in another form

EMPTY = {
    "tags: []": b'{"name":"team/app","tags":[]}',
    "tags: null": b'{"name":"team/app","tags":null}',
    "no tags": b'{"name":"team/app"}',
    "null without a name": b'{"tags":null}',
    "nulls only": b'{"name":"team/app","tags":[null,null]}',
    "more keys": b'{"name":"team/app","tags":null,"manifest":{},"child":[]}',
}


@pytest.mark.parametrize("body", EMPTY.values(), ids=EMPTY)
async def test_poll_of_an_empty_listing_records_an_empty_baseline_and_finds_what_fills_it(
    body: bytes,
) -> None:
    pages = [body, PAGE, body, PAGE]

    async def script(talk: Talk) -> None:
        talk.keeps = True
        listed = "/tags/list" in talk.path
        digest = "Docker-Content-Digest: sha256:" + "a" * 64
        await talk.send(reply(200, pages.pop(0)) if listed else reply(200, b"", digest))

    async with RawServer(script) as server, RegistryClient(server.url) as client:
        empty = await poll(client, REPOSITORY, Watermark())
        assert (empty.notifications, empty.watermark_before.epoch is not None) == ([], True)
        filled = await poll(client, REPOSITORY, empty.watermark_before)
        assert len(filled.notifications) == 1
        # Emptied and filled again with the same digest: nothing was pushed that is not known.
        for _ in range(2):
            later = await poll(client, REPOSITORY, filled.watermark_after)
            assert (later.notifications, later.watermark_after.size) == ([], 1)


@pytest.mark.parametrize(
    "body",
    [b"{}", b'{"errors":[]}', b'{"name":7}', b'{"name":"x","tags":"v1"}', b'{"name":"x","tags":{}}', b"null"],
)
async def test_poll_of_a_body_that_is_no_listing_records_nothing(body: bytes) -> None:
    async def script(talk: Talk) -> None:
        await talk.send(reply(200, b"{}" if talk.path == "/v2/" else body))

    async with RawServer(script) as server, RegistryClient(server.url) as client:
        with pytest.raises(RegistryError, match="not a list of tags"):
            await poll(client, REPOSITORY, Watermark())


@pytest.mark.parametrize("status", [404])
async def test_poll_of_a_404_after_a_baseline_is_transient_and_keeps_the_state(status: int) -> None:
    """distribution#4324: a repository whose last tag was deleted answers 404."""
    answers = [PAGE, None, None, None, None, PAGE]

    async def script(talk: Talk) -> None:
        talk.keeps = True
        digest = "Docker-Content-Digest: sha256:" + "a" * 64
        if "/tags/list" not in talk.path:
            await talk.send(reply(200, b"{}", digest) if talk.method == "GET" else reply(200, b"", digest))
            return
        page = answers.pop(0)
        await talk.send(reply(200, page) if page else reply(status, b'{"errors":[{"code":"NAME_UNKNOWN"}]}'))

    async with RawServer(script) as server, RegistryClient(server.url) as client:
        before = (await poll(client, REPOSITORY, Watermark())).watermark_after
        stored = before.to_dict()
        for _ in range(4):
            with pytest.raises(RegistryError, match="may be empty for now") as caught:
                await poll(client, REPOSITORY, before)
            assert (caught.value.kind, caught.value.transient) == ("no_such_repository", True)
            assert before.to_dict() == stored
        assert (await poll(client, REPOSITORY, before)).notifications == []
