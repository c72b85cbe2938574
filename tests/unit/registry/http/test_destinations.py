# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Where a registry may send us: names, lookups and sockets, with a server that records anything it gets."""

from __future__ import annotations

import base64
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from yarl import URL

from airflow_registry_triggers.registry.client import RegistryClient
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.http.destinations import (
    DestinationBlocked,
    Destinations,
    GuardedLookup,
)
from tests.harness.processes import free_port
from tests.unit.registry.http.internet import OTHER_PUBLIC, PUBLIC, Internet
from tests.unit.registry.raw_server import RawServer, reply, says
from tests.unit.registry.scripted_registry import ScriptedRegistry, SignIn, digest_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

REPOSITORY = "team/app"
BASIC = "Basic " + base64.b64encode(b"robot:secret").decode()

METADATA = [
    "169.254.169.254",
    "[::ffff:169.254.169.254]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1::a9fe:a9fe]",
    "2852039166",
    "0xa9fea9fe",
    "169.254.43518",
    "[fd00:ec2::254]",
    "100.100.100.200",
    "168.63.129.16",
    "169.254.1.1",
    "[fe80::1]",
    "metadata.google.internal",
    "METADATA.google.internal.",
    "instance-data",
    "instance-data.ec2.internal",
    "metadata%2egoogle.internal",
    "169.254.169.254%20",
    "named-metadata.example",
    "half-metadata.example",
    "named-link-local.example",
]
"""Hosts that are never allowed, whatever the registry's own address and ``allowed_networks`` are."""

INTERNAL = [
    "10.0.0.5",
    "127.0.0.1",
    "127.1",
    "0.0.0.0",
    "[::1]",
    "[fd12:3456::1]",
    "[::ffff:10.0.0.5]",
    "[64:ff9b::a00:5]",
    "100.64.0.1",
    "192.0.2.1",
    "localhost",
    "internal.example",
    "half-internal.example",
]
"""Hosts that only a registry with an address that is not public may name."""


@dataclass
class World:
    internet: Internet
    registry: ScriptedRegistry
    recorder: RawServer

    def client(self, host: str) -> RegistryClient:
        """Return a client of the registry under a name or an address."""
        base = f"http://{host}:{URL(self.registry.url).port}"
        if self.registry.sign_in is not None and not self.registry.sign_in.realm:
            self.registry.sign_in.realm = f"{base}/token"
        return RegistryClient(base, "robot", "secret")

    @property
    def leaked(self) -> bytes:
        """Anything that a connection to another host carried."""
        return self.recorder.received


@pytest.fixture
async def world(registry: ScriptedRegistry, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    registry.put(REPOSITORY, {"v1": "one"})
    answer = reply(200, b'{"token":"stolen","name":"x","tags":["v1"]}')
    async with RawServer(says(answer), host="localhost", port=free_port()) as recorder:
        internet = Internet(fallback=recorder.port)
        internet.routes[PUBLIC] = URL(registry.url).port or 0
        internet.add("registry.example", [PUBLIC])
        internet.add("named-metadata.example", ["169.254.169.254"])
        internet.add("half-metadata.example", [OTHER_PUBLIC, "169.254.169.254"])
        internet.add("named-link-local.example", ["fe80::1"])
        internet.add("internal.example", ["10.0.0.5"])
        internet.add("half-internal.example", [OTHER_PUBLIC, "10.0.0.5"])
        internet.add("auth.example", [OTHER_PUBLIC])
        for name in ("metadata.google.internal", "instance-data", "instance-data.ec2.internal"):
            internet.add(name, [OTHER_PUBLIC])
        for address in ("127.0.0.1", "::1", "0.0.0.0"):
            internet.routes[address] = recorder.port
        yield World(internet.install(monkeypatch), registry, recorder)


def names_realm(world: World, host: str) -> None:
    world.registry.sign_in = SignIn(username="robot", password="secret", realm=f"http://{host}:8080/token")


def redirects(world: World, host: str, *, only: str = "") -> None:
    async def fault(request: web.Request) -> web.Response | None:
        if only not in request.path:
            return None
        return web.Response(status=307, headers={"Location": f"http://{host}:8080{request.raw_path}"})

    world.registry.faults.append(fault)


def redirects_tokens(world: World, host: str) -> None:
    world.registry.sign_in = SignIn(username="robot", password="secret")
    redirects(world, host, only="/token")


WAYS = {
    "realm": (names_realm, "list"),
    "redirect of a listing": (redirects, "list"),
    "redirect of a HEAD": (redirects, "digest"),
    "redirect of a token request": (redirects_tokens, "list"),
}


async def sent_there(client: RegistryClient, call: str) -> RegistryError:
    async with client:
        with pytest.raises(RegistryError) as caught:
            await (client.list_tags(REPOSITORY) if call == "list" else client.digest(REPOSITORY, "v1"))
    assert "secret" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("host", METADATA + INTERNAL)
async def test_client_of_a_public_registry_reaches_no_internal_address(
    world: World, host: str, way: str
) -> None:
    arrange, call = WAYS[way]
    arrange(world, host)
    # A realm's own port 8080 is mapped to the recorder too, so that a leak would be seen.
    error = await sent_there(world.client("registry.example"), call)
    assert (world.leaked, world.recorder.connections) == (b"", 0)
    assert error.kind == "refused_answer"
    assert set(world.internet.dialed) == {PUBLIC}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("host", METADATA)
async def test_client_of_a_private_registry_reaches_no_metadata_service(
    world: World, host: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__REGISTRY_TRIGGERS__ALLOWED_NETWORKS", "0.0.0.0/0, ::/0")
    world.internet.add("registry.internal", ["10.0.0.9"])
    world.internet.routes["10.0.0.9"] = URL(world.registry.url).port or 0
    arrange, call = WAYS[way]
    arrange(world, host)
    error = await sent_there(world.client("registry.internal"), call)
    assert (world.leaked, world.recorder.connections) == (b"", 0)
    assert error.kind == "refused_answer"
    assert set(world.internet.dialed) == {"10.0.0.9"}


@pytest.mark.parametrize("host", ["10.0.0.5", "internal.example", "auth.example"])
async def test_client_of_a_private_registry_may_use_a_realm_there_and_on_the_internet(
    world: World, host: str
) -> None:
    world.internet.add("registry.internal", ["10.0.0.9"])
    world.internet.routes["10.0.0.9"] = URL(world.registry.url).port or 0
    names_realm(world, host)
    async with world.client("registry.internal") as client:
        with pytest.raises(RegistryError):  # the recorder's token is not the registry's
            await client.list_tags(REPOSITORY)
    assert BASIC.encode() in world.leaked


async def test_client_of_a_public_registry_may_use_a_realm_on_another_public_host(world: World) -> None:
    names_realm(world, "auth.example")
    world.internet.routes[OTHER_PUBLIC] = URL(world.registry.url).port or 0
    async with world.client("registry.example") as client:
        assert await client.list_tags(REPOSITORY) == ["v1"]
    assert OTHER_PUBLIC in world.internet.dialed
    token = [asked for asked in world.registry.asked if asked.path.startswith("/token")]
    assert [asked.headers["Authorization"] for asked in token] == [BASIC]


async def test_client_of_a_public_registry_follows_a_redirect_to_a_public_host(world: World) -> None:
    async def fault(request: web.Request) -> web.Response | None:
        if not request.host.startswith("registry.example"):
            return None
        return web.Response(status=307, headers={"Location": f"http://auth.example{request.raw_path}"})

    world.registry.faults.append(fault)
    world.internet.routes[OTHER_PUBLIC] = URL(world.registry.url).port or 0
    async with world.client("registry.example") as client:
        assert await client.digest(REPOSITORY, "v1") == digest_of("one")
    assert world.internet.dialed == [PUBLIC, OTHER_PUBLIC]


async def test_client_of_a_registry_whose_name_rebinds_does_not_count_as_private(world: World) -> None:
    world.internet.add("registry.example", [PUBLIC], ["10.0.0.9"])
    world.internet.routes["10.0.0.9"] = URL(world.registry.url).port or 0
    names_realm(world, "10.0.0.5")
    await sent_there(world.client("registry.example"), "list")
    assert (world.leaked, world.recorder.connections) == (b"", 0)


async def test_client_of_a_registry_that_moves_to_300_private_addresses_reaches_no_internal_address(
    world: World,
) -> None:
    """The number of addresses is the choice of the registry's name server."""
    private = [f"10.1.{number // 200}.{number % 200}" for number in range(300)]
    world.internet.add("registry.example", [PUBLIC], [PUBLIC], private)
    port = URL(world.registry.url).port or 0
    world.internet.routes |= dict.fromkeys(private, port)
    async with world.client("registry.example") as client:
        assert await client.digest(REPOSITORY, "v1") == digest_of("one")
        # A second client of the same registry and login opens connections of its own.
        other = RegistryClient(f"http://registry.example:{port}", "robot", "secret", max_in_flight=3)
        redirects(world, "10.0.0.5")
        error = await sent_there(other, "digest")
    assert (error.kind, world.leaked, world.recorder.connections) == ("refused_answer", b"", 0)


async def test_client_of_a_registry_that_was_public_remembers_it_after_its_connections_closed(
    world: World,
) -> None:
    async with world.client("registry.example") as client:
        assert await client.digest(REPOSITORY, "v1") == digest_of("one")
    world.internet.add("registry.example", ["10.0.0.9"])
    world.internet.routes["10.0.0.9"] = URL(world.registry.url).port or 0
    redirects(world, "10.0.0.5")
    error = await sent_there(world.client("registry.example"), "digest")
    assert (error.kind, world.leaked, world.recorder.connections) == ("refused_answer", b"", 0)


async def test_client_of_a_registry_with_a_public_and_a_private_address_reaches_neither_port_of_it(
    world: World,
) -> None:
    """A name can list an address behind the client beside its own; it may not use it on another port."""
    world.internet.add("registry.example", [PUBLIC, "10.0.0.5"])
    redirects(world, "10.0.0.5")
    error = await sent_there(world.client("registry.example"), "digest")
    assert (error.kind, world.leaked, world.recorder.connections) == ("refused_answer", b"", 0)


@pytest.mark.parametrize("address", ["169.254.169.254", "100.100.100.200", "fd00:ec2::254"])
async def test_client_of_a_registry_whose_name_rebinds_to_a_metadata_service_sends_nothing(
    world: World, address: str
) -> None:
    world.internet.add("registry.example", [address])
    error = await sent_there(world.client("registry.example"), "list")
    assert (error.kind, world.leaked, world.internet.dialed) == ("refused_answer", b"", [])


@pytest.mark.parametrize("address", ["169.254.169.254", "10.0.0.5", "fe80::1%1", "::1"])
async def test_client_checks_the_socket_even_if_the_lookup_does_not(
    world: World, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    real = GuardedLookup.resolve

    async def unchecked(self: GuardedLookup, host: str, port: int = 0, family: Any = 0) -> Any:
        results = await real(self, host, port, family)
        return [result | {"host": address, "family": 10 if ":" in address else 2} for result in results]

    monkeypatch.setattr(GuardedLookup, "resolve", unchecked)
    names_realm(world, "auth.example")
    await sent_there(world.client("registry.example"), "list")
    assert (world.leaked, world.recorder.connections) == (b"", 0)
    assert set(world.internet.dialed) == {PUBLIC}


async def test_client_looks_a_realm_up_once(world: World) -> None:
    world.internet.add("auth.example", [OTHER_PUBLIC], ["169.254.169.254"])
    world.internet.routes[OTHER_PUBLIC] = URL(world.registry.url).port or 0
    names_realm(world, "auth.example")
    async with world.client("registry.example") as client:
        await client.list_tags(REPOSITORY)
    assert world.internet.looked_up.count("auth.example") == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_token_request_follows_no_redirect_to_another_origin(world: World, status: int) -> None:
    world.registry.sign_in = SignIn(username="robot", password="secret")

    async def fault(request: web.Request) -> web.Response | None:
        headers = {"Location": f"http://auth.example{request.raw_path}"}
        return web.Response(status=status, headers=headers) if request.path == "/token" else None

    world.registry.faults.append(fault)
    error = await sent_there(world.client("registry.example"), "list")
    assert "auth.example" in str(error)
    assert (world.leaked, OTHER_PUBLIC in world.internet.dialed) == (b"", False)


async def test_token_request_follows_a_redirect_within_its_origin(world: World) -> None:
    world.registry.sign_in = SignIn(username="robot", password="secret")

    async def fault(request: web.Request) -> web.Response | None:
        if request.path != "/token" or "moved" in request.query:
            return None
        return web.Response(status=307, headers={"Location": f"{request.raw_path}&moved=1"})

    world.registry.faults.append(fault)
    async with world.client("registry.example") as client:
        assert await client.list_tags(REPOSITORY) == ["v1"]


@pytest.mark.parametrize(
    "link",
    [
        "http://auth.example/v2/team/app/tags/list?last=v1",
        "//auth.example/v2/team/app/tags/list?last=v1",
        "http://169.254.169.254/v2/team/app/tags/list?last=v1",
        "http://registry.example.auth.example/v2/team/app/tags/list?last=v1",
        "http://registry.example@auth.example/v2/team/app/tags/list?last=v1",
    ],
)
async def test_page_link_to_another_host_sends_nothing_there(world: World, link: str) -> None:
    world.internet.add("registry.example.auth.example", [OTHER_PUBLIC])

    async def fault(request: web.Request) -> web.Response | None:
        headers = {"Link": f'<{link}>; rel="next"'}
        return web.json_response({"name": REPOSITORY, "tags": ["v1"]}, headers=headers)

    world.registry.faults.append(fault)
    error = await sent_there(world.client("registry.example"), "list")
    assert error.kind == "refused_answer"
    assert (world.leaked, world.internet.dialed) == (b"", [PUBLIC])


# Behind a proxy


@asynccontextmanager
async def proxied(world: World) -> AsyncIterator[tuple[RegistryClient, list[str]]]:
    """Yield a client behind a proxy that answers for the registry, and the URLs that the proxy got."""
    urls: list[str] = []

    async def script(talk: Any) -> None:
        urls.append(f"{talk.method} {talk.path}")
        if "/token" in talk.path:
            await talk.send(reply(200, b'{"token":"good"}'))
        elif "Bearer good" in talk.head:
            await talk.send(reply(200, b'{"name":"x","tags":["v1"]}'))
        else:
            realm = world.registry.sign_in.realm if world.registry.sign_in else ""
            await talk.send(reply(401, b"", f'WWW-Authenticate: Bearer realm="{realm}",service="x"'))

    async with RawServer(script, host="127.0.0.9") as proxy:
        world.internet.routes.pop("127.0.0.1", None)
        options = {"proxy": proxy.url}
        async with RegistryClient("http://registry.example", "robot", "secret", **options) as client:
            yield client, urls


@pytest.mark.parametrize("host", [*(host for host in METADATA if not host.endswith(".example")), "10.0.0.5"])
async def test_client_behind_a_proxy_checks_host_and_literal_address_of_a_realm(
    world: World, host: str
) -> None:
    names_realm(world, host)
    async with proxied(world) as (client, urls):
        with pytest.raises(RegistryError) as caught:
            await client.list_tags(REPOSITORY)
    assert caught.value.kind == "refused_answer"
    assert urls == ["GET http://registry.example/v2/team/app/tags/list?n=1000"]
    assert "registry.example" not in world.internet.looked_up


async def test_client_behind_a_proxy_lets_the_proxy_resolve_a_realm(world: World) -> None:
    names_realm(world, "internal.example")
    async with proxied(world) as (client, urls):
        assert await client.list_tags(REPOSITORY) == ["v1"]
    assert urls[1].startswith("GET http://internal.example:8080/token?")
    assert "internal.example" not in world.internet.looked_up


# The checks themselves


@pytest.mark.parametrize("private", [1, 300, 3000])
def test_destinations_of_a_registry_that_was_public_never_count_as_private(private: int) -> None:
    destinations = Destinations(URL("http://registry.example"))
    destinations.note(PUBLIC)
    for number in range(private):
        destinations.note(f"10.0.{number // 250}.{number % 250}")
    for address in ("10.9.9.9", "10.0.0.0", "127.0.0.1"):
        with pytest.raises(DestinationBlocked, match="public or not known"):
            destinations.check_address(address, address)


@pytest.mark.parametrize(
    "host",
    ["metadata%2Egoogle.internal", "10.0.0.5%00", "a%40b.example", "a;b.example", "a,b.example", "a(b"],
)
def test_destinations_block_a_host_that_is_neither_a_name_nor_an_address(host: str) -> None:
    with pytest.raises(DestinationBlocked, match="neither a host name nor an address"):
        Destinations(URL("https://10.0.0.1")).check_url(URL(f"http://{host}/", encoded=True))


@pytest.mark.parametrize(
    "host", ["my_registry.example", "registry-1.docker.io.", "bücher.example", "10.0.0.5", "[fd12::1]", "a"]
)
def test_destinations_of_a_private_registry_allow_a_usual_host(host: str) -> None:
    Destinations(URL("https://10.0.0.1")).check_url(URL(f"http://{host}/"))


def test_destinations_without_a_known_own_address_block_an_internal_one() -> None:
    destinations = Destinations(URL("http://registry.example"))
    with pytest.raises(DestinationBlocked, match="public or not known"):
        destinations.check_address("10.0.0.5", "10.0.0.5")
    destinations.check_address(PUBLIC, PUBLIC)


async def test_registry_on_its_own_metadata_address_is_the_administrators_choice(world: World) -> None:
    """The address in a Connection is not named by a registry, so it is not checked."""
    world.internet.routes["169.254.1.9"] = URL(world.registry.url).port or 0
    async with world.client("169.254.1.9") as client:
        assert await client.list_tags(REPOSITORY) == ["v1"]
