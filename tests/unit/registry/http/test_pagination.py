# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Kind K: links to the next page stay on the own origin, and nothing is sent elsewhere."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from airflow_registry_triggers.registry.client import RegistryClient
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.http.pagination import ListingReader, next_page
from airflow_registry_triggers.registry.http.rate_limits import Limits
from tests.unit.registry.raw_server import RawServer, reply, says
from tests.unit.registry.scripted_registry import Paging, ScriptedRegistry

if TYPE_CHECKING:
    from collections.abc import Callable

REPOSITORY = "team/app"
TAGS = [f"v{number}" for number in range(23)]
HERE = URL("https://registry.example:8443/mirror/v2/team/app/tags/list?n=1000")


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        # Pulp behind nginx with TLS: the link says http.
        ("http://registry.example:8443/mirror/v2/team/app/tags/list?last=a", "last=a"),
        ("http://registry.example/mirror/v2/team/app/tags/list?last=a", "last=a"),
        # image-reflector-controller#343: Nexus lost its port.
        ("https://registry.example/mirror/v2/team/app/tags/list?last=a", "last=a"),
        ("https://registry.example:443/mirror/v2/team/app/tags/list?last=a", "last=a"),
        ("https://registry.example:5000/mirror/v2/team/app/tags/list?last=a", "last=a"),
        ("https://REGISTRY.Example.:8443/mirror/v2/team/app/tags/list?last=a", "last=a"),
        ("//registry.example/mirror/v2/team/app/tags/list?last=a", "last=a"),
        ("/mirror/v2/team/app/tags/list?last=a", "last=a"),
        ("list?last=a", "last=a"),
        ("?last=a&n=1000", "last=a&n=1000"),
        # Links without the prefix of the path.
        ("/v2/team/app/tags/list?last=a", "last=a"),
        ("http://registry.example/v2/team/app/tags/list?last=a", "last=a"),
        ("/v2/app/tags/list?last=a", "last=a"),
        ("?next_page=" + "x" * 2_000, "next_page=" + "x" * 2_000),
        ("?next_page=" + "x" * 60_000, "next_page=" + "x" * 60_000),
        ("?last=a%2Fb%2fc+d~%7e", "last=a%2Fb%2fc+d~%7e"),
        ("?last=a#fragment", "last=a"),
    ],
)
def test_next_page_with_another_scheme_port_or_prefix_stays_on_the_own_origin(
    link: str, expected: str
) -> None:
    page = next_page(HERE, link, "the listing")
    assert str(page) == f"https://registry.example:8443/mirror/v2/team/app/tags/list?{expected}"


@pytest.mark.parametrize(
    "link",
    [
        "https://other.example/v2/team/app/tags/list?last=a",
        "https://registry.example.other.example/v2/x/tags/list",
        "https://registry.example@other.example/v2/x/tags/list",
        "https://user:secret@registry.example:8443/v2/x/tags/list",
        "https://[::1]/v2/x/tags/list",
        "ftp://registry.example/v2/x/tags/list",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "",
        "https://[::1/x",
        "?last=a b",
        "?last=\u00e4",
        "?last=a\r\nX: y",
        "?" + "x" * 70_000,
    ],
)
def test_next_page_on_another_host_raises_without_quoting_it(link: str) -> None:
    with pytest.raises(RegistryError) as caught:
        next_page(HERE, link, "the listing")
    assert caught.value.kind == "refused_answer"
    assert caught.value.transient
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("here", "host"),
    [
        ("http://[::1]:5000/v2/x/tags/list", "[0:0:0:0:0:0:0:1]"),
        ("http://127.0.0.1:5000/v2/x/tags/list", "127.0.0.1:81"),
        ("http://xn--bcher-kva.example/v2/x/tags/list", "xn--bcher-kva.example."),
        ("http://Registry.example./v2/x/tags/list", "registry.example"),
    ],
)
def test_next_page_on_the_same_host_written_differently_is_followed(here: str, host: str) -> None:
    page = next_page(URL(here), f"http://{host}/v2/x/tags/list?last=a", "the listing")
    assert page.origin() == URL(here).origin()
    assert page.raw_path_qs == "/v2/x/tags/list?last=a"


def test_next_page_after_a_redirect_may_name_the_requested_host() -> None:
    page = next_page(HERE, "https://lscr.example/v2/team/app/tags/list?last=a", "x", "lscr.example")
    assert page.origin() == HERE.origin()


@given(st.text(max_size=60) | st.from_regex(r"(https?:)?/{2,5}[a-z.:@\[\]0-9]{0,20}/[a-z?=&/%]{0,20}"))
@example("//[]@")
@example("////evil.example/x")
@example("//registry.example//evil.example/x")
def test_next_page_of_any_link_stays_on_the_origin_or_raises(link: str) -> None:
    try:
        page = next_page(HERE, link, "the listing")
    except RegistryError as error:
        assert error.kind == "refused_answer"
    else:
        assert page.origin() == HERE.origin()


ELSEWHERE: dict[str, Callable[[ScriptedRegistry, RawServer], str]] = {
    "https": lambda registry, other: registry.url.replace("http:", "https:"),
    "without its port": lambda registry, other: "http://127.0.0.1",
    "the port of another server": lambda registry, other: f"http://127.0.0.1:{other.port}",
    "https and that port": lambda registry, other: f"https://127.0.0.1:{other.port}",
}


@pytest.mark.parametrize("base", ELSEWHERE.values(), ids=ELSEWHERE)
async def test_list_tags_with_a_link_to_another_scheme_or_port_sends_nothing_there(
    registry: ScriptedRegistry, base: Callable[[ScriptedRegistry, RawServer], str]
) -> None:
    """With 999 tags no link is needed; with 1,000 the listing must not break."""
    registry.put(REPOSITORY, [f"t{number}" for number in range(1000)])
    async with RawServer(says(reply(200, b'{"name":"x","tags":["stolen"]}'))) as other:
        registry.paging = Paging(
            size=1000, empty_last=True, link=lambda path: f'<{base(registry, other)}{path}>; rel="next"'
        )
        async with RegistryClient(registry.url, "robot", "secret") as client:
            assert len(await client.list_tags(REPOSITORY)) == 1000
    assert registry.count() == 2
    assert (other.received, other.connections) == (b"", 0)


async def test_list_tags_with_a_link_to_another_host_sends_nothing_there(registry: ScriptedRegistry) -> None:
    registry.put(REPOSITORY, TAGS)
    async with RawServer(says(reply(200, b"{}")), host="127.0.0.2") as other:
        registry.paging = Paging(size=5, link=lambda path: f'<{other.url}{path}>; rel="next"')
        async with RegistryClient(registry.url, "robot", "secret") as client:
            with pytest.raises(RegistryError, match="names another host"):
                await client.list_tags(REPOSITORY)
    assert other.connections == 0


async def test_list_tags_with_a_cursor_of_60_000_characters_follows_it(registry: ScriptedRegistry) -> None:
    """A cursor over 4,096 characters, with the default limits of the server raised as real ones raise them."""
    cursors: list[str] = []

    async def script(talk: object) -> None:
        path, writer = talk.path, talk.writer  # type: ignore[attr-defined]
        cursors.append(path.partition("?")[2])
        link = (
            [f'Link: </v2/team/app/tags/list?next={"c" * 60_000}>; rel="next"'] if len(cursors) == 1 else []
        )
        writer.write(reply(200, b'{"name":"x","tags":["v%d"]}' % len(cursors), *link))

    async with RawServer(script) as server, RegistryClient(server.url) as client:
        assert await client.list_tags(REPOSITORY) == ["v1", "v2"]
    assert cursors == ["n=1000", "next=" + "c" * 60_000]


async def test_listing_reader_with_long_cursors_keeps_none_of_them() -> None:
    """The number of pages has a limit, so the memory for each of them must not be the registry's choice."""
    reader = ListingReader(Limits(), "listing")
    page = HERE
    tracemalloc.start()
    try:
        for number in range(700):
            page = next_page(page, f"?last={number}{'c' * 60_000}", "listing")
            reader.begin(page)
            await reader.read(b'{"name":"team/app","tags":["v%d"]}' % number)
            if number == 300:  # the URL library caches its last 128 results
                before, _ = tracemalloc.get_traced_memory()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 5_000_000, "400 cursors are 24 MB"
    with pytest.raises(RegistryError, match="read before"):
        reader.begin(page)


async def test_list_tags_with_100_001_tags_on_one_page_sends_two_requests(registry: ScriptedRegistry) -> None:
    registry.put(REPOSITORY, [f"t{number}" for number in range(100_001)])
    registry.paging = Paging(size=100_001, empty_last=True)
    async with RegistryClient(registry.url) as client:
        assert len(await client.list_tags(REPOSITORY)) == 100_001
    assert registry.count() == 2


@pytest.mark.parametrize("pages", [1, 2, 3])
async def test_list_tags_with_looping_links_raises(registry: ScriptedRegistry, pages: int) -> None:
    async def loop(request: web.Request) -> web.Response:
        at = int(request.query.get("at", 0))
        link = f'</v2/team/app/tags/list?at={(at + 1) % pages}>; rel="next"'
        return web.json_response({"name": "x", "tags": [f"v{at}"]}, headers={"Link": link})

    registry.faults.append(loop)
    async with RegistryClient(registry.url) as client:
        with pytest.raises(RegistryError, match="read before") as caught:
            await client.list_tags(REPOSITORY)
    assert caught.value.kind == "refused_answer"
    assert registry.count() <= pages + 1
