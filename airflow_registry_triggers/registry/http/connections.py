# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The open connections of one registry: its own, and those to origins that it names."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import TYPE_CHECKING, Any

import aiohttp

from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.http.answer_stream import MAX_LINES, RepairedResponse
from airflow_registry_triggers.registry.http.destinations import Destinations, GuardedLookup, OwnAddresses
from airflow_registry_triggers.registry.http.headers import MAX_HEADER
from airflow_registry_triggers.registry.http.host_names import HostNames
from airflow_registry_triggers.registry.http.rate_limits import Limits

if TYPE_CHECKING:
    from yarl import URL

    from airflow_registry_triggers.registry.http.proxies import Proxies, Proxy

__all__ = ["Connections"]

_KEEP_ALIVE = 75.0  # longer than the default poll_interval, so that a poll finds its connections open


class Connections:
    """
    The HTTP sessions of one registry.

    Direct requests to the registry, direct requests to other origins, and requests through a proxy have one
    session each. Only the second one checks its lookups and sockets.

    :param base: base URL of the registry
    :param ca_file: certificates in PEM form that are trusted in addition to the system's
    :param proxies: choose the proxy of each request
    :param own: the addresses of the registry that the process knows; default none
    :param hosts: show the hosts that the registry names; default without a login to search for
    :raises RegistryError: ``tls``, if the file cannot be read
    """

    def __init__(
        self,
        base: URL,
        ca_file: str | None,
        proxies: Proxies,
        own: OwnAddresses | None = None,
        hosts: HostNames | None = None,
    ) -> None:
        self.base = base
        self.hosts = hosts or HostNames(base)
        self.proxies = proxies
        self.destinations = Destinations(base, own)
        self.has_answered = False
        """Whether the registry answered in HTTP: then the scheme is right."""
        self._ssl = _ssl_context(ca_file)
        self._sessions: dict[str, aiohttp.ClientSession] = {}

    def session_for(self, url: URL, proxy: Proxy | None) -> aiohttp.ClientSession:
        """
        Return the session for a URL.

        :raises DestinationBlocked: the registry must not send requests there
        """
        is_own = url.origin() == self.base.origin()
        if not is_own:
            self.destinations.check_url(url)
        # A proxied socket leads to the proxy, whose address is the administrator's choice.
        kind = "proxied" if proxy is not None else "own" if is_own else "elsewhere"
        if kind not in self._sessions:
            self._sessions[kind] = _session(self._ssl, **self._guards(kind))
        return self._sessions[kind]

    def _guards(self, kind: str) -> dict[str, Any]:
        if kind == "own":
            return {"socket_factory": self.destinations.open_own_socket}
        if kind == "elsewhere":
            return {
                "socket_factory": self.destinations.open_checked_socket,
                "resolver": GuardedLookup(self.destinations),
            }
        return {}

    async def addresses(self) -> list[str]:
        """Return the addresses of the registry, none if a proxy resolves its name or the lookup fails."""
        if self.proxies.proxy_for(self.base) is not None:
            return [self.destinations.literal] if self.destinations.literal else []
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(Limits().connect_seconds):
                found = await loop.getaddrinfo(self.base.host, self.base.port, type=socket.SOCK_STREAM)
        except (OSError, TimeoutError, UnicodeError):
            return []
        addresses = [str(item[4][0]) for item in found]
        for address in addresses:
            self.destinations.note(address)
        return addresses

    async def close(self) -> None:
        """Close all connections."""
        for session in self._sessions.values():
            await session.close()


def _session(context: ssl.SSLContext | bool, **arguments: Any) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE, ssl=context, **arguments),
        response_class=RepairedResponse,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": "airflow-provider-registry-triggers"},
        max_line_size=MAX_HEADER,
        max_field_size=MAX_HEADER,
        max_headers=MAX_LINES,
    )


def _ssl_context(ca_file: str | None) -> ssl.SSLContext | bool:
    if not ca_file:
        return True
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(ca_file)
    except (OSError, ssl.SSLError) as error:
        why = error.strerror or "no certificates in PEM form"
    else:
        return context
    raise RegistryError(
        f"ca_file {ca_file!r} cannot be used: {why}. Set it to a file with the registry's CA.", kind="tls"
    )
