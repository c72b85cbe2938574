# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Webhooks through the proxy of the deployment: a real tinyproxy, and one that fails as it is told."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
from typing import TYPE_CHECKING, Any

import pytest

from airflow_registry_triggers.webhook.attempt import Attempt, send
from airflow_registry_triggers.webhook.delivery import Delivery
from airflow_registry_triggers.webhook.proxy import Proxy, parse_proxy
from airflow_registry_triggers.webhook.url import EndpointRefused, parse_endpoint
from tests.harness.processes import free_port
from tests.harness.tinyproxy import TinyProxy
from tests.unit.webhook.certificates import Certificate, issue, server_context
from tests.unit.webhook.scripted_server import (
    LIMIT,
    LOOPBACK,
    Conversation,
    Script,
    ScriptedServer,
    answering,
    https_server,
    response,
    stalling,
)
from tests.unit.webhook.test_attempt import verdict
from tests.unit.webhook.test_cancellation import NOTIFICATION

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

ROOT = issue("Root of the tests", is_ca=True)


@contextlib.contextmanager
def tinyproxy(folder: Path, *lines: str) -> Iterator[tuple[TinyProxy, Proxy]]:
    with TinyProxy(folder, *lines) as process:
        yield process, Proxy(process.host, process.port)


async def through(proxy: Proxy, url: str, **options: Any) -> Attempt:
    endpoint = parse_endpoint(url, allowed_networks=LOOPBACK)
    return await send(endpoint, b'{"a":1}', {"X-A": "b"}, proxy=proxy, **{"timeout": LIMIT, **options})


async def test_send_http_through_tinyproxy_is_delivered(tmp_path: Path) -> None:
    with tinyproxy(tmp_path) as (process, proxy):
        async with ScriptedServer(answering(response(200, b"got it"))) as server:
            attempt = await through(proxy, f"{server.url}?a=%2F")
    assert verdict(attempt) == ("200", "delivered", False)
    assert attempt.response_body == "got it"
    assert server.requests[0].startswith(b"POST /hook?a=%2F HTTP/1.")
    assert server.requests[0].endswith(b'{"a":1}')
    assert f"127.0.0.1:{server.port}" in process.log


async def test_send_name_through_tinyproxy_is_resolved_by_the_proxy(tmp_path: Path) -> None:
    looked_up: list[str] = []

    def lookup(host: str, port: int) -> list[str]:
        looked_up.append(host)
        return ["127.0.0.1"]

    with tinyproxy(tmp_path) as (_process, proxy):
        async with ScriptedServer(answering(response(204))) as server:
            named = Proxy("proxy.test", proxy.port)
            attempt = await through(named, f"http://localhost:{server.port}/hook", lookup=lookup)
    assert verdict(attempt) == ("204", "delivered", False)
    assert looked_up == ["proxy.test"]


@contextlib.asynccontextmanager
async def receiver(tmp_path: Path, root: Certificate = ROOT) -> AsyncIterator[tuple[ScriptedServer, str]]:
    """Yield a receiver on port 443, and the file of the root that is trusted."""
    server = await https_server(answering(response(200, b"got it")), None)
    server.use(server_context(issue("leaf", root, sans=(server.address,))))
    ca_file = tmp_path / "root.pem"
    ca_file.write_bytes(ROOT.pem)
    async with server:
        yield server, str(ca_file)


async def test_send_https_through_tinyproxy_uses_connect(tmp_path: Path) -> None:
    with tinyproxy(tmp_path) as (process, proxy):
        async with receiver(tmp_path) as (server, ca_file):
            attempt = await through(proxy, f"https://{server.host}/hook", ca_file=ca_file)
    assert verdict(attempt) == ("200", "delivered", False)
    assert attempt.response_body == "got it"
    assert server.requests[0].startswith(b"POST /hook HTTP/1.1")
    assert b"proxy" not in server.requests[0].lower()
    assert f"CONNECT {server.host}:443" in process.log


async def test_send_https_through_tinyproxy_checks_the_receivers_certificate(tmp_path: Path) -> None:
    other = issue("Another root", is_ca=True)
    with tinyproxy(tmp_path) as (_process, proxy):
        async with receiver(tmp_path, other) as (server, ca_file):
            attempt = await through(proxy, f"https://{server.host}/hook", ca_file=ca_file)
    assert verdict(attempt) == ("tls_error", "final", False)
    assert "certificate" in attempt.reason
    assert server.requests == []


async def test_send_login_for_tinyproxy_is_used_and_recorded_nowhere(tmp_path: Path) -> None:
    with tinyproxy(tmp_path, "BasicAuth user planted") as (_, found):
        async with ScriptedServer(answering(response(200, b"planted"))) as server:
            right = await through(Proxy(found.host, found.port, "user", "planted"), server.url)
            wrong = await through(Proxy(found.host, found.port, "user", "wrongpass"), server.url)
        async with receiver(tmp_path) as (secure, ca_file):
            tunnel_right = await through(
                Proxy(found.host, found.port, "user", "planted"), f"https://{secure.host}/", ca_file=ca_file
            )
            tunnel = await through(
                Proxy(found.host, found.port, "user", "wrongpass"), f"https://{secure.host}/", ca_file=ca_file
            )
    assert verdict(right) == ("200", "delivered", False)
    assert server.connections == 1
    assert b"planted" not in server.requests[0]
    assert verdict(wrong) == ("407", "final", False) or wrong.status_code == "401"
    assert wrong.outcome.value == "final"
    assert verdict(tunnel_right) == ("200", "delivered", False)
    assert len(secure.requests) == 1
    assert b"planted" not in secure.requests[0]
    assert verdict(tunnel)[1:] == ("final", False)
    for attempt in (right, wrong, tunnel_right, tunnel):
        assert "planted" not in repr(attempt)
        assert "wrongpass" not in repr(attempt)
    assert found.url in tunnel.reason


async def test_send_receiver_that_tinyproxy_cannot_reach_is_retried(tmp_path: Path) -> None:
    with tinyproxy(tmp_path) as (_process, proxy):
        plain = await through(proxy, f"http://127.0.0.1:{free_port()}/")
        secure = await through(proxy, "https://127.213.17.5/")
    assert plain.outcome.value == "retry"
    assert proxy.url in plain.reason
    assert verdict(secure) == ("unreachable", "retry", False)
    assert proxy.url in secure.reason


def refusing(status: int, body: bytes = b"<html>planted</html>") -> Script:
    return answering(response(status, body, "Content-Type: text/html"))


async def html(talk: Conversation) -> None:
    await talk.send(b"<html>this is not a proxy</html>")


@pytest.mark.parametrize(
    ("script", "wanted"),
    [
        (refusing(403), ("blocked", "final", False)),
        (refusing(404), ("unreachable", "final", False)),
        (refusing(407), ("unreachable", "final", False)),
        (refusing(429), ("unreachable", "retry", False)),
        (refusing(500), ("unreachable", "retry", False)),
        (refusing(502), ("unreachable", "retry", False)),
        (refusing(503), ("unreachable", "retry", False)),
        (refusing(504), ("unreachable", "retry", False)),
        (html, ("protocol_error", "retry", False)),
        (answering(), ("connection_reset", "retry", False)),
        (stalling(), ("timeout", "retry", False)),
    ],
)
async def test_send_proxy_that_does_not_connect_is_named(
    script: Script, wanted: tuple[str, str, bool]
) -> None:
    async with ScriptedServer(script) as server:
        proxy = Proxy(server.host, server.port, "user", "planted")
        attempt = await through(proxy, "https://hooks.example.com/")
    assert verdict(attempt) == wanted
    assert server.requests[0].startswith(b"CONNECT hooks.example.com:443 HTTP/1.1\r\n")
    assert proxy.url in attempt.reason
    assert "planted" not in repr(attempt)


@pytest.mark.parametrize("url", ["http://hooks.example.com/", "https://hooks.example.com/"])
async def test_send_proxy_that_is_down_is_named(url: str) -> None:
    proxy = Proxy("127.0.0.1", free_port(), "user", "planted")
    attempt = await through(proxy, url)
    assert verdict(attempt) == ("connection_refused", "retry", False)
    assert proxy.url in attempt.reason
    assert "planted" not in repr(attempt)


async def test_send_proxy_name_that_does_not_resolve_is_named() -> None:
    def nothing(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "no such host")

    attempt = await through(Proxy("proxy.test", 3128), "http://hooks.example.com/", lookup=nothing)
    assert verdict(attempt) == ("dns_error", "retry", False)
    assert "http://proxy.test:3128" in attempt.reason


async def test_send_http_through_a_proxy_uses_the_absolute_form() -> None:
    async with ScriptedServer(answering(response(200))) as server:
        proxy = Proxy(server.host, server.port, "user", "p\u00e4ss")
        attempt = await through(proxy, "http://hooks.example.com:8080/a?b=%2F")
    head = server.requests[0].decode().split("\r\n")
    assert head[0] == "POST http://hooks.example.com:8080/a?b=%2F HTTP/1.1"
    assert "Host: hooks.example.com:8080" in head
    login = base64.b64encode("user:p\u00e4ss".encode()).decode()
    assert f"Proxy-Authorization: Basic {login}" in head
    assert "Proxy-Authorization" not in attempt.request_headers


@pytest.mark.parametrize("host", ["metadata.google.internal", "instance-data", "instance-data.ec2.internal"])
async def test_send_metadata_name_behind_a_proxy_is_blocked(host: str) -> None:
    async with ScriptedServer(answering(response(200))) as server:
        attempt = await through(Proxy(server.host, server.port), f"http://{host}/")
    assert verdict(attempt) == ("blocked", "final", False)
    assert server.connections == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1/",
        "http://[::1]/",
        "https://hooks.example.com:8443/",
        "http://u:p@h/",
        "ftp://h/",
        "http://metadata%2egoogle.internal/",
        "http://169.254.169.254%20/",
        "http://[64:ff9b:1::a9fe:a9fe]/",
    ],
)
async def test_attempt_blocked_url_behind_a_proxy_sends_nothing(url: str) -> None:
    with pytest.raises(EndpointRefused):
        parse_endpoint(url)
    async with ScriptedServer(answering(response(200))) as server:
        delivery = Delivery(url=url, proxy=f"http://{server.host}:{server.port}")
        result = await delivery.attempt(NOTIFICATION, "t", 1)
    assert (result.record.status_code, server.connections) == ("blocked", 0)


async def test_attempt_proxy_of_the_environment_is_never_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        ScriptedServer(answering(response(200))) as environment,
        ScriptedServer(answering(response(200))) as proxy,
        ScriptedServer(answering(response(200))) as server,
    ):
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://{environment.host}:{environment.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        direct = Delivery(url=server.url, allowed_networks=LOOPBACK)
        await direct.attempt(NOTIFICATION, "t", 1)
        monkeypatch.setenv("no_proxy", "*")
        set_by_option = Delivery(
            url=server.url, allowed_networks=LOOPBACK, proxy=f"http://{proxy.host}:{proxy.port}"
        )
        await set_by_option.attempt(NOTIFICATION, "t", 1)
    assert (environment.connections, proxy.connections, server.connections) == (0, 1, 1)


async def test_attempts_with_and_without_a_proxy_at_once_do_not_mix() -> None:
    async with (
        ScriptedServer(answering(response(201))) as proxy,
        ScriptedServer(answering(response(202))) as server,
    ):
        via = Delivery(url=server.url, allowed_networks=LOOPBACK, proxy=f"http://{proxy.host}:{proxy.port}")
        direct = Delivery(url=server.url, allowed_networks=LOOPBACK)
        results = await asyncio.gather(
            *(each.attempt(NOTIFICATION, "t", 1) for _ in range(8) for each in (via, direct))
        )
    assert [result.record.status_code for result in results] == ["201", "202"] * 8


@pytest.mark.parametrize(
    ("text", "proxy"),
    [
        ("", None),
        ("  ", None),
        ("http://p:3128", Proxy("p", 3128)),
        ("HTTP://p.example:80/", Proxy("p.example", 80)),
        ("http://u:p%40ss@[::1]:3128", Proxy("::1", 3128, "u", "p@ss")),
    ],
)
def test_parse_proxy_valid_text_returns_the_proxy(text: str, proxy: Proxy | None) -> None:
    assert parse_proxy(text) == proxy


@pytest.mark.parametrize(
    "text",
    ["planted", "https://planted@p:1", "http://planted@p", "http://:1", "http://p:99999", "http://[planted:1", "http://p:1/planted", "http://p:1?planted", "http://planted%3Aa:b@p:1"],
)  # fmt: skip
def test_parse_proxy_invalid_text_raises_without_the_text(text: str) -> None:
    with pytest.raises(ValueError, match="webhook_proxy") as error:
        parse_proxy(text)
    assert "planted" not in str(error.value)
