# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Signing in: who asks for a token, when, and where the login goes."""

from __future__ import annotations

import asyncio
import base64

import pytest
from aiohttp import web

from airflow_registry_triggers.registry.client import RegistryClient
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.http import session
from tests.unit.registry.scripted_registry import Paging, ScriptedRegistry, SignIn, digest_of

REPOSITORY = "team/app"
TAGS = [f"v{number}" for number in range(10)]


@pytest.fixture
def bearer(registry: ScriptedRegistry) -> ScriptedRegistry:
    registry.put(REPOSITORY, TAGS)
    registry.sign_in = SignIn(username="robot", password="secret")
    return registry


async def all_digests(client: RegistryClient) -> set[str | None]:
    await client.list_tags(REPOSITORY)
    return set(await asyncio.gather(*(client.digest(REPOSITORY, tag) for tag in TAGS)))


async def test_token_for_many_requests_is_fetched_once(bearer: ScriptedRegistry) -> None:
    async with RegistryClient(bearer.url, "robot", "secret") as client:
        assert await all_digests(client) == {digest_of("first")}
        assert bearer.by_kind == {"list": 2, "token": 1, "head": 10}  # one list was the 401
        bearer.asked.clear()
        await all_digests(client)
    assert bearer.by_kind == {"list": 1, "head": 10}


async def test_token_for_simultaneous_requests_is_fetched_once(bearer: ScriptedRegistry) -> None:
    bearer.delay = 0.02
    async with RegistryClient(bearer.url, "robot", "secret") as client:
        await asyncio.gather(*(client.digest(REPOSITORY, tag) for tag in TAGS))
    assert bearer.by_kind["token"] == 1


async def test_token_after_the_client_closes_is_used_again(bearer: ScriptedRegistry) -> None:
    for _ in range(3):
        async with RegistryClient(bearer.url, "robot", "secret") as client:
            await client.list_tags(REPOSITORY)
    assert bearer.by_kind == {"list": 4, "token": 1}


async def test_token_for_another_repository_is_fetched_separately(bearer: ScriptedRegistry) -> None:
    bearer.put("team/other", TAGS)
    async with RegistryClient(bearer.url, "robot", "secret") as client:
        for name in (REPOSITORY, "team/other", REPOSITORY, "team/other"):
            await client.list_tags(name)
    assert bearer.by_kind == {"list": 5, "token": 2}
    assert bearer.sign_in.granted == {
        "token-1": {"repository:team/app:pull"},
        "token-2": {"repository:team/other:pull"},
    }


async def test_token_for_another_identity_is_fetched_separately(bearer: ScriptedRegistry) -> None:
    bearer.sign_in.username = None
    for login in (("robot", "one"), ("robot", "two"), (None, None)):
        async with RegistryClient(bearer.url, *login) as client:
            await client.list_tags(REPOSITORY)
    assert bearer.by_kind["token"] == 3


async def test_token_without_a_login_is_fetched_anonymously(registry: ScriptedRegistry) -> None:
    registry.put(REPOSITORY, TAGS)
    registry.sign_in = SignIn()
    async with RegistryClient(registry.url) as client:
        assert len(await client.list_tags(REPOSITORY)) == 10
    assert all("Basic" not in asked.headers.get("Authorization", "") for asked in registry.asked)


async def test_token_named_access_token_is_accepted(bearer: ScriptedRegistry) -> None:
    bearer.sign_in.token_name = "access_token"
    async with RegistryClient(bearer.url, "robot", "secret") as client:
        await client.list_tags(REPOSITORY)


async def test_token_near_its_expiry_is_renewed(bearer: ScriptedRegistry) -> None:
    bearer.sign_in.life = 10.5  # renewed 5.25 s after it was requested
    async with RegistryClient(bearer.url, "robot", "secret") as client:
        await client.list_tags(REPOSITORY)
        (token,) = session._tokens._tokens.values()
        token.good_until -= 5.3
        await client.list_tags(REPOSITORY)
    assert bearer.by_kind == {"list": 3, "token": 2}


async def test_token_rejected_before_its_expiry_is_renewed_once(bearer: ScriptedRegistry) -> None:
    async with RegistryClient(bearer.url, "robot", "secret") as client:
        await all_digests(client)
        bearer.sign_in.granted.clear()
        bearer.asked.clear()
        bearer.delay = 0.02
        found = await asyncio.gather(*(client.digest(REPOSITORY, tag) for tag in TAGS))
    assert set(found) == {digest_of("first")}
    assert bearer.by_kind["token"] == 1
    assert bearer.by_kind["head"] <= 20


async def test_token_rejected_twice_raises_credentials(bearer: ScriptedRegistry) -> None:
    async with RegistryClient(bearer.url, "robot", "secret") as client:
        await client.list_tags(REPOSITORY)
        bearer.asked.clear()

        async def forget(request: web.Request) -> None:
            bearer.sign_in.granted.clear()

        bearer.faults.append(forget)
        with pytest.raises(RegistryError) as caught:
            await client.list_tags(REPOSITORY)
    assert caught.value.kind == "credentials"
    assert not caught.value.transient
    assert bearer.by_kind == {"list": 3, "token": 2}


async def test_token_rejected_between_two_pages_is_renewed(bearer: ScriptedRegistry) -> None:
    bearer.paging = Paging(size=4)

    async def forget(request: web.Request) -> None:
        if bearer.by_kind.get("list") == 3:
            bearer.sign_in.granted.clear()

    async with RegistryClient(bearer.url, "robot", "secret") as client:
        bearer.faults.append(forget)
        assert len(await client.list_tags(REPOSITORY)) == 10
    assert bearer.by_kind["token"] == 2


@pytest.mark.parametrize("login", [("robot", "wrong"), ("other", "secret"), (None, None)])
async def test_client_with_a_wrong_password_raises_credentials(
    bearer: ScriptedRegistry, login: tuple[str | None, str | None]
) -> None:
    async with RegistryClient(bearer.url, *login) as client:
        for call in (client.list_tags(REPOSITORY), client.digest(REPOSITORY, "v1")):
            with pytest.raises(RegistryError) as caught:
                await call
            assert caught.value.kind == "credentials"
            assert "wrong" not in str(caught.value)


@pytest.mark.parametrize("login", [("robot", "wrong"), ("", "secret")])
async def test_check_with_a_wrong_password_raises_credentials(
    bearer: ScriptedRegistry, login: tuple[str, str]
) -> None:
    async with RegistryClient(bearer.url, *login) as client:
        with pytest.raises(RegistryError) as caught:
            await client.check()
    assert caught.value.kind == "credentials"


async def test_check_with_the_right_login_succeeds(bearer: ScriptedRegistry) -> None:
    async with RegistryClient(bearer.url, "robot", "secret") as client:
        await client.check()
    assert bearer.by_kind == {"other": 2, "token": 1}


async def test_check_without_login_with_anonymous_tokens_succeeds(bearer: ScriptedRegistry) -> None:
    async with RegistryClient(bearer.url) as client:
        await client.check()


@pytest.mark.parametrize("scheme", ["basic", "bearer"])
async def test_check_without_login_with_a_login_offered_returns_a_remark(
    registry: ScriptedRegistry, scheme: str
) -> None:
    challenge = {"basic": 'Basic realm="x"', "bearer": 'Bearer realm="{realm}"'}[scheme]
    registry.sign_in = SignIn(scheme, challenge, "robot", "secret")
    async with RegistryClient(registry.url) as client:
        assert "offers a login" in await client.check()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, "credentials"),
        (403, "credentials"),
        (404, "credentials"),
        (500, "unavailable"),
        (429, "rate_limited"),
    ],
)
async def test_token_service_with_an_error_status_raises_its_kind(
    bearer: ScriptedRegistry, status: int, kind: str
) -> None:
    bearer.sign_in.token_status = status
    async with RegistryClient(bearer.url, "robot", "secret") as client:
        with pytest.raises(RegistryError) as caught:
            await client.list_tags(REPOSITORY)
    assert caught.value.kind == kind


@pytest.mark.parametrize(
    "body", ["", "{}", "[]", '{"token": ""}', '{"token": 7}', '{"token": "a b"}', '{"token": "a\\r\\nX: y"}']
)
async def test_token_service_with_an_invalid_token_raises_credentials(
    bearer: ScriptedRegistry, body: str
) -> None:
    async def answer(request: web.Request) -> web.Response | None:
        return web.Response(text=body) if request.path == "/token" else None

    bearer.faults.append(answer)
    async with RegistryClient(bearer.url, "robot", "secret") as client:
        with pytest.raises(RegistryError) as caught:
            await client.list_tags(REPOSITORY)
    assert caught.value.kind == "credentials"


# The quirks of registries


async def test_token_with_a_gitlab_realm_on_another_host_is_fetched_there(registry: ScriptedRegistry) -> None:
    async with ScriptedRegistry().served("127.0.0.2") as tokens:
        sign_in = SignIn(username="robot", password="secret", realm=f"{tokens.url}/token")
        registry.sign_in = tokens.sign_in = sign_in
        registry.put(REPOSITORY, TAGS)
        async with RegistryClient(registry.url, "robot", "secret") as client:
            assert len(await client.list_tags(REPOSITORY)) == 10
    assert [asked.path for asked in tokens.asked] == [
        "/token?service=scripted&scope=repository:team/app:pull"
    ]
    assert tokens.asked[0].headers["Authorization"].startswith("Basic ")
    assert all("Basic" not in asked.headers.get("Authorization", "") for asked in registry.asked)


async def test_token_with_forgejo_challenges_in_one_header_uses_bearer(registry: ScriptedRegistry) -> None:
    registry.put(REPOSITORY, TAGS)
    registry.sign_in = SignIn(
        challenge='Bearer realm="{realm}",service="container_registry",scope="*",Basic realm="{realm}"',
        username="robot",
        password="secret",
    )
    registry.sign_in.granted["token-1"] = {"repository:team/app:pull"}
    seen: list[str] = []

    async def note(request: web.Request) -> None:
        if request.path == "/token":
            seen.append(request.query["scope"])
        registry.sign_in.granted["token-1"] = {"repository:team/app:pull"}

    registry.faults.append(note)
    async with RegistryClient(registry.url, "robot", "secret") as client:
        assert len(await client.list_tags(REPOSITORY)) == 10
    assert seen == ["repository:team/app:pull"]


async def test_token_with_challenges_in_two_headers_uses_bearer(registry: ScriptedRegistry) -> None:
    registry.put(REPOSITORY, TAGS)
    registry.sign_in = SignIn(challenge='Basic realm="x"\nBearer realm="{realm}",service="s"')
    async with RegistryClient(registry.url) as client:
        assert len(await client.list_tags(REPOSITORY)) == 10


async def test_token_with_azure_actions_is_fetched_once_for_all_of_them(registry: ScriptedRegistry) -> None:
    registry.put(REPOSITORY, TAGS)
    registry.sign_in = SignIn(
        username="robot",
        password="secret",
        action=lambda path: "metadata_read" if path.endswith("/tags/list") else "pull",
    )
    async with RegistryClient(registry.url, "robot", "secret") as client:
        await all_digests(client)
    assert registry.by_kind == {"list": 2, "token": 1, "head": 10}
    assert registry.sign_in.granted == {"token-1": {"repository:team/app:pull,metadata_read,content_read"}}


async def test_token_with_a_wider_scope_offered_requests_pull_only(registry: ScriptedRegistry) -> None:
    registry.put(REPOSITORY, TAGS)
    registry.sign_in = SignIn(
        challenge='Bearer realm="{realm}",service="s",scope="repository:team/app:pull,push,delete"'
    )
    async with RegistryClient(registry.url) as client:
        await client.list_tags(REPOSITORY)
    assert registry.sign_in.granted == {"token-1": {"repository:team/app:pull"}}


async def test_client_with_an_amazon_basic_login_reads_all_digests(registry: ScriptedRegistry) -> None:
    registry.put(REPOSITORY, TAGS)
    registry.sign_in = SignIn(
        "basic", 'Basic realm="https://registry.example.com/",service="ecr"', "AWS", "token"
    )
    async with RegistryClient(registry.url, "AWS", "token") as client:
        await all_digests(client)
    assert registry.by_kind == {"list": 2, "head": 10}


async def test_client_with_a_github_token_as_password_sends_it_as_bearer(registry: ScriptedRegistry) -> None:
    registry.put(REPOSITORY, TAGS)
    token = base64.b64encode(b"ghp_x").decode()
    registry.sign_in = SignIn(granted={token: {"repository:team/app:pull"}})
    async with RegistryClient(registry.url, None, token) as client:
        await all_digests(client)
    assert registry.by_kind == {"list": 1, "head": 10}


async def test_client_with_a_password_without_username_sends_it_to_no_realm(bearer: ScriptedRegistry) -> None:
    async with RegistryClient(bearer.url, "", "secret") as client:
        with pytest.raises(RegistryError) as caught:
            await client.list_tags(REPOSITORY)
    assert caught.value.kind == "credentials"
    assert bearer.by_kind == {"list": 1}


# Where the login goes


@pytest.mark.parametrize(
    "realm",
    [
        "http://[]@",
        "",
        "token",
        "/token",
        "ftp://127.0.0.1/token",
        "http://",
        "http://user:x@127.0.0.1/token",
        "http://[::1",
    ],
)
async def test_token_with_an_invalid_realm_raises_credentials(bearer: ScriptedRegistry, realm: str) -> None:
    bearer.sign_in.challenge = f'Bearer realm="{realm}",service="x"'
    async with RegistryClient(bearer.url, "robot", "secret") as client:
        with pytest.raises(RegistryError) as caught:
            await client.list_tags(REPOSITORY)
    assert caught.value.kind == "credentials"
    assert bearer.by_kind == {"list": 1}


async def test_client_without_a_challenge_sends_no_login(registry: ScriptedRegistry) -> None:
    registry.put(REPOSITORY, TAGS)
    async with RegistryClient(registry.url, "robot", "secret") as client:
        await all_digests(client)
    assert all("Authorization" not in asked.headers for asked in registry.asked)


async def test_client_with_a_401_without_challenge_raises_credentials(registry: ScriptedRegistry) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=401)

    registry.faults.append(answer)
    async with RegistryClient(registry.url, "robot", "secret") as client:
        with pytest.raises(RegistryError) as caught:
            await client.list_tags(REPOSITORY)
    assert caught.value.kind == "credentials"
    assert registry.count() == 1


async def test_error_after_an_echoed_login_contains_no_secret(bearer: ScriptedRegistry) -> None:
    token = "planted-token"

    async def echo(request: web.Request) -> web.Response | None:
        if request.path == "/token":
            return web.json_response({"token": token})
        if "Authorization" in request.headers:
            return web.Response(status=500, text=f"{dict(request.headers)}", headers={"X-Echo": token})
        return None

    bearer.faults.append(echo)
    async with RegistryClient(bearer.url, "robot", "planted-password") as client:
        with pytest.raises(RegistryError) as caught:
            await client.list_tags(REPOSITORY)
    basic = base64.b64encode(b"robot:planted-password").decode()
    error: BaseException | None = caught.value
    while error is not None:
        text = f"{error!r} {error} {vars(error)}"
        assert not [secret for secret in (token, "planted-password", basic) if secret in text]
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("scheme", ["basic", "bearer"])
async def test_login_of_many_requests_that_start_at_once_costs_a_401_only_for_those_in_flight(
    registry: ScriptedRegistry, scheme: str
) -> None:
    registry.put(REPOSITORY, [f"v{number}" for number in range(200)])
    challenge = 'Basic realm="scripted"' if scheme == "basic" else SignIn.challenge
    registry.sign_in = SignIn(scheme=scheme, challenge=challenge, username="robot", password="secret")
    async with RegistryClient(registry.url, "robot", "secret", max_in_flight=4) as client:
        found = await asyncio.gather(*(client.digest(REPOSITORY, f"v{number}") for number in range(200)))
    assert set(found) == {digest_of("first")}
    assert 200 < registry.by_kind["head"] <= 204


async def test_login_that_is_refused_for_many_requests_at_once_is_an_error_for_each(
    registry: ScriptedRegistry,
) -> None:
    registry.put(REPOSITORY, TAGS)
    registry.sign_in = SignIn(scheme="basic", challenge='Basic realm="scripted"', username="x", password="y")
    async with RegistryClient(registry.url, "robot", "secret", max_in_flight=2) as client:
        found = await asyncio.gather(
            *(client.digest(REPOSITORY, tag) for tag in TAGS), return_exceptions=True
        )
    assert {getattr(error, "kind", None) for error in found} == {"credentials"}
