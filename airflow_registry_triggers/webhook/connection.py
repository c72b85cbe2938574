# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""One POST over one new connection, as it goes over the wire."""

from __future__ import annotations

import asyncio
import socket
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from airflow_registry_triggers.addresses.guard import GuardedResolver, LookUp, SocketGuard, look_up

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping

    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection

    from airflow_registry_triggers.addresses.table import Networks
    from airflow_registry_triggers.webhook.url import Endpoint

__all__ = ["MAX_READ", "Answer", "Exchange"]

MAX_READ = 64 * 1024
"""Bytes of an answer's body that are read."""

_END_OF_HEAD = b"\r\n\r\n"
BROKEN = "the body broke off"


@dataclass(slots=True)
class Answer:
    """
    What came back.

    :param status: the status as a number, whatever it is
    :param headers: names and values as they came
    :param body: the bytes that were read, not decompressed
    :param cut: why there is no more of it; empty where it is whole
    """

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    cut: str = ""

    def header(self, name: str) -> str:
        """
        Give a header's value; several are joined with commas, none is empty.

        :param name: in lower case
        """
        return ", ".join(value for known, value in self.headers if known.lower() == name)


class Exchange:
    """
    One request and its answer.

    :param endpoint: where to
    :param deadline: the loop's time when it must end
    :param ssl_context: for https
    :param allowed_networks: networks that may be reached although they are not public
    :param lookup: does the look-up
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        deadline: float,
        ssl_context: ssl.SSLContext | None,
        allowed_networks: Networks = (),
        lookup: LookUp = look_up,
    ) -> None:
        self._endpoint = endpoint
        self._deadline = deadline
        self._ssl = ssl_context
        self.resolver = GuardedResolver(allowed_networks, lookup=lookup)
        self.guard = SocketGuard(allowed_networks)
        self.was_sent = False
        """Whether there was a connection, and bytes of the request may have gone out."""

    async def post(self, target: str, content: bytes, headers: Mapping[str, str]) -> Answer:
        """
        Send and read. The deadline and any fault before the status raise; a fault in the body does not.

        :param target: path and query
        :param content: the body
        :param headers: all headers but Content-Length
        """
        token = _current.set(self)
        shared = _join()
        try:
            return await self._post(shared.session, target, content, headers)
        finally:
            _current.reset(token)
            await _leave(shared)

    async def _post(
        self, session: aiohttp.ClientSession, target: str, content: bytes, headers: Mapping[str, str]
    ) -> Answer:
        response: aiohttp.ClientResponse | None = None
        answer: Answer | None = None
        try:
            async with asyncio.timeout_at(self._deadline):
                response = await session.request(
                    "POST",
                    _url(self._endpoint, target),
                    data=content,
                    headers=headers,
                    allow_redirects=False,
                    ssl=self._ssl or True,
                    server_hostname=self._endpoint.host if self._ssl else None,
                )
                answer = Answer(response.status, [_decoded(pair) for pair in response.raw_headers])
                await _read(response, answer)
        except TimeoutError:
            if answer is None:
                raise
            answer.cut = "the time was up"
        finally:
            if response is not None:
                response.close()  # not released: the rest of the body is never wanted
        return answer


async def _read(response: aiohttp.ClientResponse, answer: Answer) -> None:
    content = response.content
    try:
        while len(answer.body) < MAX_READ and not content.at_eof():
            answer.body += await content.read(MAX_READ - len(answer.body))
        answer.cut = "more than 64 KiB came" if len(answer.body) >= MAX_READ else _broken(response)
    except (aiohttp.ClientError, aiohttp.http_exceptions.HttpProcessingError, OSError):
        answer.cut = BROKEN


@lru_cache(maxsize=64)
def _url(endpoint: Endpoint, target: str) -> URL:
    path, _, query = target.partition("?")
    return URL.build(
        scheme=endpoint.scheme,
        host=f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.lookup_name,
        port=endpoint.port,
        path=path,
        query_string=query,
        encoded=True,
    )


# What aiohttp calls back does not know for which exchange; tasks that it starts inherit this.
_current: ContextVar[Exchange] = ContextVar("exchange")


class _Resolver(AbstractResolver):
    """The look-up of the current exchange."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        return await _current.get().resolver.resolve(host, port, family)

    async def close(self) -> None:
        pass


def _guarded_socket(addr_info: aiohttp.AddrInfoType) -> socket.socket:
    return _current.get().guard(addr_info)


@dataclass(slots=True)
class _Shared:
    session: aiohttp.ClientSession
    users: int = 0


# Making a session costs as much as the signature, the checks and the records of an attempt together.
_shared: WeakKeyDictionary[asyncio.AbstractEventLoop, _Shared] = WeakKeyDictionary()


def _join() -> _Shared:
    """Give the session of all exchanges that are under way on this loop. It holds no connection."""
    loop = asyncio.get_running_loop()
    shared = _shared.get(loop)
    if shared is None:
        shared = _shared[loop] = _Shared(_new_session())
    shared.users += 1
    return shared


async def _leave(shared: _Shared) -> None:
    shared.users -= 1
    if not shared.users:
        del _shared[asyncio.get_running_loop()]
        await shared.session.close()


def _new_session() -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(
        resolver=_Resolver(),
        socket_factory=_guarded_socket,
        use_dns_cache=False,
        force_close=True,
        limit=0,
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),  # one deadline, ours
        auto_decompress=False,
        trust_env=False,
        skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
        response_class=_StatusFirstResponse,
    )


def _decoded(pair: tuple[bytes, bytes]) -> tuple[str, str]:
    name, value = pair
    return name.decode("ascii", "backslashreplace"), value.decode("utf-8", "backslashreplace")


def _broken(response: aiohttp.ClientResponse) -> str:
    return BROKEN if isinstance(response, _StatusFirstResponse) and response.is_broken else ""


class _StatusFirstResponse(aiohttp.ClientResponse):
    """
    An answer whose status stands whatever follows it.

    aiohttp's parser drops the status where the same read brings a broken body, so it is given head and body
    one after the other; and it leaves the body open for ever, so that is ended here.
    """

    is_broken = False

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        _current.get().was_sent = True
        transport, protocol = connection.transport, connection.protocol
        if transport is None or protocol is None:
            return await super().start(connection)
        feed = _HeadFirst(transport, protocol, self._end_body)
        transport.set_protocol(feed)
        started = await super().start(connection)
        if feed.is_broken:
            self._end_body()
        return started

    def _end_body(self) -> None:
        self.is_broken = True
        if self.content is not None:  # it is before the start
            self.content.feed_eof()


class _HeadFirst(asyncio.Protocol):
    def __init__(
        self, transport: asyncio.Transport, inner: ResponseHandler, on_broken: Callable[[], None]
    ) -> None:
        self._transport = transport
        self._inner = inner
        self._on_broken = on_broken
        self._left = MAX_READ
        self.is_broken = False
        self.connection_lost = inner.connection_lost  # type: ignore[method-assign]
        self.eof_received = inner.eof_received  # type: ignore[method-assign]
        self.pause_writing = inner.pause_writing  # type: ignore[method-assign]
        self.resume_writing = inner.resume_writing  # type: ignore[method-assign]

    def data_received(self, data: bytes) -> None:
        first, rest = data[: self._left], data[self._left :]
        self._left -= len(first)
        for part in (*_split_heads(first), rest):
            if part and not self.is_broken:
                self._inner.data_received(part)
                self._check()

    def _check(self) -> None:
        if self._inner.exception() is not None:
            self.is_broken = True
            self._on_broken()


def _split_heads(data: bytes) -> Iterator[bytes]:
    while (end := data.find(_END_OF_HEAD)) >= 0:
        yield data[: end + len(_END_OF_HEAD)]
        data = data[end + len(_END_OF_HEAD) :]
    # The end of a head may come in two reads, or be two line feeds.
    yield from data.splitlines(keepends=True)
