# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The transport of one registry, shared by all its clients: connections, limits, pauses and tokens."""

from __future__ import annotations

import asyncio
import time
import weakref
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow_registry_triggers.http_dates import parse_http_date
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.http.auth import REFUSALS, Authenticator, AuthState
from airflow_registry_triggers.registry.http.connections import Connections
from airflow_registry_triggers.registry.http.credentials import Credentials, Login
from airflow_registry_triggers.registry.http.headers import empty_quota, parse_challenges, retry_after
from airflow_registry_triggers.registry.http.host_names import HostNames
from airflow_registry_triggers.registry.http.login_errors import no_token_error, unauthorized_error
from airflow_registry_triggers.registry.http.proxies import Proxies
from airflow_registry_triggers.registry.http.rate_limits import Limits, Pause, default_in_flight
from airflow_registry_triggers.registry.http.request import Answer, Request, exchange
from airflow_registry_triggers.registry.http.responses import is_from_proxy
from airflow_registry_triggers.registry.http.session_state import Identity, Memory, Options
from airflow_registry_triggers.registry.http.sign_in import SignIn
from airflow_registry_triggers.registry.http.tokens import TokenStore
from airflow_registry_triggers.registry.http.usage import count_request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from yarl import URL

__all__ = ["Transport", "forget_everything"]

_MAX_MEMORIES = 1024
_MAX_REPETITIONS = 8


_memories: dict[Identity, Memory] = {}
_tokens = TokenStore()
_transports: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[object, ...], Transport]] = (
    weakref.WeakKeyDictionary()
)


def forget_everything() -> None:
    """Drop all tokens, terms and pauses of the process."""
    _memories.clear()
    _tokens.clear()


def _memory_of(identity: Identity) -> Memory:
    memory = _memories.pop(identity, None) or Memory(Pause(identity[0]))
    _memories[identity] = memory
    while len(_memories) > _MAX_MEMORIES:
        del _memories[next(iter(_memories))]
    return memory


class Transport:
    """
    Send requests to one registry, for all clients of an event loop that share its options.

    :param options: settings
    :param memory: what the process knows of this registry
    """

    def __init__(self, options: Options, memory: Memory) -> None:
        self.memory = memory
        self.in_flight = options.max_in_flight or 0
        self._options = options
        self._users = 0
        self._connections: Connections | None = None
        self._slots: asyncio.Semaphore | None = None
        self._opening = asyncio.Lock()
        self._hosts = HostNames(options.base)
        self._auth = self._authenticator(options.base, options.login, memory.sign_in)
        self._is_anonymous = isinstance(options.login, Credentials) and options.login.is_anonymous

    @classmethod
    async def shared(cls, options: Options) -> Transport:
        """
        Open the transport of this event loop, or join its users; each user calls :meth:`leave` once.

        :raises RegistryError: ``tls``, if ca_file cannot be read
        """
        open_here = _transports.setdefault(asyncio.get_running_loop(), {})
        transport = open_here.get(options.key)
        if transport is None:
            transport = open_here[options.key] = cls(options, _memory_of(options.identity))
        transport._users += 1
        try:
            await transport._open()
        except BaseException:
            await transport.leave()
            raise
        return transport

    @property
    def proxy_name(self) -> str:
        """The URL of the registry's proxy without its login, empty without a proxy."""
        proxy = self._connections.proxies.proxy_for(self._options.base) if self._connections else None
        return proxy.name if proxy else ""

    async def leave(self) -> None:
        """Close the connections if there are no other users."""
        self._users -= 1
        if self._users > 0:
            return
        open_here = _transports.get(asyncio.get_running_loop(), {})
        for key in [key for key, transport in open_here.items() if transport is self]:
            del open_here[key]
        if self._connections is not None:
            await self._connections.close()

    async def send(
        self,
        method: str,
        url: URL,
        repository: str,
        accept: str,
        max_bytes: int,
        limits: Limits,
        shown: str = "",
    ) -> Answer:
        """
        Send a request, sign in if the registry asks for it, and return the answer.

        :param method: ``GET`` or ``HEAD``
        :param repository: full name of the repository; empty for the registry as a whole
        :param accept: value of ``Accept``
        :param max_bytes: limit of the body, after decompression
        :param limits: deadlines
        :param shown: the URL as errors show it; default the URL without its query
        :raises RegistryError: the registry did not answer, or it answered 401
        """
        headers = {"Accept": accept}
        if method == "HEAD":
            # nginx with gzip closes the connection after a HEAD that it would have compressed.
            headers["Accept-Encoding"] = "identity"
        sign_ins = self._sign_ins(repository)
        for _ in range(_MAX_REPETITIONS):
            # Before the slot is taken: a token request takes a slot of its own.
            prepared = {origin: await sign_in.header() for origin, sign_in in sign_ins.items()}
            request = Request(method, url, headers, max_bytes, prepared, shown)
            async with self._turn() as connections:
                if any(sign_in.is_outdated() for sign_in in sign_ins.values()):
                    continue
                answer = await self._exchanged(connections, request, limits)
            origin = answer.url.origin()
            if answer.status not in REFUSALS:
                if origin in sign_ins:
                    sign_ins[origin].accepted(answer.status)
                break
            if not await self._recovers(answer, sign_ins, repository):
                break
        if answer.status == 401:
            login = await self._options.login.current()
            raise unauthorized_error(
                answer, login, self._options.base.origin(), self._hosts.origin(answer.url)
            )
        return answer

    def _sign_ins(self, repository: str) -> dict[URL, SignIn]:
        """Return the authentication at each origin that a request is known to reach."""
        known = {self._options.base.origin(): SignIn(self._auth, repository)}
        if (elsewhere := self.memory.redirects_to) is not None and self._is_anonymous:
            known[elsewhere] = self._sign_in_elsewhere(elsewhere, repository)
        return known

    async def _recovers(self, answer: Answer, sign_ins: dict[URL, SignIn], repository: str) -> bool:
        origin = answer.url.origin()
        if origin not in sign_ins:
            if not self._is_anonymous:
                return False  # a login is only for the registry itself
            self.memory.redirects_to = origin
            sign_ins[origin] = self._sign_in_elsewhere(origin, repository)
            await sign_ins[origin].header()
        challenges = parse_challenges(answer.values("WWW-Authenticate"))
        return await sign_ins[origin].recover(answer.status, challenges)

    def _sign_in_elsewhere(self, origin: URL, repository: str) -> SignIn:
        terms = self.memory.terms_of(origin)
        return SignIn(self._authenticator(origin, Credentials(), terms), repository)

    def _authenticator(self, origin: URL, login: Login, state: AuthState) -> Authenticator:
        return Authenticator(
            origin,
            login,
            state,
            _tokens,
            self._options.identity,
            self._fetch_token,
            self._options.on_secret,
            self._options.on_token,
            self._hosts,
        )

    async def send_once(self, request: Request, limits: Limits) -> Answer:
        """
        Send a request as it is, without signing in, and return the answer.

        :param request: the request with its authorization
        :param limits: deadlines
        :raises RegistryError: the registry did not answer
        """
        async with self._turn() as connections:
            return await self._exchanged(connections, request, limits)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[Connections]:
        if self._slots is None or self._connections is None:
            raise RuntimeError(
                "use the client as a context manager: async with RegistryClient(...) as client"
            )
        async with self._slots:
            await self.memory.pause.wait()
            yield self._connections

    async def _exchanged(self, connections: Connections, request: Request, limits: Limits) -> Answer:
        started = time.monotonic()
        answer = await exchange(connections, request, limits)
        count_request(answer.headers)
        self._apply_limits(answer, started)
        return answer

    async def _open(self) -> None:
        async with self._opening:
            if self._connections is None:
                options = self._options
                proxies = Proxies(options.proxy, options.on_secret)
                self._connections = Connections(
                    options.base, options.ca_file, proxies, self.memory.own_addresses, self._hosts
                )
            if self._slots is None:
                addresses = await self._connections.addresses()
                self.in_flight = self.in_flight or default_in_flight(addresses)
                self._slots = asyncio.Semaphore(self.in_flight)

    async def _fetch_token(self, url: URL, headers: dict[str, str]) -> bytes:
        limits = Limits()
        request = Request(
            "GET",
            url,
            {"Accept": "application/json"},
            limits.token_bytes,
            {url.origin(): headers.get("Authorization")},
            shown=self._hosts.origin(url),
            may_leave_origin=False,
        )
        try:
            answer = await self.send_once(request, limits)
        except RegistryError as error:
            error.everywhere = True
            raise
        if answer.status == 200 and not is_from_proxy(answer):
            return answer.body
        raise no_token_error(answer, await self._options.login.current(), self.memory.pause)

    def _apply_limits(self, answer: Answer, started: float) -> None:
        pause = self.memory.pause
        if answer.status in (429, 503):
            now = datetime.now(UTC)
            now = parse_http_date(answer.headers.get("Date"), now) or now
            pause.begin(retry_after(answer.headers, now), started)
        elif (empty := empty_quota(answer.headers, time.time())) is not None:
            pause.begin(empty, started)
        elif answer.status < 500:
            pause.over(started)
