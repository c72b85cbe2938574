# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
Parsing of large JSON pages without a block of the event loop.

``json.loads`` keeps the interpreter's lock until it returns, in a thread too: 16 MiB of short strings take
more than a second. Large pages are therefore counted first, and then parsed in portions in a thread, where
the lock changes hands between two portions. Portions take ten times as long in all, so a page with a few
thousand values, which takes some milliseconds, is parsed at once. Below the second level an object or array
is one portion if it is short, such as an entry of Google's ``manifest``; a longer one is parsed in portions.
"""

from __future__ import annotations

import json
import re
from json.scanner import make_scanner
from typing import Any

__all__ = ["count_elements", "is_small", "parse_page"]

_SMALL_BYTES = 1024 * 1024
_SMALL_ELEMENTS = 20_000

_SPACE = re.compile(r"[ \t\n\r]*")
_PORTIONED_DEPTH = 2
# Longer than an entry of a registry's page. Copies of this length take a tenth of the time of their parsing.
_PORTION = 2048
# Each level of a long value costs one portion that is parsed in vain.
_MAX_DEPTH = 32
_scan: Any = make_scanner(json.JSONDecoder())  # type: ignore[arg-type]


def count_elements(body: bytes) -> int:
    """Return an upper bound of the number of values in a document, without parsing it."""
    return body.count(b",") + body.count(b"{") + body.count(b"[") + 1


def is_small(body: bytes) -> bool:
    """Return True if the document can be parsed at once, within about 10 ms."""
    return len(body) <= _SMALL_BYTES and count_elements(body) <= _SMALL_ELEMENTS


def parse_page(body: bytes) -> Any:
    """
    Return the document, None if it is not JSON.

    A large one is parsed in portions. It counts as not JSON if objects and arrays of more than 2,048
    characters are nested more than 32 levels deep; pages of registries have four levels.

    :param body: UTF-8
    """
    try:
        if is_small(body):
            return json.loads(body)
        text = body.decode()
        value, end = _value(text, _skip(text, 0), 0)
        return value if _skip(text, end) == len(text) else None
    except (ValueError, RecursionError, StopIteration, IndexError):
        return None


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _value(text: str, at: int, depth: int) -> tuple[Any, int]:
    if text[at] not in "{[":
        value, end = _scan(text, at)
        return value, int(end)
    if depth >= _PORTIONED_DEPTH and (short := _short(text, at)) is not None:
        return short
    if depth > _MAX_DEPTH:
        raise ValueError
    read = _object if text[at] == "{" else _array
    return read(text, _skip(text, at + 1), depth)


def _short(text: str, at: int) -> tuple[Any, int] | None:
    """Return an object or array and its end, None if it is longer than a portion or not JSON."""
    try:
        value, length = _scan(text[at : at + _PORTION], 0)
    except (ValueError, StopIteration):
        return None
    return value, at + length


def _object(text: str, at: int, depth: int) -> tuple[dict[str, Any], int]:
    members: dict[str, Any] = {}
    if text[at] == "}":
        return members, at + 1
    while True:
        if text[at] != '"':
            raise ValueError
        key, at = _scan(text, at)
        at = _skip(text, at)
        if text[at] != ":":
            raise ValueError
        members[key], at = _value(text, _skip(text, at + 1), depth + 1)
        at = _skip(text, at)
        if text[at] == "}":
            return members, at + 1
        at = _after_comma(text, at)


def _array(text: str, at: int, depth: int) -> tuple[list[Any], int]:
    items: list[Any] = []
    if text[at] == "]":
        return items, at + 1
    while True:
        item, at = _value(text, at, depth + 1)
        items.append(item)
        at = _skip(text, at)
        if text[at] == "]":
            return items, at + 1
        at = _after_comma(text, at)


def _after_comma(text: str, at: int) -> int:
    if text[at] != ",":
        raise ValueError
    return _skip(text, at + 1)
