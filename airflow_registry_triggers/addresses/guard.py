# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The guard on the network: a name is looked up once, its addresses are judged, and again at the socket."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

from airflow_registry_triggers.addresses.table import (
    METADATA_NAMES,
    AddressRefused,
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
"""Seconds a look-up may take."""

LookUp: TypeAlias = Callable[[str, int], Iterable[str]]
"""From a name and a port to addresses as text; it may block, it has a thread of its own."""


class LookUpTimeout(TimeoutError):
    """The look-up did not end in time."""


def look_up(host: str, port: int) -> list[str]:
    """
    Look a name up as the system does.

    :param host: the name
    :param port: the port
    :return: its addresses, in the system's order
    :raises OSError: when it has none
    """
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in infos]


class GuardedResolver:
    """
    Look a name up once, and give its addresses only where every one of them may be reached.

    It has the methods of aiohttp's ``AbstractResolver`` without being one, so that a Dag file that reads
    ``allowed_networks`` does not load aiohttp.

    :param allowed_networks: networks that may be reached although they are not public
    :param lookup: does the look-up; default the system's
    :param timeout: seconds it may take; default 5
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
        Resolve a name.

        :param host: the name
        :param port: the port
        :param family: asked of by aiohttp; answers of both families are judged and given whatever it is
        :raises AddressRefused: when any of its addresses is refused
        :raises LookUpTimeout: when the look-up takes too long
        :raises OSError: when the name has no address
        """
        try:
            async with asyncio.timeout(self._timeout):
                answers = await _in_daemon_thread(lambda: list(self._lookup(host, port)))
        except TimeoutError:
            raise LookUpTimeout(f"the look-up of {host} took more than {self._timeout:g} s") from None
        if not answers:
            raise socket.gaierror(socket.EAI_NONAME, f"{host} has no address")
        for answer in answers:
            self._judge(host, answer)
        return [_result(host, port, answer) for answer in dict.fromkeys(answers)]

    def _judge(self, host: str, answer: str) -> None:
        # By name first: such a service may answer at an address that looks public.
        if host.lower().rstrip(".") in METADATA_NAMES:
            found = parse_address(answer)
            if found is None or not is_listed(found, self._networks):
                raise AddressRefused(answer, "cloud metadata, by its name", host)
        elif not is_allowed(answer, self._networks):
            raise AddressRefused(answer, address_class(answer) or "", host)

    async def close(self) -> None:
        """Nothing is held."""


class SocketGuard:
    """
    Make the socket for a connection, but only to an address that may be reached.

    It is aiohttp's ``socket_factory``, the last step before ``connect``: whatever led to the address, a
    literal in a URL or an answer that changed, it is judged here again.

    :param allowed_networks: networks that may be reached although they are not public
    """

    def __init__(self, allowed_networks: Networks = ()) -> None:
        self._networks = parse_networks(allowed_networks)
        self.refused: AddressRefused | None = None
        """What was refused. aiohttp keeps only OSErrors of a connection that fails, so it is noted here."""

    def __call__(self, addr_info: AddrInfoType) -> socket.socket:
        """
        Make a socket.

        :param addr_info: family, type, protocol, name and address, as from ``getaddrinfo``
        :raises PermissionError: when the address is refused; :attr:`refused` says why
        """
        family, kind, proto, _, sockaddr = addr_info
        address = str(sockaddr[0])
        if not is_allowed(address, self._networks):
            self.refused = AddressRefused(address, address_class(address) or "")
            raise PermissionError(str(self.refused))
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
    # Not asyncio's executor: asyncio.run and the interpreter would wait for a look-up that hangs.
    loop = asyncio.get_running_loop()
    future: asyncio.Future[list[str]] = loop.create_future()

    def settle(result: list[str], error: Exception | None) -> None:
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
        except Exception as error:  # handed to the one who waits
            failed = error
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result, failed)

    try:
        threading.Thread(target=run, name="webhook-lookup", daemon=True).start()
    except RuntimeError as error:
        raise OSError(errno.EAGAIN, "no thread could be started for the look-up") from error
    return await future
