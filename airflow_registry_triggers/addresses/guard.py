# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Checked name resolution and checked sockets: each address is checked after the lookup and at the socket."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

from airflow_registry_triggers.addresses.metadata_names import is_metadata_name
from airflow_registry_triggers.addresses.table import (
    AddressBlocked,
    Networks,
    address_class,
    is_allowed,
    is_listed,
    parse_address,
    parse_networks,
)

if TYPE_CHECKING:
    from aiohttp import AddrInfoType
    from aiohttp.abc import ResolveResult

__all__ = [
    "LOOKUP_TIMEOUT",
    "GuardedResolver",
    "LookUp",
    "LookUpTimeout",
    "SocketGuard",
    "look_up",
]

LOOKUP_TIMEOUT = 5.0
"""Seconds until a lookup fails."""

LookUp: TypeAlias = Callable[[str, int], Iterable[str]]
"""A function from a name and a port to addresses as text. It may block, because it runs in its own thread."""


class LookUpTimeout(TimeoutError):
    """A lookup exceeded its time limit."""


def look_up(host: str, port: int) -> list[str]:
    """
    Return the addresses of a name, in the order of the operating system.

    :param host: the name
    :param port: the port
    :raises OSError: the name does not resolve
    """
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in infos]


class GuardedResolver:
    """
    A resolver that looks a name up once and blocks the name if any of its addresses is blocked.

    It has the methods of aiohttp's ``AbstractResolver`` but does not inherit from it, so that a Dag file
    that reads ``allowed_networks`` does not load aiohttp.

    :param allowed_networks: networks that are allowed although they are not public
    :param lookup: resolves a name; default the operating system's resolver
    :param timeout: seconds until a lookup fails
    """

    def __init__(
        self, allowed_networks: Networks = (), *, lookup: LookUp = look_up, timeout: float = LOOKUP_TIMEOUT
    ) -> None:
        self._networks = parse_networks(allowed_networks)
        self._lookup = lookup
        self._timeout = timeout

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """
        Return the addresses of a name.

        :param host: the name
        :param port: the port
        :param family: ignored; addresses of both families are checked and returned
        :raises AddressBlocked: an address of the name is blocked
        :raises LookUpTimeout: the lookup exceeded its time limit
        :raises OSError: the name does not resolve
        """
        try:
            async with asyncio.timeout(self._timeout):
                answers = await _in_daemon_thread(lambda: list(self._lookup(host, port)))
        except TimeoutError:
            raise LookUpTimeout(
                f"the lookup of {host} took more than {self._timeout:g} s; check the DNS of the workers"
            ) from None
        if not answers:
            raise socket.gaierror(socket.EAI_NONAME, f"{host} has no address")
        for answer in answers:
            self._check(host, answer)
        return [_result(host, port, answer) for answer in dict.fromkeys(answers)]

    def _check(self, host: str, answer: str) -> None:
        # By name first: such a service may have an address that looks public.
        if is_metadata_name(host):
            found = parse_address(answer)
            if found is None or not is_listed(found, self._networks):
                raise AddressBlocked(answer, "cloud metadata, by its name", host)
        elif not is_allowed(answer, self._networks):
            raise AddressBlocked(answer, address_class(answer) or "", host)

    async def close(self) -> None:
        """Do nothing: the resolver keeps no resource."""


class SocketGuard:
    """
    A ``socket_factory`` for aiohttp that opens sockets to allowed addresses only.

    This is the last step before ``connect``: a literal address in a URL and a lookup that changed its answer
    are checked here as well.

    :param allowed_networks: networks that are allowed although they are not public
    """

    def __init__(self, allowed_networks: Networks = ()) -> None:
        self._networks = parse_networks(allowed_networks)
        self.blocked: AddressBlocked | None = None
        """The blocked address; stored here because aiohttp keeps only OSErrors of a failed connection."""

    def __call__(self, addr_info: AddrInfoType) -> socket.socket:
        """
        Return a new socket.

        :param addr_info: family, type, protocol, name and address, as from ``getaddrinfo``
        :raises PermissionError: the address is blocked; :attr:`blocked` contains the reason
        """
        family, kind, proto, _, sockaddr = addr_info
        address = str(sockaddr[0])
        if not is_allowed(address, self._networks):
            self.blocked = AddressBlocked(address, address_class(address) or "")
            raise PermissionError(str(self.blocked))
        return socket.socket(family, kind, proto)


def _result(host: str, port: int, answer: str) -> ResolveResult:
    family = socket.AF_INET6 if ":" in answer else socket.AF_INET
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return {
        "hostname": host,
        "host": answer,
        "port": port,
        "family": family,
        "proto": socket.IPPROTO_TCP,
        "flags": flags,
    }


async def _in_daemon_thread(call: Callable[[], list[str]]) -> list[str]:
    # Not asyncio's executor: asyncio.run and the interpreter would wait for a lookup that hangs.
    loop = asyncio.get_running_loop()
    future: asyncio.Future[list[str]] = loop.create_future()

    def complete(result: list[str], error: Exception | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def run() -> None:
        result: list[str] = []
        failed: Exception | None = None
        try:
            result = call()
        except Exception as error:  # raised in the coroutine that waits
            failed = error
        with suppress(RuntimeError):  # the loop is closed: no coroutine waits
            loop.call_soon_threadsafe(complete, result, failed)

    try:
        threading.Thread(target=run, name="webhook-lookup", daemon=True).start()
    except RuntimeError as error:
        raise OSError(errno.EAGAIN, "cannot start a thread for the lookup") from error
    return await future
