# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
Classes of addresses, and the rule on the ones that are allowed.

The table is our own: ``is_global`` of :mod:`ipaddress` answers another question, and 43 of 132 special
addresses differ.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TypeAlias

from airflow_registry_triggers.addresses.embedded import (
    COMPATIBLE,
    inner_address,
    is_obsolete,
    nat64_candidates,
)

__all__ = [
    "ALLOWED_NETWORKS_OPTION",
    "EVERYWHERE",
    "Address",
    "AddressBlocked",
    "Network",
    "Networks",
    "address_class",
    "is_allowed",
    "is_global",
    "is_listed",
    "is_never_allowed",
    "parse_address",
    "parse_networks",
]

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network
Networks: TypeAlias = str | Iterable[str | Network]
"""CIDRs as a sequence, or as text with commas or white space between them."""

ALLOWED_NETWORKS_OPTION = "[registry_triggers] allowed_networks"

EVERYWHERE = ("0.0.0.0/0", "::/0")
"""Networks that contain every address."""

# IANA special-purpose address registries for IPv4 and IPv6, and the metadata addresses the clouds document.
# The first line that contains an address names its class, so narrow networks come before wide ones.
_CLASSES: tuple[tuple[str, str], ...] = (
    ("cloud metadata", "169.254.169.254/32 169.254.170.2/32 169.254.170.23/32 169.254.0.23/32"),
    ("cloud metadata", "100.100.100.200/32 192.0.0.192/32 168.63.129.16/32"),
    ("cloud metadata", "fd00:ec2::254/128 fd00:ec2::23/128 fd20:ce::254/128"),
    ("this network", "0.0.0.0/8"),
    ("private (RFC 1918)", "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16"),
    ("shared address space (RFC 6598)", "100.64.0.0/10"),
    ("loopback", "127.0.0.0/8 ::1/128"),
    ("link-local", "169.254.0.0/16 fe80::/10"),
    ("IETF protocol assignment", "192.0.0.0/24"),
    ("documentation", "192.0.2.0/24 198.51.100.0/24 203.0.113.0/24 2001:db8::/32 3fff::/20"),
    ("6to4 relay (deprecated)", "192.88.99.0/24"),
    ("benchmarking", "198.18.0.0/15 2001:2::/48"),
    ("multicast", "224.0.0.0/4 ff00::/8"),
    ("broadcast", "255.255.255.255/32"),
    ("reserved", "240.0.0.0/4"),
    ("unspecified", "::/128"),
    ("local-use NAT64 (RFC 8215)", "64:ff9b:1::/48"),
    ("discard-only", "100::/64"),
    ("dummy prefix (RFC 9780)", "100:0:0:1::/64"),
    ("IETF protocol assignment", "2001::/23"),
    ("segment routing (RFC 9602)", "5f00::/16"),
    ("unique local", "fc00::/7"),
    ("site-local (deprecated)", "fec0::/10"),
)
_TABLE: tuple[tuple[Network, str], ...] = tuple(
    (ipaddress.ip_network(cidr), name) for name, cidrs in _CLASSES for cidr in cidrs.split()
)
_TABLES = {
    4: tuple((int(n.network_address), int(n.netmask), name) for n, name in _TABLE if n.version == 4),
    6: tuple((int(n.network_address), int(n.netmask), name) for n, name in _TABLE if n.version == 6),
}

_NEVER = ("cloud metadata", "link-local", "scoped to a zone", "multicast", "broadcast", "not an address")


class AddressBlocked(Exception):
    """
    An address that is not allowed.

    :param address: the address
    :param address_class: class of the address, such as ``loopback``
    :param host: the name that resolved to the address, None for a literal address
    """

    def __init__(self, address: str, address_class: str, host: str | None = None) -> None:
        self.address = address
        self.address_class = address_class
        self.host = host
        self._named = f"{host} has the address {address}, which" if host and host != address else ""
        super().__init__(f"{self._named or f'the address {address}'} is blocked: {address_class}. {_ADVICE}")

    @property
    def short_text(self) -> str:
        """The sentence for a reader of the access log: ``10.1.2.3 is a private address.``, and the advice."""
        return f"{self._named or self.address} is {_with_article(self.address_class)}. {_ADVICE}"


_ADVICE = f"To allow it, the administrator adds its network to {ALLOWED_NETWORKS_OPTION}."


def _with_article(address_class: str) -> str:
    """Return ``a private address`` for the class ``private (RFC 1918)``."""
    if address_class == "not an address":
        return address_class
    name, _, detail = address_class.partition(", ")
    noun = f"{name.partition(' (')[0] or 'blocked'} address{f', {detail}' if detail else ''}"
    return f"{'an' if noun[0] in 'aeiouAEIOU' and not noun.startswith('uni') else 'a'} {noun}"


def parse_address(address: object) -> Address | None:
    """
    Return the address that a text contains, None if the text is not an address.

    :param address: text or an address
    """
    if isinstance(address, IPv4Address | IPv6Address):
        return address
    try:
        # ipaddress accepts an int too, but 2130706433 is not an address here.
        return ipaddress.ip_address(address) if isinstance(address, str) else None
    except ValueError:
        return None


def parse_networks(value: Networks) -> tuple[Network, ...]:
    """
    Return the networks of a list.

    :param value: CIDRs or single addresses; a sequence, or text with commas or white space between them
    :raises ValueError: an entry is not a network; the error names it
    """
    try:
        return _parsed(value if isinstance(value, str) else tuple(value))
    except TypeError:
        raise ValueError(
            f"{value!r} must be a list of networks in CIDR form, such as ['10.1.0.0/16']"
        ) from None


@lru_cache(maxsize=64)
def _parsed(value: str | tuple[str | Network, ...]) -> tuple[Network, ...]:
    parts = re.split(r"[\s,]+", value.strip(" \t\r\n,")) if isinstance(value, str) else value
    return tuple(_network(part) for part in parts if part != "")


def _network(part: object) -> Network:
    if isinstance(part, IPv4Network | IPv6Network):
        return part
    if not isinstance(part, str):
        raise ValueError(f"{part!r} must be a network in CIDR form, such as '10.1.0.0/16'")
    try:
        return ipaddress.ip_network(part)
    except ValueError:
        raise ValueError(f"{part!r} is not a network; {_hint(part)}") from None


def _hint(part: str) -> str:
    try:
        return f"bits are set behind the prefix; write {ipaddress.ip_network(part, strict=False)}"
    except ValueError:
        return "write it in CIDR form, such as 10.1.0.0/16 or fd12:3456::/32"


def address_class(address: str | Address) -> str | None:
    """
    Return the class of an address that is not public, None for a public one.

    IPv4-mapped, IPv4-compatible, NAT64, 6to4 and Teredo addresses are decoded, and the inner address decides.

    :param address: text or an address
    :return: such as ``private (RFC 1918)``
    """
    known = isinstance(address, str | IPv4Address | IPv6Address)
    return _class_of_any(address) if known else "not an address"


@lru_cache(maxsize=1024)
def _class_of_any(address: str | Address) -> str | None:
    found = parse_address(address)
    return "not an address" if found is None else _class_of(found)


def is_global(address: str | Address) -> bool:
    """
    Return True if an address is public.

    :param address: text or an address; a name is not public
    """
    return address_class(address) is None


def is_never_allowed(address: str | Address) -> bool:
    """
    Return True if an address is a metadata service, link-local, or not a single host.

    A registry must not choose such an address by a redirect or a realm, even if ``allowed_networks``
    contains it.

    :param address: text or an address; a name counts as one too
    """
    return (address_class(address) or "").startswith(_NEVER)


def is_allowed(address: str | Address, allowed_networks: Networks = ()) -> bool:
    """
    Return True if webhooks may be sent to an address.

    :param address: text or an address; a name is not allowed
    :param allowed_networks: networks that are allowed although they are not public
    :raises ValueError: an entry of ``allowed_networks`` is not a network
    """
    networks = parse_networks(allowed_networks)
    if address_class(address) is None:
        return True
    found = parse_address(address)
    return found is not None and is_listed(found, networks)


def is_listed(address: Address, networks: tuple[Network, ...]) -> bool:
    """
    Return True if a network contains the address, or the IPv4 address inside it.

    :param address: the address
    :param networks: the networks
    """
    # Mapped and NAT64 addresses lead to the inner address itself, so its network is enough.
    inner = inner_address(address) if isinstance(address, IPv6Address) else None
    same = [address] if inner is None or is_obsolete(address) else [address, inner]
    return any(one.version == network.version and one in network for one in same for network in networks)


def _class_of(address: Address) -> str | None:
    if isinstance(address, IPv4Address):
        return _looked_up(address)
    if address.scope_id is not None:
        return "scoped to a zone"
    direct = _looked_up(address)
    if address in COMPATIBLE and direct is not None:
        return direct  # :: and ::1 are not IPv4-compatible addresses
    if (metadata := _metadata_behind_nat64(address)) is not None:
        return metadata
    inner = inner_address(address)
    if inner is None:
        return direct
    inner_class = _looked_up(inner)
    if inner_class is None:
        return f"obsolete transport of {inner}" if is_obsolete(address) else None
    return f"{inner_class}, as {inner} inside"


def _metadata_behind_nat64(address: IPv6Address) -> str | None:
    for inner in nat64_candidates(address):
        if (found := _looked_up(inner)) in ("cloud metadata", "link-local"):
            return f"{found}, as {inner} inside"
    return None


def _looked_up(address: Address) -> str | None:
    number = int(address)
    for network, mask, name in _TABLES[address.version]:
        if number & mask == network:
            return name
    return None
