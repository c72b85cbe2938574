# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Answers of registries that differ from the book, on real sockets."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import web

from airflow_registry_triggers.registry.client import RegistryClient
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.http.json_pages import parse_page
from tests.unit.registry.scripted_registry import ScriptedRegistry, digest_of

REPOSITORY = "team/app"


@pytest.mark.parametrize("realm", ["http://169.254.169.254/token", "http://metadata.google.internal/token"])
async def test_client_realm_on_metadata_service_sends_no_login(
    registry: ScriptedRegistry, realm: str
) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=401, headers={"WWW-Authenticate": f'Bearer realm="{realm}"'})

    registry.faults.append(answer)
    async with RegistryClient(registry.url, "robot", "secret") as client:
        with pytest.raises(RegistryError, match="metadata"):
            await client.list_tags(REPOSITORY)


async def test_digest_head_404_get_200_returns_digest(registry: ScriptedRegistry) -> None:
    registry.put(REPOSITORY, {"v1": "one"})
    registry.head_status = 404
    async with RegistryClient(registry.url) as client:
        assert await client.digest(REPOSITORY, "v1") == digest_of("one")
        assert [await client.digest(REPOSITORY, "ghost") for _ in range(2)] == [None, None]
    assert registry.by_kind == {"head": 3, "get": 2}


@pytest.mark.parametrize("status", [400, 404, 405, 413])
async def test_list_page_size_refused_omits_it_and_remembers(registry: ScriptedRegistry, status: int) -> None:
    async def refuse(request: web.Request) -> web.Response | None:
        return web.Response(status=status) if "n" in request.query else None

    registry.put(REPOSITORY, ["v1"])
    registry.faults.append(refuse)
    async with RegistryClient(registry.url) as client:
        assert [await client.list_tags(REPOSITORY) for _ in range(2)] == [["v1"], ["v1"]]
    assert registry.by_kind == {"list": 4}


async def test_client_proxy_down_names_proxy_without_login() -> None:
    async with RegistryClient("http://registry.invalid", proxy="http://u:hunter2@127.0.0.1:1") as client:
        with pytest.raises(RegistryError) as caught:
            await client.check()
    assert caught.value.kind == "proxy"
    assert "127.0.0.1:1" in str(caught.value)
    assert "hunter2" not in str(caught.value)


async def test_client_password_with_line_feed_is_credentials(registry: ScriptedRegistry) -> None:
    for login in ("robot", None):
        async with RegistryClient(registry.url, login, "hunter2\n") as client:
            with pytest.raises(RegistryError, match="line feed at its end") as caught:
                await client.check()
        assert caught.value.kind == "credentials"


@pytest.mark.parametrize(
    "line", ["Content-Length: 0\r\nContent-Length: 0", "no colon", "Server : x", "X: " + "a" * 9000]
)
async def test_client_faulty_header_keeps_status_and_digest(line: str) -> None:
    digest = "sha256:" + "a" * 64

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 200 OK\r\n{line}\r\nDocker-Content-Digest: {digest}\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server, RegistryClient(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as client:
        assert await client.digest(REPOSITORY, "v1") == digest


def test_parse_page_large_equals_json() -> None:
    page = {
        "name": "a",
        "tags": [f"t{n}" for n in range(50_000)],
        "manifest": {"d": {"tag": ["x"], "n": None}},
    }
    for indent in (None, 1):
        assert parse_page(json.dumps(page, indent=indent).encode()) == page
    assert parse_page(b'{"tags": [' + b'"a",' * 50_000 + b"]}") is None
