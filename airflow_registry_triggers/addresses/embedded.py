# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""IPv4 addresses inside IPv6 addresses."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network

__all__ = ["COMPATIBLE", "inner_address", "is_obsolete", "nat64_candidates"]

# IPv6 networks whose addresses contain an IPv4 address. An obsolete transport stays blocked even if the inner
# address is public.
_NAT64 = IPv6Network("64:ff9b::/96")
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")
COMPATIBLE = IPv6Network("::/96")
_TRANSLATED = IPv6Network("::ffff:0:0:0/96")
_LOW_32 = 0xFFFFFFFF


def inner_address(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address inside an IPv6 address, None if there is none."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64 or address in COMPATIBLE or address in _TRANSLATED:
        return IPv4Address(int(address) & _LOW_32)
    return None


def is_obsolete(address: IPv4Address | IPv6Address) -> bool:
    """Return True for 6to4, Teredo, IPv4-compatible and SIIT; IPv4-mapped and NAT64 are not obsolete."""
    return isinstance(address, IPv6Address) and address.ipv4_mapped is None and address not in _NAT64


def nat64_candidates(address: IPv6Address) -> tuple[IPv4Address, ...]:
    """
    Return the IPv4 addresses to which a translator may lead an address of local-use NAT64 (RFC 8215).

    A network chooses its prefix of 48, 56, 64 or 96 bits within the range. Each has the IPv4 address in
    another place, around bits 64 to 71, which are zero (RFC 6052, section 2.2).

    :return: none if the address is not in the range
    """
    if address not in _LOCAL_NAT64:
        return ()
    number = int(address)
    octets = (number >> 64 & 0xFFFF) << 40 | number >> 16 & 0xFFFFFFFFFF
    return tuple(IPv4Address(low & _LOW_32) for low in (octets >> 24, octets >> 16, octets >> 8, number))
