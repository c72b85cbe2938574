# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""What is kept out of logs and records: secrets in URLs and headers, and text that would act in a log."""

from __future__ import annotations

import base64
import binascii
import re
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import unquote, unquote_plus

from airflow_registry_triggers.webhook.redaction.secrets import MASK, MIN_SECRET, Masker

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "MASK",
    "MIN_SECRET",
    "Masker",
    "escape_text",
    "mask_headers",
    "mask_url",
    "query_values",
    "secret_header_values",
    "url_secrets",
]

LONG = 20
"""A path segment or query name of this length or more may be a token."""

_URL = re.compile(r"(?P<front>[^/?#]*//)?(?P<rest>.*)", re.DOTALL)
_PARTS = re.compile(r"(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?(?P<fragment>#.*)?", re.DOTALL)
_HOST_PORT = re.compile(r"(?:[^\[\]:]*|\[[^\[\]]*\])(?::[0-9]{0,5})?")
_LONG_SEGMENT = re.compile(rf"[^/]{{{LONG},}}")
_SECRET_HEADER = re.compile(
    r"(?:.*[-_])?(?:authorization|cookie2?|token|key|apikey|secret|password)", re.IGNORECASE | re.DOTALL
)
_URL_HEADERS = frozenset({"location", "content-location", "referer", "refresh", "link"})
_URL_IN_TEXT = re.compile(r"(?<![a-z0-9+.-])[a-z][a-z0-9+.-]*://[^\s<>\"']+", re.IGNORECASE)
# Not ignoring case throughout: U+0130 would be taken for an i, and so for ASCII.
_ACTS = re.compile(r"[^ -~]|:(?=:(?i:(?:end)?group))")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def escape_text(text: str) -> str:
    """
    Write text in printable ASCII, so that it cannot start a line, open a group or send ESC in a log.

    :param text: what another party sent
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
    Mask userinfo, the query's values, the fragment, and path segments that may be tokens.

    :param url: a URL, or any text that was given as one
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
    # Without a value, or as long as a token, the name may be the secret.
    shown = MASK if not equals or len(name) >= LONG else name
    return f"{shown}={MASK}" if value else f"{shown}{equals}"


@lru_cache(maxsize=64)
def url_secrets(url: str) -> tuple[str, ...]:
    """
    Give the parts of a URL that :func:`mask_url` masks, as they stand and decoded.

    :param url: the URL
    """
    _, userinfo, (_, path, query, fragment) = _split(url)
    found = [userinfo or "", *(userinfo or "").split(":", 1), fragment[1:], *_LONG_SEGMENT.findall(path)]
    return _distinct([*found, *(unquote(part) for part in found), *query_values(query[1:])])


@lru_cache(maxsize=64)
def query_values(query: str) -> tuple[str, ...]:
    """
    Give the secret parts of a query: the whole, each value, and names that may be tokens; also decoded.

    :param query: without the question mark
    """
    found = [query] if "=" in query or "&" in query else []
    for parameter in re.split(r"[&;]", query):
        name, equals, value = parameter.partition("=")
        found += [value] if equals else [name]
        found += [name] if len(name) >= LONG else []
    return _distinct([*found, *(unquote_plus(part) for part in found)])


def mask_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """
    Mask headers that carry credentials, and URLs where a header is one.

    :param headers: names and values
    """
    return {name: _masked_header(name, value) for name, value in headers.items()}


def _masked_header(name: str, value: str) -> str:
    if _is_secret_header(name):
        return MASK if value else value
    if name.lower() not in _URL_HEADERS:
        return value
    masked, count = _URL_IN_TEXT.subn(lambda match: mask_url(match[0]), value)
    return masked if count else mask_url(value)


def secret_header_values(headers: Mapping[str, str]) -> tuple[str, ...]:
    """
    Give the credentials in headers: the value, what follows a scheme such as ``Bearer``, a Basic password.

    :param headers: names and values
    """
    found: list[str] = []
    for name, value in headers.items():
        if isinstance(value, str) and _is_secret_header(str(name)):
            scheme, _, credentials = value.strip().partition(" ")
            found += [value, credentials.strip()]
            found += _basic_secrets(credentials.strip()) if scheme.lower() == "basic" else []
    return _distinct(found)


@lru_cache(maxsize=256)
def _is_secret_header(name: str) -> bool:
    return _SECRET_HEADER.fullmatch(name) is not None


def _basic_secrets(credentials: str) -> list[str]:
    try:
        pair = base64.b64decode(credentials, validate=True).decode()
    except (binascii.Error, ValueError):
        return []
    return [pair, pair.partition(":")[2]]


def _split(url: str) -> tuple[str, str | None, tuple[str, str, str, str]]:
    """Give what stands before the authority, the userinfo (None where there is no @), and the other parts."""
    match = _URL.fullmatch(url)
    front, rest = (match["front"] or "", match["rest"]) if match else ("", url)
    parts = _parts(rest)
    userinfo = None
    # A password with a slash, hash or question mark in it ends at the last @ all the same.
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
