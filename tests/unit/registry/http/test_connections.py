# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The connections of one registry: addresses, cookies and the User-Agent."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from yarl import URL

from airflow_registry_triggers.registry.client import RegistryClient
from airflow_registry_triggers.registry.http.connections import Connections
from airflow_registry_triggers.registry.http.proxies import Proxies
from airflow_registry_triggers.registry.http.rate_limits import Limits
from tests.unit.addresses.silent_port import silent_port
from tests.unit.registry.http.internet import Internet
from tests.unit.registry.raw_server import RawServer, reply, says

if TYPE_CHECKING:
    import pytest

REPOSITORY = "team/app"
PAGE = b'{"name":"team/app","tags":["v1"]}'


async def test_client_whose_first_address_does_not_answer_uses_the_next_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with RawServer(says(reply(200, PAGE)), host="127.0.0.2") as server:
        internet = Internet()
        internet.add("registry.example", ["127.0.0.1", "127.0.0.2"])
        internet.install(monkeypatch)
        with silent_port("127.0.0.1", server.port):
            began = time.monotonic()
            limits = Limits(connect_seconds=60, seconds=60)
            async with RegistryClient(f"http://registry.example:{server.port}", limits=limits) as client:
                assert await client.list_tags(REPOSITORY) == ["v1"]
    assert time.monotonic() - began < 30, "long before the limit of a connection"


async def test_client_stores_no_cookies_and_names_itself() -> None:
    script = says(reply(200, PAGE, "Set-Cookie: session=1; Path=/"), keeps=True)
    async with RawServer(script) as server, RegistryClient(server.url) as client:
        for _ in range(2):
            await client.list_tags(REPOSITORY)
    for talk in server.requests:
        assert "cookie" not in talk.head.lower()
        assert "User-Agent: airflow-provider-registry-triggers" in talk.head


async def test_connections_to_the_registry_and_elsewhere_have_sessions_of_their_own() -> None:
    base = URL("http://127.0.0.1:5000/prefix")
    connections = Connections(base, None, Proxies(None, lambda secret: None))
    own = connections.session_for(base / "v2/", None)
    assert connections.session_for(base / "v2/x", None) is own
    assert connections.session_for(URL("http://127.0.0.1:5001/"), None) is not own
    await connections.close()
    assert own.closed


async def test_addresses_of_a_name_that_does_not_resolve_are_none() -> None:
    connections = Connections(URL("http://registry.invalid"), None, Proxies(None, lambda secret: None))
    assert await connections.addresses() == []
    await connections.close()
