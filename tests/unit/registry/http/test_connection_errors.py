# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Kind E: each failure has the kind that the user can act on."""

from __future__ import annotations

import errno
import socket
import ssl
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from yarl import URL

from airflow_registry_triggers.registry.client import RegistryClient
from airflow_registry_triggers.registry.errors import KINDS, RegistryError
from airflow_registry_triggers.registry.http.answer_stream import Progress
from airflow_registry_triggers.registry.http.connection_errors import FailedRequest, connection_error
from airflow_registry_triggers.registry.http.destinations import DestinationBlocked
from airflow_registry_triggers.registry.http.proxies import parse_proxy
from airflow_registry_triggers.registry.http.rate_limits import Limits
from tests.unit.registry.scripted_registry import ScriptedRegistry, SignIn

REPOSITORY = "team/app"
KEY: Any = SimpleNamespace(ssl=None, host="registry.example", port=443, is_ssl=True)


def connector(number: int) -> aiohttp.ClientConnectorError:
    return aiohttp.ClientConnectorError(KEY, OSError(number, "x"))


def failed(
    url: str = "https://registry.example/v2/", proxy: str = "", *, is_sent: bool = False
) -> FailedRequest:
    chosen = parse_proxy(proxy) if proxy else None
    return FailedRequest("where", URL(url), chosen, Limits(), Progress(0.0, is_sent=is_sent))


ERRORS: list[tuple[Exception, str, str]] = [
    (aiohttp.ClientConnectorDNSError(KEY, OSError(socket.EAI_NONAME, "x")), "name", "proxy"),
    (OSError(errno.EMFILE, "x"), "unavailable", "unavailable"),
    (connector(errno.ECONNREFUSED), "unavailable", "proxy"),
    (connector(errno.ENETUNREACH), "unavailable", "proxy"),
    (aiohttp.ClientProxyConnectionError(KEY, OSError(errno.ECONNREFUSED, "x")), "unavailable", "proxy"),
    (aiohttp.ServerDisconnectedError(), "unavailable", "proxy"),
    (aiohttp.ClientPayloadError("x"), "unavailable", "unavailable"),
    (aiohttp.ConnectionTimeoutError("x"), "unavailable", "proxy"),
    (TimeoutError(), "unavailable", "proxy"),
    (aiohttp.ClientConnectorCertificateError(KEY, ssl.CertificateError("x")), "tls", "tls"),
    (aiohttp.ClientConnectorSSLError(KEY, ssl.SSLError(1, "x")), "tls", "proxy"),
    (ssl.SSLError(1, "x"), "tls", "proxy"),
    (aiohttp.InvalidURL("http://x"), "name", "proxy"),
    (UnicodeError("label too long"), "name", "proxy"),
    (ValueError("a header with a line end"), "refused_answer", "refused_answer"),
    (DestinationBlocked("blocked"), "refused_answer", "refused_answer"),
]


@pytest.mark.parametrize(("error", "direct", "proxied"), ERRORS, ids=lambda value: repr(value)[:50])
def test_connection_error_of_a_failure_has_its_kind(error: Exception, direct: str, proxied: str) -> None:
    found = connection_error(error, failed())
    assert found.kind == direct
    behind = connection_error(error, failed(proxy="http://u:hunter2@proxy:3128"))
    assert behind.kind == proxied
    for one in (found, behind):
        assert "\n" not in str(one)
        assert "hunter2" not in str(one)
        assert one.kind in KINDS


def test_connection_error_of_a_timeout_after_the_request_was_sent_blames_no_proxy() -> None:
    found = connection_error(TimeoutError(), failed(proxy="http://proxy:3128", is_sent=True))
    assert found.kind == "unavailable"


@pytest.mark.parametrize(
    ("character", "name"),
    [
        ("\n", "a line feed"),
        ("\r\n", "a carriage return"),
        ("\t", "a tab"),
        ("\0", "a NUL"),
        ("\x1b", "U+001B"),
        ("\x7f", "U+007F"),
        ("\x85", "U+0085"),
    ],
)
@pytest.mark.parametrize("place", ["hunter2{}", "{}hunter2", "hun{}ter2"])
@pytest.mark.parametrize("field", ["login", "password", "token"])
async def test_client_with_a_control_character_in_its_login_is_credentials_and_says_which(
    registry: ScriptedRegistry, character: str, name: str, place: str, field: str
) -> None:
    """OSMO#1210: "name does not resolve", for ever."""
    value = place.format(character)
    username, password = {"login": (value, "x"), "password": ("robot", value), "token": (None, value)}[field]
    async with RegistryClient(registry.url, username, password) as client:
        with pytest.raises(RegistryError) as caught:
            await client.list_tags(REPOSITORY)
    assert (caught.value.kind, caught.value.transient) == ("credentials", False)
    assert name in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert registry.count() == 0


async def test_client_with_a_realm_whose_name_does_not_resolve_names_that_host(
    registry: ScriptedRegistry,
) -> None:
    registry.sign_in = SignIn(realm="http://auth.invalid/token")
    async with RegistryClient(registry.url) as client:
        with pytest.raises(RegistryError) as caught:
            await client.list_tags(REPOSITORY)
    assert caught.value.kind == "name"
    assert "auth.invalid" in str(caught.value)


async def test_client_without_a_login_whose_realm_has_no_tls_does_not_speak_of_a_login() -> None:
    from airflow_registry_triggers.registry.http.auth import Authenticator, AuthState
    from airflow_registry_triggers.registry.http.credentials import Credentials
    from airflow_registry_triggers.registry.http.headers import Challenge
    from airflow_registry_triggers.registry.http.tokens import TokenStore

    async def fetch(url: URL, headers: dict[str, str]) -> bytes:
        raise AssertionError("nothing may be sent")

    for login, words in (
        (Credentials(), "no token is requested"),
        (Credentials("u", "p"), "the login is not sent"),
    ):
        state = AuthState(Challenge("bearer", {"realm": "http://auth.example/token"}))
        origin = URL("https://registry.example")
        auth = Authenticator(origin, login, state, TokenStore(), ("", ""), fetch, lambda secret: None)
        with pytest.raises(RegistryError, match=words) as caught:
            await auth.token(REPOSITORY, "scope")
        assert caught.value.kind == "credentials"
