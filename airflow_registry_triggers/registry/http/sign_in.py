# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Sign in for one repository: send credentials, and recover from answers that refuse them."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.http.auth import NoToken

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_registry_triggers.registry.http.auth import Authenticator
    from airflow_registry_triggers.registry.http.credentials import Credentials
    from airflow_registry_triggers.registry.http.headers import Challenge
    from airflow_registry_triggers.registry.http.tokens import Token

__all__ = ["SignIn"]

_CLOCK_SKEW = 1.0
_REFUSAL_COUNTS_FOR = 60.0
_MAX_RESCOPES = 2
_TOO_YOUNG = 5.0


class SignIn:
    """
    The authentication of one request, over all its repetitions.

    :param authenticator: of the origin that is asked
    :param repository: full name of the repository; empty for the registry as a whole
    """

    def __init__(self, authenticator: Authenticator, repository: str) -> None:
        self._auth = authenticator
        self._state = authenticator.state
        self._repository = repository
        self._candidate = 0
        self._rescopes = 0
        self._tried: set[str] = set()
        self._credentials: Credentials | None = None
        self._header: str | None = None
        self._token: Token | None = None
        self._was_stored = False
        self._knew_challenge = False

    async def header(self) -> str | None:
        """
        Return the header, None before the registry has sent a challenge.

        :raises RegistryError: there is no token
        """
        self._token = None
        self._credentials = await self._auth.credentials()
        challenge = self._state.challenge
        self._knew_challenge = challenge is not None
        if self._credentials.bearer or challenge is None:
            self._header = self._credentials.bearer
        elif challenge.scheme == "basic":
            self._header = self._credentials.basic
        else:
            self._token, self._was_stored = await self._next_token()
            self._header = self._token.header
        return self._header

    def is_outdated(self) -> bool:
        """
        Return True, once, if the registry has sent its challenge since a header without login was made.

        Of a thousand requests that start at once, only those in flight receive a 401.
        """
        if self._header is not None or self._state.challenge is None or self._knew_challenge:
            return False
        return self._once("outdated")

    async def recover(self, status: int, challenges: Iterable[Challenge]) -> bool:
        """
        Return whether the request is worth repeating after a 400, 401 or 403.

        :param challenges: of the answer
        """
        challenge = _supported(challenges)
        if status == 401 and challenge is not None:
            self._state.learn(challenge, self._repository)
        if self._token is not None:
            return await self._recover_token(self._token, status)
        if self._credentials is None:
            return False
        if status != 401:
            return self._renews_login(self._credentials)
        if self._header is not None and not self._is_other_scheme(challenge):
            return self._once("login") and self._auth.login.reject(self._credentials)
        if challenge is None or not self._once("challenge"):
            return False
        return challenge.scheme == "bearer" or self._credentials.basic is not None

    def accepted(self, status: int) -> None:
        """Remember the scope of a token that the registry accepted."""
        if self._token is None or status >= 400:
            return
        candidates = self._state.candidates(self._repository)
        if len(candidates) > 1 and self._token.scope in candidates:
            offered = self._state.challenge.parameters.get("scope", "") if self._state.challenge else ""
            self._state.prefers_challenged = self._token.scope == offered

    async def _next_token(self) -> tuple[Token, bool]:
        candidates = self._state.candidates(self._repository)
        while True:
            last = self._candidate >= len(candidates) - 1
            try:
                scope = candidates[min(self._candidate, len(candidates) - 1)]
                return await self._auth.token(self._repository, scope)
            except RegistryError as error:
                # Some token services reject a scope that they do not know; the next one may be theirs.
                if last or not _is_about_scope(error):
                    raise
                self._candidate += 1

    async def _recover_token(self, token: Token, status: int) -> bool:
        candidates = self._state.candidates(self._repository)
        denied = self._is_denied
        if token.scope not in candidates and self._rescopes < _MAX_RESCOPES:
            self._rescopes, self._candidate = self._rescopes + 1, 0
        elif self._was_stored and not denied and self._once("stored"):
            pass
        elif not denied and self._candidate + 1 < len(candidates):
            self._candidate += 1
        elif not denied and self._once("skew"):
            # A token service whose clock is ahead issues tokens that are not valid yet.
            self._candidate = 0
            await asyncio.sleep(_CLOCK_SKEW)
        else:
            self._refuse(token, status, denied)
            return False
        self._auth.drop(self._repository, token)
        return True

    def _refuse(self, token: Token, status: int, denied: bool) -> None:
        if not denied:
            self._state.record_refusal(self._repository)
        # Dropped for the next request, but not once for each tag that is denied with 401.
        if status == 401 and time.monotonic() - token.requested_at > _TOO_YOUNG:
            self._auth.drop(self._repository, token)

    def _renews_login(self, used: Credentials) -> bool:
        """Return True if a 400 or 403 can come from a login that ended, as Amazon answers."""
        if self._header is None or self._is_denied:
            return False
        if self._once("login"):
            return self._auth.login.reject(used)
        self._state.record_refusal(self._repository)
        return False

    @property
    def _is_denied(self) -> bool:
        # A registry that denies 1,000 tags must not cost 1,000 new tokens.
        refused = self._state.refused_at.get(self._repository, -_REFUSAL_COUNTS_FOR)
        return time.monotonic() - refused < _REFUSAL_COUNTS_FOR

    def _is_other_scheme(self, challenge: Challenge | None) -> bool:
        # A registry that moved from Basic to tokens rejects the header of its former challenge.
        is_basic = self._credentials is not None and self._header == self._credentials.basic
        return is_basic and challenge is not None and challenge.scheme == "bearer"

    def _once(self, what: str) -> bool:
        is_new = what not in self._tried
        self._tried.add(what)
        return is_new


def _is_about_scope(error: RegistryError) -> bool:
    if isinstance(error, NoToken):
        return True
    return error.status is not None and error.kind not in ("rate_limited", "proxy")


def _supported(challenges: Iterable[Challenge]) -> Challenge | None:
    offered = {challenge.scheme: challenge for challenge in reversed(list(challenges))}
    return offered.get("bearer") or offered.get("basic")
