# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Registries behind a proxy: a real tinyproxy, proxies that fail as they are told, and the URL of a proxy."""

from __future__ import annotations

import base64
import logging
import traceback
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from airflow_registry_triggers.registry.client import RegistryClient
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.http.proxies import parse_proxy
from airflow_registry_triggers.registry.http.rate_limits import Limits
from airflow_registry_triggers.registry.poll import poll
from airflow_registry_triggers.registry.watermark import Watermark
from airflow_registry_triggers.tag_rule import TagRule
from tests.harness.processes import free_port
from tests.harness.tinyproxy import TinyProxy
from tests.unit.registry.raw_server import RawServer, Script, Talk, reply, says
from tests.unit.registry.scripted_registry import ScriptedRegistry, SignIn, digest_of
from tests.unit.registry.test_tls import context

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

SECRET = "hunter2-secret"
REPOSITORY = "team/app"
VARIABLES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")
HTML = b"<!DOCTYPE html><html><body>This request was blocked</body></html>"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(ca: trustme.CA, tmp_path: Path) -> str:
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return str(tmp_path / "ca.pem")


@pytest.fixture
def tinyproxy(tmp_path: Path) -> Iterator[TinyProxy]:
    with TinyProxy(tmp_path) as running:
        yield running


@pytest.fixture
async def secure(ca: trustme.CA) -> AsyncIterator[ScriptedRegistry]:
    async with ScriptedRegistry().served(ssl_context=context(ca, "127.0.0.1")) as served:
        served.put(REPOSITORY, {"v1": "one"})
        yield served


@pytest.fixture
def plain(registry: ScriptedRegistry) -> ScriptedRegistry:
    registry.put(REPOSITORY, {"v1": "one"})
    return registry


async def failed(client: RegistryClient, call: str = "list") -> RegistryError:
    """Return the error of a call: one line, and no secret in it or behind it."""
    async with client:
        calls: dict[str, Any] = {"list": client.list_tags, "check": client.check, "digest": client.digest}
        arguments = {"list": (REPOSITORY,), "check": (), "digest": (REPOSITORY, "v1")}[call]
        with pytest.raises(RegistryError) as caught:
            await calls[call](*arguments)
    assert "\n" not in str(caught.value)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    return caught.value


# A real proxy


async def test_client_through_tinyproxy_reads_a_plain_registry(
    plain: ScriptedRegistry, tinyproxy: TinyProxy
) -> None:
    plain.sign_in = SignIn(username="robot", password="secret")
    async with RegistryClient(plain.url, "robot", "secret", proxy=tinyproxy.url) as client:
        assert tinyproxy.url in await client.check()
        assert await client.list_tags(REPOSITORY) == ["v1"]
        assert await client.digest(REPOSITORY, "v1") == digest_of("one")
    for path in ("/v2/", "/token", "/v2/team/app/tags/list", "/v2/team/app/manifests/v1"):
        assert f"{plain.url}{path}" in tinyproxy.log
    assert all("Proxy-Authorization" not in asked.headers for asked in plain.asked)


async def test_client_through_tinyproxy_reads_a_tls_registry_with_connect(
    secure: ScriptedRegistry, tinyproxy: TinyProxy, ca_file: str
) -> None:
    secure.sign_in = SignIn(username="robot", password="secret")
    async with RegistryClient(secure.url, "robot", "secret", ca_file, proxy=tinyproxy.url) as client:
        assert await client.list_tags(REPOSITORY) == ["v1"]
        assert await client.digest(REPOSITORY, "v1") == digest_of("one")
    assert f"CONNECT {secure.url.removeprefix('https://')}" in tinyproxy.log
    assert "/v2/" not in tinyproxy.log
    assert all("Proxy-Authorization" not in asked.headers for asked in secure.asked)


async def test_client_through_tinyproxy_checks_the_certificate_of_the_registry(
    secure: ScriptedRegistry, tinyproxy: TinyProxy
) -> None:
    error = await failed(RegistryClient(secure.url, proxy=tinyproxy.url))
    assert error.kind == "tls"
    assert secure.count() == 0


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_client_through_tinyproxy_with_a_login_is_let_through_with_the_right_one(
    tmp_path: Path, plain: ScriptedRegistry, secure: ScriptedRegistry, ca_file: str, scheme: str
) -> None:
    url = {"http": plain.url, "https": secure.url}[scheme]
    with TinyProxy(tmp_path, f"BasicAuth user {SECRET}") as proxy:
        right = proxy.url.replace("//", f"//user:{SECRET}@")
        secrets: list[str] = []
        async with RegistryClient(url, ca_file=ca_file, proxy=right, on_secret=secrets.append) as client:
            assert await client.list_tags(REPOSITORY) == ["v1"]
        errors = [
            await failed(RegistryClient(url, ca_file=ca_file, proxy=wrong))
            for wrong in (proxy.url, proxy.url.replace("//", f"//user:{SECRET}x@"))
        ]
    assert secrets == [SECRET, base64.b64encode(f"user:{SECRET}".encode()).decode()]
    for error in errors:
        # tinyproxy answers 407 without a login, and 401 to a wrong one.
        assert (error.kind, error.status in (401, 407), error.transient) == ("proxy", True, False)
        assert proxy.url in str(error)
        assert f"a proxy requires a login ({error.status})" in str(error)


async def test_client_through_tinyproxy_with_a_token_service_elsewhere_uses_it_for_both(
    plain: ScriptedRegistry, tinyproxy: TinyProxy
) -> None:
    async with ScriptedRegistry().served("127.0.0.2") as tokens:
        plain.sign_in = tokens.sign_in = SignIn(
            username="robot", password="secret", realm=f"{tokens.url}/token"
        )
        async with RegistryClient(plain.url, "robot", "secret", proxy=tinyproxy.url) as client:
            assert await client.list_tags(REPOSITORY) == ["v1"]
    assert f"{tokens.url}/token" in tinyproxy.log


async def test_client_of_a_closed_port_behind_tinyproxy_names_the_proxy(tinyproxy: TinyProxy) -> None:
    for scheme in ("http", "https"):
        error = await failed(RegistryClient(f"{scheme}://127.0.0.1:{free_port()}", proxy=tinyproxy.url))
        assert error.kind == "proxy"
        assert tinyproxy.url in str(error)


async def test_poll_with_a_proxy_that_is_down_changes_nothing_and_the_next_one_works(
    plain: ScriptedRegistry, tinyproxy: TinyProxy, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "airflow_registry_triggers")
    async with RegistryClient(plain.url, proxy=tinyproxy.url) as client:
        before = (await poll(client, REPOSITORY, Watermark())).watermark_after
        stored = before.to_dict()
        tinyproxy.stop()
        plain.put(REPOSITORY, {"v1": "two", "v2": "one"})
        for rule in (TagRule(), TagRule(tags=["v1", "v2"])):
            with pytest.raises(RegistryError) as caught:
                await poll(client, REPOSITORY, before, rule)
            assert (caught.value.kind, caught.value.transient) == ("proxy", True)
            assert tinyproxy.url in str(caught.value)
        assert (before.to_dict(), caplog.records) == (stored, [])
        tinyproxy.start()
        found = await poll(client, REPOSITORY, before)
    assert sorted(item.to_dict()["push_data"]["tag"] for item in found.notifications) == ["v1", "v2"]


# The environment and the Connection


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy"])
async def test_client_without_the_field_uses_the_proxy_of_the_environment(
    plain: ScriptedRegistry, tinyproxy: TinyProxy, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, tinyproxy.url)
    async with RegistryClient(plain.url) as client:
        assert await client.list_tags(REPOSITORY) == ["v1"]
    assert plain.url in tinyproxy.log


async def test_client_of_a_tls_registry_uses_https_proxy_of_the_environment(
    secure: ScriptedRegistry, tinyproxy: TinyProxy, monkeypatch: pytest.MonkeyPatch, ca_file: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTPS_PROXY", tinyproxy.url.removeprefix("http://"))
    async with RegistryClient(secure.url, ca_file=ca_file) as client:
        assert await client.list_tags(REPOSITORY) == ["v1"]
    assert "CONNECT" in tinyproxy.log


@pytest.mark.parametrize("value", ["127.0.0.1", "*", "other.example, 127.0.0.1"])
async def test_client_with_no_proxy_of_the_environment_connects_directly(
    plain: ScriptedRegistry, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", value)
    async with RegistryClient(plain.url) as client:
        assert await client.list_tags(REPOSITORY) == ["v1"]
        assert await client.check() == ""


@pytest.mark.parametrize("no_proxy", ["127.0.0.1", ""])
async def test_client_with_the_field_ignores_the_environment(
    plain: ScriptedRegistry, tinyproxy: TinyProxy, monkeypatch: pytest.MonkeyPatch, no_proxy: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    async with RegistryClient(plain.url, proxy=tinyproxy.url) as client:
        assert await client.list_tags(REPOSITORY) == ["v1"]
    assert plain.url in tinyproxy.log


async def test_client_with_an_invalid_proxy_in_the_environment_names_the_variable(
    plain: ScriptedRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"socks5://user:{SECRET}@proxy:1080")
    with pytest.raises(RegistryError, match="HTTP_PROXY") as caught:
        async with RegistryClient(plain.url) as client:
            await client.list_tags(REPOSITORY)
    assert (caught.value.kind, caught.value.transient) == ("proxy", False)
    assert SECRET not in str(caught.value)
    assert plain.count() == 0


# Proxies that fail


@pytest.mark.parametrize("call", ["list", "check", "digest"])
@pytest.mark.parametrize("status", [200, 400, 403, 404, 502, 503, 504])
async def test_client_of_a_plain_registry_with_a_proxy_that_answers_html_names_it(
    status: int, call: str
) -> None:
    async with RawServer(says(reply(status, HTML, "Content-Type: text/html"))) as proxy:
        error = await failed(RegistryClient("http://registry.example", proxy=proxy.url), call)
    assert error.kind == "proxy"
    assert proxy.url in str(error)


@pytest.mark.parametrize("status", [200, 401, 403, 404, 502])
async def test_client_with_a_proxy_that_answers_html_for_the_token_service_names_it(status: int) -> None:
    async def script(talk: Talk) -> None:
        challenge = 'WWW-Authenticate: Bearer realm="http://auth.example/token"'
        answers = reply(status, HTML, "Content-Type: text/html"), reply(401, b"{}", challenge)
        await talk.send(answers["auth.example" not in talk.path])

    async with RawServer(script) as proxy:
        error = await failed(RegistryClient("http://registry.example", "robot", SECRET, proxy=proxy.url))
    assert error.kind == "proxy"
    assert "auth.example" in str(error)


CONNECT_FAILURES: dict[str, Script] = {
    **{
        str(code): says(reply(code, HTML, "Content-Type: text/html"))
        for code in (403, 404, 407, 500, 502, 503)
    },
    "html": says(HTML),
    "200 with html": says(reply(200, HTML)),
    "closed": says(),
    "silent": says(holds=True, passes=31),
    "half an answer": says(b"HTTP/1.1 200 ", holds=True, passes=31),
    "tunnel to nowhere": says(b"HTTP/1.1 200 OK\r\n\r\n", holds=True, passes=31),
    "tunnel to plain http": says(b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 400 Bad\r\n\r\n"),
}


@pytest.mark.parametrize("script", CONNECT_FAILURES.values(), ids=CONNECT_FAILURES)
async def test_client_of_a_tls_registry_with_a_proxy_that_does_not_connect_names_it(script: Script) -> None:
    async with RawServer(script) as proxy:
        url = proxy.url.replace("//", f"//user:{SECRET}@")
        client = RegistryClient("https://registry.example", proxy=url, limits=Limits(seconds=30))
        error = await failed(client)
    assert proxy.requests[0].head.startswith("CONNECT registry.example:443 HTTP/1.1\r\n")
    assert error.kind == "proxy"
    assert proxy.url in str(error)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("proxy", [f"http://u:{SECRET}@127.0.0.1:1", f"http://u:{SECRET}@proxy.invalid:3128"])
async def test_client_with_a_proxy_that_is_down_names_it(scheme: str, proxy: str) -> None:
    for call in ("list", "check", "digest"):
        error = await failed(RegistryClient(f"{scheme}://registry.example", proxy=proxy), call)
        assert (error.kind, error.transient) == ("proxy", True)
        assert proxy.rpartition("@")[2] in str(error)


async def test_client_with_407_and_no_proxy_names_a_proxy() -> None:
    """A proxy that intercepts connections needs no setting to be in the way."""
    async with RawServer(says(reply(407, HTML))) as server:
        error = await failed(RegistryClient(server.url))
    assert error.kind == "proxy"


# The URL of a proxy


@pytest.mark.parametrize(
    "text",
    [
        f"http://user:{SECRET}",
        f"http://user:{SECRET}@host:99999",
        f"http://user:x@{SECRET}@a host",
        f"ftp://{SECRET}@proxy:21",
        f"ftp://{SECRET}",
        f"http://proxy:0/{SECRET}",
        f"http://us%3Aer:{SECRET}@proxy:3128",
        f"http://user:{SECRET}%0A@proxy:3128",
        f"http://user:{SECRET}\n@proxy:3128",
        "http://[]@",
    ],
)
def test_parse_proxy_with_an_invalid_url_raises_without_its_login(text: str) -> None:
    with pytest.raises(ValueError, match="HTTPS_PROXY is not the URL of a proxy") as caught:
        parse_proxy(text, "HTTPS_PROXY")
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("text", [f"http://user:{SECRET}@proxy:3128", f"user:{SECRET}@proxy:3128"])
def test_parse_proxy_with_a_login_shows_it_nowhere(text: str) -> None:
    proxy = parse_proxy(text)
    assert proxy.name == "http://proxy:3128"
    assert SECRET not in repr(proxy)
    assert SECRET in proxy.secrets


async def test_client_with_a_proxy_login_outside_latin_1_sends_it_in_utf_8() -> None:
    async with RawServer(says(reply(200, b'{"name":"x","tags":["v1"]}'))) as proxy:
        url = proxy.url.replace("//", "//us%C3%A9r:p%E2%82%ACss@")
        async with RegistryClient("http://registry.example", proxy=url) as client:
            assert await client.list_tags(REPOSITORY) == ["v1"]
    expected = base64.b64encode("us\u00e9r:p\u20acss".encode()).decode()
    assert f"Proxy-Authorization: Basic {expected}\r\n" in proxy.requests[0].head
