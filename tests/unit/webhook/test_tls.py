# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Rule 4: TLS 1.2 or newer, a certificate for the name from a trusted root, and no way round it."""

from __future__ import annotations

import asyncio
import inspect
import os
import ssl
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from airflow_registry_triggers.webhook.attempt import Attempt, send
from airflow_registry_triggers.webhook.tls import client_context
from airflow_registry_triggers.webhook.url import parse_endpoint
from tests.unit.webhook.cases import json_cases
from tests.unit.webhook.certificates import Certificate, issue, server_context
from tests.unit.webhook.scripted_server import (
    LIMIT,
    LOOPBACK,
    BlockingTlsServer,
    Conversation,
    ScriptedServer,
    answering,
    https_server,
    response,
    stalling,
)

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "hooks.example.test"
OK = answering(response(200, b"fine"))

ROOT = issue("Root of the tests", is_ca=True)
INTERMEDIATE = issue("Intermediate of the tests", ROOT, is_ca=True)
LEAF = issue("leaf", ROOT, sans=(NAME,))


@pytest.fixture(scope="module")
def ca_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("ca") / "root.pem"
    file.write_bytes(ROOT.pem)
    return str(file)


async def post(server: ScriptedServer | BlockingTlsServer, ca_file: str | None, host: str = NAME) -> Attempt:
    endpoint = parse_endpoint(f"https://{host}/hook?token=SECRET", allowed_networks=LOOPBACK)
    return await send(
        endpoint,
        b"{}",
        {"Authorization": "Bearer SECRET"},
        timeout=LIMIT,
        allowed_networks=LOOPBACK,
        ca_file=ca_file,
        lookup=lambda *_: [server.host],
    )


def self_signed() -> ssl.SSLContext:
    return server_context(issue(NAME, sans=(NAME,)))


def other_root() -> Certificate:
    return issue("Root of somebody else", is_ca=True)


def unknown_root_sent() -> ssl.SSLContext:
    root = other_root()
    return server_context(issue("leaf", root, sans=(NAME,)), root)


def signed_by_a_leaf() -> ssl.SSLContext:
    not_ca = issue("leaf that signs", ROOT, sans=("other.example.test",))
    return server_context(issue("leaf", not_ca, sans=(NAME,)), not_ca)


def under_an_expired_intermediate() -> ssl.SSLContext:
    old = issue("Old intermediate", ROOT, is_ca=True, days=(-30, -1))
    return server_context(issue("leaf", old, sans=(NAME,)), old)


def leaf(name: str = "leaf", *sans: str, **options: object) -> Callable[[], ssl.SSLContext]:
    return lambda: server_context(issue(name, ROOT, sans=sans, **options))


# Each with a part of what OpenSSL says of it.
BAD_CERTIFICATES: dict[str, tuple[Callable[[], ssl.SSLContext], str]] = {
    "self-signed": (self_signed, "self-signed certificate"),
    "untrusted-root-sent": (unknown_root_sent, "self-signed certificate in certificate chain"),
    "unknown-root": (
        lambda: server_context(issue("leaf", other_root(), sans=(NAME,))),
        "unable to get local issuer",
    ),
    "missing-intermediate": (
        lambda: server_context(issue("leaf", INTERMEDIATE, sans=(NAME,))),
        "unable to get local",
    ),
    "expired": (leaf("leaf", NAME, days=(-30, -1)), "certificate has expired"),
    "not-yet-valid": (leaf("leaf", NAME, days=(1, 30)), "not yet valid"),
    "wrong-name": (leaf("leaf", "other.example.test"), "Hostname mismatch"),
    "no-san-cn-only": (leaf(NAME), "Hostname mismatch"),
    "cn-beside-another-san": (leaf(NAME, "other.example.test"), "Hostname mismatch"),
    "wildcard-too-deep": (leaf("leaf", "*.test"), "Hostname mismatch"),
    "ip-san-only": (leaf(NAME, "127.0.0.1"), "Hostname mismatch"),
    "client-auth-eku": (
        leaf("leaf", NAME, usage=ExtendedKeyUsageOID.CLIENT_AUTH),
        "unsuitable certificate purpose",
    ),
    "issuer-not-ca": (signed_by_a_leaf, "invalid CA certificate"),
    "expired-intermediate": (under_an_expired_intermediate, "certificate has expired"),
}


@pytest.mark.parametrize("fault", BAD_CERTIFICATES)
async def test_send_bad_certificate_is_final_without_a_request(fault: str, ca_file: str) -> None:
    make, says = BAD_CERTIFICATES[fault]
    async with await https_server(OK, make()) as server:
        attempt = await post(server, ca_file)
    assert (attempt.status_code, attempt.outcome.value, attempt.ambiguous) == ("tls_error", "final", False)
    assert says in attempt.reason
    assert "SECRET" not in repr(attempt)
    assert server.requests == []


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("valid", lambda: server_context(LEAF)),
        (
            "intermediate-sent",
            lambda: server_context(issue("leaf", INTERMEDIATE, sans=(NAME,)), INTERMEDIATE),
        ),
        ("wildcard", leaf("leaf", "*.example.test")),
    ],
)
async def test_send_good_certificate_is_delivered(
    name: str, make: Callable[[], ssl.SSLContext], ca_file: str
) -> None:
    async with await https_server(OK, make()) as server:
        attempt = await post(server, ca_file)
    assert (attempt.status_code, attempt.response_body) == ("200", "fine"), name
    assert len(server.requests) == 1


async def test_send_unknown_root_is_a_tls_error() -> None:
    async with await https_server(OK, server_context(LEAF)) as server:
        attempt = await post(server, None)
    assert (attempt.status_code, attempt.outcome.value) == ("tls_error", "final")


async def test_send_trailing_dot_is_not_in_name_and_sni(ca_file: str) -> None:
    asked: list[str | None] = []
    context = server_context(LEAF)
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    async with await https_server(OK, context) as server:
        attempt = await post(server, ca_file, f"{NAME}.")
    assert (attempt.status_code, asked) == ("200", [NAME])
    assert f"Host: {NAME}\r\n".encode() in server.requests[0]


async def test_send_literal_address_must_be_in_the_certificate(ca_file: str) -> None:
    async with await https_server(OK, server_context(LEAF)) as server:
        wrong = await post(server, ca_file, server.host)
    assert (wrong.status_code, wrong.outcome.value) == ("tls_error", "final")
    assert "IP address mismatch" in wrong.reason
    server = await https_server(OK, None)
    server._context = server_context(issue("leaf", ROOT, sans=(server._host,)))
    async with server:
        assert (await post(server, ca_file, server.host)).status_code == "200"
    other = await https_server(OK, server_context(issue("leaf", ROOT, sans=("127.0.0.1",))))
    async with other:
        assert (await post(other, ca_file, other.host)).status_code == "tls_error"


def only(version: ssl.TLSVersion) -> ssl.SSLContext:
    context = server_context(LEAF)
    if version < ssl.TLSVersion.TLSv1_2:
        context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_send_tls_1_2_and_1_3_are_delivered(version: ssl.TLSVersion, ca_file: str) -> None:
    async with await https_server(OK, only(version)) as server:
        assert (await post(server, ca_file)).status_code == "200"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_send_tls_1_1_is_a_tls_error(ca_file: str) -> None:
    with BlockingTlsServer(only(ssl.TLSVersion.TLSv1_1)) as server:
        attempt = await post(server, ca_file)
    assert (attempt.status_code, attempt.outcome.value, attempt.ambiguous) == ("tls_error", "final", False)
    assert "1.2" in attempt.reason
    assert server.requests == []


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_server_of_tls_1_1_old_client_is_answered() -> None:
    # Or the test above would pass for another reason.
    lax = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    lax.check_hostname = False
    lax.verify_mode = ssl.CERT_NONE
    lax.set_ciphers("ALL:@SECLEVEL=0")
    lax.minimum_version = ssl.TLSVersion.TLSv1_1
    async with await https_server(OK, only(ssl.TLSVersion.TLSv1_1)) as server:
        _, writer = await asyncio.open_connection(server.host, 443, ssl=lax)
        assert writer.get_extra_info("ssl_object").version() == "TLSv1.1"
        writer.transport.abort()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_send_required_client_certificate_is_final(version: ssl.TLSVersion, ca_file: str) -> None:
    context = only(version)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cafile=ca_file)
    with BlockingTlsServer(context) as server:
        attempt = await post(server, ca_file)
    assert (attempt.status_code, attempt.outcome.value) == ("tls_error", "final")
    assert "client certificate" in attempt.reason
    assert server.requests == []


async def test_send_plain_http_on_the_tls_port_is_retried(ca_file: str) -> None:
    async with await https_server(answering(response(200)), None, reads=False) as server:
        attempt = await post(server, ca_file)
    assert (attempt.status_code, attempt.outcome.value, attempt.ambiguous) == ("tls_error", "retry", False)


async def test_send_dropped_handshake_is_retried(ca_file: str) -> None:
    # What asyncio's own servers do where others send an alert.
    context = only(ssl.TLSVersion.TLSv1_2)
    context.verify_mode = ssl.CERT_REQUIRED
    async with await https_server(OK, context) as server:
        attempt = await post(server, ca_file)
    assert (attempt.status_code, attempt.outcome.value, attempt.ambiguous) == (
        "connection_reset",
        "retry",
        False,
    )


async def test_send_reset_in_the_handshake_is_retried(ca_file: str) -> None:
    async def reset(talk: Conversation) -> None:
        await talk.reader.read(100)
        talk.reset()

    async with await https_server(reset, None, reads=False) as server:
        attempt = await post(server, ca_file)
    assert (attempt.status_code, attempt.outcome.value, attempt.ambiguous) == (
        "connection_reset",
        "retry",
        False,
    )


async def test_send_end_in_the_handshake_is_retried(ca_file: str) -> None:
    async def end(talk: Conversation) -> None:
        await talk.reader.read(100)

    async with await https_server(end, None, reads=False) as server:
        attempt = await post(server, ca_file)
    assert attempt.status_code in ("connection_reset", "tls_error")
    assert (attempt.outcome.value, attempt.ambiguous) == ("retry", False)


async def test_send_silent_handshake_ends_at_the_time_limit(ca_file: str) -> None:
    async with await https_server(stalling(), None, reads=False) as server:
        began = time.monotonic()
        attempt = await post(server, ca_file)
        took = time.monotonic() - began
    assert (attempt.status_code, attempt.outcome.value, attempt.ambiguous) == ("timeout", "retry", False)
    assert took < 15


async def test_send_silence_after_the_request_ends_at_the_time_limit(ca_file: str) -> None:
    async with await https_server(stalling(), server_context(LEAF)) as server:
        began = time.monotonic()
        attempt = await post(server, ca_file)
        took = time.monotonic() - began
    assert (attempt.status_code, attempt.ambiguous) == ("timeout", True)
    assert took < 15


def test_shared_tls_cases_are_all_tested() -> None:
    covered = set(BAD_CERTIFICATES) | {
        "valid",
        "tls11-only",
        "tls13-only",
        "handshake-plain",
        "handshake-reset",
        "trailing-dot-name",
        "ip-literal-dns-san",
    }
    cases = json_cases("tls-faults.json")["cases"]
    assert {case["id"] for case in cases} - covered == set()
    for case in cases:
        if case["id"] in BAD_CERTIFICATES:
            assert case["expect"] == "refuse"


def test_client_context_always_verifies() -> None:
    context = client_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.hostname_checks_common_name is False
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert (
        context.cert_store_stats()["x509_ca"] > 0
        or Path(ssl.get_default_verify_paths().openssl_capath).exists()
    )
    assert not {"verify", "verify_ssl", "ssl", "insecure"} & set(inspect.signature(send).parameters)


def test_client_context_writes_no_session_keys(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ca_file: str
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    copy = tmp_path / "other.pem"
    copy.write_bytes(Path(ca_file).read_bytes())
    assert client_context(str(copy)).keylog_filename is None


def test_client_context_is_cached_until_the_file_changes(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_bytes(ROOT.pem)
    first = client_context(str(file))
    assert client_context(str(file)) is first
    file.write_bytes(INTERMEDIATE.pem)
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))  # a quick write may keep the time of the first
    assert client_context(str(file)) is not first
    assert client_context() is client_context()


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_client_context_invalid_ca_file_raises(content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ValueError, match="Set it to a PEM file of certificates") as refused:
        client_context(str(file))
    assert str(file) in str(refused.value)
