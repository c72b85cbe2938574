# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Kinds B, C and D: the registry's own terms, redirects, and tokens that are refused, on real sockets."""

from __future__ import annotations

import asyncio
import base64
import random
import re
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web

from airflow_registry_triggers.registry.client import RegistryClient
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.http import sign_in
from airflow_registry_triggers.registry.http.credentials import Credentials
from airflow_registry_triggers.registry.poll import poll
from airflow_registry_triggers.registry.watermark import Watermark
from tests.unit.registry.raw_server import RawServer, Talk, reply
from tests.unit.registry.scripted_registry import Paging, ScriptedRegistry, SignIn, digest_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

REPOSITORY = "team/app"
OWN = "repository:team/app:pull"
PAGE = b'{"name":"team/app","tags":["v1"]}'


def token_of(scope: str) -> str:
    return re.sub("[^a-z0-9]", ".", scope)


@dataclass
class TokenWorld:
    """A registry and its token service on one port; the service grants scopes, the registry wants one."""

    wants: str
    """The scope whose token is accepted."""
    challenge: str
    """The scope that a 401 names; empty for none."""
    refuses: int = 401
    """Status of the registry for a token of another scope."""
    grants: Callable[[str], int] = field(default=lambda scope: 200)
    """Status of the token service by scope."""
    scopes: list[str] = field(default_factory=list)
    """The scopes that were requested, in order."""

    @asynccontextmanager
    async def served(self) -> AsyncIterator[RawServer]:
        async with RawServer(self._answer) as server:
            self.url = server.url
            yield server

    async def _answer(self, talk: Talk) -> None:
        talk.keeps = True
        path = urlsplit(talk.path)
        if path.path == "/token":
            scope = parse_qs(path.query).get("scope", [""])[0]
            self.scopes.append(scope)
            status = self.grants(scope)
            token = f'{{"token":"{token_of(scope)}"}}'
            await talk.send(reply(status, token.encode() if status == 200 else b"{}"))
            return
        if f"Bearer {token_of(self.wants)}\r\n" in talk.head:
            await talk.send(reply(200, PAGE))
            return
        scope = f',scope="{self.challenge}"' if self.challenge else ""
        challenge = f'WWW-Authenticate: Bearer realm="{self.url}/token",service="x"{scope}'
        has_token = "authorization:" in talk.head.lower()
        await talk.send(reply(self.refuses if has_token else 401, b"{}", challenge))


# B. The scope


@pytest.mark.parametrize(
    ("challenge", "wants", "requested"),
    [
        ("", OWN, [OWN]),
        (OWN, OWN, [OWN]),
        ("repository:team/app:pull,push,delete", OWN, [OWN]),
        ("repository:team/app:*", OWN, [OWN]),
        # Artifactory: another name, such as the one behind a virtual repository.
        ("repository:docker-remote/team/app:pull", "repository:docker-remote/team/app:pull", None),
        ("repository:team:pull", "repository:team:pull", None),
        ("repository(plugin):team/app:pull", "repository(plugin):team/app:pull", None),
        # Azure
        (
            "repository:team/app:metadata_read",
            "repository:team/app:pull,metadata_read,content_read",
            ["repository:team/app:pull,metadata_read,content_read"],
        ),
        ("repository:team/app:pull registry:catalog:*", OWN, [OWN]),
        ("repository:a:pull repository:b:pull", "repository:a:pull repository:b:pull", None),
        # Not scopes of a repository: the own one first, then the one that was named.
        ("read", "read", [OWN, "read"]),
        ("aws", "aws", [OWN, "aws"]),
        ("*", "*", [OWN, "*"]),
        ("registry:catalog:*", "registry:catalog:*", [OWN, "registry:catalog:*"]),
        ("aws", OWN, [OWN]),
    ],
)
@pytest.mark.parametrize("refuses", [401, 403])
async def test_token_of_a_challenged_scope_is_requested(
    challenge: str, wants: str, requested: list[str] | None, refuses: int
) -> None:
    world = TokenWorld(wants, challenge, refuses)
    async with world.served() as server, RegistryClient(server.url) as client:
        assert await client.list_tags(REPOSITORY) == ["v1"]
        assert world.scopes == (requested or [wants])
        # Learned for the next request: neither a 401 nor another token.
        sent = len(server.requests)
        assert await client.list_tags(REPOSITORY) == ["v1"]
        assert len(server.requests) == sent + 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500])
async def test_token_service_that_rejects_an_unknown_scope_is_asked_for_the_named_one(status: int) -> None:
    world = TokenWorld("read", "read", grants=lambda scope: 200 if scope == "read" else status)
    async with world.served() as server, RegistryClient(server.url) as client:
        assert await client.list_tags(REPOSITORY) == ["v1"]
        assert await client.list_tags("team/other") == ["v1"]
    assert world.scopes == [OWN, "read", "read"]


async def test_token_service_that_returns_no_token_for_a_scope_is_asked_for_the_named_one() -> None:
    world = TokenWorld("aws", "aws", grants=lambda scope: 200 if scope == "aws" else 204)
    async with world.served() as server, RegistryClient(server.url) as client:
        assert await client.list_tags(REPOSITORY) == ["v1"]


async def test_token_of_another_name_is_stored_for_the_repository_of_the_request() -> None:
    """oras-go#650: the 401 of each repository names one with a prefix."""

    class Prefixed(TokenWorld):
        async def _answer(self, talk: Talk) -> None:
            name = talk.path.removeprefix("/v2/").removesuffix("/tags/list?n=1000")
            if talk.path.startswith("/v2/"):
                self.challenge = self.wants = f"repository:virtual/{name}:pull"
            await super()._answer(talk)

    world = Prefixed("", "")
    async with world.served() as server, RegistryClient(server.url) as client:
        for name in ("team/one", "team/two", "team/one", "team/two"):
            assert await client.list_tags(name) == ["v1"]
    # Of team/two, the own name is tried without a 401, and then the one that its 401 names.
    assert world.scopes == [
        "repository:virtual/team/one:pull",
        "repository:team/two:pull",
        "repository:virtual/team/two:pull",
    ]


async def test_registry_that_names_a_new_scope_for_ever_ends_with_an_error() -> None:
    class Endless(TokenWorld):
        async def _answer(self, talk: Talk) -> None:
            self.challenge = f"repository:name{talk.number}:pull"
            await super()._answer(talk)

    world = Endless("never", "")
    async with world.served() as server, RegistryClient(server.url) as client:
        with pytest.raises(RegistryError) as caught:
            await client.list_tags(REPOSITORY)
    assert caught.value.kind == "credentials"
    assert len(server.requests) < 20


async def test_registry_that_moves_from_basic_to_tokens_is_read_on(registry: ScriptedRegistry) -> None:
    registry.put(REPOSITORY, ["v1"])
    registry.sign_in = SignIn("basic", 'Basic realm="x"', "robot", "secret")
    async with RegistryClient(registry.url, "robot", "secret") as client:
        await client.list_tags(REPOSITORY)
        registry.sign_in = SignIn(username="robot", password="secret")
        assert await client.list_tags(REPOSITORY) == ["v1"]
        registry.sign_in = SignIn("basic", 'Basic realm="x"', "robot", "secret")
        assert await client.list_tags(REPOSITORY) == ["v1"]


@pytest.mark.parametrize(
    "challenge",
    [
        'bearer realm="{realm}",service="x"',
        "Bearer realm={quoted},service=registry.example.com",
        'BEARER REALM="{realm}" , SERVICE=x',
        'Bearer realm="{realm}?account=a&service=old",service="x"',
        'Negotiate, Bearer realm="{realm}",service="x"',
        'Bearer realm="{realm}",service="x",error="invalid_token",error_description="a, b"',
    ],
)
async def test_challenge_in_an_unusual_form_is_understood(registry: ScriptedRegistry, challenge: str) -> None:
    registry.put(REPOSITORY, ["v1"])
    realm = f"{registry.url}/token"
    registry.sign_in = SignIn(challenge=challenge.replace("{quoted}", f'"{realm}"'))
    async with RegistryClient(registry.url) as client:
        assert await client.list_tags(REPOSITORY) == ["v1"]
    (token,) = [asked.path for asked in registry.asked if asked.path.startswith("/token")]
    if "account=a" in challenge:
        assert "account=a" in token
        assert "service=x" in token
        assert "service=old" not in token


@pytest.mark.parametrize("username", ["robot$team+ci", "robot:ci", "robot$a+b:c", "AWS", "r\u00f6bot"])
async def test_login_of_a_robot_is_sent_as_it_is(registry: ScriptedRegistry, username: str) -> None:
    registry.put(REPOSITORY, ["v1"])
    registry.sign_in = SignIn(username=username, password="p:$+ss")
    async with RegistryClient(registry.url, username, "p:$+ss") as client:
        assert await client.list_tags(REPOSITORY) == ["v1"]


@pytest.mark.parametrize(
    "body", [{"expires_in": "300"}, {"token": None}, {"token": ""}, {"expires_in": None}, {"expires_in": -1}]
)
async def test_token_in_access_token_beside_other_values_is_used(
    registry: ScriptedRegistry, body: dict[str, object]
) -> None:
    registry.put(REPOSITORY, ["v1"])
    registry.sign_in = SignIn(granted={"mine": {OWN}})

    async def answer(request: web.Request) -> web.Response | None:
        return web.json_response({"access_token": "mine", **body}) if request.path == "/token" else None

    registry.faults.append(answer)
    async with RegistryClient(registry.url) as client:
        for _ in range(3):
            assert await client.list_tags(REPOSITORY) == ["v1"]
    assert registry.by_kind == {"list": 4, "token": 1}


# C. After a redirect


@asynccontextmanager
async def redirected(registry: ScriptedRegistry) -> AsyncIterator[ScriptedRegistry]:
    """Yield another registry, to which the first one redirects everything, as lscr.io does to ghcr.io."""
    async with ScriptedRegistry().served("127.0.0.2") as other:

        async def redirect(request: web.Request) -> web.Response:
            return web.Response(status=307, headers={"Location": other.url + request.raw_path})

        registry.faults.append(redirect)
        other.put(REPOSITORY, {f"v{number}": "one" for number in range(9)})
        yield other


async def test_anonymous_client_after_a_redirect_fetches_an_anonymous_token_there(
    registry: ScriptedRegistry,
) -> None:
    async with redirected(registry) as other, RegistryClient(registry.url) as client:
        other.sign_in = SignIn()
        assert len(await client.list_tags(REPOSITORY)) == 9
        assert await client.digest(REPOSITORY, "v1") == digest_of("one")
        assert await client.digest(REPOSITORY, "v2") == digest_of("one")
    assert other.by_kind == {"list": 2, "token": 1, "head": 2}
    assert all("Authorization" not in asked.headers for asked in registry.asked)
    token = next(asked for asked in other.asked if asked.path.startswith("/token"))
    assert "Authorization" not in token.headers


@pytest.mark.parametrize("login", [("robot", "secret"), (None, "secret")])
async def test_client_with_a_login_after_a_redirect_sends_it_nowhere_and_names_the_host(
    registry: ScriptedRegistry, login: tuple[str | None, str]
) -> None:
    async with redirected(registry) as other, RegistryClient(registry.url, *login) as client:
        other.sign_in = SignIn(username="robot", password="secret")
        with pytest.raises(RegistryError) as caught:
            await client.list_tags(REPOSITORY)
    assert caught.value.kind == "credentials"
    assert other.url in str(caught.value)
    assert "rejected" not in str(caught.value)
    assert "Set the host to the final address" in str(caught.value)
    assert all("Authorization" not in asked.headers for asked in other.asked)
    assert "token" not in other.by_kind


@pytest.mark.parametrize("link", ["relative", "answering host", "requested host"])
async def test_page_links_after_a_redirect_are_resolved_against_the_url_that_answered(
    registry: ScriptedRegistry, link: str
) -> None:
    async with redirected(registry) as other, RegistryClient(registry.url) as client:
        base = {"relative": "", "answering host": other.url, "requested host": registry.url}[link]
        other.paging = Paging(size=4, link=lambda path: f'<{base}{path}>; rel="next"')
        other.sign_in = SignIn()
        assert len(await client.list_tags(REPOSITORY)) == 9
    assert registry.by_kind == {"list": 2}  # the first one, and its repetition with a token
    assert other.by_kind == {"list": 4, "token": 1}


async def test_page_link_after_a_redirect_to_a_third_host_sends_nothing_there(
    registry: ScriptedRegistry,
) -> None:
    async with redirected(registry) as other, ScriptedRegistry().served("127.0.0.3") as third:
        other.paging = Paging(size=4, link=lambda path: f'<{third.url}{path}>; rel="next"')
        async with RegistryClient(registry.url) as client:
            with pytest.raises(RegistryError) as caught:
                await client.list_tags(REPOSITORY)
    assert caught.value.kind == "refused_answer"
    assert third.count() == 0


async def test_client_with_a_login_whose_second_page_is_refused_elsewhere_names_that_host(
    registry: ScriptedRegistry,
) -> None:
    async with redirected(registry) as other, RegistryClient(registry.url, "robot", "secret") as client:
        other.paging = Paging(size=4)

        async def refuse(request: web.Request) -> web.Response | None:
            return web.Response(status=401) if "last" in request.query else None

        other.faults.append(refuse)
        with pytest.raises(RegistryError) as caught:
            await client.list_tags(REPOSITORY)
    assert other.url in str(caught.value)
    assert "rejected" not in str(caught.value)


async def test_redirect_from_http_to_another_port_of_the_same_host_sends_no_login(
    registry: ScriptedRegistry,
) -> None:
    async with ScriptedRegistry().served() as other:

        async def redirect(request: web.Request) -> web.Response | None:
            if "Authorization" not in request.headers:
                return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})
            return web.Response(status=308, headers={"Location": other.url + request.raw_path})

        registry.faults.append(redirect)
        other.put(REPOSITORY, ["v1"])
        async with RegistryClient(registry.url, "robot", "secret") as client:
            assert await client.list_tags(REPOSITORY) == ["v1"]
    assert all("Authorization" not in asked.headers for asked in other.asked)


async def test_redirect_loop_between_two_hosts_ends_with_one_line(registry: ScriptedRegistry) -> None:
    async with redirected(registry) as other, RegistryClient(registry.url) as client:

        async def back(request: web.Request) -> web.Response:
            return web.Response(status=302, headers={"Location": registry.url + request.raw_path})

        other.faults.append(back)
        for call in (client.list_tags(REPOSITORY), client.digest(REPOSITORY, "v1")):
            with pytest.raises(RegistryError, match="redirects") as caught:
                await call
            assert caught.value.kind == "refused_answer"
            assert caught.value.transient
            assert "\n" not in str(caught.value)
    assert registry.count() + other.count() == 8


# D. Tokens that are refused


@pytest.fixture
def skew(monkeypatch: pytest.MonkeyPatch) -> float:
    monkeypatch.setattr(sign_in, "_CLOCK_SKEW", 0.3)
    return 0.3


@pytest.mark.parametrize("status", [400, 401, 403])
@pytest.mark.parametrize("call", ["list", "digest"])
async def test_cached_token_that_is_refused_is_renewed_and_the_request_repeated_once(
    registry: ScriptedRegistry, status: int, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """containers-roadmap#2835: ECR Public answers 400 to a stale token."""
    registry.put(REPOSITORY, {"v1": "one"})
    registry.sign_in = SignIn()
    async with RegistryClient(registry.url) as client:
        await client.list_tags(REPOSITORY)

        async def stale(request: web.Request) -> web.Response | None:
            is_stale = request.headers.get("Authorization") == "Bearer token-1"
            return web.Response(status=status) if is_stale else None

        registry.faults.append(stale)
        registry.asked.clear()
        monkeypatch.setattr(sign_in, "_CLOCK_SKEW", 60.0)  # a renewal does not wait
        async with asyncio.timeout(50):
            if call == "list":
                assert await client.list_tags(REPOSITORY) == ["v1"]
            else:
                assert await client.digest(REPOSITORY, "v1") == digest_of("one")
        assert registry.by_kind == {"token": 1, {"list": "list", "digest": "head"}[call]: 2}
        registry.asked.clear()
        await client.list_tags(REPOSITORY)
    assert registry.by_kind == {"list": 1}


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_new_token_that_is_refused_is_fetched_once_more_after_a_second(
    registry: ScriptedRegistry, status: int
) -> None:
    """hub-feedback#647: a token whose validity begins a moment later."""
    registry.put(REPOSITORY, {"v1": "one"})
    registry.sign_in = SignIn()

    async def early(request: web.Request) -> web.Response | None:
        is_early = request.headers.get("Authorization") == "Bearer token-1"
        return web.Response(status=status) if is_early else None

    registry.faults.append(early)
    started = time.monotonic()
    async with RegistryClient(registry.url) as client:
        assert await client.list_tags(REPOSITORY) == ["v1"]
    assert time.monotonic() - started >= 1
    assert registry.by_kind == {"list": 3, "token": 2}


@pytest.mark.parametrize(("status", "kind"), [(401, "credentials"), (403, "credentials")])
async def test_new_tokens_that_are_always_refused_are_an_error_and_no_flood(
    registry: ScriptedRegistry, skew: float, status: int, kind: str
) -> None:
    registry.put(REPOSITORY, {"v1": "one"})
    registry.sign_in = SignIn()

    async def refuse(request: web.Request) -> web.Response | None:
        return web.Response(status=status) if "Authorization" in request.headers else None

    registry.faults.append(refuse)
    async with RegistryClient(registry.url) as client:
        for _ in range(20):
            with pytest.raises(RegistryError) as caught:
                await client.list_tags(REPOSITORY)
            assert caught.value.kind == kind
    assert registry.by_kind["token"] < 25


async def test_thousand_denied_digests_cost_few_tokens(registry: ScriptedRegistry, skew: float) -> None:
    registry.put(REPOSITORY, {f"v{number}": "one" for number in range(200)})
    registry.sign_in = SignIn()

    async def deny(request: web.Request) -> web.Response | None:
        is_denied = "/manifests/" in request.path and "Authorization" in request.headers
        return web.Response(status=403) if is_denied else None

    registry.faults.append(deny)
    async with RegistryClient(registry.url) as client:
        tags = await client.list_tags(REPOSITORY)
        answers = await asyncio.gather(
            *(client.digest(REPOSITORY, tag) for tag in tags), return_exceptions=True
        )
    assert {getattr(answer, "kind", answer) for answer in answers} == {"credentials"}
    assert registry.by_kind["token"] <= 25


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_denied_digests_among_others_cost_few_tokens(
    registry: ScriptedRegistry, skew: float, status: int
) -> None:
    """Artifactory answers 403 for images that its scanner blocks."""
    registry.put(REPOSITORY, {f"v{number}": "one" for number in range(100)})
    registry.sign_in = SignIn()

    async def deny(request: web.Request) -> web.Response | None:
        is_denied = request.path[-1] in "13579" and "Authorization" in request.headers
        return web.Response(status=status) if is_denied and "/manifests/" in request.path else None

    registry.faults.append(deny)
    random.seed(1)  # no digest is read before 10 denied ones about once in 1,700 orders
    async with RegistryClient(registry.url) as client:
        for _ in range(2):
            found = await poll(client, REPOSITORY, Watermark())
            assert len(found.unknown) == 50
    assert registry.by_kind["token"] <= 25


async def test_anonymous_token_after_a_redirect_that_is_refused_is_renewed(
    registry: ScriptedRegistry,
) -> None:
    async with redirected(registry) as other, RegistryClient(registry.url) as client:
        other.sign_in = SignIn()
        await client.list_tags(REPOSITORY)
        other.sign_in.granted.clear()
        assert len(await client.list_tags(REPOSITORY)) == 9
    assert other.by_kind["token"] == 2


# Masking


async def test_client_reports_each_token_and_the_basic_value_for_masking(registry: ScriptedRegistry) -> None:
    registry.put(REPOSITORY, {"v1": "one"})
    registry.sign_in = SignIn(username="robot", password="hunter2")
    secrets: list[str] = []
    async with RegistryClient(registry.url, "robot", "hunter2", on_secret=secrets.append) as client:
        await client.list_tags(REPOSITORY)
        registry.sign_in.granted.clear()
        await client.list_tags(REPOSITORY)
    assert secrets == ["cm9ib3Q6aHVudGVyMg==", "token-1", "token-2"]


@pytest.mark.parametrize(("length", "is_whole"), [(300, True), (1_000, False)])
async def test_client_reports_a_password_as_a_secret_and_a_long_one_as_a_token(
    registry: ScriptedRegistry, length: int, is_whole: bool
) -> None:
    password = "p" * length
    registry.put(REPOSITORY, {"v1": "one"})
    registry.sign_in = SignIn(username="robot", password=password)
    basic = base64.b64encode(f"robot:{password}".encode()).decode()
    secrets: list[str] = []
    tokens: list[str] = []
    client = RegistryClient(registry.url, "robot", password, on_secret=secrets.append, on_token=tokens.append)
    async with client:
        await client.list_tags(REPOSITORY)
    assert secrets == ([basic] if is_whole else [])
    assert tokens == (["token-1"] if is_whole else [basic, "token-1"])


class Renewable:
    """A login whose first password has ended."""

    def __init__(self, *passwords: str) -> None:
        self.passwords = list(passwords)
        self.rejected = 0

    key = "renewable"

    async def current(self) -> Credentials:
        return Credentials("AWS", self.passwords[min(self.rejected, len(self.passwords) - 1)])

    def reject(self, used: Credentials) -> bool:
        self.rejected += 1
        return True


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_basic_login_that_ended_is_renewed_and_the_request_repeated(
    registry: ScriptedRegistry, status: int
) -> None:
    """Amazon answers 403, "Your authorization token has expired", to a Basic login of 12 hours."""
    registry.put(REPOSITORY, ["v1"])
    registry.sign_in = SignIn("basic", 'Basic realm="x"', "AWS", "new")

    async def ended(request: web.Request) -> web.Response | None:
        given = request.headers.get("Authorization")
        return web.Response(status=status) if given == Credentials("AWS", "old").basic else None

    registry.faults.append(ended)
    login = Renewable("old", "new")
    async with RegistryClient(registry.url, login=login) as client:
        assert await client.list_tags(REPOSITORY) == ["v1"]
        assert await client.list_tags(REPOSITORY) == ["v1"]
    assert login.rejected == 1


async def test_basic_login_that_is_always_denied_is_renewed_once(registry: ScriptedRegistry) -> None:
    async def deny(request: web.Request) -> web.Response:
        if "Authorization" in request.headers:
            return web.Response(status=403)
        return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})

    registry.faults.append(deny)
    login = Renewable("old", "new")
    async with RegistryClient(registry.url, login=login) as client:
        for _ in range(20):
            with pytest.raises(RegistryError) as caught:
                await client.list_tags(REPOSITORY)
            assert caught.value.kind == "credentials"
    assert login.rejected == 1
