# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Listing and digests, with each quirk that a registry is known for."""

from __future__ import annotations

import asyncio
import random

import pytest
from aiohttp import web

from airflow_registry_triggers.registry.client import ACCEPT, RegistryClient
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.http.rate_limits import Limits
from tests.unit.loop_clock import advance, settle
from tests.unit.registry.scripted_registry import Paging, ScriptedRegistry, digest_of, manifest_of

REPOSITORY = "team/app"
TAGS = [f"v{number}" for number in range(23)]
SECONDS = 30.0
"""The deadline of a request; tests of silent registries move the clock beyond it."""


async def refusal(client: RegistryClient, call) -> RegistryError:
    with pytest.raises(RegistryError) as caught:
        await call(client)
    return caught.value


def listing(client: RegistryClient):
    return client.list_tags(REPOSITORY)


def v1(client: RegistryClient):
    return client.digest(REPOSITORY, "v1")


# Listing


async def test_list_tags_with_one_page_sends_one_request(registry: ScriptedRegistry) -> None:
    registry.put(REPOSITORY, TAGS)
    async with RegistryClient(registry.url) as client:
        assert sorted(await client.list_tags(REPOSITORY)) == sorted(TAGS)
    assert [asked.path for asked in registry.asked] == ["/v2/team/app/tags/list?n=1000"]


@pytest.mark.parametrize("size", [1, 2, 22, 23, 50, 100, 1000])
@pytest.mark.parametrize("empty_last", [False, True])
async def test_list_tags_with_any_page_size_returns_all_tags(
    registry: ScriptedRegistry, size: int, empty_last: bool
) -> None:
    registry.put(REPOSITORY, TAGS)
    registry.paging = Paging(size=size, empty_last=empty_last)
    async with RegistryClient(registry.url) as client:
        tags = await client.list_tags(REPOSITORY)
    assert sorted(tags) == sorted(TAGS)
    full, rest = divmod(len(TAGS), size)
    assert registry.count() == full + (1 if rest else int(empty_last))


@pytest.mark.parametrize("number", [999, 1000, 1001, 2000])
async def test_list_tags_with_about_1000_tags_returns_all_tags(
    registry: ScriptedRegistry, number: int
) -> None:
    registry.put(REPOSITORY, [f"t{n}" for n in range(number)])
    registry.paging = Paging(size=1000, empty_last=True)
    async with RegistryClient(registry.url) as client:
        assert len(await client.list_tags(REPOSITORY)) == number


async def test_list_tags_with_unsorted_pages_keeps_their_order(registry: ScriptedRegistry) -> None:
    registry.put(REPOSITORY, TAGS)
    shuffled = random.Random(7).sample(TAGS, len(TAGS))
    registry.paging = Paging(size=5, sort=lambda tags: shuffled)
    async with RegistryClient(registry.url) as client:
        assert await client.list_tags(REPOSITORY) == shuffled


LINKS = {
    "relative": '<{path}>; rel="next"',
    "absolute": '<{base}{path}>; rel="next"',
    "quay-no-brackets": '{path}; rel="next"',
    "unquoted": "<{path}>; rel=next",
    "other-case": '<{path}>; REL="NEXT"',
    "more-relations": '<{path}>; rel="last next"; title="a, b"',
    "several-links": '</v2/>; rel="prev", <{path}>; rel="next"',
    "query-only": '<?{query}>; rel="next"',
}


@pytest.mark.parametrize("form", LINKS.values(), ids=LINKS.keys())
async def test_list_tags_with_any_form_of_link_follows_it(registry: ScriptedRegistry, form: str) -> None:
    registry.put(REPOSITORY, TAGS)
    registry.paging = Paging(
        size=10, link=lambda path: form.format(path=path, base=registry.url, query=path.partition("?")[2])
    )
    async with RegistryClient(registry.url) as client:
        assert sorted(await client.list_tags(REPOSITORY)) == sorted(TAGS)
    assert registry.count() == 3


async def test_list_tags_with_an_opaque_cursor_sends_it_unchanged(registry: ScriptedRegistry) -> None:
    cursor = "at={0}&next_page=gAAAA%2Bb%3D%3D~%7e%2f+x%20y"
    registry.put(REPOSITORY, TAGS)
    registry.paging = Paging(size=20, cursor=cursor.format)
    async with RegistryClient(registry.url) as client:
        assert len(await client.list_tags(REPOSITORY)) == len(TAGS)
    assert registry.asked[1].path == f"/v2/team/app/tags/list?{cursor.format(20)}&n=20"


async def test_client_with_a_path_prefix_lists_tags_and_digests() -> None:
    async with ScriptedRegistry("/registries/one").served() as registry:
        registry.put(REPOSITORY, TAGS)
        registry.paging = Paging(size=10)
        async with RegistryClient(registry.url) as client:
            assert client.registry.endswith("/registries/one")
            assert len(await client.list_tags(REPOSITORY)) == len(TAGS)
            assert await client.digest(REPOSITORY, "v1") == digest_of("first")


async def test_list_tags_with_an_artifactory_link_without_repository_prefix_follows_it(
    registry: ScriptedRegistry,
) -> None:
    registry.put("local/team/app", TAGS)
    registry.paging = Paging(size=10, link=lambda path: f'<{path.replace("/v2/local/", "/v2/")}>; rel="next"')
    async with RegistryClient(registry.url) as client:
        assert len(await client.list_tags("local/team/app")) == len(TAGS)


async def test_list_tags_with_an_artifactory_link_without_path_prefix_follows_it() -> None:
    async with ScriptedRegistry("/artifactory/api/docker/local").served() as registry:
        registry.put(REPOSITORY, TAGS)
        registry.paging = Paging(
            size=10, link=lambda path: f'<{path.removeprefix(registry.prefix)}>; rel="next"'
        )
        async with RegistryClient(registry.url) as client:
            assert len(await client.list_tags(REPOSITORY)) == len(TAGS)


async def test_list_tags_with_nulls_and_invalid_names_leaves_them_out(registry: ScriptedRegistry) -> None:
    registry.put(REPOSITORY, TAGS)
    registry.paging = Paging(size=10, nulls=True)
    async with RegistryClient(registry.url) as client:
        assert sorted(await client.list_tags(REPOSITORY)) == sorted(TAGS)


async def test_list_tags_with_tags_null_returns_an_empty_list(registry: ScriptedRegistry) -> None:
    registry.repositories[REPOSITORY] = {}
    async with RegistryClient(registry.url) as client:
        assert await client.list_tags(REPOSITORY) == []


async def test_list_tags_with_artifactory_digest_tags_returns_them(registry: ScriptedRegistry) -> None:
    tags = ["sha256__" + "a" * 64, "latest"]
    registry.put(REPOSITORY, tags)
    async with RegistryClient(registry.url) as client:
        assert sorted(await client.list_tags(REPOSITORY)) == sorted(tags)


async def test_list_tags_with_a_gzip_body_returns_all_tags(registry: ScriptedRegistry) -> None:
    registry.put(REPOSITORY, TAGS)
    registry.gzips = True
    async with RegistryClient(registry.url) as client:
        assert len(await client.list_tags(REPOSITORY)) == len(TAGS)


async def test_list_tags_with_a_tag_of_129_characters_leaves_it_out(registry: ScriptedRegistry) -> None:
    tag = "T" * 128
    registry.put(REPOSITORY, [tag, "T" * 129])
    async with RegistryClient(registry.url) as client:
        assert await client.list_tags(REPOSITORY) == [tag]
        assert await client.digest(REPOSITORY, tag) == digest_of("first")


async def test_list_tags_over_ipv6_returns_all_tags() -> None:
    async with ScriptedRegistry().served("::1") as registry:
        registry.put(REPOSITORY, TAGS)
        registry.paging = Paging(size=10, link=lambda path: f'<{registry.url}{path}>; rel="next"')
        async with RegistryClient(registry.url) as client:
            assert client.registry == registry.url.removeprefix("http://")
            assert len(await client.list_tags(REPOSITORY)) == len(TAGS)


async def test_list_with_a_google_manifest_map_returns_digests_and_times(registry: ScriptedRegistry) -> None:
    registry.put(REPOSITORY, {"a": "one", "b": "one", "c": "two"})
    registry.paging = Paging(upload_times={"a": 1480422346000, "b": 1480422346000})
    async with RegistryClient(registry.url) as client:
        listed = await client.list(REPOSITORY)
    assert listed.known == {
        "a": (digest_of("one"), 1480422346.0),
        "b": (digest_of("one"), 1480422346.0),
        "c": (digest_of("two"), None),
    }


@pytest.mark.parametrize(
    "manifest",
    [
        None,
        [],
        "x",
        {"sha256:short": {"tag": ["v1"]}},
        {digest_of("one"): None},
        {digest_of("one"): {"tag": "v1"}},
        {digest_of("one"): {"tag": ["v1"]}, digest_of("two"): {"tag": ["v1"]}},
    ],
)
async def test_list_with_an_invalid_google_manifest_map_ignores_it(
    registry: ScriptedRegistry, manifest: object
) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"tags": ["v1"], "manifest": manifest})

    registry.faults.append(answer)
    async with RegistryClient(registry.url) as client:
        listed = await client.list(REPOSITORY)
    assert (listed.tags, listed.known) == (["v1"], {})


# A listing that fails is thrown away whole


def on_page(number: int, response):
    """Answer the listing's page of that number with a response."""
    seen = 0

    async def fault(request: web.Request) -> web.StreamResponse | None:
        nonlocal seen
        if not request.path.endswith("/tags/list"):
            return None
        seen += 1
        return await response(request) if seen == number else None

    return fault


async def cut_off(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"tags": ["v1", ')
    request.transport.close()
    return response


async def never_ending(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b" ")
    await settle()
    advance(SECONDS + 1)
    while True:
        await response.write(b" ")
        await asyncio.sleep(0.02)


async def silent(request: web.Request) -> web.StreamResponse:
    await settle()
    advance(SECONDS + 1)
    await asyncio.sleep(2 * SECONDS)
    raise AssertionError


async def html(request: web.Request) -> web.StreamResponse:
    return web.Response(text="<html>Sorry</html>", content_type="text/html")


def status(code: int, **headers: str):
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(
            status=code, headers={name.replace("_", "-"): text for name, text in headers.items()}
        )

    return answer


def body(text: str):
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(text=text, content_type="application/json")

    return answer


@pytest.mark.parametrize("page", [1, 3])
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (cut_off, "unavailable"),
        (never_ending, "unavailable"),
        (silent, "unavailable"),
        (status(500), "unavailable"),
        (status(502), "unavailable"),
        (status(403), "credentials"),
        (status(429), "rate_limited"),
        (status(503, Retry_After="60"), "rate_limited"),
        (html, "refused_answer"),
        (body("{"), "refused_answer"),
        (body("[]"), "refused_answer"),
        (body("{}"), "refused_answer"),
        (body('{"tags": "v1"}'), "refused_answer"),
        (body('{"errors": []}'), "refused_answer"),
        (body("[" * 100_000), "refused_answer"),
        (body('{"tags": [' + "9" * 5000 + "]}"), "refused_answer"),
    ],
    ids=str,
)
async def test_list_tags_with_a_failed_page_raises(
    registry: ScriptedRegistry, page: int, answer, kind: str
) -> None:
    registry.put(REPOSITORY, TAGS)
    registry.paging = Paging(size=5)
    registry.faults.append(on_page(page, answer))
    async with RegistryClient(registry.url, limits=Limits(seconds=SECONDS)) as client:
        error = await refusal(client, listing)
        assert error.kind == kind
        assert registry.url in str(error)


@pytest.mark.parametrize(
    "link",
    [
        '<http://other.example.com/v2/team/app/tags/list?last=v1>; rel="next"',
        '<//other.example.com/v2/team/app/tags/list?last=v1>; rel="next"',
        '<ftp://127.0.0.1/x>; rel="next"',
        '<http://user:secret@{host}/v2/team/app/tags/list?last=v1>; rel="next"',
        '<>; rel="next"',
        '<http://[::1/x>; rel="next"',
        '</v2/team/app/tags/list?last=a b>; rel="next"',
        "</v2/" + "x" * 70_000 + '>; rel="next"',
    ],
)
async def test_list_tags_with_a_link_to_another_origin_raises(registry: ScriptedRegistry, link: str) -> None:
    registry.put(REPOSITORY, TAGS)
    registry.paging = Paging(
        size=5, link=lambda path: link.replace("{host}", registry.url.removeprefix("http://"))
    )
    async with RegistryClient(registry.url, "user", "pass") as client:
        error = await refusal(client, listing)
    assert error.kind == "refused_answer"
    assert error.transient
    assert "secret" not in str(error)
    assert registry.count() == 1


async def test_list_tags_with_a_repeated_url_raises(registry: ScriptedRegistry) -> None:
    registry.put(REPOSITORY, TAGS)
    registry.paging = Paging(size=5, cursor=lambda at, last: "at=5")
    async with RegistryClient(registry.url) as client:
        error = await refusal(client, listing)
    assert error.kind == "refused_answer"
    assert "a page that was read before" in str(error)
    assert registry.count() == 2


async def test_list_tags_with_endless_pages_of_the_same_tags_raises(registry: ScriptedRegistry) -> None:
    async def endless(request: web.Request) -> web.Response:
        at = int(request.query.get("at", 0)) + 1
        return web.json_response(
            {"tags": ["v1", "v2"]}, headers={"Link": f'</v2/team/app/tags/list?at={at}>; rel="next"'}
        )

    registry.faults.append(endless)
    async with RegistryClient(registry.url) as client:
        error = await refusal(client, listing)
    assert (error.kind, registry.count()) == ("refused_answer", 12)


@pytest.mark.parametrize(("limits", "count"), [(Limits(pages=20), 20), (Limits(tags=30), 31)])
async def test_list_tags_with_endless_pages_of_new_tags_raises(
    registry: ScriptedRegistry, limits: Limits, count: int
) -> None:
    async def endless(request: web.Request) -> web.Response:
        at = int(request.query.get("at", 0)) + 1
        return web.json_response(
            {"tags": [f"v{at}"]}, headers={"Link": f'</v2/team/app/tags/list?at={at}>; rel="next"'}
        )

    registry.faults.append(endless)
    async with RegistryClient(registry.url, limits=limits) as client:
        error = await refusal(client, listing)
    assert (error.kind, registry.count()) == ("refused_answer", count)


async def test_list_tags_over_its_time_limit_raises(registry: ScriptedRegistry) -> None:
    registry.put(REPOSITORY, TAGS)
    registry.paging = Paging(size=1)
    registry.delay = 0.1
    async with RegistryClient(registry.url, limits=Limits(listing_seconds=0.5)) as client:
        error = await refusal(client, listing)
    assert error.kind == "unavailable"
    assert registry.count() < len(TAGS)


@pytest.mark.parametrize("compressed", [False, True])
async def test_list_tags_with_a_body_of_60_mib_raises(registry: ScriptedRegistry, compressed: bool) -> None:
    sent = 0

    async def flood(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        if compressed:
            response.enable_compression(web.ContentCoding.gzip)
        await response.prepare(request)
        try:
            for _ in range(60):
                await response.write(b" " * (1 << 20))
                sent += 1
        except ConnectionError:
            pass
        return response

    registry.faults.append(flood)
    async with RegistryClient(registry.url) as client:
        error = await refusal(client, listing)
        assert error.kind == "refused_answer"
        assert "16,777,216 bytes" in str(error)
        if not compressed:
            assert sent < 40
        registry.faults.clear()
        registry.put(REPOSITORY, TAGS)
        assert len(await client.list_tags(REPOSITORY)) == len(TAGS)


# Digests


async def test_digest_of_several_tags_sends_head_with_the_same_accept_header(
    registry: ScriptedRegistry,
) -> None:
    registry.put(REPOSITORY, {"v1": "one", "v2": "two"})
    async with RegistryClient(registry.url) as client:
        assert await client.digest(REPOSITORY, "v1") == digest_of("one")
        assert await client.digest(REPOSITORY, "v2") == digest_of("two")
    assert [(asked.method, asked.headers["Accept"]) for asked in registry.asked] == [("HEAD", ACCEPT)] * 2
    assert ACCEPT.split(", ") == [
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    ]


async def test_digest_of_a_ghost_tag_returns_none(registry: ScriptedRegistry) -> None:
    async with RegistryClient(registry.url) as client:
        assert await client.digest(REPOSITORY, "v1") is None


@pytest.mark.parametrize("code", [405, 501])
async def test_digest_with_head_refused_uses_get(registry: ScriptedRegistry, code: int) -> None:
    registry.put(REPOSITORY, ["v1", "v2", "v3"], "one")
    registry.head_status = code
    async with RegistryClient(registry.url) as client:
        for tag in ("v1", "v2", "v3", "v1", "v2"):
            assert await client.digest(REPOSITORY, tag) == digest_of("one")
        assert await client.digest(REPOSITORY, "ghost") is None
    assert registry.by_kind == {"head": 3, "get": 6}


async def test_digest_without_the_digest_header_uses_get(registry: ScriptedRegistry) -> None:
    registry.put(REPOSITORY, ["v1", "v2", "v3"], "one")
    registry.tells_digest = False
    async with RegistryClient(registry.url) as client:
        for tag in ("v1", "v2", "v3", "v1", "v2"):
            assert await client.digest(REPOSITORY, tag) == digest_of("one")
    assert registry.by_kind == {"head": 3, "get": 5}


async def test_digest_with_the_header_missing_once_continues_with_head(registry: ScriptedRegistry) -> None:
    registry.put(REPOSITORY, {"v1": "one"})
    async with RegistryClient(registry.url) as client:
        await client.digest(REPOSITORY, "v1")
        registry.tells_digest = False
        assert await client.digest(REPOSITORY, "v1") == digest_of("one")
        registry.tells_digest = True
        await client.digest(REPOSITORY, "v1")
    assert registry.by_kind == {"head": 3, "get": 1}


async def test_digest_with_sha512_returns_it(registry: ScriptedRegistry) -> None:
    registry.faults.append(status(200, Docker_Content_Digest="sha512:" + "a" * 128))
    async with RegistryClient(registry.url) as client:
        assert await client.digest(REPOSITORY, "v1") == "sha512:" + "a" * 128


@pytest.mark.parametrize(
    "told",
    [
        "",
        "latest",
        "sha256:",
        "sha256:" + "a" * 63,
        "sha256:" + "A" * 64,
        "sha256:" + "g" * 64,
        "md5:" + "a" * 32,
    ],
)
async def test_digest_with_an_invalid_header_raises(registry: ScriptedRegistry, told: str) -> None:
    registry.faults.append(status(200, Docker_Content_Digest=told))
    async with RegistryClient(registry.url) as client:
        error = await refusal(client, v1)
    assert error.kind == "refused_answer"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (status(401), "credentials"),
        (status(403), "credentials"),
        (status(429), "rate_limited"),
        (status(500), "unavailable"),
        (status(503), "unavailable"),
        (silent, "unavailable"),
        (html, "refused_answer"),
        (body("not json"), "refused_answer"),
        (status(302, Location="/elsewhere/"), "refused_answer"),
    ],
    ids=str,
)
async def test_digest_with_a_failed_response_raises_its_kind(
    registry: ScriptedRegistry, answer, kind: str
) -> None:
    registry.faults.append(answer)
    async with RegistryClient(registry.url, limits=Limits(seconds=SECONDS)) as client:
        error = await refusal(client, v1)
    assert error.kind == kind


async def test_digest_of_a_body_with_another_digest_header_raises(registry: ScriptedRegistry) -> None:
    async def answer(request: web.Request) -> web.Response:
        headers = {} if request.method == "HEAD" else {"Docker-Content-Digest": digest_of("two")}
        return web.Response(body=manifest_of("one"), headers=headers)

    registry.faults.append(answer)
    async with RegistryClient(registry.url) as client:
        error = await refusal(client, v1)
    assert error.kind == "refused_answer"


async def test_digest_of_a_manifest_over_the_size_limit_raises(registry: ScriptedRegistry) -> None:
    registry.tells_digest = False
    registry.put(REPOSITORY, {"v1": "x" * 2000})
    async with RegistryClient(registry.url, limits=Limits(manifest_bytes=1000)) as client:
        error = await refusal(client, v1)
    assert error.kind == "refused_answer"


@pytest.mark.parametrize("tag", ["", "a/b", "../x", "v1?x", "-v", ".v", "é", "a" * 129, "sha256:" + "a" * 64])
async def test_digest_of_an_invalid_tag_raises(registry: ScriptedRegistry, tag: str) -> None:
    async with RegistryClient(registry.url) as client:
        with pytest.raises(ValueError, match="tag"):
            await client.digest(REPOSITORY, tag)
    assert registry.count() == 0


@pytest.mark.parametrize(
    "name", ["", "/", "Team/app", "team//app", "../x", "team/app?x=1", "team/app:v1", "a" * 256]
)
async def test_client_with_an_invalid_repository_raises(registry: ScriptedRegistry, name: str) -> None:
    async with RegistryClient(registry.url) as client:
        for call in (client.list_tags(name), client.digest(name, "v1")):
            with pytest.raises(ValueError, match="repository"):
                await call
    assert registry.count() == 0


# Redirects


async def test_redirect_to_another_origin_is_followed_without_the_login(registry: ScriptedRegistry) -> None:
    registry.put(REPOSITORY, {"v1": "one"})
    async with ScriptedRegistry().served("127.0.0.2") as mirror:
        mirror.put(REPOSITORY, {"v1": "one"})
        registry.sign_in = None

        async def redirect(request: web.Request) -> web.Response | None:
            if "Authorization" not in request.headers:
                return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})
            return web.Response(status=307, headers={"Location": mirror.url + request.raw_path})

        registry.faults.append(redirect)
        async with RegistryClient(registry.url, "robot", "secret") as client:
            assert await client.digest(REPOSITORY, "v1") == digest_of("one")
    assert "Authorization" in registry.asked[-1].headers
    assert "Authorization" not in mirror.asked[-1].headers


async def test_redirect_to_an_origin_that_requests_a_login_sends_none(registry: ScriptedRegistry) -> None:
    async with ScriptedRegistry().served("127.0.0.2") as thief:
        thief.faults.append(status(401, WWW_Authenticate=f'Bearer realm="{thief.url}/token",service="x"'))

        async def redirect(request: web.Request) -> web.Response:
            return web.Response(status=307, headers={"Location": thief.url + request.raw_path})

        registry.faults.append(redirect)
        async with RegistryClient(registry.url, "robot", "secret") as client:
            error = await refusal(client, listing)
    assert error.kind == "credentials"
    assert thief.count() == 1
    assert all("Authorization" not in asked.headers for asked in thief.asked)


async def test_redirect_without_an_end_raises_after_four_requests(registry: ScriptedRegistry) -> None:
    async def redirect(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": f"{request.path}?{registry.count()}"})

    registry.faults.append(redirect)
    async with RegistryClient(registry.url) as client:
        error = await refusal(client, listing)
    assert (error.kind, registry.count()) == ("refused_answer", 4)


# Which of the four it is


async def test_list_tags_of_a_missing_repository_raises_no_such_repository(
    registry: ScriptedRegistry,
) -> None:
    async with RegistryClient(registry.url) as client:
        error = await refusal(client, listing)
    assert error.kind == "no_such_repository"
    assert not error.transient
    assert "team/app" in str(error)
    assert registry.count() == 3  # n=1000, n=100, without n


async def test_list_tags_of_a_missing_repository_on_a_known_registry_sends_one_request(
    registry: ScriptedRegistry,
) -> None:
    registry.put("team/other", TAGS)
    async with RegistryClient(registry.url) as client:
        await client.list_tags("team/other")
        registry.asked.clear()
        assert (await refusal(client, listing)).kind == "no_such_repository"
    assert registry.count() == 1


@pytest.mark.parametrize("page", [status(404), html, body("")], ids=str)
async def test_client_of_a_host_that_is_not_a_registry_raises_not_a_registry(
    registry: ScriptedRegistry, page
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return await (page(request) if request.path != "/v2/" else status(404)(request))

    registry.faults.append(answer)
    async with RegistryClient(registry.url) as client:
        assert (await refusal(client, listing)).kind == "not_a_registry"
        assert (await refusal(client, RegistryClient.check)).kind == "not_a_registry"


async def test_list_tags_with_an_html_404_raises_no_such_repository(registry: ScriptedRegistry) -> None:
    async def answer(request: web.Request) -> web.StreamResponse | None:
        return (
            None
            if request.path == "/v2/"
            else web.Response(status=404, text="<html>", content_type="text/html")
        )

    registry.faults.append(answer)
    async with RegistryClient(registry.url) as client:
        assert (await refusal(client, listing)).kind == "no_such_repository"


async def test_check_of_a_registry_sends_one_request(registry: ScriptedRegistry) -> None:
    async with RegistryClient(registry.url) as client:
        await client.check()
    assert [asked.path for asked in registry.asked] == ["/v2/"]


@pytest.mark.parametrize(
    "host", ["registry.invalid", "registry..example", "r" * 64 + ".example", "1.2.3.4.5"]
)
async def test_client_with_an_unknown_host_raises_name(host: str) -> None:
    async with RegistryClient(f"http://{host}") as client:
        for call in (listing, v1, RegistryClient.check):
            error = await refusal(client, call)
            assert error.kind == "name"
            assert host in str(error)


async def test_client_with_a_closed_port_raises_unavailable() -> None:
    async with RegistryClient("http://127.0.0.1:1") as client:
        for call in (listing, v1, RegistryClient.check):
            error = await refusal(client, call)
            assert error.kind == "unavailable"
            assert "Connection refused" in str(error)


async def test_client_of_a_server_without_http_raises() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.com ESMTP\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, RegistryClient(f"http://127.0.0.1:{port}") as client:
        assert (await refusal(client, listing)).kind == "refused_answer"
        assert (await refusal(client, RegistryClient.check)).kind == "not_a_registry"


# The client itself


@pytest.mark.parametrize(
    "url",
    [
        "",
        "registry.example.com",
        "ftp://registry.example.com",
        "http://",
        "http://:80",
        "https://user:secret@registry.example.com",
        "https://registry.example.com?x=secret",
        "https://registry.example.com#secret",
        "https://registry.example.com:0",
        "https://registry.example.com:70000",
        "https://registry example.com",
        "https://registry.example.com\n",
        "http://[::1",
        None,
    ],
)
def test_client_with_an_invalid_base_url_raises(url: str) -> None:
    with pytest.raises(ValueError, match="base URL") as caught:
        RegistryClient(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://registry.example.com", "registry.example.com"),
        ("https://registry.example.com:443/", "registry.example.com"),
        ("HTTPS://Registry.Example.com:8443", "registry.example.com:8443"),
        ("http://[::1]:5000/prefix/", "[::1]:5000/prefix"),
        ("http://127.0.0.1:80", "127.0.0.1"),
    ],
)
def test_registry_of_a_base_url_is_its_normalized_name(url: str, name: str) -> None:
    assert RegistryClient(url).registry == name


def test_client_with_max_in_flight_0_raises() -> None:
    with pytest.raises(ValueError, match="max_in_flight"):
        RegistryClient("http://127.0.0.1", max_in_flight=0)


async def test_client_outside_async_with_raises(registry: ScriptedRegistry) -> None:
    client = RegistryClient(registry.url)
    with pytest.raises(RuntimeError, match="async with"):
        await client.list_tags(REPOSITORY)


async def test_client_entered_again_lists_tags(registry: ScriptedRegistry) -> None:
    registry.put(REPOSITORY, TAGS)
    client = RegistryClient(registry.url)
    for _ in range(2):
        async with client:
            assert len(await client.list_tags(REPOSITORY)) == len(TAGS)


def test_client_repr_with_a_password_leaves_it_out() -> None:
    client = RegistryClient("https://registry.example.com", "robot", "hunter2")
    assert "hunter2" not in repr(client)
    assert "hunter2" not in repr(client._credentials)
