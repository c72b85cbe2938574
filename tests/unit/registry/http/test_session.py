# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The transport of a registry: shared by its clients, with a memory whose bounds no registry can move."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from yarl import URL

from airflow_registry_triggers.registry.client import RegistryClient
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.http import session
from airflow_registry_triggers.registry.http.rate_limits import Pause
from airflow_registry_triggers.registry.http.session_state import Memory
from tests.unit.registry.http.internet import Internet
from tests.unit.registry.raw_server import RawServer, Talk, reply, says

if TYPE_CHECKING:
    from tests.unit.registry.scripted_registry import ScriptedRegistry

REPOSITORY = "team/app"


def test_memory_of_any_number_of_origins_keeps_the_last_16() -> None:
    memory = Memory(Pause("x"))
    for number in range(1000):
        memory.terms_of(URL(f"http://r{number}.example"))
    assert list(memory.elsewhere) == [f"http://r{number}.example" for number in range(984, 1000)]


def test_memories_of_any_number_of_registries_are_bounded() -> None:
    for number in range(1_100):
        session._memory_of((f"http://r{number}.example", "hash"))
    assert len(session._memories) == 1024
    assert (
        session._memory_of(("http://r1099.example", "hash"))
        is session._memories["http://r1099.example", "hash"]
    )


async def test_client_of_a_registry_that_redirects_to_endless_hosts_keeps_a_bounded_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    internet = Internet().install(monkeypatch)

    async def script(talk: Talk) -> None:
        name = f"r{talk.number}.example"
        internet.add(name, ["127.0.0.1"])
        moved = reply(307, b"", f"Location: http://{name}:{server.port}/x")
        challenge = 'WWW-Authenticate: Bearer realm="http://127.0.0.1:1/token"'
        await talk.send(moved if talk.path.startswith("/v2/") else reply(401, b"", challenge))

    async with RawServer(script) as server, RegistryClient(server.url) as client:
        for _ in range(40):
            with pytest.raises(RegistryError):
                await client.list_tags(REPOSITORY)
        assert 0 < len(client._opened.memory.elsewhere) <= 16


async def test_transport_with_equal_options_is_shared_and_with_another_proxy_is_not() -> None:
    page = reply(200, b'{"name":"x","tags":["v1"]}')
    async with (
        RawServer(says(page)) as server,
        RegistryClient(server.url) as one,
        RegistryClient(server.url) as two,
        RegistryClient(server.url, proxy=server.url) as proxied,
        RegistryClient(server.url, proxy=server.url.replace("//", "//u:hunter2@")) as signed_in,
    ):
        assert one._opened is two._opened
        assert len({id(client._opened) for client in (one, proxied, signed_in)}) == 3
        assert await proxied.list_tags(REPOSITORY) == ["v1"]
        assert await signed_in.list_tags(REPOSITORY) == ["v1"]
        logins = ["proxy-authorization" in talk.head.lower() for talk in server.requests]
    assert logins == [False, True]


async def test_transport_after_its_last_user_closes_its_connections(registry: ScriptedRegistry) -> None:
    registry.put(REPOSITORY, ["v1"])
    async with RegistryClient(registry.url) as one:
        async with RegistryClient(registry.url) as two:
            await two.list_tags(REPOSITORY)
        connections = one._opened._connections
        assert connections is not None
        assert not connections.session_for(URL(registry.url), None).closed
        await one.list_tags(REPOSITORY)
    assert connections.session_for(URL(registry.url), None).closed
