# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The sessions of the APIs: logins, tokens, pages, and hosts that cannot be reached."""

from __future__ import annotations

import base64
import logging
import time
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from airflow_registry_triggers.registry.bulk import docker_hub
from airflow_registry_triggers.registry.bulk.reported import ApiRefused, ReportedTag
from airflow_registry_triggers.registry.bulk.sources import Api
from airflow_registry_triggers.registry.client import RegistryClient
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.http import session
from tests.unit.registry.bulk.bulk_registry import API_PATHS, REPOSITORY, START, BulkRegistry
from tests.unit.registry.bulk.watching import API_TOKEN, Watcher, api_of
from tests.unit.registry.scripted_registry import SignIn, digest_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LOGIN = {"username": "user", "password": "planted-password"}
BASIC = "Basic " + base64.b64encode(b"user:planted-password").decode()


async def listed(registry: BulkRegistry, **login: str) -> list[list[ReportedTag]]:
    async with RegistryClient(registry.url, api=api_of(registry), **login) as client:
        return [page async for page in client.bulk.pages(REPOSITORY)]


async def test_pages_of_each_api_return_names_digests_and_times(registry: BulkRegistry, api: str) -> None:
    registry.push("v1", "v2", label="one", seconds=10.5)
    registry.view.wrong["v1"] = None
    (page,) = await listed(registry)
    assert [tag.name for tag in page] == ["v2", "v1"]
    assert [tag.digest for tag in page] == [digest_of("one"), None]
    expected = {"ecr": [None, None], "quay": [START + 21, START + 10]}
    assert [tag.changed_at for tag in page] == expected.get(api, [START + 21, START + 10.5])


async def test_pages_of_several_pages_return_each_tag_once(registry: BulkRegistry) -> None:
    registry.push(*(f"v{number}" for number in range(25)))
    registry.page_size = 10 if registry.api != "ecr" else 1
    pages = await listed(registry)
    assert len(pages) == 3
    assert len({tag.name for page in pages for tag in page}) == 25


async def test_pages_of_values_that_are_not_tags_leave_them_out(
    registry: BulkRegistry, api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        None,
        7,
        "text",
        {},
        {"name": 7},
        {"name": "../x"},
        {"name": "ok", "digest": 7, "push_time": "soon"},
    ]
    body = {
        "azure": {"tags": rows},
        "docker_hub": {"results": rows, "next": 7},
        "quay": {
            "tags": [*rows, {"name": "q", "manifest_digest": [], "start_ts": True}],
            "has_additional": 1,
        },
        "harbor": [None, {"tags": None}, {"tags": 7}, {"digest": "x", "tags": rows}],
    }.get(api)
    if body is None:
        pytest.skip("the call of the SDK is typed")
    registry.push("v1")
    registry.api_fault = lambda: web.json_response(body)
    pages = await listed(registry)
    assert {tag.name for page in pages for tag in page} <= {"ok", "q"}
    assert all(tag.digest is None and tag.changed_at is None for page in pages for tag in page)


@pytest.mark.parametrize("link", ["https://evil.example/next", "http://[", "ftp://x/y"])
@pytest.mark.parametrize("api", ["azure", "docker_hub"])
async def test_pages_with_a_link_to_another_host_are_refused_and_no_request_leaves(
    registry: BulkRegistry, api: str, link: str
) -> None:
    registry.push("v1")
    body = {"tags": [], "results": [], "next": link}
    headers = {"Link": f'<{link}>; rel="next"'}
    registry.api_fault = lambda: web.json_response(body, headers=headers)
    with pytest.raises(ApiRefused):
        await listed(registry)


@pytest.mark.parametrize("second", ["status 404", "status 500", "not JSON", "a third page elsewhere"])
@pytest.mark.parametrize("api", ["azure", "docker_hub"])
async def test_errors_of_a_linked_page_name_the_first_url_and_not_the_link(
    registry: BulkRegistry, api: str, second: str
) -> None:
    echo = b"user:planted-password".hex()
    path = f"{API_PATHS[api]}{echo}/tags"
    body: dict[str, object] = {"tags": [], "results": [], "next": f"{registry.url}{path}"}
    other = "http://elsewhere.example/x"
    registry.api_answers = [
        web.json_response(body, headers={"Link": f'<{path}>; rel="next"'}),
        {
            "status 404": web.Response(status=404),
            "status 500": web.Response(status=500),
            "not JSON": web.Response(text="no JSON"),
            "a third page elsewhere": web.json_response(
                body | {"next": other}, headers={"Link": f'<{other}>; rel="next"'}
            ),
        }[second],
    ]
    with pytest.raises((ApiRefused, RegistryError)) as caught:
        await listed(registry)
    assert [echo in asked.path for asked in registry.api_requests] == [False, True]
    assert echo not in str(caught.value)
    assert registry.api_requests[0].path.partition("?")[0] in str(caught.value)


@pytest.mark.parametrize("api", ["azure"])
async def test_azure_signs_in_once_with_metadata_read_for_listing_and_heads(registry: BulkRegistry) -> None:
    registry.push(*(f"v{number}" for number in range(20)), seconds=60)
    registry.sign_in = SignIn(action=lambda path: "metadata_read", **LOGIN)
    watcher = Watcher(registry)
    watcher.login = LOGIN
    await watcher.poll()
    tokens = registry.sign_in.tokens

    def needs_token(request: web.Request) -> web.Response | None:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        scopes = registry.sign_in.granted.get(token, set())
        return None if any("metadata_read" in scope for scope in scopes) else web.Response(status=403)

    async def fault(request: web.Request) -> web.Response | None:
        return needs_token(request) if request.path.startswith("/acr/") else None

    registry.faults.append(fault)
    registry.counts()
    await watcher.poll()
    await watcher.poll()
    assert registry.counts() == (2, 0, 0)
    assert registry.sign_in.tokens == tokens


@pytest.mark.parametrize("api", ["quay"])
async def test_quay_sends_the_api_token_to_the_api_only(registry: BulkRegistry) -> None:
    registry.needs = f"Bearer {API_TOKEN}"
    registry.push(*(f"v{number}" for number in range(20)), seconds=60)
    watcher = Watcher(registry)
    await watcher.poll()
    await watcher.poll()
    tokens = {API_TOKEN in asked.headers.get("Authorization", "") for asked in registry.api_requests}
    assert tokens == {True}
    others = [asked for asked in registry.asked if asked not in registry.api_requests]
    assert len(others) == 21
    assert not any("Authorization" in asked.headers for asked in others)
    assert len(registry.api_requests) == 2


@pytest.mark.parametrize("api", ["harbor"])
async def test_harbor_sends_the_login_as_basic(registry: BulkRegistry) -> None:
    registry.needs = BASIC
    registry.push("v1")
    assert len(await listed(registry, **LOGIN)) == 1
    registry.needs = None
    await listed(registry)
    assert "Authorization" not in registry.api_requests[-1].headers


@pytest.mark.parametrize("api", ["harbor"])
async def test_harbor_encodes_a_slash_in_the_name_twice(registry: BulkRegistry) -> None:
    registry.api_fault = lambda: web.json_response([])
    async with RegistryClient(registry.url, api=api_of(registry)) as client:
        _ = [page async for page in client.bulk.pages("team/group/app")]
        with pytest.raises(ApiRefused):
            _ = [page async for page in client.bulk.pages("app")]
    (asked,) = registry.api_requests
    assert asked.path.startswith("/api/v2.0/projects/team/repositories/group%252Fapp/artifacts?q=tags%3D*&")


@pytest.mark.parametrize("api", ["docker_hub"])
class TestDockerHub:
    async def test_hub_without_a_login_requests_no_token(self, registry: BulkRegistry) -> None:
        registry.push("v1")
        await listed(registry)
        assert registry.logins == []
        assert "Authorization" not in registry.api_requests[0].headers

    async def test_hub_with_a_login_requests_one_token_and_masks_it(self, registry: BulkRegistry) -> None:
        registry.push("v1")
        secrets: list[str] = []
        for _ in range(3):
            async with RegistryClient(
                registry.url, api=api_of(registry), on_secret=secrets.append, **LOGIN
            ) as client:
                _ = [page async for page in client.bulk.pages(REPOSITORY)]
        assert registry.logins == [{"identifier": "user", "secret": "planted-password"}]
        assert [asked.headers["Authorization"] for asked in registry.api_requests] == [
            "Bearer hub-token-1"
        ] * 3
        assert "hub-token-1" in secrets

    async def test_hub_after_a_401_fetches_one_token(self, registry: BulkRegistry) -> None:
        registry.push("v1")
        await listed(registry, **LOGIN)
        registry.needs = "Bearer revoked"
        assert len(await listed(registry, **LOGIN)) == 1
        assert len(registry.logins) == 2

    async def test_hub_renews_a_token_before_it_expires(
        self, registry: BulkRegistry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        registry.push("v1")
        await listed(registry, **LOGIN)
        now = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: now + 500)
        await listed(registry, **LOGIN)
        assert len(registry.logins) == 2

    async def test_hub_with_a_wrong_password_refuses_without_the_password(
        self, registry: BulkRegistry
    ) -> None:
        registry.push("v1")
        registry.hub_password = "another"
        with pytest.raises(ApiRefused, match="answered 401 without a token") as error:
            await listed(registry, **LOGIN)
        assert "planted" not in str(error.value)

    async def test_hub_with_a_token_answer_of_too_many_elements_refuses(self, registry: BulkRegistry) -> None:
        """It is parsed on the event loop, where 1 MiB in portions would take half a second."""
        registry.push("v1")
        registry.hub_token_filler = [1] * 100_000
        with pytest.raises(ApiRefused, match="answered 200 without a token"):
            await listed(registry, **LOGIN)

    async def test_hub_waits_as_x_retry_after_says(self, registry: BulkRegistry) -> None:
        registry.push("v1")
        until = str(int(time.time()) + 100)
        registry.api_fault = lambda: web.Response(status=429, headers={"X-Retry-After": until})
        with pytest.raises(RegistryError) as error:
            await listed(registry)
        assert 95 < error.value.retry_after <= 100
        registry.api_fault = None
        with pytest.raises(RegistryError):
            await listed(registry)
        assert registry.counts()[0] == 1, "no request during the pause"

    async def test_hub_that_cannot_be_reached_lets_polls_use_the_oci_api_for_five_minutes(
        self, registry: BulkRegistry, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        registry.push(*(f"v{number}" for number in range(20)), seconds=60)
        watcher = Watcher(registry)
        await watcher.poll()
        watcher.api = Api("docker_hub", hub="http://127.0.0.1:1")
        registry.push("v3", label="two")
        assert await watcher.poll() == ["v3"]
        assert await watcher.poll() == []
        lines = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
        assert len(lines) == 1
        assert "do not use the API 'docker_hub' for 5 minutes" in lines[0]
        watcher.api = api_of(registry)
        now = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: now + 301)
        registry.counts()
        await watcher.poll()
        assert registry.counts()[1] == 0

    async def test_hub_refuses_a_name_that_docker_hub_does_not_have(self, registry: BulkRegistry) -> None:
        async with RegistryClient(registry.url, api=api_of(registry)) as client:
            for name in ("app", "a/b/c"):
                with pytest.raises(ApiRefused):
                    _ = [page async for page in client.bulk.pages(name)]
        assert registry.api_requests == []

    def test_hub_host_is_docker_hubs_api(self, registry: BulkRegistry) -> None:
        assert Api("docker_hub").hub == docker_hub.HOST == "https://hub.docker.com"


@pytest.fixture
async def two_rules(registry: BulkRegistry) -> AsyncIterator[BulkRegistry]:
    registry.push(*(f"{letter}{number}" for letter in "ab" for number in range(20)), seconds=60)
    return registry


async def test_caching_client_of_two_rules_requests_each_page_and_digest_once(
    two_rules: BulkRegistry,
) -> None:
    from datetime import UTC, datetime

    from airflow_registry_triggers.registry.caching_client import CachingClient
    from airflow_registry_triggers.registry.poll import poll
    from airflow_registry_triggers.registry.poll_memory import PollMemory
    from airflow_registry_triggers.registry.watermark import Watermark
    from airflow_registry_triggers.tag_rule import TagRule

    rules = [TagRule(tag_regex="a.*"), TagRule(tag_regex=".*")]
    memories, watermarks = [PollMemory(), PollMemory()], [Watermark(), Watermark()]
    registry = two_rules
    registry.page_size = 10 if registry.api != "ecr" else 1
    async with RegistryClient(registry.url, api=api_of(registry)) as client:
        caching = CachingClient(client)
        for turn in range(3):
            if turn == 2:
                registry.push("a1", label="two", seconds=60)
            caching.forget()
            registry.counts()
            for number, one in enumerate(rules):
                found = await poll(
                    caching, REPOSITORY, watermarks[number], one, memory=memories[number],
                    now=datetime.fromtimestamp(registry.clock + turn, UTC),
                )  # fmt: skip
                watermarks[number] = found.watermark_after
                assert [n.tag for n in found.notifications] == (["a1"] if turn == 2 else [])
    pages, lists, heads = registry.counts()
    assert pages in (1, 4)
    assert (lists, heads) == (0, 1)
    assert not any(session._transports.values())
