# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Bearer tokens: parsing a token service's answer, and a bounded store for the process."""

from __future__ import annotations

import base64
import json
import re
import time
from collections import OrderedDict
from dataclasses import dataclass, field

__all__ = ["Token", "TokenKey", "TokenStore", "jwt_expiry", "parse_token"]

_MAX_TOKENS = 1000
_MAX_LIFE = 3600.0
_DEFAULT_LIFE = 60.0  # Docker's token specification, for an answer without expires_in
_RENEW_BEFORE = 10.0
# aiohttp sends any length, but servers limit their request headers, most of them to 8 or 16 KiB.
_USABLE = re.compile(r"[\x21-\x7e]{1,32768}")
_NUMBER = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")

TokenKey = tuple[tuple[str, str], str, str]
"""Identity (base URL, hash of the login), origin, repository."""


@dataclass(slots=True)
class Token:
    """
    A bearer token.

    :param header: value of the ``Authorization`` header
    :param scope: the scope that was requested
    :param good_until: monotonic time from which it is renewed
    :param requested_at: monotonic time of the request for it
    """

    header: str = field(repr=False)
    scope: str
    good_until: float
    requested_at: float = 0.0

    @property
    def is_good(self) -> bool:
        """Whether the token can still be used."""
        return self.good_until > time.monotonic()


class TokenStore:
    """
    The tokens of the process: one for each repository, the least recently used are dropped.

    The bound does not depend on answers: the number of scopes and realms that a registry names does not
    matter, because the repository is the key.
    """

    def __init__(self, size: int = _MAX_TOKENS) -> None:
        self._size = size
        self._tokens: OrderedDict[TokenKey, Token] = OrderedDict()

    def __len__(self) -> int:
        return len(self._tokens)

    def get(self, key: TokenKey, scope: str) -> Token | None:
        """Return the token for a repository if it is valid and has the scope."""
        token = self._tokens.get(key)
        if token is None or token.scope != scope or not token.is_good:
            return None
        self._tokens.move_to_end(key)
        return token

    def put(self, key: TokenKey, token: Token) -> None:
        """Store a token in place of the repository's previous one."""
        self._tokens[key] = token
        self._tokens.move_to_end(key)
        while len(self._tokens) > self._size:
            self._tokens.popitem(last=False)

    def drop(self, key: TokenKey, token: Token) -> None:
        """Drop a token, unless another request has already replaced it."""
        if self._tokens.get(key) is token:
            del self._tokens[key]

    def clear(self) -> None:
        """Drop all tokens."""
        self._tokens.clear()


def parse_token(body: bytes, scope: str, requested_at: float) -> Token | None:
    """
    Return the token in a token service's answer, None if there is no usable one.

    :param body: the JSON document
    :param scope: the scope that was requested
    :param requested_at: monotonic time of the request
    """
    document = _json_object(body)
    value = document.get("token") or document.get("access_token")
    if not isinstance(value, str) or not _USABLE.fullmatch(value):
        return None
    life = _seconds(document.get("expires_in"))
    if life is None:
        life = _jwt_life(value)
    # Renewed early, so that no request leaves with a token that ends on its way.
    good_until = requested_at + life - min(_RENEW_BEFORE, life / 2)
    return Token(f"Bearer {value}", scope, good_until, requested_at)


def _seconds(value: object) -> float | None:
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        return None
    return min(float(value), _MAX_LIFE)


def jwt_expiry(token: str) -> float | None:
    """
    Return the time at which a JWT expires, None if the text is not a JWT with such a time.

    The signature is not checked: the time only decides when a token is renewed.

    :param token: a bearer token of any form
    :return: seconds since 1970
    """
    payload = token.split(".")[1] if token.count(".") == 2 else ""
    try:
        claims = _json_object(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except ValueError:
        return None
    end = claims.get("exp")
    return None if isinstance(end, bool) or not isinstance(end, int | float) else float(end)


def _jwt_life(token: str) -> float:
    """Return the remaining life of a JWT: Azure's answers have no ``expires_in``."""
    end = jwt_expiry(token)
    return _DEFAULT_LIFE if end is None else _seconds(end - time.time()) or _DEFAULT_LIFE


def _json_object(body: bytes) -> dict[str, object]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
