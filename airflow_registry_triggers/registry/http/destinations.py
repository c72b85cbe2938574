# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
Addresses to which a registry may send requests by a redirect or by the realm of its challenge.

Metadata services and link-local addresses are never allowed. An address that is not public is allowed only
if none of the registry's own addresses is public: a registry on the internet must not reach a network behind
the client. A name with both kinds of addresses counts as public. Behind a proxy only names and literal
addresses can be checked.
"""

from __future__ import annotations

import errno
import re
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp.abc import AbstractResolver, ResolveResult

from airflow_registry_triggers.addresses.guard import GuardedResolver
from airflow_registry_triggers.addresses.metadata_names import is_metadata_name
from airflow_registry_triggers.addresses.table import (
    EVERYWHERE,
    address_class,
    is_never_allowed,
    parse_address,
)

if TYPE_CHECKING:
    from aiohttp import AddrInfoType
    from yarl import URL

__all__ = ["DestinationBlocked", "Destinations", "GuardedLookup", "OwnAddresses"]

# A proxy may decode a percent sign, or end the host at another character, and reach another host.
_NAME = re.compile(r"[a-z0-9._-]+")


class DestinationBlocked(OSError):
    """A registry must not send requests there. An OSError, because aiohttp passes only those on."""

    def __init__(self, text: str) -> None:
        super().__init__(errno.EACCES, text)
        self.text = text


@dataclass(slots=True)
class OwnAddresses:
    """
    The kinds of addresses that a registry has had since the process started.

    The registry's name server chooses the addresses and their number, so only two facts are stored, and
    neither of them is ever taken back.

    :param is_known: whether there was an address
    :param has_public: whether one of them was public
    """

    is_known: bool = False
    has_public: bool = False

    @property
    def are_private(self) -> bool:
        """Whether there was an address, and none was public."""
        return self.is_known and not self.has_public

    def note(self, address: str) -> None:
        """Record an address of the registry."""
        self.is_known = True
        if address_class(address) is None:
            self.has_public = True


class Destinations:
    """
    Checks of the origins that a registry names.

    :param base: base URL of the registry
    :param own: the registry's addresses, shared by all connections of the process; default none
    """

    def __init__(self, base: URL, own: OwnAddresses | None = None) -> None:
        self._own = own or OwnAddresses()
        self._own_host = _host(base)
        self.literal = _literal(self._own_host)
        """The address in the base URL, None if the URL has a name."""
        if self.literal:
            self.note(self.literal)

    def note(self, address: str) -> None:
        """Record an address of the registry itself."""
        self._own.note(address)

    def check_url(self, url: URL) -> None:
        """
        Check the host of a URL, without a lookup.

        :raises DestinationBlocked: the host is a metadata service, a literal address that is not allowed, or
            neither a name nor an address
        """
        host = _host(url)
        if is_metadata_name(host):
            raise DestinationBlocked(f"{host} is a cloud metadata service")
        if literal := _literal(host):
            self.check_address(literal, host)
        elif not _NAME.fullmatch(host):
            raise DestinationBlocked(f"{host} is neither a host name nor an address")

    def check_address(self, address: str, host: str) -> None:
        """
        Check one address.

        :param host: the name that resolved to it, for the error
        :raises DestinationBlocked: the address is not allowed
        """
        found = address_class(address)
        if found is None:
            return
        where = f"the address {address}" if host == address else f"{host} has the address {address}, which"
        if is_never_allowed(address):
            raise DestinationBlocked(f"{where} is blocked ({found})")
        if not self._own.are_private:
            raise DestinationBlocked(
                f"{where} is blocked ({found}), because the registry's own address is public or not known"
            )

    def open_own_socket(self, addr_info: AddrInfoType) -> socket.socket:
        """
        Return a socket for a connection to the registry, and record its address.

        :raises DestinationBlocked: the registry's name leads to a metadata service
        """
        address = str(addr_info[4][0])
        # The owner of a name can let it lead anywhere, at any time; an address is the administrator's choice.
        if self.literal is None and (address_class(address) or "").startswith("cloud metadata"):
            raise DestinationBlocked(f"{self._own_host} has the address {address}, a cloud metadata service")
        self.note(address)
        return socket.socket(*addr_info[:3])

    def open_checked_socket(self, addr_info: AddrInfoType) -> socket.socket:
        """
        Return a socket for a connection elsewhere.

        :raises DestinationBlocked: the address is not allowed, whatever the lookup returned
        """
        address = str(addr_info[4][0])
        self.check_address(address, address)
        return socket.socket(*addr_info[:3])


class GuardedLookup(AbstractResolver):
    """
    Resolve names elsewhere; if any address is blocked, the name is blocked.

    :param destinations: the checks
    """

    def __init__(self, destinations: Destinations) -> None:
        self._destinations = destinations
        self._resolver = GuardedResolver(EVERYWHERE)  # a lookup in a daemon thread, with a deadline

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """
        Resolve a name.

        :raises DestinationBlocked: an address is not allowed
        """
        results = await self._resolver.resolve(host, port, family)
        for result in results:
            self._destinations.check_address(result["host"], host)
        return results

    async def close(self) -> None:
        """Do nothing: no resource is held."""


def _host(url: URL) -> str:
    return (url.raw_host or "").lower().rstrip(".")


def _literal(host: str) -> str | None:
    """Return a literal address, also of the short IPv4 forms (``127.1``) that ``getaddrinfo`` accepts."""
    if parse_address(host) is not None:
        return host
    if not host[:1].isdigit():
        return None
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        return None
