# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Hosts that a registry names: errors repeat neither the login nor a token."""

from __future__ import annotations

import base64
import ssl
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from yarl import URL

from airflow_registry_triggers.registry.client import RegistryClient
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.http.answer_stream import Progress
from airflow_registry_triggers.registry.http.connection_errors import FailedRequest, connection_error
from airflow_registry_triggers.registry.http.credentials import Credentials
from airflow_registry_triggers.registry.http.host_names import HostNames
from airflow_registry_triggers.registry.http.rate_limits import Limits
from tests.unit.registry.http.internet import Internet
from tests.unit.registry.scripted_registry import ScriptedRegistry

if TYPE_CHECKING:
    from collections.abc import Callable

PASSWORD = "Sup3r-Secret-Pass"
LOGIN = f"robot:{PASSWORD}".encode()
BASE = URL("https://a-registry-with-a-long-name.example.com:5000")


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def parted(text: str, size: int) -> str:
    return ".".join(text[at : at + size] for at in range(0, len(text), size))


ECHOES = [
    PASSWORD,
    PASSWORD.upper(),
    PASSWORD.encode().hex(),
    LOGIN.hex(),
    parted(LOGIN.hex(), 7),
    LOGIN.hex().upper(),
    parted(b64(LOGIN), 10),
    parted(b64(b"x" + PASSWORD.encode()), 10),
    parted(b64(b"xx" + PASSWORD.encode() + b"x"), 10),
    parted(base64.b32encode(LOGIN).decode().rstrip("="), 10),
]


@pytest.fixture
def hosts() -> HostNames:
    names = HostNames(BASE)
    names.learn(Credentials("robot", PASSWORD))
    return names


@pytest.mark.parametrize("echo", ECHOES)
def test_origin_that_repeats_the_login_is_masked(hosts: HostNames, echo: str) -> None:
    assert hosts.origin(URL(f"https://{echo}.evil.example:444/x")) == "https://***:444"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://auth.docker.io/token?x=1", "https://auth.docker.io"),
        (f"{BASE}/v2/", str(BASE)),
        ("http://a-registry-with-a-long-name.example.com", "http://a-registry-with-a-long-name.example.com"),
        ("https://a-registry-with-a-long-name.eu.example", "https://a-registry-with-a-long-name.eu.example"),
        ("https://prod-registry-layer-bucket.s3.example", "https://***.s3.example"),
        (
            "http://[2001:db8:1111:2222:aaaa:bbbb:cccc:3]:81",
            "http://[2001:db8:1111:2222:aaaa:bbbb:cccc:3]:81",
        ),
        ("http://10.0.0.7:5000", "http://10.0.0.7:5000"),
    ],
)
def test_origin_of_other_hosts_shows_labels_of_fewer_than_20_characters(
    hosts: HostNames, url: str, shown: str
) -> None:
    assert hosts.origin(URL(url)) == shown


def test_origin_of_an_address_that_spells_a_password_is_masked() -> None:
    hosts = HostNames(BASE)
    hosts.learn(Credentials("robot", "16-bytes-secret!"))
    assert hosts.origin(URL("http://[3136:2d62:7974:6573:2d73:6563:7265:7421]/")) == "http://***"


def test_origin_that_repeats_a_token_of_the_request_is_masked(hosts: HostNames) -> None:
    url = URL("https://opaque-token.evil.example")
    assert hosts.origin(url) == "https://opaque-token.evil.example"
    assert hosts.origin(url, ["opaque-token"]) == "https://***"


def test_origin_that_repeats_an_earlier_password_is_masked_for_the_last_four() -> None:
    hosts = HostNames(BASE)
    for number in range(9):
        hosts.learn(Credentials("robot", f"password-{number}x"))
    shown = [hosts.origin(URL(f"https://password-{number}x.example")) for number in range(9)]
    assert [number for number in range(9) if shown[number] == "https://***"] == [5, 6, 7, 8]


def redirect(url: str) -> web.Response:
    return web.Response(status=302, headers={"Location": url})


def realm(url: str) -> web.Response:
    return web.Response(status=401, headers={"WWW-Authenticate": f'Bearer realm="{url}",service="x"'})


@pytest.mark.parametrize(
    ("answer", "to", "address", "words"),
    [
        (redirect, "http://{host}/", "", "does not resolve"),
        (redirect, "https://{host}:{port}/", "127.0.0.1", "answers plain HTTP"),
        (redirect, "http://{host}:{port}/refused", "127.0.0.1", "answered 401 after a redirect"),
        (redirect, "http://{host}:{port}/failed", "127.0.0.1", "answered 500"),
        (redirect, "http://{host}/", "169.254.169.254", "is blocked"),
        (realm, "http://{host}/", "", "does not resolve"),
        (realm, "http://{host}:{port}/failed", "127.0.0.1", "the token service answered 500"),
        (realm, "http://{host}:{port}/empty", "127.0.0.1", "returned no token"),
    ],
)
@pytest.mark.parametrize("echo", [LOGIN.hex(), parted(LOGIN.hex(), 10), f"short.{PASSWORD.lower()}"])
async def test_errors_after_an_echo_in_a_host_do_not_repeat_the_login(
    monkeypatch: pytest.MonkeyPatch,
    answer: Callable[[str], web.Response],
    to: str,
    address: str,
    words: str,
    echo: str,
) -> None:
    host = f"{echo}.evil.invalid"
    if address:
        Internet(names={host: [[address]]}).install(monkeypatch)
    ends = {"/refused": 401, "/failed": 500}
    async with ScriptedRegistry().served() as registry:

        async def fault(request: web.Request) -> web.Response | None:
            if request.path == "/empty":
                return web.json_response({})
            if request.path in ends:
                return web.Response(status=ends[request.path])
            if answer is redirect and "Authorization" not in request.headers:
                return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})
            return answer(to.format(host=host, port=URL(registry.url).port))

        registry.faults.append(fault)
        async with RegistryClient(registry.url, "robot", PASSWORD) as client:
            with pytest.raises(RegistryError) as caught:
                await client.list_tags("team/app")
    assert words in str(caught.value)
    assert "***" in str(caught.value)
    assert echo not in str(caught.value).lower()


def test_a_certificate_error_does_not_repeat_the_host(hosts: HostNames) -> None:
    url = URL(f"https://{PASSWORD}.evil.example/x")
    error = ssl.SSLCertVerificationError(1, "failed")
    error.verify_message = f"Hostname mismatch, certificate is not valid for '{url.host}'."
    failed = FailedRequest(hosts.origin(url), url, None, Limits(), Progress(0.0), hosts.authority(url))
    text = str(connection_error(error, failed))
    assert "certificate is not valid for '***'" in text
    assert PASSWORD.lower() not in text.lower()
