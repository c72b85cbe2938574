# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""TLS: real certificates, good and bad."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest
import trustme
from aiohttp import web

from airflow_registry_triggers.registry.client import RegistryClient
from airflow_registry_triggers.registry.errors import RegistryError
from tests.unit.registry.scripted_registry import ScriptedRegistry, SignIn

if TYPE_CHECKING:
    from pathlib import Path

REPOSITORY = "team/app"


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(ca: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    return str(path)


def context(ca: trustme.CA, name: str) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(name).configure_cert(made)
    return made


async def refusal(client: RegistryClient) -> RegistryError:
    for call in (client.check(), client.list_tags(REPOSITORY), client.digest(REPOSITORY, "v1")):
        with pytest.raises(RegistryError) as caught:
            await call
    return caught.value


async def test_client_with_the_ca_file_accepts_the_certificate(ca: trustme.CA, ca_file: str) -> None:
    async with ScriptedRegistry().served(ssl_context=context(ca, "127.0.0.1")) as registry:
        registry.put(REPOSITORY, ["v1"])
        async with RegistryClient(registry.url, ca_file=ca_file) as client:
            await client.check()
            assert await client.list_tags(REPOSITORY) == ["v1"]


async def test_client_with_an_unknown_ca_raises_tls_and_names_ca_file(ca: trustme.CA) -> None:
    async with (
        ScriptedRegistry().served(ssl_context=context(ca, "127.0.0.1")) as registry,
        RegistryClient(registry.url, "robot", "secret") as client,
    ):
        error = await refusal(client)
    assert error.kind == "tls"
    assert not error.transient
    assert "ca_file" in str(error)
    assert registry.count() == 0


async def test_client_with_a_certificate_for_another_host_raises_tls(ca: trustme.CA, ca_file: str) -> None:
    async with (
        ScriptedRegistry().served(ssl_context=context(ca, "other.example.com")) as registry,
        RegistryClient(registry.url, ca_file=ca_file) as client,
    ):
        error = await refusal(client)
    assert error.kind == "tls"
    assert "127.0.0.1" in str(error)


async def test_client_with_https_on_a_plain_port_raises_tls(registry: ScriptedRegistry) -> None:
    async with RegistryClient(registry.url.replace("http:", "https:")) as client:
        assert (await refusal(client)).kind == "tls"


async def test_client_with_http_on_a_tls_port_raises(ca: trustme.CA) -> None:
    async with (
        ScriptedRegistry().served(ssl_context=context(ca, "127.0.0.1")) as registry,
        RegistryClient(registry.url.replace("https:", "http:")) as client,
    ):
        with pytest.raises(RegistryError):
            await client.check()


@pytest.mark.parametrize("content", [None, "", "no certificate"])
async def test_client_with_an_invalid_ca_file_raises_tls_and_names_the_file(
    tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(RegistryError) as caught:
        async with RegistryClient("https://127.0.0.1:1", ca_file=str(path)):
            pass
    assert caught.value.kind == "tls"
    assert str(path) in str(caught.value)


async def test_client_with_a_realm_without_tls_sends_no_login(
    ca: trustme.CA, ca_file: str, registry: ScriptedRegistry
) -> None:
    async with ScriptedRegistry().served(ssl_context=context(ca, "127.0.0.1")) as secure:
        secure.sign_in = SignIn(realm=f"{registry.url}/token")
        registry.sign_in = secure.sign_in
        async with RegistryClient(secure.url, "robot", "secret", ca_file) as client:
            with pytest.raises(RegistryError) as caught:
                await client.list_tags(REPOSITORY)
    assert caught.value.kind == "credentials"
    assert registry.count() == 0


async def test_client_with_a_redirect_from_https_to_http_raises(
    ca: trustme.CA, ca_file: str, registry: ScriptedRegistry
) -> None:
    async def redirect(request: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": registry.url + request.raw_path})

    async with ScriptedRegistry().served(ssl_context=context(ca, "127.0.0.1")) as secure:
        secure.faults.append(redirect)
        async with RegistryClient(secure.url, ca_file=ca_file) as client:
            with pytest.raises(RegistryError) as caught:
                await client.list_tags(REPOSITORY)
    assert caught.value.kind == "refused_answer"
    assert registry.count() == 0
