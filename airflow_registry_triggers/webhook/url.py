# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
The URL of a receiver: one strict grammar, then rebuilt from its parts.

The HTTP client never gets the configured text, so no second parser can read it in another way. The order of
the checks: type and length, white space at the ends, scheme, two hosts, form of the port, characters, empty
host, brackets, NFKC, userinfo, host, permission of the port, address, length as sent.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import NoReturn

from airflow_registry_triggers.addresses.table import (
    AddressBlocked,
    Networks,
    address_class,
    is_allowed,
    parse_networks,
)
from airflow_registry_triggers.webhook.redaction.fields import escape_text, mask_url
from airflow_registry_triggers.webhook.url_host import HostError, parse_bracketed, parse_host
from airflow_registry_triggers.webhook.url_target import normalize_target

__all__ = ["MAX_URL", "Endpoint", "EndpointRefused", "parse_endpoint"]

MAX_URL = 8192
"""Longest URL in characters, as configured and as sent."""

HTTP_PORTS = frozenset({80, 21, 443, 70, 210, 280, 488, 591, 777})
"""Ports below 1025 that plain HTTP may use; all ports from 1025 are allowed too."""

FIRST_FREE_PORT = 1025
DEFAULT_PORTS = {"http": 80, "https": 443}

_SHOWN = 200
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_PORT_FOLLOWS = re.compile(r"[0-9]+(?:[/?#]|$)")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_AUTHORITY_END = re.compile(r"[/?#]")
_PORT_AT_PORT = re.compile(r".*:[0-9]+@[0-9]+", re.DOTALL)
_IPV6_TEXT = re.compile(r"[0-9A-Fa-f:.]+")
# Controls, white space of all kinds, the byte order mark, noncharacters and lone surrogates.
_CONTROL = re.compile(
    r"[\x00-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff\ufdd0-\ufdef\ud800-\udfff]"
    "|["
    + "".join(f"{chr(plane * 0x10000 + 0xFFFE)}{chr(plane * 0x10000 + 0xFFFF)}" for plane in range(17))
    + "]"
)


class EndpointRefused(ValueError):
    """
    A URL is blocked.

    :param url: the URL; the error shows it masked
    :param reason: ``bad_url``, ``bad_scheme``, ``bad_port``, ``https_port``, ``userinfo``, ``control_char``,
        ``bad_host``, ``encoded_host``, ``ip_denied`` or ``too_long``
    :param rule: the rule, and the text to write instead
    :param blocked: the blocked address, for ``ip_denied``
    """

    def __init__(self, url: object, reason: str, rule: str, blocked: AddressBlocked | None = None) -> None:
        self.blocked = blocked
        self.reason = reason
        self.rule = rule
        shown = escape_text(mask_url(url)) if isinstance(url, str) else type(url).__name__
        shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
        super().__init__(f"the URL '{shown}' is blocked ({reason}): {rule}")

    @property
    def not_sent_text(self) -> str:
        """The reason in an access record, which has the URL in a field of its own."""
        return f"Nothing was sent: {self.blocked.short_text if self.blocked else self.rule}"


@dataclass(frozen=True, slots=True, repr=False)
class Endpoint:
    """
    A receiver, as parsed from its URL.

    :param scheme: ``http`` or ``https``
    :param host: a name as A-labels, or an address; lower case, without brackets and trailing dot
    :param port: the port
    :param target: path and query as they are sent, beginning with a slash
    :param absolute: True if the name had a trailing dot, which the lookup keeps and the certificate check
        drops
    """

    scheme: str
    host: str
    port: int
    target: str
    absolute: bool = False

    @property
    def lookup_name(self) -> str:
        """The host for the lookup."""
        return f"{self.host}." if self.absolute else self.host

    @property
    def authority(self) -> str:
        """The host, in brackets if it is IPv6, and the port if it is not the default one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL, rebuilt from the parts; it may contain secrets."""
        authority = self.authority
        if self.absolute:
            authority = authority.replace(self.host, self.lookup_name, 1)
        return f"{self.scheme}://{authority}{self.target}"

    def __repr__(self) -> str:
        return f"Endpoint({mask_url(self.url)!r})"


def parse_endpoint(url: object, *, allowed_networks: Networks = ()) -> Endpoint:
    """
    Return the receiver of a URL.

    :param url: the URL
    :param allowed_networks: networks that are allowed although they are not public
    :raises EndpointRefused: the URL is blocked; :attr:`EndpointRefused.reason` names the rule
    :raises ValueError: an entry of ``allowed_networks`` is not a network
    """
    return _Reading(url, parse_networks(allowed_networks)).endpoint()


class _Reading:
    """One URL while it is read."""

    def __init__(self, url: object, allowed_networks: Networks) -> None:
        self._given = url
        self._allowed = allowed_networks

    def endpoint(self) -> Endpoint:
        url = self._text()
        scheme, rest = self._scheme(url)
        if _has_two_hosts(rest):
            self._refuse("bad_host", "parsers disagree on its host; write one host, and no @")
        authority, tail = _split_authority(rest)
        userinfo, at, hostport = authority.rpartition("@")
        host, port_text = self._split_port(authority, hostport)
        self._check_characters(url, authority)
        if not host:
            self._refuse("bad_url", "the host is missing")
        name, absolute = self._host(host, authority, userinfo + at)
        port = self._port(scheme, port_text)
        self._check_address(name)
        endpoint = Endpoint(scheme, name, port, normalize_target(tail), absolute)
        if len(endpoint.url) > MAX_URL:
            self._refuse("too_long", f"the percent-encoded URL has more than {MAX_URL} characters")
        return endpoint

    def _refuse(self, reason: str, rule: str, blocked: AddressBlocked | None = None) -> NoReturn:
        raise EndpointRefused(self._given, reason, rule, blocked) from None

    def _text(self) -> str:
        url = self._given
        if not isinstance(url, str) or not url:
            self._refuse("bad_url", "a URL must be text such as https://hooks.example.com/path")
        if len(url) > MAX_URL:
            self._refuse("too_long", f"the URL has more than {MAX_URL} characters")
        if _CONTROL.match(url) or _CONTROL.match(url[-1]):
            self._refuse(
                "control_char",
                "white space around a URL is not allowed; remove it",
            )
        return url

    def _scheme(self, url: str) -> tuple[str, str]:
        """Return the scheme in lower case, and the text after the colon."""
        scheme, colon, rest = url.partition(":")
        if not colon or not _SCHEME.fullmatch(scheme):
            self._check_characters(scheme, "")
            self._refuse("bad_url", "the scheme is missing; begin the URL with https:// or http://")
        scheme = scheme.lower()
        if scheme not in DEFAULT_PORTS:
            if "." in scheme or _PORT_FOLLOWS.match(rest):
                self._refuse(
                    "bad_url", "the scheme is missing before the host; begin the URL with https:// or http://"
                )
            self._refuse("bad_scheme", "the scheme must be http or https")
        if not rest.startswith("//"):
            self._check_characters(rest, "")
            self._refuse("bad_url", "two slashes must follow the scheme")
        return scheme, rest

    def _split_port(self, authority: str, hostport: str) -> tuple[str, str]:
        """Return the host with its brackets, and the text of the port, which may be empty."""
        if hostport.startswith("[") and hostport.count("[") == hostport.count("]") == 1:
            host, _, after = hostport.partition("]")
            if after and not after.startswith(":"):
                self._refuse("bad_host", "only a port can follow the brackets")
            host, port = f"{host}]", after[1:]
        elif "[" in hostport or "]" in hostport or _is_bare_ipv6(hostport):
            self._refuse("bad_host", "one pair of brackets must enclose an IPv6 address, and no other host")
        else:
            host, _, port = hostport.partition(":")
        if _PORT_AT_PORT.fullmatch(authority):
            self._refuse("bad_port", "the URL has an @ between two ports; remove one")
        if port and not (_PORT.fullmatch(port) and int(port) <= 65535):
            self._refuse("bad_port", "a port is a number from 1 to 65535 without leading zeros")
        return host, port

    def _check_characters(self, text: str, authority: str) -> None:
        if _CONTROL.search(text):
            self._refuse("control_char", "control characters, white space and noncharacters are not allowed")
        if "\\" in authority:
            self._refuse("bad_host", "a backslash is not allowed")
        if "\\" in text:
            self._refuse("bad_url", "a backslash is not allowed; write a slash, or %5C")

    def _host(self, host: str, authority: str, userinfo: str) -> tuple[str, bool]:
        """Return the host in its one spelling, and True if it had a trailing dot."""
        try:
            if host.startswith("["):
                # Before the userinfo, because brackets end the host in any case.
                name = parse_bracketed(host[1:-1])
                self._check_address(name)
            if unicodedata.normalize("NFKC", authority) != authority:
                self._refuse("encoded_host", "the host changes under Unicode normalization (NFKC)")
            if userinfo:
                self._refuse(
                    "userinfo", "a URL cannot contain a user or password; set the headers of a Connection"
                )
            return (name, False) if host.startswith("[") else parse_host(host)
        except HostError as error:
            self._refuse(error.reason, error.rule)

    def _port(self, scheme: str, text: str) -> int:
        port = int(text) if text else DEFAULT_PORTS[scheme]
        if scheme == "https" and port != DEFAULT_PORTS["https"]:
            self._refuse("https_port", "https can only use port 443")
        if port < FIRST_FREE_PORT and port not in HTTP_PORTS:
            ports = ", ".join(str(number) for number in sorted(HTTP_PORTS))
            self._refuse("bad_port", f"http can only use the ports {ports} and {FIRST_FREE_PORT} to 65535")
        return port

    def _check_address(self, host: str) -> None:
        # A name is checked after its lookup.
        if (":" in host or host.replace(".", "").isdigit()) and not is_allowed(host, self._allowed):
            blocked = AddressBlocked(host, address_class(host) or "")
            self._refuse("ip_denied", str(blocked), blocked)


def _split_authority(rest: str) -> tuple[str, str]:
    end = _AUTHORITY_END.search(rest, 2)
    at = end.start() if end else len(rest)
    return rest[2:at], rest[at:]


def _has_two_hosts(rest: str) -> bool:
    # One parser ends the authority at the backslash, hash or space, another one takes the text after the @.
    longest = re.split(r"[/?]", rest[2:], maxsplit=1)[0]
    ends = [at for at in map(longest.find, "\\# ") if at >= 0]
    return bool(ends) and "@" in longest[min(ends) :]


def _is_bare_ipv6(hostport: str) -> bool:
    return hostport.count(":") > 1 and _IPV6_TEXT.fullmatch(hostport) is not None
