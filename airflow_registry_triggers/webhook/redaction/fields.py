# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Masks for URLs and headers, and an escape for text that would act in a log."""

from __future__ import annotations

import base64
import binascii
import re
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import unquote, unquote_plus

from airflow_registry_triggers.webhook.redaction.secrets import MASK, MIN_SECRET, Masker

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = [
    "HARMLESS_HEADERS",
    "MASK",
    "MIN_SECRET",
    "Masker",
    "escape_text",
    "mask_headers",
    "mask_url",
    "private_headers",
    "query_values",
    "secret_header_values",
    "url_secrets",
]

LONG = 20
"""Length from which a path segment or a query name may be a token."""

HARMLESS_HEADERS = frozenset(
    {
        "accept",
        "accept-charset",
        "accept-language",
        "cache-control",
        "content-language",
        "content-type",
        "date",
        "from",
        "origin",
        "pragma",
        "referer",
        "traceparent",
        "user-agent",
    }
)
"""Names of the headers of a Connection whose values are not secret."""

_URL = re.compile(r"(?P<front>[^/?#]*//)?(?P<rest>.*)", re.DOTALL)
_PARTS = re.compile(r"(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?(?P<fragment>#.*)?", re.DOTALL)
_HOST_PORT = re.compile(r"(?:[^\[\]:]*|\[[^\[\]]*\])(?::[0-9]{0,5})?")
_LONG_SEGMENT = re.compile(rf"[^/]{{{LONG},}}")
# A word for a credential anywhere in the name ("X-AuthToken", "AccessToken"), or a last word "key".
_SECRET_HEADER = re.compile(
    r"auth(?!ors?\b)|token(?!s?[-_](?:left|limit|remaining|used)\b)|cookie|secret|passw|passphrase|pwd|credential|session|jwt|bearer|api.?key"
    r"|(?:^|[-_]|access|private|secret)key$",
    re.IGNORECASE,
)
_NOT_SECRET_HEADER = frozenset({"proxy-authenticate", "www-authenticate"})
_URL_HEADERS = frozenset({"location", "content-location", "referer", "refresh", "link"})
_URL_IN_TEXT = re.compile(r"(?<![a-z0-9+.-])[a-z][a-z0-9+.-]*://[^\s<>\"']+", re.IGNORECASE)
# IGNORECASE for the whole pattern would match U+0130 as an ASCII i.
_ACTS = re.compile(r"[^ -~]|:(?=:(?i:(?:end)?group))")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def escape_text(text: str) -> str:
    """
    Return text in printable ASCII, so that it cannot start a line, open a group or send ESC in a log.

    :param text: text from another party
    """
    if text.isascii() and text.isprintable() and "::" not in text:
        return text
    return _ACTS.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    char = match[0]
    code = ord(char)
    return _SHORT.get(char) or (f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}")


def mask_url(url: str) -> str:
    """
    Return a URL with masked userinfo, query values, fragment, and path segments that may be tokens.

    :param url: a URL, or any text in its place
    """
    front, userinfo, parts = _split(url)
    authority, path, query, fragment = parts
    return "".join(
        (
            front,
            f"{MASK}@" if userinfo else "@" if userinfo == "" else "",
            authority,
            _LONG_SEGMENT.sub(MASK, path),
            "?" + re.sub(r"[^&;]+", _mask_parameter, query[1:]) if query else "",
            f"#{MASK}" if len(fragment) > 1 else fragment,
        )
    )


def _mask_parameter(match: re.Match[str]) -> str:
    name, equals, value = match[0].partition("=")
    # A name without a value, or as long as a token, may be the secret.
    shown = MASK if not equals or len(name) >= LONG else name
    return f"{shown}={MASK}" if value else f"{shown}{equals}"


@lru_cache(maxsize=64)
def url_secrets(url: str) -> tuple[str, ...]:
    """
    Return the parts of a URL that :func:`mask_url` masks, encoded and decoded.

    :param url: a URL, or any text in its place
    """
    _, userinfo, (_, path, query, fragment) = _split(url)
    found = [userinfo or "", *(userinfo or "").split(":", 1), fragment[1:], *_LONG_SEGMENT.findall(path)]
    return _distinct([*found, *(unquote(part) for part in found), *query_values(query[1:])])


@lru_cache(maxsize=64)
def query_values(query: str) -> tuple[str, ...]:
    """
    Return the secret parts of a query: the whole, each value, and names that may be tokens; also decoded.

    :param query: without the question mark
    """
    found = [query] if "=" in query or "&" in query else []
    for parameter in re.split(r"[&;]", query):
        name, equals, value = parameter.partition("=")
        found += [value] if equals else [name]
        found += [name] if len(name) >= LONG else []
    return _distinct([*found, *(unquote_plus(part) for part in found)])


def private_headers(headers: Mapping[str, str]) -> frozenset[str]:
    """
    Return the names, in lower case, of all headers of a Connection except the harmless ones.

    :param headers: headers of a Connection
    """
    return frozenset(name.lower() for name in headers) - HARMLESS_HEADERS


def mask_headers(headers: Mapping[str, str], secret_names: Collection[str] = ()) -> dict[str, str]:
    """
    Return headers with masked credentials, and masked URLs in headers such as Location.

    :param headers: names and values
    :param secret_names: names of further headers to mask, in lower case
    """
    return {name: _masked_header(name, value, secret_names) for name, value in headers.items()}


def _masked_header(name: str, value: str, secret_names: Collection[str]) -> str:
    if name.lower() in secret_names or _is_secret_header(name):
        return MASK if value else value
    if name.lower() not in _URL_HEADERS:
        return value
    masked, count = _URL_IN_TEXT.subn(lambda match: mask_url(match[0]), value)
    return masked if count else mask_url(value)


def secret_header_values(
    headers: Mapping[str, object], secret_names: Collection[str] = ()
) -> tuple[str, ...]:
    """
    Return the credentials in headers: values, also without a scheme such as ``Bearer``, and Basic passwords.

    :param headers: names and values
    :param secret_names: names of further headers with credentials, in lower case
    """
    found: list[str] = []
    for name, value in headers.items():
        if not isinstance(value, str):
            continue
        if str(name).lower() in secret_names or _is_secret_header(str(name)):
            scheme, _, credentials = value.strip().partition(" ")
            found += [value, credentials.strip()]
            found += _basic_secrets(credentials.strip()) if scheme.lower() == "basic" else []
    return _distinct(found)


@lru_cache(maxsize=256)
def _is_secret_header(name: str) -> bool:
    return name.lower() not in _NOT_SECRET_HEADER and _SECRET_HEADER.search(name) is not None


def _basic_secrets(credentials: str) -> list[str]:
    try:
        pair = base64.b64decode(credentials, validate=True).decode()
    except (binascii.Error, ValueError):
        return []
    return [pair, pair.partition(":")[2]]


def _split(url: str) -> tuple[str, str | None, tuple[str, str, str, str]]:
    """Return the text before the authority, the userinfo (None without an @), and the other parts."""
    match = _URL.fullmatch(url)
    front, rest = (match["front"] or "", match["rest"]) if match else ("", url)
    parts = _parts(rest)
    userinfo = None
    # A password with a slash, hash or question mark in it also ends at the last @.
    if ("@" in rest and not _HOST_PORT.fullmatch(parts[0])) or "@" in parts[0]:
        userinfo, _, rest = rest.rpartition("@")
        parts = _parts(rest)
    return front, userinfo, parts


def _parts(rest: str) -> tuple[str, str, str, str]:
    match = _PARTS.fullmatch(rest)
    authority, path, query, fragment = (
        (part or "" for part in match.groups()) if match else (rest, "", "", "")
    )
    return authority, path, query, fragment


def _distinct(found: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part for part in found if len(part) >= MIN_SECRET))
