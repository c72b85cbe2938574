# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Signing in: what a challenge asks for, and one token for many that wait for it."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from yarl import URL

from airflow_registry_triggers.registry.errors import RegistryError

if TYPE_CHECKING:
    from airflow_registry_triggers.registry.http.headers import Challenge

__all__ = ["Authenticator", "Credentials", "SignIn"]

_RENEW_BEFORE = 10.0
_DEFAULT_LIFE = 60.0  # Docker's token specification: what a missing expires_in means
_USABLE = re.compile(r"[\x21-\x7e]{1,65536}")
# All that reading takes: Azure wants the last two to list tags and to read digests.
_ACTIONS = ("pull", "metadata_read", "content_read")

Fetch = Callable[[URL, dict[str, str]], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Credentials:
    """
    A login, or none.

    :param username: None or empty with a password: that is itself a token, which only the registry is sent
    :param password: password or token
    """

    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def basic(self) -> str | None:
        """Value of an ``Authorization`` header, None where there is no login."""
        if not self.username:
            return None
        pair = f"{self.username}:{self.password or ''}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"

    @property
    def bearer(self) -> str | None:
        """The same for a password without a username."""
        return f"Bearer {self.password}" if self.password and not self.username else None


@dataclass(slots=True)
class _Token:
    header: str
    good_until: float


@dataclass(slots=True)
class SignIn:
    """What was learned of one registry's way to sign in, kept for the process's life."""

    challenge: Challenge | None = None
    actions: set[str] = field(default_factory=lambda: {"pull"})
    tokens: dict[str, _Token] = field(default_factory=dict, repr=False)


class Authenticator:
    """
    Makes the ``Authorization`` header for a repository.

    Credentials go to the registry itself and to the realm that its challenge names, nowhere else.

    :param base: the registry
    :param credentials: the login
    :param known: what was learned before
    :param fetch: sends a GET to the realm, with these headers, and gives the body
    """

    def __init__(self, base: URL, credentials: Credentials, known: SignIn, fetch: Fetch) -> None:
        self._base = base
        self._credentials = credentials
        self._known = known
        self._fetch = fetch
        self._locks: dict[str, asyncio.Lock] = {}

    async def header(self, repository: str) -> str | None:
        """
        Give the header, None before anything was asked for.

        :param repository: full name of the repository; empty for the registry as a whole
        :raises RegistryError: there is no token to be had
        """
        challenge = self._known.challenge
        if self._credentials.bearer or challenge is None:
            return self._credentials.bearer
        if challenge.scheme == "basic":
            return self._credentials.basic
        scope = self._scope(repository)
        token = self._known.tokens.get(scope)
        if token is None or token.good_until <= time.monotonic():
            token = await self._renewed(scope)
        return token.header

    def learn(self, challenges: Iterable[Challenge], repository: str, used: str | None) -> bool:
        """
        Take in what a 401 says.

        :param challenges: what it offers
        :param repository: what was asked about
        :param used: the header that it refused
        :return: whether asking once more may help
        """
        if self._credentials.bearer:
            return False
        offered = {challenge.scheme: challenge for challenge in reversed(list(challenges))}
        challenge = offered.get("bearer") or offered.get("basic")
        if challenge is None:
            return False
        self._known.challenge = challenge
        if challenge.scheme == "basic":
            return used is None and self._credentials.basic is not None
        self._known.actions |= _actions(challenge.parameters.get("scope", ""))
        token = self._known.tokens.get(self._scope(repository))
        if token is not None and token.header == used:
            # Ten requests may come back with the same refusal; only the first drops the token.
            del self._known.tokens[self._scope(repository)]
        return True

    def _scope(self, repository: str) -> str:
        told = self._known.challenge.parameters.get("scope", "") if self._known.challenge else ""
        if told and not any(part.startswith("repository:") for part in told.split()):
            return told
        actions = ",".join(action for action in _ACTIONS if action in self._known.actions)
        return f"repository:{repository}:{actions}" if repository else ""

    async def _renewed(self, scope: str) -> _Token:
        async with self._locks.setdefault(scope, asyncio.Lock()):
            token = self._known.tokens.get(scope)
            if token is None or token.good_until <= time.monotonic():
                self._drop_old()
                token = await self._fetched(scope)
                self._known.tokens[scope] = token
            return token

    def _drop_old(self) -> None:
        now = time.monotonic()
        for scope in [scope for scope, token in self._known.tokens.items() if token.good_until <= now]:
            del self._known.tokens[scope]

    async def _fetched(self, scope: str) -> _Token:
        challenge = self._known.challenge
        parameters = challenge.parameters if challenge else {}
        realm = self._realm(parameters.get("realm", ""))
        query = {"service": parameters.get("service", ""), "scope": scope}
        basic = self._credentials.basic
        asked_at = time.monotonic()
        body = await self._fetch(
            realm.update_query({name: value for name, value in query.items() if value}),
            {"Authorization": basic} if basic else {},
        )
        value, life = _parsed(body, realm)
        return _Token(f"Bearer {value}", asked_at + life - min(_RENEW_BEFORE, life / 2))

    def _realm(self, text: str) -> URL:
        try:
            realm = URL(text)
            usable = bool(realm.host) and realm.user is None and text.isprintable()
        except ValueError:
            realm, usable = URL(), False
        if not usable or realm.scheme not in ("https", "http"):
            raise _refused(f"{self._base}: its challenge names no realm that can be asked for a token")
        if realm.scheme == "http" and self._base.scheme != "http":
            raise _refused(
                f"{self._base}: its challenge names a realm without TLS, {realm.host}; no login is sent there"
            )
        return realm


def _actions(scope: str) -> set[str]:
    """Read what a challenge's scope asks for, no more than reading takes."""
    wanted = {action for part in scope.split() for action in part.rpartition(":")[2].split(",")}
    return set(_ACTIONS) if wanted & set(_ACTIONS[1:]) else set()


def _parsed(body: bytes, realm: URL) -> tuple[str, float]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    told = answer if isinstance(answer, dict) else {}
    value = told.get("token") or told.get("access_token")
    if not isinstance(value, str) or not _USABLE.fullmatch(value):
        raise _refused(f"{realm.with_query(None)}: the token service gave no token")
    life = told.get("expires_in")
    if isinstance(life, bool) or not isinstance(life, int | float) or not 0 < life < 1e9:
        life = _DEFAULT_LIFE
    return value, float(life)


def _refused(text: str) -> RegistryError:
    return RegistryError(
        f"{text}; check that the base URL is the registry's", kind="credentials", everywhere=True
    )
