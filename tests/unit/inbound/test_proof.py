# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Each proof of the sender, with published vectors, and the requests that must not pass."""

from __future__ import annotations

import base64
import hmac
import string
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_registry_triggers.inbound.proof import checked_secrets, needs_body, prove

SECRET = "current-secret-0123456789"
OLDER = "previous-secret-0123456789"
BOTH = [SECRET, OLDER]
BODY = b'{"a": 1}'


def signature(secret: str, body: bytes = BODY, digest: str = "sha256") -> str:
    return hmac.digest(secret.encode(), body, digest).hex()


def basic(user: str, password: str, charset: str = "utf-8") -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode(charset)).decode()


SIGNED = {
    "X-Hub-Signature-256": lambda secret: "sha256=" + signature(secret),
    "X-Gitea-Signature": signature,
    "X-Forgejo-Signature": signature,
    "X-Nexus-Webhook-Signature": lambda secret: signature(secret, digest="sha1"),
    "X-JFrog-Event-Auth": signature,
}

# Published vectors


def test_prove_github_documented_vector() -> None:
    header = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    found = prove(["It's a Secret to Everybody"], {"X-Hub-Signature-256": header}, "", b"Hello, World!")
    assert found == "x-hub-signature-256"


@pytest.mark.parametrize(
    ("header", "value"),
    [
        # RFC 4231 and RFC 2202, test case 2 of each.
        ("X-Gitea-Signature", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        ("X-Nexus-Webhook-Signature", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
    ],
)
def test_prove_rfc_vectors(header: str, value: str) -> None:
    body = b"what do ya want for nothing?"
    assert prove(["Jefe"], {header: value}, "", body) == header.lower()
    assert prove(["Jefe"], {header: value}, "", body + b"!") is None


# Signatures


@pytest.mark.parametrize("header", SIGNED)
@pytest.mark.parametrize("secret", BOTH)
def test_prove_signature_with_either_secret(header: str, secret: str) -> None:
    value = SIGNED[header](secret)
    assert prove(BOTH, {header: value}, "", BODY) == header.lower()
    assert (
        prove(BOTH, {header.upper(): value.upper().replace("SHA256=", "sha256=")}, "", BODY) == header.lower()
    )


@pytest.mark.parametrize("header", SIGNED)
@pytest.mark.parametrize(
    "change",
    [
        lambda value: value[:-1],
        lambda value: value + "0",
        lambda value: value[:-1] + ("0" if value[-1] != "0" else "1"),
        lambda value: "",
        lambda value: "sha256=",
        lambda value: "é" + value[1:],
        lambda value: "\u0661" * len(value),
        lambda value: SIGNED["X-Gitea-Signature"]("another-secret-0123456789"),
    ],
)
def test_prove_wrong_signature_beside_a_valid_token_fails(header: str, change: Any) -> None:
    headers = {
        header: change(SIGNED[header](SECRET)),
        "Authorization": f"Bearer {SECRET}",
        "X-Api-Key": SECRET,
    }
    assert prove(BOTH, headers, f"token={SECRET}", BODY) is None


@pytest.mark.parametrize("header", SIGNED)
def test_prove_signature_of_a_changed_body_fails(header: str) -> None:
    assert prove(BOTH, {header: SIGNED[header](SECRET)}, "", BODY + b" ") is None


@pytest.mark.parametrize("header", SIGNED)
def test_prove_signature_before_the_body_is_read_fails(header: str) -> None:
    assert prove(BOTH, {header: SIGNED[header](SECRET)}, "", None) is None


def test_prove_one_valid_signature_of_several_is_enough() -> None:
    headers = {"X-Hub-Signature-256": "sha256=00", "X-Gitea-Signature": signature(SECRET)}
    assert prove(BOTH, headers, "", BODY) == "x-gitea-signature"


def test_prove_hub_signature_without_its_prefix_fails() -> None:
    assert prove(BOTH, {"X-Hub-Signature-256": signature(SECRET)}, "", BODY) is None


def test_prove_signature_of_an_empty_body() -> None:
    assert prove(BOTH, {"X-Gitea-Signature": signature(SECRET, b"")}, "", b"") == "x-gitea-signature"


def test_prove_jfrog_secret_itself() -> None:
    assert prove(BOTH, {"X-JFrog-Event-Auth": OLDER}, "", BODY) == "x-jfrog-event-auth"
    assert prove(BOTH, {"X-JFrog-Event-Auth": OLDER}, "", None) == "x-jfrog-event-auth"


@pytest.mark.parametrize("header", [name for name in SIGNED if name != "X-JFrog-Event-Auth"])
def test_prove_secret_itself_is_not_a_signature(header: str) -> None:
    assert prove(BOTH, {header: SECRET}, "", BODY) is None


@pytest.mark.parametrize("header", SIGNED)
def test_needs_body_is_true_for_each_signature_header(header: str) -> None:
    assert needs_body({header.swapcase(): ""})


def test_needs_body_is_false_for_other_proofs() -> None:
    assert not needs_body(
        {"Authorization": f"Bearer {SECRET}", "X-Api-Key": SECRET, "X-Hub-Signature": "sha1=0"}
    )


# Headers and query


@pytest.mark.parametrize("secret", BOTH)
@pytest.mark.parametrize("body", [None, BODY])
@pytest.mark.parametrize(
    ("form", "name"),
    [
        (lambda secret: ({"Authorization": secret}, ""), "authorization"),
        (lambda secret: ({"authorization": f"Bearer {secret}"}, ""), "authorization"),
        (lambda secret: ({"AUTHORIZATION": f"bearer   {secret} "}, ""), "authorization"),
        (lambda secret: ({"Authorization": basic("any", secret)}, ""), "authorization"),
        (
            lambda secret: ({"Authorization": basic("", secret).replace("Basic", "BASIC")}, ""),
            "authorization",
        ),
        (lambda secret: ({"X-Api-Key": secret}, ""), "x-api-key"),
        (lambda secret: ({}, f"token={secret}"), "token"),
        (lambda secret: ({}, f"a=1&token={quote(secret)}&b"), "token"),
        (lambda secret: ({}, f"token=wrong&token={secret}"), "token"),
        (lambda secret: ({"Authorization": "Bearer wrong"}, f"token={secret}"), "token"),
    ],
)
def test_prove_header_and_query_forms(secret: str, body: bytes | None, form: Any, name: str) -> None:
    headers, query = form(secret)
    assert prove(BOTH, headers, query, body) == name


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({}, ""),
        ({"Authorization": ""}, ""),
        ({"Authorization": "Bearer"}, ""),
        ({"Authorization": "Bearer "}, ""),
        ({"Authorization": "Basic "}, ""),
        ({"Authorization": "Basic %%%"}, ""),
        ({"Authorization": "Basic é"}, ""),
        ({"Authorization": basic(SECRET, "")}, ""),
        ({"Authorization": "Basic " + base64.b64encode(SECRET.encode()).decode()}, ""),
        ({"Authorization": f"Token {SECRET}"}, ""),
        ({"Authorization": SECRET.upper()}, ""),
        ({"Authorization": SECRET[:-1]}, ""),
        ({"X-Api-Key": ""}, ""),
        ({"X-Api-Key": f"Bearer {SECRET}"}, ""),
        ({"X-Hub-Signature": "sha1=" + signature(SECRET, digest="sha1")}, ""),
        ({}, "token="),
        ({}, "token"),
        ({}, f"Token={SECRET}"),
        ({}, f"xtoken={SECRET}"),
        ({}, f"token={SECRET}x"),
        ({}, "token=%zz%"),
        ({}, "\ud800&token=\ud800"),
        ({"Authorization": "\ud800"}, ""),
    ],
)
def test_prove_without_a_valid_proof_returns_none(headers: dict[str, str], query: str) -> None:
    assert prove(BOTH, headers, query, BODY) is None
    assert prove(BOTH, headers, query, None) is None


@pytest.mark.parametrize("secrets", [[], [""], ["", ""]])
@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"Authorization": ""}, ""),
        ({"Authorization": "Bearer "}, ""),
        ({"Authorization": basic("", "")}, ""),
        ({"X-Api-Key": ""}, ""),
        ({"X-JFrog-Event-Auth": ""}, ""),
        ({"X-Gitea-Signature": hmac.digest(b"", BODY, "sha256").hex()}, ""),
        ({}, "token="),
    ],
)
def test_prove_empty_secret_is_never_accepted(
    secrets: list[str], headers: dict[str, str], query: str
) -> None:
    assert prove(secrets, headers, query, BODY) is None


def test_prove_one_text_instead_of_a_sequence_raises() -> None:
    with pytest.raises(TypeError, match="sequence"):
        prove(SECRET, {"X-Api-Key": SECRET[0]}, "", BODY)


# Other characters


LATIN = "gehört-zum-Schlüssel-à"
CYRILLIC = "секрет-из-шестнадцати-ab"


@pytest.mark.parametrize(
    ("secret", "sent"),
    [
        (LATIN, LATIN),
        (LATIN, LATIN.encode().decode("latin-1")),
        (CYRILLIC, CYRILLIC),
        (CYRILLIC, CYRILLIC.encode().decode("latin-1")),
    ],
)
def test_prove_non_ascii_secret_in_each_charset(secret: str, sent: str) -> None:
    assert prove([secret], {"Authorization": f"Bearer {sent}"}, "", None) == "authorization"
    assert prove([secret], {"X-Api-Key": sent}, "", None) == "x-api-key"
    assert prove([secret], {}, f"token={quote(secret)}", None) == "token"
    assert prove([secret], {"Authorization": basic("u", secret)}, "", None) == "authorization"


def test_prove_ascii_part_of_a_non_ascii_secret_fails() -> None:
    for part in (
        CYRILLIC.encode("latin-1", "ignore").decode(),
        CYRILLIC.encode("latin-1", "replace").decode(),
    ):
        assert prove([CYRILLIC], {"X-Api-Key": part, "Authorization": part}, f"token={part}", None) is None


@pytest.mark.parametrize(
    "secret", ["with+plus+and=signs/0123", "two words and more", "Bearer of secrets 0123"]
)
def test_prove_secret_of_unusual_characters(secret: str) -> None:
    assert prove([secret], {"Authorization": secret}, "", None)
    assert prove([secret], {}, f"token={quote(secret)}", None)
    assert prove([secret], {}, f"token={secret.replace(' ', '+')}", None)


@given(
    secret=st.text(string.ascii_letters + string.digits + "_-", min_size=16, max_size=40),
    sent=st.text(max_size=40),
    query=st.text(max_size=60),
    body=st.none() | st.binary(max_size=20),
    header=st.sampled_from([*SIGNED, "Authorization", "X-Api-Key"]),
)
def test_prove_of_any_request_without_the_secret_returns_none(
    secret: str, sent: str, query: str, body: bytes | None, header: str
) -> None:
    if secret not in sent and secret not in query:
        assert prove([secret], {header: sent}, query, body) is None


@given(secret=st.text(string.printable, min_size=16, max_size=40), body=st.binary(max_size=50))
def test_prove_accepts_its_own_signatures_and_tokens(secret: str, body: bytes) -> None:
    value = "sha256=" + signature(secret, body)
    assert prove([OLDER, secret], {"X-Hub-Signature-256": value}, "", body)
    assert prove([OLDER, secret], {"Authorization": basic("user", secret)}, "", None)
    assert prove([OLDER, secret], {}, f"token={quote(secret, safe='')}", None)


# Settings


@pytest.mark.parametrize(
    ("current", "previous", "expected"),
    [
        (None, None, ()),
        ("", OLDER, ()),
        (SECRET, "", (SECRET,)),
        (SECRET, None, (SECRET,)),
        (SECRET, OLDER, (SECRET, OLDER)),
        ("x" * 16, None, ("x" * 16,)),
    ],
)
def test_checked_secrets_returns_the_secrets_in_use(
    current: Any, previous: Any, expected: tuple[str, ...]
) -> None:
    assert checked_secrets(current, previous) == expected


@pytest.mark.parametrize(
    ("current", "previous", "field"),
    [
        ("fifteen-charact", None, "field webhook_secret: the secret has 15 characters, at least 16"),
        (SECRET, "short-planted", "field previous_webhook_secret: the secret has 13"),
        (SECRET + "\n", None, "field webhook_secret: the secret begins or ends with white space"),
        (5, None, "field webhook_secret: expected text, got int"),
    ],
)
def test_checked_secrets_names_the_field_and_never_the_secret(
    current: Any, previous: Any, field: str
) -> None:
    with pytest.raises(ValueError) as caught:
        checked_secrets(current, previous)
    assert str(caught.value).startswith(field)
    for secret in (current, previous):
        assert not isinstance(secret, str) or secret.strip() not in str(caught.value)
