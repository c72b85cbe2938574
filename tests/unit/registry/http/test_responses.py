# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Kind J: the digest of each media type; and the meaning of other answers."""

from __future__ import annotations

import hashlib
import json

import pytest
from multidict import CIMultiDict
from yarl import URL

from airflow_registry_triggers.registry.client import RegistryClient
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.http.rate_limits import Pause
from airflow_registry_triggers.registry.http.request import Answer
from airflow_registry_triggers.registry.http.responses import (
    digest_in_header,
    digest_of_manifest,
    error_of,
    is_from_proxy,
    is_registry,
    not_a_registry,
)
from tests.unit.registry.raw_server import RawServer, by_method, reply

REPOSITORY = "team/app"
SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"
OCI = "application/vnd.oci.image.manifest.v1+json"
BODY = json.dumps({"schemaVersion": 2, "mediaType": OCI}).encode()
SIGNED = json.dumps(
    {"schemaVersion": 1, "name": "team/app", "signatures": [{"signature": "x"}]}, indent=3
).encode()
PAYLOAD = "sha256:" + "c" * 64
"""The digest of a signed manifest: of its payload, so not of its bytes."""


def sha256(body: bytes) -> str:
    return "sha256:" + hashlib.sha256(body).hexdigest()


def answer(status: int, body: bytes = b"", proxied: bool = False, **headers: str) -> Answer:
    named = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    url = URL("http://registry.example/v2/")
    return Answer(status, named, body, url, str(url), through_proxy=proxied)


async def digest_by_get(body: bytes, *headers: str) -> str | None:
    answers = by_method(HEAD=reply(405), GET=reply(200, body, *headers))
    async with RawServer(answers) as server, RegistryClient(server.url) as client:
        return await client.digest(REPOSITORY, "v1")


@pytest.mark.parametrize(
    "media_type",
    [
        SCHEMA_1,
        f"{SCHEMA_1}; charset=utf-8",
        SCHEMA_1.upper(),
        "application/vnd.docker.distribution.manifest.v1+json",
        # Registries and proxies that do not keep the media type.
        "application/json",
        "text/plain",
    ],
)
async def test_digest_of_a_signed_manifest_of_schema_1_is_the_digest_header(media_type: str) -> None:
    """pulp_container#209"""
    headers = (f"Content-Type: {media_type}", f"Docker-Content-Digest: {PAYLOAD}")
    assert await digest_by_get(SIGNED, *headers) == PAYLOAD


async def test_digest_of_a_signed_manifest_whose_head_has_a_digest_is_that() -> None:
    answers = by_method(
        HEAD=reply(200, b"", f"Content-Type: {SCHEMA_1}", f"Docker-Content-Digest: {PAYLOAD}"), GET=reply(500)
    )
    async with RawServer(answers) as server, RegistryClient(server.url) as client:
        assert await client.digest(REPOSITORY, "v1") == PAYLOAD


async def test_digest_of_a_signed_manifest_without_the_header_is_refused() -> None:
    with pytest.raises(RegistryError, match="schema 1 without Docker-Content-Digest"):
        await digest_by_get(SIGNED, f"Content-Type: {SCHEMA_1}")


@pytest.mark.parametrize(
    "media_type", [OCI, "application/vnd.oci.image.index.v1+json", "application/json", "text/plain", ""]
)
@pytest.mark.parametrize("header", ["right", "absent", "joined"])
async def test_digest_of_any_other_manifest_is_the_hash_of_its_bytes(media_type: str, header: str) -> None:
    digest = {"right": sha256(BODY), "absent": None, "joined": f"{sha256(BODY)}, {sha256(BODY)}"}[header]
    headers = [f"Content-Type: {media_type}"] if media_type else []
    headers += [f"Docker-Content-Digest: {digest}"] if digest else []
    assert await digest_by_get(BODY, *headers) == sha256(BODY)


async def test_digest_with_a_sha512_header_is_verified_with_sha512() -> None:
    digest = "sha512:" + hashlib.sha512(BODY).hexdigest()
    assert await digest_by_get(BODY, f"Docker-Content-Digest: {digest}") == digest


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"not json", b"<html>", b'"text"', b"{", b"[" * 100_000]
)
async def test_digest_of_a_body_that_is_no_manifest_is_refused(body: bytes) -> None:
    with pytest.raises(RegistryError, match="not a manifest"):
        await digest_by_get(body)


async def test_digest_of_a_body_with_another_digest_in_its_header_is_refused() -> None:
    with pytest.raises(RegistryError, match="does not have the digest"):
        await digest_by_get(BODY, f"Docker-Content-Digest: {PAYLOAD}")


def test_digest_in_header_of_none_or_several_is_none() -> None:
    assert digest_in_header(answer(200)) is None
    assert digest_in_header(answer(200, Docker_Content_Digest=PAYLOAD)) == PAYLOAD
    twice = answer(200)
    twice.headers.extend({"Docker-Content-Digest": PAYLOAD})  # type: ignore[attr-defined]
    twice.headers.extend({"Docker-Content-Digest": PAYLOAD})  # type: ignore[attr-defined]
    assert digest_in_header(twice) is None


def test_digest_of_a_large_manifest_is_not_parsed() -> None:
    body = b"{" + b" " * (1 << 20)
    assert digest_of_manifest(answer(200, body)) == sha256(body)


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (answer(403), "credentials"),
        (answer(404), "refused_answer"),
        (answer(408), "unavailable"),
        (answer(429), "rate_limited"),
        (answer(500), "unavailable"),
        (answer(503), "unavailable"),
        (answer(503, Retry_After="7"), "rate_limited"),
        (answer(511), "unavailable"),
        (answer(302), "refused_answer"),
        (answer(502, b"<html>", proxied=True), "proxy"),
        (answer(502, b"<html>"), "unavailable"),
        (answer(403, b"<!doctype HTML>", proxied=True), "proxy"),
        (answer(403, b'{"errors":[]}', proxied=True), "credentials"),
    ],
)
def test_error_of_a_status_has_its_kind(found: Answer, kind: str) -> None:
    error = error_of(found, Pause("registry.example"))
    assert error.kind == kind
    assert "\n" not in str(error)


def test_is_registry_of_an_answer_needs_its_header_or_json() -> None:
    assert is_registry(answer(404, b"", Docker_Distribution_Api_Version="registry/2.0"))
    assert is_registry(answer(404, b'{"errors":[]}'))
    assert not is_registry(answer(404, b"<html>"))
    assert not_a_registry(answer(404, b"<html>"), "answered 404").kind == "not_a_registry"


def test_is_from_proxy_of_a_forwarded_page_is_false() -> None:
    page = b"<html>"
    assert is_from_proxy(answer(401, page, proxied=True))
    assert not is_from_proxy(answer(401, page))
    assert not is_from_proxy(answer(401, page, proxied=True, Via="1.1 proxy (squid)"))
    assert not is_from_proxy(answer(401, b"{}", proxied=True))
