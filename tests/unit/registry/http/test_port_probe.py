# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Kind E: the wrong scheme of a Connection has the kind tls, whatever the port does, on real sockets."""

from __future__ import annotations

import asyncio
import itertools
import ssl

import pytest
import trustme

from airflow_registry_triggers.registry.client import RegistryClient
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.http import port_probe
from airflow_registry_triggers.registry.http.rate_limits import Limits
from tests.unit.loop_clock import advance, settle
from tests.unit.registry.raw_server import RawServer, Script, reply, says
from tests.unit.registry.scripted_registry import ScriptedRegistry

REPOSITORY = "team/app"


async def failed(url: str, call: str = "check", **limits: float) -> RegistryError:
    async with RegistryClient(url, "robot", "hunter2", limits=Limits(**limits)) as client:
        calls = {"check": client.check, "list": lambda: client.list_tags(REPOSITORY)}
        calls["digest"] = lambda: client.digest(REPOSITORY, "v1")
        with pytest.raises(RegistryError) as caught:
            await calls[call]()
    assert "\n" not in str(caught.value)
    assert "hunter2" not in str(caught.value)
    return caught.value


@pytest.fixture(scope="module")
def tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_PROBE_SECONDS", "_TLS_PROBE_SECONDS"):
        monkeypatch.setattr(port_probe, name, 30.0)


async def stay_silent(server: RawServer) -> None:
    """Let the deadline pass of each connection that the client opens."""
    for connections in itertools.count(1):
        while server.connections < connections:
            await asyncio.sleep(0.001)
        await settle()
        advance(31)


CALLS = pytest.mark.parametrize("call", ["check", "list", "digest"])


@CALLS
@pytest.mark.parametrize("limits", [{"connect_seconds": 10}, {"seconds": 10}], ids=str)
async def test_client_with_https_on_a_port_that_stays_silent_raises_tls(
    call: str, limits: dict[str, float]
) -> None:
    async with RawServer(says(holds=True)) as server:
        silence = asyncio.create_task(stay_silent(server))
        error = await failed(server.url.replace("http:", "https:"), call, **limits)
        silence.cancel()
    assert error.kind == "tls"
    assert server.port
    assert str(server.port) in str(error)
    assert "Basic" not in server.received.decode("latin-1")


@CALLS
async def test_client_with_https_on_a_port_that_speaks_http_raises_tls(
    registry: ScriptedRegistry, call: str
) -> None:
    error = await failed(registry.url.replace("http:", "https:"), call)
    assert error.kind == "tls"


PLAIN_ON_TLS: dict[str, Script] = {
    "nginx": says(reply(400, b"<html><h1>400</h1>The plain HTTP request was sent to HTTPS port</html>")),
    "go": says(b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"),
    "apache": says(reply(400, b"You're speaking plain HTTP to an SSL-enabled server port.")),
    "an alert": says(b"\x15\x03\x01\x00\x02\x02\x46"),
}


@CALLS
@pytest.mark.parametrize("script", PLAIN_ON_TLS.values(), ids=PLAIN_ON_TLS)
async def test_client_with_http_on_a_port_that_says_it_speaks_tls_raises_tls(
    call: str, script: Script
) -> None:
    async with RawServer(script) as server:
        error = await failed(server.url, call)
    assert error.kind == "tls"
    assert "Set the Connection's scheme to https" in str(error)


@CALLS
async def test_client_with_http_on_a_port_that_closes_and_speaks_tls_raises_tls(
    call: str, tls: ssl.SSLContext
) -> None:
    async with ScriptedRegistry().served(ssl_context=tls) as registry:
        error = await failed(registry.url.replace("https:", "http:"), call)
    assert error.kind == "tls"
    assert registry.count() == 0


@CALLS
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_client_of_a_port_that_closes_every_connection_raises_unavailable(
    call: str, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(port_probe, "_TLS_PROBE_SECONDS", 0.3)  # this port does not answer a handshake
    async with RawServer(says()) as server:
        error = await failed(server.url.replace("http", scheme), call, connect_seconds=0.3)
    assert (error.kind, error.transient) == ("unavailable", True)


async def test_client_of_a_port_that_is_silent_raises_unavailable() -> None:
    async with RawServer(says(holds=True, passes=31)) as server:
        error = await failed(server.url, seconds=30)
    assert error.kind == "unavailable"
    assert "no complete answer within 30 s" in str(error)
