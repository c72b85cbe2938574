# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""One request: redirects, limits of bodies, and errors that contain nothing of the request's headers."""

from __future__ import annotations

import traceback

import pytest
from yarl import URL

from airflow_registry_triggers.registry.client import RegistryClient
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.http.rate_limits import Limits
from airflow_registry_triggers.registry.http.request import display_url
from tests.unit.registry.raw_server import RawServer, Script, Talk, reply, says

REPOSITORY = "team/app"
PAGE = b'{"name":"team/app","tags":["v1"]}'


async def failed(script: Script, **limits: int) -> RegistryError:
    async with (
        RawServer(script) as server,
        RegistryClient(server.url, "robot", "hunter2", limits=Limits(**limits)) as client,
    ):
        with pytest.raises(RegistryError) as caught:
            await client.list_tags(REPOSITORY)
    return caught.value


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["/moved", "moved", "{url}/moved", "?moved=1", "//{host}/moved"])
async def test_redirect_within_the_origin_is_followed_with_the_login(status: int, location: str) -> None:
    async def script(talk: Talk) -> None:
        talk.keeps = True
        target = location.format(url=server.url, host=server.url.removeprefix("http://"))
        if "moved" in talk.path:
            await talk.send(reply(200, PAGE))
        elif "authorization" in talk.head.lower():
            await talk.send(reply(status, b"", f"Location: {target}"))
        else:
            await talk.send(reply(401, b"", 'WWW-Authenticate: Basic realm="x"'))

    async with RawServer(script) as server, RegistryClient(server.url, "robot", "hunter2") as client:
        assert await client.list_tags(REPOSITORY) == ["v1"]
    assert "authorization" in server.requests[-1].head.lower()


@pytest.mark.parametrize("count", [3, 4])
async def test_redirects_up_to_three_are_followed(count: int) -> None:
    async def script(talk: Talk) -> None:
        number = int(talk.path.rpartition("/")[2]) if talk.path.startswith("/at/") else 0
        moved = reply(302, b"", f"Location: /at/{number + 1}")
        await talk.send(reply(200, PAGE) if number == count else moved)
        talk.keeps = True

    async with RawServer(script) as server, RegistryClient(server.url) as client:
        if count == 3:
            assert await client.list_tags(REPOSITORY) == ["v1"]
        else:
            with pytest.raises(RegistryError, match="more than 3 redirects"):
                await client.list_tags(REPOSITORY)
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    "location",
    [
        "ftp://127.0.0.1/x",
        "http://u:hunter2@127.0.0.1/x",
        "javascript:x",
        "http://[::1/x",
        "http://",
        "http://[]@",
    ],
)
async def test_redirect_to_no_web_address_is_refused_without_quoting_it(location: str) -> None:
    error = await failed(says(reply(302, b"", f"Location: {location}")))
    assert error.kind == "refused_answer"
    assert "hunter2" not in str(error)


async def test_redirect_without_a_location_is_an_answer() -> None:
    assert (await failed(says(reply(302)))).kind == "refused_answer"
    assert (await failed(says(reply(304)))).kind == "refused_answer"


async def test_redirect_whose_path_repeats_a_secret_shows_the_origin_only() -> None:
    async def script(talk: Talk) -> None:
        await talk.send(
            reply(500) if "planted" in talk.path else reply(307, b"", "Location: /planted/x?planted=1")
        )

    error = await failed(script)
    assert error.kind == "unavailable"
    assert "planted" not in str(error)


async def test_body_over_the_limit_of_an_error_is_cut_and_its_status_decides() -> None:
    error = await failed(says(reply(403, b"x" * 1_000_000), keeps=True))
    assert error.kind == "credentials"


async def test_body_over_the_limit_of_a_page_is_refused() -> None:
    error = await failed(says(reply(200, b" " * 200_000)), page_bytes=100_000)
    assert "the limit of 100,000 bytes" in str(error)


@pytest.mark.parametrize(
    "script",
    [says(), says(b"no HTTP"), says(reply(200, b"x", "Content-Length: 900")), says(reply(401))],
    ids=["closed", "not http", "cut", "401"],
)
async def test_error_of_a_failed_request_has_no_header_of_it_in_its_chain(script: Script) -> None:
    error: BaseException | None = await failed(script)
    assert error is not None
    assert "hunter2" not in "".join(traceback.format_exception(error))
    while error is not None:
        assert "cm9ib3Q6aHVudGVyMg" not in f"{error!r}{vars(error)}"
        error = error.__cause__ or error.__context__


def test_display_url_leaves_out_query_fragment_and_login() -> None:
    url = URL("http://u:hunter2@registry.example:5000/v2/?token=hunter2#hunter2")
    assert display_url(url) == "http://registry.example:5000/v2/"
