# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Webhooks through the proxy of the deployment: a real tinyproxy, and one that fails as it is told."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_registry_triggers.webhook.attempt import Attempt, send
from airflow_registry_triggers.webhook.delivery import Delivery
from airflow_registry_triggers.webhook.proxy import Proxy, parse_proxy
from airflow_registry_triggers.webhook.url import EndpointRefused, parse_endpoint
from tests.unit.webhook.certificates import Authority
from tests.unit.webhook.scripted_server import (
    LOOPBACK,
    Conversation,
    Script,
    ScriptedServer,
    answering,
    https_server,
    response,
)
from tests.unit.webhook.test_attempt import verdict
from tests.unit.webhook.test_cancellation import NOTIFICATION

TINYPROXY = shutil.which("tinyproxy")


def free_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


@contextlib.contextmanager
def tinyproxy(folder: Path, *lines: str) -> Iterator[Proxy]:
    if TINYPROXY is None:
        pytest.skip("tinyproxy is not installed")
    port = free_port()
    config = folder / "tinyproxy.conf"
    config.write_text(
        "\n".join([f"Port {port}", "Listen 127.0.0.1", "Timeout 10", "MaxClients 20", "LogLevel Info", *lines])
    )
    log = (folder / "tinyproxy.log").open("wb")
    process = subprocess.Popen([TINYPROXY, "-d", "-c", str(config)], stdout=log, stderr=log, start_new_session=True)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.05)
        yield Proxy("127.0.0.1", port)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(10)
        log.close()


def log_of(folder: Path) -> str:
    return (folder / "tinyproxy.log").read_text(errors="replace")


async def through(proxy: Proxy, url: str, **options: Any) -> Attempt:
    endpoint = parse_endpoint(url, allowed_networks=LOOPBACK)
    return await send(endpoint, b'{"a":1}', {"X-A": "b"}, proxy=proxy, **{"timeout": 5, **options})


async def test_send_http_through_tinyproxy_is_delivered(tmp_path: Path) -> None:
    with tinyproxy(tmp_path) as proxy:
        async with ScriptedServer(answering(response(200, b"got it"))) as server:
            attempt = await through(proxy, f"{server.url}?a=%2F")
    assert verdict(attempt) == ("200", "delivered", False)
    assert attempt.response_body == "got it"
    assert server.requests[0].startswith(b"POST /hook?a=%2F HTTP/1.")
    assert server.requests[0].endswith(b'{"a":1}')
    assert f"127.0.0.1:{server.port}" in log_of(tmp_path)


async def test_send_name_through_tinyproxy_is_resolved_by_the_proxy(tmp_path: Path) -> None:
    looked_up: list[str] = []

    def lookup(host: str, port: int) -> list[str]:
        looked_up.append(host)
        return ["127.0.0.1"]

    with tinyproxy(tmp_path) as proxy:
        async with ScriptedServer(answering(response(204))) as server:
            named = Proxy("proxy.test", proxy.port)
            attempt = await through(named, f"http://localhost:{server.port}/hook", lookup=lookup)
    assert verdict(attempt) == ("204", "delivered", False)
    assert looked_up == ["proxy.test"]


@pytest.fixture
async def secure(tmp_path: Path) -> AsyncIterator[tuple[ScriptedServer, str]]:
    authority = Authority(tmp_path)
    server = await https_server(answering(response(200, b"got it")), None)
    context = authority.server_context(server.host_of_server if hasattr(server, "host_of_server") else server._host)
    server._context = context
    async with server:
        yield server, str(authority.ca_file)
