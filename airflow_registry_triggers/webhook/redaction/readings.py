# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The texts that a receiver of a text may read in it: escapes resolved, and encoded bytes joined."""

from __future__ import annotations

import html
import re
import string
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BACKSLASHED", "folded", "joined_base64", "joined_hexadecimal", "readings"]

BACKSLASHED = {'"': '"', "\\": "\\", "/": "/", "n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
"""Letter behind a backslash in JSON to the character."""

_JSON_LAYERS = 3
_PERCENT_LAYERS = 2
_JSON_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([\"\\/nrtbf]))")

_ALPHANUMERIC = (string.ascii_letters + string.digits).encode()
_NOT_ALPHANUMERIC = bytes(set(range(256)) - set(_ALPHANUMERIC))
# A plus is left out too: as a part of a query it is a space.
_NOT_BASE64 = bytes(set(range(256)) - set(_ALPHANUMERIC + b"/_-"))


def readings(text: str) -> Iterator[str]:
    """Yield the text, and the text after its escapes are resolved."""
    yield text
    for plain in (text, html.unescape(text)) if "&" in text else (text,):
        for layer in _json_layers(plain):
            if layer is not text:
                yield layer
            yield from _percent_layers(layer)
    if "%" in text:
        yield from _json_layers(unquote(text))  # JSON in a field of a form


def folded(text: str) -> str:
    """Return the text with a space for each plus."""
    return text.replace("+", " ")


def joined_base64(text: str) -> bytes:
    """Return the characters of base64 in a text: without line breaks and other separators."""
    return text.encode("ascii", "ignore").translate(None, _NOT_BASE64)


def joined_hexadecimal(text: str) -> bytes:
    """Return the letters and digits of a text in lower case: ``53:75`` and ``0x53, 0x75`` are ``5375``."""
    return text.encode("ascii", "ignore").lower().replace(b"0x", b"").translate(None, _NOT_ALPHANUMERIC)


def _json_layers(text: str) -> Iterator[str]:
    yield text
    for _ in range(_JSON_LAYERS):
        if "\\" not in text:
            return
        halves = _JSON_ESCAPE.sub(_unescape, text)
        # \\ud83d\\ude00 is one character.
        text = halves.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        yield text


def _unescape(match: re.Match[str]) -> str:
    code = match[1] or match[2]
    return chr(int(code, 16)) if code else BACKSLASHED[match[3]]


def _percent_layers(text: str) -> Iterator[str]:
    for _ in range(_PERCENT_LAYERS):
        if "%" not in text:
            return
        decoded = unquote(text)
        if decoded == text:
            return
        yield decoded
        yield unquote(text, encoding="latin-1")
        text = decoded
