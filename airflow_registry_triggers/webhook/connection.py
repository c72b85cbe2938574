# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""One POST over one new connection."""

from __future__ import annotations

import asyncio
import socket
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from airflow_registry_triggers.addresses.guard import GuardedResolver, LookUp, SocketGuard, look_up
from airflow_registry_triggers.addresses.metadata_names import is_metadata_name
from airflow_registry_triggers.addresses.table import EVERYWHERE, AddressBlocked
from airflow_registry_triggers.webhook.answer import MAX_READ, Answer, AnswerHead
from airflow_registry_triggers.webhook.answer_protocol import StatusFirstResponse

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from aiohttp.connector import Connection

    from airflow_registry_triggers.addresses.table import Networks
    from airflow_registry_triggers.webhook.proxy import Proxy
    from airflow_registry_triggers.webhook.url import Endpoint

__all__ = ["Exchange"]

BROKEN = "the body broke off"
NO_TIME = "the time limit was reached"
TOO_LONG = "the answer is longer than 64 KiB"

_FAULTS = (aiohttp.ClientError, aiohttp.http_exceptions.HttpProcessingError, OSError)


class Exchange:
    """
    One request and its answer.

    :param endpoint: the receiver
    :param deadline: time of the event loop when the exchange must end
    :param ssl_context: for https
    :param allowed_networks: networks that are allowed although they are not public
    :param lookup: resolves the name of the receiver, or of the proxy
    :param proxy: proxy of the deployment, which resolves the receiver's name
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        deadline: float,
        ssl_context: ssl.SSLContext | None,
        allowed_networks: Networks = (),
        lookup: LookUp = look_up,
        proxy: Proxy | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._deadline = deadline
        self._ssl = ssl_context
        self._proxy = proxy
        # The deployment chose the proxy, so its address needs no permission; the proxy checks the receiver's.
        reachable = EVERYWHERE if proxy else allowed_networks
        self.resolver = GuardedResolver(reachable, lookup=lookup)
        self.guard = SocketGuard(reachable)
        self.head = AnswerHead()
        self.was_sent = False
        """True once the receiver was connected, so that bytes of the request may have been sent."""

    async def post(self, target: str, content: bytes, headers: Mapping[str, str]) -> Answer:
        """
        Send the request and read the answer.

        :param target: path and query
        :param content: the body
        :param headers: all headers except Content-Length
        :raises AddressBlocked: the receiver is a metadata service, behind a proxy too
        :raises TimeoutError: the deadline passed before a status was read
        :raises OSError, aiohttp.ClientError: the connection failed before a status was read
        """
        if self._proxy and is_metadata_name(self._endpoint.host):
            raise AddressBlocked(self._endpoint.host, "cloud metadata, by its name")
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
                response = await self._request(session, target, content, headers)
                answer = self.head.answer() or Answer(response.status)
                await _read(response, answer)
        except _FAULTS as error:  # a TimeoutError is an OSError
            answer = answer or self.head.answer()
            if answer is None:
                raise
            answer.cut = NO_TIME if isinstance(error, TimeoutError) else BROKEN
        finally:
            if response is not None:
                response.close()  # not released: nobody reads the rest of the body
        return answer

    async def _request(
        self, session: aiohttp.ClientSession, target: str, content: bytes, headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        proxy = self._proxy
        login = {"Proxy-Authorization": proxy.authorization} if proxy and proxy.login else {}
        return await session.request(
            "POST",
            _url(self._endpoint, target),
            data=content,
            # Without TLS the request itself goes to the proxy; with TLS the receiver must not get the login.
            headers=headers if self._ssl else {**headers, **login},
            allow_redirects=False,
            ssl=self._ssl or True,
            server_hostname=self._endpoint.host if self._ssl else None,
            proxy=proxy.url if proxy else None,
            proxy_headers=login if proxy and self._ssl else None,
        )


async def _read(response: aiohttp.ClientResponse, answer: Answer) -> None:
    content = response.content
    try:
        while len(answer.body) < MAX_READ and not content.at_eof():
            answer.body += await content.read(MAX_READ - len(answer.body))
        answer.cut = TOO_LONG if len(answer.body) >= MAX_READ else _broken(response)
    except TimeoutError:
        raise
    except _FAULTS:
        answer.cut = BROKEN


def _broken(response: aiohttp.ClientResponse) -> str:
    return BROKEN if isinstance(response, StatusFirstResponse) and response.is_broken else ""


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


# aiohttp's callbacks do not take the exchange as an argument; the tasks that aiohttp starts inherit it.
_current: ContextVar[Exchange] = ContextVar("exchange")


class _Response(StatusFirstResponse):
    """An answer that reads its head into the current exchange."""

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        _current.get().was_sent = True
        return await super().start(connection)

    def new_head(self) -> AnswerHead:
        return _current.get().head


class _Resolver(AbstractResolver):
    """The resolver of the current exchange."""

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


# Creating a session costs as much as the signature, the checks and the record of an attempt together.
_shared: WeakKeyDictionary[asyncio.AbstractEventLoop, _Shared] = WeakKeyDictionary()


def _join() -> _Shared:
    """Return the session that all current exchanges of this event loop share. It keeps no connection."""
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
        timeout=aiohttp.ClientTimeout(total=None),  # the exchange has its own deadline
        auto_decompress=False,
        trust_env=False,
        skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
        response_class=_Response,
    )
