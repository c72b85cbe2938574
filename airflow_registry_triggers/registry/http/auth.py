# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Authentication: learn a challenge, request tokens, and recover from answers that refuse them."""

from __future__ import annotations

import asyncio
import re
import time
import weakref
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from yarl import URL

from airflow_registry_triggers.registry.errors import INVALID_URL, RegistryError
from airflow_registry_triggers.registry.http.host_names import HostNames
from airflow_registry_triggers.registry.http.tokens import parse_token

if TYPE_CHECKING:
    from airflow_registry_triggers.registry.http.credentials import Credentials, Login
    from airflow_registry_triggers.registry.http.headers import Challenge
    from airflow_registry_triggers.registry.http.tokens import Token, TokenKey, TokenStore

__all__ = ["REFUSALS", "AuthState", "Authenticator", "NoToken"]

# The actions that reading takes. Azure requires the last two to list tags and to read digests.
_ACTIONS = ("pull", "metadata_read", "content_read")
_REPOSITORY_SCOPE = re.compile(r"(repository(?:\([a-z0-9]+\))?:[^\s\"]{1,512}):([^\s:\"]*)")
_MAX_NAMED_SCOPES = 1000
_LONGEST_LOGIN = 512  # characters, encoded
REFUSALS = frozenset({400, 401, 403})
"""Statuses that a token which is no longer valid can cause; Amazon's public registry answers 400."""


class NoToken(RegistryError):
    """A token service answered without a token."""


Fetch = Callable[[URL, dict[str, str]], Awaitable[bytes]]


@dataclass(slots=True)
class AuthState:
    """
    The terms of one registry, learned from its challenges and kept until the process ends.

    :param challenge: the last challenge
    :param actions: actions that a token needs for reading
    :param scopes: by repository: the scope, without actions, that a 401 of this repository named
    :param prefers_challenged: whether the challenged scope worked and a repository scope did not
    :param refused_at: by repository: monotonic time at which a new token was refused
    """

    challenge: Challenge | None = None
    actions: set[str] = field(default_factory=lambda: {"pull"})
    scopes: dict[str, str] = field(default_factory=dict)
    prefers_challenged: bool = False
    refused_at: dict[str, float] = field(default_factory=dict)

    def candidates(self, repository: str) -> list[str]:
        """
        Return the scopes to request for a repository, the most likely first.

        :param repository: full name; empty for the registry as a whole
        """
        offered = self.challenge.parameters.get("scope", "") if self.challenge else ""
        if not repository:
            return [offered]
        actions = ",".join(action for action in _ACTIONS if action in self.actions)
        names = self.scopes.get(repository, f"repository:{repository}").split()
        own = " ".join(f"{name}:{actions}" for name in names)
        if not offered or _REPOSITORY_SCOPE.search(offered):
            return [own]
        return [offered, own] if self.prefers_challenged else [own, offered]

    def learn(self, challenge: Challenge, repository: str) -> None:
        """
        Store a challenge.

        :param repository: the repository whose request was answered with 401
        """
        self.challenge = challenge
        named = _REPOSITORY_SCOPE.findall(challenge.parameters.get("scope", ""))
        if named and repository:
            self.scopes[repository] = " ".join(dict.fromkeys(name for name, _ in named[:10]))
            _trim(self.scopes, _MAX_NAMED_SCOPES)
        wanted = {action for _, actions in named for action in actions.split(",")}
        if wanted & set(_ACTIONS[1:]):
            self.actions = set(_ACTIONS)

    def record_refusal(self, repository: str) -> None:
        """Record that the registry refused a new token for a repository."""
        self.refused_at[repository] = time.monotonic()
        _trim(self.refused_at, _MAX_NAMED_SCOPES)


def _trim(mapping: dict[str, Any], size: int) -> None:
    while len(mapping) > size:
        del mapping[next(iter(mapping))]


class Authenticator:
    """
    Return the ``Authorization`` header for each repository of one origin.

    Credentials are sent to the registry itself and to the realm that its challenge names, nowhere else.

    :param origin: the registry, or the origin that it redirects to
    :param login: source of the credentials
    :param state: the terms that were learned before
    :param tokens: the store of the process
    :param identity: base URL and hash of the login, part of each key in the store
    :param fetch: send a GET to the realm and return the body
    :param on_secret: called with each encoded login that logs must mask as a whole
    :param on_token: called with each token, and with each encoded login that contains one; default
        ``on_secret``
    :param hosts: show the hosts that the registry names
    """

    def __init__(
        self,
        origin: URL,
        login: Login,
        state: AuthState,
        tokens: TokenStore,
        identity: tuple[str, str],
        fetch: Fetch,
        on_secret: Callable[[str], None],
        on_token: Callable[[str], None] | None = None,
        hosts: HostNames | None = None,
    ) -> None:
        self.state = state
        self.login = login
        self._origin = origin
        self._tokens = tokens
        self._identity = identity
        self._fetch = fetch
        self._on_secret = on_secret
        self._on_token = on_token or on_secret
        self._hosts = hosts or HostNames(origin)
        self._masked = ""
        self._locks: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    async def credentials(self) -> Credentials:
        """
        Return the credentials of this moment.

        :raises RegistryError: ``credentials``, if they contain a character that no server accepts
        """
        current = await self.login.current()
        if problem := current.problem:
            raise RegistryError(f"{self._shown}: {problem}.", kind="credentials", everywhere=True)
        self._hosts.learn(current)
        if (basic := current.basic) and basic != self._masked:
            self._masked = basic
            # A part of a password is a secret too. A token of a cloud is longer, and renewed for ever.
            mask = self._on_secret if len(basic) <= _LONGEST_LOGIN else self._on_token
            mask(basic.removeprefix("Basic "))
        return current

    async def token(self, repository: str, scope: str) -> tuple[Token, bool]:
        """
        Return a token, and whether it was in the store.

        :raises RegistryError: the token service returned no token
        """
        key = self._key(repository)
        if token := self._tokens.get(key, scope):
            return token, True
        lock = self._locks.setdefault(repository, asyncio.Lock())
        async with lock:  # one request for all that wait
            if token := self._tokens.get(key, scope):
                return token, True
            token = await self._fetched(scope)
            self._tokens.put(key, token)
            return token, False

    def drop(self, repository: str, token: Token) -> None:
        """Drop a token that was refused."""
        self._tokens.drop(self._key(repository), token)

    @property
    def _shown(self) -> str:
        return self._hosts.origin(self._origin)

    def _key(self, repository: str) -> TokenKey:
        return (self._identity, str(self._origin), repository)

    async def _fetched(self, scope: str) -> Token:
        credentials = await self.credentials()
        try:
            return await self._requested(scope, credentials)
        except RegistryError as error:
            if error.status != 401 or not self.login.reject(credentials):
                raise
        return await self._requested(scope, await self.credentials())

    async def _requested(self, scope: str, credentials: Credentials) -> Token:
        parameters = self.state.challenge.parameters if self.state.challenge else {}
        realm = self._realm(parameters.get("realm", ""), credentials)
        query = {"service": parameters.get("service", ""), "scope": scope}
        requested_at = time.monotonic()
        body = await self._fetch(
            realm.update_query({name: value for name, value in query.items() if value}),
            {"Authorization": credentials.basic} if credentials.basic else {},
        )
        token = parse_token(body, scope, requested_at)
        if token is None:
            raise NoToken(
                f"{self._hosts.origin(realm)}: the token service returned no token. Check that the "
                "Connection's host is the registry's.",
                kind="credentials",
                everywhere=True,
            )
        self._on_token(token.header.removeprefix("Bearer "))
        return token

    def _realm(self, text: str, credentials: Credentials) -> URL:
        try:
            realm = URL(text)
            usable = bool(realm.host) and realm.user is None and text.isprintable()
        except INVALID_URL:
            realm, usable = URL(), False
        if not usable or realm.scheme not in ("https", "http"):
            raise _refused(f"{self._shown}: the realm in its challenge is not an http or https URL")
        if realm.scheme == "http" and self._origin.scheme != "http":
            what = "no token is requested" if credentials.is_anonymous else "the login is not sent"
            raise _refused(
                f"{self._shown}: the realm in its challenge, {self._hosts.origin(realm)}, has no TLS; {what} "
                "there"
            )
        return realm


def _refused(text: str) -> RegistryError:
    return RegistryError(
        f"{text}. Check that the Connection's host is the registry's.", kind="credentials", everywhere=True
    )
