# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The host of a URL in one spelling, which no other parser can read as another host."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import unquote_to_bytes

__all__ = ["HostError", "parse_bracketed", "parse_host"]

MAX_LABEL = 63
MAX_NAME = 253

_LDH = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_QUAD = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+")
# URL standard, "ends in a number": a resolver may read such a host as an IPv4 address.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_DELIMITERS = frozenset(b"@:/?#[]\\")


class HostError(ValueError):
    """
    A host is blocked.

    :param reason: ``bad_host`` or ``encoded_host``
    :param rule: the rule, and the text to write instead
    """

    def __init__(self, reason: str, rule: str) -> None:
        super().__init__(rule)
        self.reason = reason
        self.rule = rule


def parse_bracketed(text: str) -> str:
    """
    Return the IPv6 address in the form of RFC 5952, an IPv4-mapped one in hexadecimal.

    :param text: the text without the brackets
    :raises HostError: the text is not an IPv6 address, or has a zone
    """
    if "%" in text:
        raise HostError("bad_host", "a zone id is not allowed in a URL; remove it")
    try:
        address = IPv6Address(text)
    except AddressValueError:
        raise HostError("bad_host", "brackets must contain an IPv6 address") from None
    if address.ipv4_mapped is None:
        return address.compressed
    low = int(address) & 0xFFFFFFFF  # Python 3.13 writes it as dotted quad, the URL standard does not
    return f"::ffff:{low >> 16:x}:{low & 0xFFFF:x}"


def parse_host(text: str) -> tuple[str, bool]:
    """
    Return a host without brackets in its one spelling, and True if it had a trailing dot.

    :param text: the host, not empty
    :return: the host in lower case, as A-labels and without the dot
    :raises HostError: the host is not a name of letters, digits and hyphens, and not a dotted quad
    """
    if "%" in text:
        raise _percent_error(text)
    name = _ascii_lower(text)
    if not name.isascii():
        name = _to_ascii(name)
    host, dot = name.removesuffix("."), name.endswith(".")
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return _parse_quad(host, dot), False
    _check_labels(host, labels)
    return host, dot


def _percent_error(text: str) -> HostError:
    # An encoded delimiter moves the end of the host for a parser that decodes first.
    if _DELIMITERS & set(unquote_to_bytes(text.encode("utf-8", "surrogatepass"))):
        return HostError(
            "bad_host", "a percent sign in a host is not allowed, and this one hides a delimiter"
        )
    return HostError("encoded_host", "a percent sign is not allowed in a host; write the decoded host")


def _ascii_lower(text: str) -> str:
    # str.lower() also turns the Kelvin sign into k.
    return "".join(chr(ord(char) + 32) if "A" <= char <= "Z" else char for char in text)


def _to_ascii(name: str) -> str:
    # Imported here, because few hosts need it.
    import idna

    if len(name) > MAX_NAME:
        raise HostError("bad_host", f"a name has at most {MAX_NAME} characters")
    try:
        return idna.encode(name, strict=True).decode("ascii")
    except (UnicodeError, ValueError):
        raise HostError(
            "encoded_host",
            "the name is not valid in IDNA 2008; write it in lower case, or in its xn-- form",
        ) from None


def _parse_quad(host: str, dot: bool) -> str:
    try:
        address = IPv4Address(host) if _QUAD.fullmatch(host) and not dot else None
    except AddressValueError:
        address = None
    if address is None:
        raise HostError(
            "encoded_host", "a host that ends in a number must be an IPv4 address of four decimal numbers"
        )
    return str(address)


def _check_labels(host: str, labels: list[str]) -> None:
    if len(host) > MAX_NAME:
        raise HostError("bad_host", f"a name has at most {MAX_NAME} characters")
    for label in labels:
        if not label:
            raise HostError("bad_host", "the name has two dots in a row, or a dot at the start")
        if len(label) > MAX_LABEL:
            raise HostError("bad_host", f"a label has at most {MAX_LABEL} characters")
        if not _LDH.fullmatch(label):
            raise HostError(
                "bad_host",
                "a label consists of letters, digits and hyphens, with no hyphen at an end",
            )
        if label.startswith("xn--"):
            _check_a_label(label)


def _check_a_label(label: str) -> None:
    import idna

    try:
        same = idna.alabel(idna.ulabel(label)).decode("ascii") == label
    except (UnicodeError, ValueError):
        same = False
    if not same:
        raise HostError("bad_host", "a label begins with xn--, but is not valid punycode")
