# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
Check that the sender of a webhook knows the secret of the Connection.

The proof protects against load, not against invented pushes: a webhook starts a poll and is never believed.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote_to_bytes

from airflow_registry_triggers.inbound.fields import Headers, lower_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["MIN_SECRET_LENGTH", "checked_secrets", "needs_body", "prove"]

MIN_SECRET_LENGTH = 16
"""Characters that a webhook secret has at least."""


_ADVICE = 'Set the output of: python -c "import secrets; print(secrets.token_urlsafe(32))"'


class _Signature(NamedTuple):
    header: str
    digest: str
    prefix: str = ""
    accepts_secret: bool = False


_SIGNATURES = (
    _Signature("x-hub-signature-256", "sha256", prefix="sha256="),
    _Signature("x-gitea-signature", "sha256"),
    _Signature("x-forgejo-signature", "sha256"),
    _Signature("x-nexus-webhook-signature", "sha1"),
    # JFrog sends the secret itself if "use secret for signing" is off.
    _Signature("x-jfrog-event-auth", "sha256", accepts_secret=True),
)


def checked_secrets(current: str | None, previous: str | None = None) -> tuple[str, ...]:
    """
    Return the secrets that a sender may use, the current one first.

    :param current: field ``webhook_secret``; empty turns the endpoint off for this Connection
    :param previous: field ``previous_webhook_secret``, accepted beside it during a rotation
    :return: empty if the endpoint is off
    :raises ValueError: a secret cannot be used; the text names the field, never the secret
    """
    if not current:
        return ()
    for field, secret in (("webhook_secret", current), ("previous_webhook_secret", previous)):
        problem = _secret_problem(secret) if secret else ""
        if problem:
            raise ValueError(f"field {field}: {problem}. {_ADVICE}")
    return (current, previous) if previous else (current,)


def _secret_problem(secret: object) -> str:
    if not isinstance(secret, str):
        return f"expected text, got {type(secret).__name__}"
    if len(secret) < MIN_SECRET_LENGTH:
        return f"the secret has {len(secret)} characters, at least {MIN_SECRET_LENGTH} are required"
    if secret != secret.strip():
        return "the secret begins or ends with white space, which a header cannot carry"
    return ""


def needs_body(headers: Headers) -> bool:
    """Return True if the proof is a signature of the body, so the body must be read before the check."""
    names = lower_names(headers)
    return any(signature.header in names for signature in _SIGNATURES)


def prove(secrets: Sequence[str], headers: Headers, query: str, body: bytes | None) -> str | None:
    """
    Return the name of the proof that the request carries, None if it carries none.

    A signature header excludes all other proofs, so that a changed body cannot be saved by a token.

    :param secrets: current first; an empty one is never accepted
    :param headers: of the request, in any case
    :param query: the raw query string
    :param body: raw; None before it is read, see :func:`needs_body`
    :return: a header's name in lower case, or ``token``
    """
    if isinstance(secrets, str):
        raise TypeError("secrets is a sequence of secrets, not one secret")
    known = [secret for secret in secrets if secret]
    names = lower_names(headers)
    present = [signature for signature in _SIGNATURES if signature.header in names]
    if present:
        return _first(s.header for s in present if _is_signed(s, known, names[s.header], body))
    if any(_is_secret(value, known) for value in _authorization_values(names.get("authorization", ""))):
        return "authorization"
    if _is_secret(_raw(names.get("x-api-key", "")), known):
        return "x-api-key"
    return "token" if any(_is_secret(value, known) for value in _query_tokens(query)) else None


def _first(names: Iterable[str]) -> str | None:
    return next(iter(names), None)


def _is_signed(signature: _Signature, secrets: list[str], value: str, body: bytes | None) -> bool:
    sent = _raw(value)
    if signature.accepts_secret and _is_secret(sent, secrets):
        return True
    prefix = signature.prefix.encode()
    if body is None or not sent.startswith(prefix):
        return False
    hexadecimal = sent[len(prefix) :].lower()
    expected = (hmac.digest(_key(secret), body, signature.digest).hex() for secret in secrets)
    return any(hmac.compare_digest(hexadecimal, of_secret.encode()) for of_secret in expected)


def _is_secret(sent: bytes, secrets: list[str]) -> bool:
    return any(hmac.compare_digest(sent, form) for secret in secrets for form in _forms(secret))


def _forms(secret: str) -> set[bytes]:
    """Return the bytes that a client may send for a secret; the charset of non-ASCII headers is not fixed."""
    try:
        return {_key(secret), secret.encode("latin-1")}
    except UnicodeEncodeError:
        return {_key(secret)}


def _key(secret: str) -> bytes:
    return secret.encode("utf-8", "surrogatepass")


def _raw(value: str) -> bytes:
    """Return the bytes of a header, which ASGI servers decode as Latin-1."""
    # Without an argument, strip() would take bytes of UTF-8 for the white space U+0085 and U+00A0.
    text = value.strip(" \t")
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def _authorization_values(header: str) -> list[bytes]:
    value = _raw(header)
    scheme, _, credentials = value.partition(b" ")
    if scheme.lower() == b"bearer":
        return [value, credentials.strip()]
    if scheme.lower() == b"basic":
        return [value, _basic_password(credentials.strip())]
    return [value]


def _basic_password(credentials: bytes) -> bytes:
    try:
        return base64.b64decode(credentials, validate=True).partition(b":")[2]
    except binascii.Error:
        return b""


def _query_tokens(query: str) -> list[bytes]:
    tokens: list[bytes] = []
    for part in query.encode("utf-8", "replace").split(b"&"):
        name, _, value = part.partition(b"=")
        if unquote_to_bytes(name) == b"token":
            # A "+" is a space in a form, but a literal secret may contain it.
            tokens += [unquote_to_bytes(value), unquote_to_bytes(value.replace(b"+", b" "))]
    return tokens
