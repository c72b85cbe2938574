# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Connections to one registry, shared by all who ask it: in flight, pauses, and what errors mean."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import ssl
import time
import weakref
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import aiohttp

from airflow_registry_triggers.http_dates import parse_http_date, parse_retry_after
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.http.auth import Authenticator, Credentials, SignIn
from airflow_registry_triggers.registry.http.headers import quota_pause
from airflow_registry_triggers.registry.http.rate_limits import Limits, Pause, default_in_flight
from airflow_registry_triggers.registry.http.request import Answer, exchange, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from yarl import URL

__all__ = ["Memory", "Transport"]

_KEEP_ALIVE = 75.0  # longer than the default poll interval, so that a poll finds its connections open


@dataclass(slots=True)
class Memory:
    """
    What the process knows of one registry and identity; it outlives connections and event loops.

    :param pause: how long to leave it alone
    :param sign_in: its challenge and tokens
    :param head_tells: whether HEAD gives digests there; None while that is not known
    """

    pause: Pause
    sign_in: SignIn = field(default_factory=SignIn)
    head_tells: bool | None = None


Identity = tuple[str, str]
_MAX_MEMORIES = 1024
_memories: dict[Identity, Memory] = {}
_transports: weakref.WeakKeyDictionary[
    asyncio.AbstractEventLoop, dict[tuple[Identity, str | None, int | None], Transport]
] = weakref.WeakKeyDictionary()


def _memory_of(identity: Identity) -> Memory:
    memory = _memories.pop(identity, None) or Memory(Pause(identity[0]))
    _memories[identity] = memory
    while len(_memories) > _MAX_MEMORIES:
        del _memories[next(iter(_memories))]
    return memory


class Transport:
    """
    Sends requests to one registry for all clients of an event loop that share its identity.

    :param base: the registry
    :param credentials: the login
    :param ca_file: certificates that are trusted besides the system's
    :param max_in_flight: requests that may be under way at once; None: 10 on a network of one's own, else 2
    :param memory: what the process knows of this registry
    """

    def __init__(
        self,
        base: URL,
        credentials: Credentials,
        ca_file: str | None,
        max_in_flight: int | None,
        memory: Memory,
    ) -> None:
        self.memory = memory
        self.in_flight = max_in_flight or 0
        self.auth = Authenticator(base, credentials, memory.sign_in, self._fetch_token)
        self._base = base
        self._ca_file = ca_file
        self._users = 0
        self._session: aiohttp.ClientSession | None = None
        self._slots: asyncio.Semaphore | None = None
        self._opening = asyncio.Lock()

    @classmethod
    async def shared(
        cls, base: URL, credentials: Credentials, ca_file: str | None, max_in_flight: int | None
    ) -> Transport:
        """
        Open the transport of this event loop, or join those who use it; each calls :meth:`leave` once.

        :raises RegistryError: ``tls``, when ca_file cannot be read
        """
        secret = hashlib.sha256(repr((credentials.username, credentials.password)).encode()).hexdigest()
        identity = (str(base), secret)
        open_here = _transports.setdefault(asyncio.get_running_loop(), {})
        key = (identity, ca_file, max_in_flight)
        transport = open_here.get(key)
        if transport is None:
            transport = open_here[key] = cls(base, credentials, ca_file, max_in_flight, _memory_of(identity))
        transport._users += 1
        try:
            await transport._open()
        except BaseException:
            await transport.leave()
            raise
        return transport

    async def leave(self) -> None:
        """Close the connections when nobody else uses them."""
        self._users -= 1
        if self._users > 0:
            return
        open_here = _transports.get(asyncio.get_running_loop(), {})
        for key in [key for key, transport in open_here.items() if transport is self]:
            del open_here[key]
        if self._session is not None:
            await self._session.close()

    async def ask(
        self, method: str, url: URL, headers: dict[str, str], max_bytes: int, limits: Limits
    ) -> Answer:
        """
        Send one request when it is its turn, and heed what the answer says of limits.

        :param method: ``GET`` or ``HEAD``
        :param url: where to
        :param headers: sent as they are; ``Authorization`` not to another origin
        :param max_bytes: of the body, after decompression
        :param limits: deadlines
        :raises RegistryError: there is no answer
        """
        if self._slots is None or self._session is None:
            raise RuntimeError(
                "use the client as a context manager: async with RegistryClient(...) as client"
            )
        pause = self.memory.pause
        async with self._slots:
            await pause.wait()
            started = time.monotonic()
            answer = await exchange(self._session, method, url, headers, max_bytes, limits)
            self._heed(answer, started)
            return answer

    async def _open(self) -> None:
        async with self._opening:
            if self._session is None:
                self._session = aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE, ssl=self._ssl()),
                    cookie_jar=aiohttp.DummyCookieJar(),
                    headers={"User-Agent": "airflow-provider-registry-triggers"},
                )
            if self._slots is None:
                self.in_flight = self.in_flight or default_in_flight(await self._addresses())
                self._slots = asyncio.Semaphore(self.in_flight)

    def _ssl(self) -> ssl.SSLContext | bool:
        if not self._ca_file:
            return True
        context = ssl.create_default_context()
        try:
            context.load_verify_locations(self._ca_file)
        except (OSError, ssl.SSLError) as error:
            why = error.strerror or "no certificates in PEM form"
        else:
            return context
        raise RegistryError(
            f"ca_file {self._ca_file!r} cannot be used: {why}; give a file with the registry's CA", kind="tls"
        )

    async def _addresses(self) -> list[str]:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(Limits().connect_seconds):
                found = await loop.getaddrinfo(self._base.host, self._base.port, type=socket.SOCK_STREAM)
        except (OSError, TimeoutError, UnicodeError):
            return []
        return [str(item[4][0]) for item in found]

    async def _fetch_token(self, url: URL, headers: dict[str, str]) -> bytes:
        limits = Limits()
        try:
            answer = await self.ask(
                "GET", url, {"Accept": "application/json", **headers}, limits.token_bytes, limits
            )
        except RegistryError as error:
            error.everywhere = True
            raise
        if answer.status == 200:
            return answer.body
        raise self._no_token(url, answer.status)

    def _no_token(self, url: URL, status: int) -> RegistryError:
        if status in (429, 503):
            return self.memory.pause.error(status)
        if status >= 500:
            kind, why = "unavailable", "it is asked again at the next poll"
        else:
            kind, why = "credentials", "check username and password, and whether they may read the repository"
        return RegistryError(
            f"{shown(url)}: the token service answered {status}; {why}",
            kind=kind,
            status=status,
            everywhere=True,
        )

    def _heed(self, answer: Answer, started: float) -> None:
        pause = self.memory.pause
        if answer.status in (429, 503):
            now = datetime.now(UTC)
            now = parse_http_date(answer.headers.get("Date"), now) or now
            pause.begin(parse_retry_after(answer.headers.get("Retry-After"), now), started)
        elif (empty := _quota_pause(answer.headers)) is not None:
            pause.begin(empty, started)
        elif answer.status < 500:
            pause.over(started)


def _quota_pause(headers: Mapping[str, str]) -> float | None:
    remaining = headers.get("ratelimit-remaining")
    if remaining is None:
        return None
    return quota_pause(remaining, headers.get("ratelimit-limit"), headers.get("ratelimit-reset"), time.time())
