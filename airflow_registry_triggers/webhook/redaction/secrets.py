# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Search for known secrets in text, in every usual encoding."""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["MASK", "MIN_SECRET", "Masker"]

MASK = "***"
"""Replacement of a secret, as in Airflow's own masker."""

MIN_SECRET = 4
"""Shortest secret in characters that is searched for: a shorter one would mask half of every line."""

_PREFIX = "whsec_"
_BACKSLASHED = {'"': '"', "\\": "\\", "/": "/", "n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_LETTERS = {char: letter for letter, char in _BACKSLASHED.items()}
_JSON_LAYERS = 3
# Bounded, because a text of backslashes would take quadratic time otherwise.
_ESCAPE = r"\\{1,8}"
_JSON_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([\"\\/nrtbf]))")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#0?39;"}


class _Compiled(NamedTuple):
    """
    Secrets prepared for the search.

    :param folded: forms of the secrets, with a space for a plus
    :param hexadecimal: the secrets in lower-case hexadecimal
    :param spellings: the forms as they are, percent-encoded and JSON-escaped throughout
    """

    folded: tuple[str, ...]
    hexadecimal: tuple[str, ...]
    spellings: tuple[str, ...]


class Masker:
    """
    Replace secrets by ``***`` in text.

    Secrets are found as they are, in hexadecimal, in base64 at all three alignments, base64-decoded,
    percent-encoded and JSON-escaped, even if only some characters are escaped. Secrets of fewer than
    4 characters are not searched for.

    :param secrets: the secrets
    """

    __slots__ = ("_compiled", "_secrets")

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = frozenset(secret for secret in secrets if secret and len(secret) >= MIN_SECRET)
        self._compiled = _compiled(self._secrets)

    def __repr__(self) -> str:
        return f"Masker({len(self._secrets)} secrets)"

    def with_secrets(self, secrets: Iterable[str]) -> Masker:
        """
        Return a masker with further secrets.

        :param secrets: the further secrets
        """
        return Masker(self._secrets | frozenset(secrets))

    def finds(self, text: str) -> bool:
        """
        Return True if a text contains a secret.

        :param text: the text
        """
        folded, hexadecimal, _ = self._compiled
        if not folded:
            return False
        for reading in _readings(text):
            for form in folded:  # a loop, because each attempt calls this many times
                if form in reading:
                    return True
            if hexadecimal:
                lower = reading.lower()
                if any(form in lower for form in hexadecimal):
                    return True
        return False

    def mask(self, text: str, *, is_cut: bool = False) -> str:
        """
        Return a text with masked secrets.

        :param text: the text
        :param is_cut: True if the text may end within a secret; the part at its end is masked too
        """
        masked = text
        # The pattern takes a hundred times as long as the search.
        if self.finds(text):
            masked = _pattern(self._secrets).sub(MASK, text)
            if self.finds(masked):
                return MASK  # escaped in a way that the pattern does not match
        return _without_beginning(masked, self._compiled.spellings) if is_cut else masked


def _readings(text: str) -> Iterator[str]:
    """Yield the text, and the text after its escapes are resolved; a plus becomes a space in each."""
    yield _folded(text)
    for plain in (text, html.unescape(text)) if "&" in text else (text,):
        for layer in _json_layers(plain):
            if layer is not text:
                yield _folded(layer)
            if "%" in layer:
                yield _folded(unquote(layer))
                yield _folded(unquote(layer, encoding="latin-1"))


def _folded(text: str) -> str:
    return text.replace("+", " ")


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
    return chr(int(code, 16)) if code else _BACKSLASHED[match[3]]


def _without_beginning(text: str, spellings: Iterable[str]) -> str:
    for spelling in spellings:
        for length in range(min(len(spelling) - 1, len(text)), MIN_SECRET - 1, -1):
            if text.endswith(spelling[:length]):
                return text[:-length] + MASK
    return text


@lru_cache(maxsize=256)
def _compiled(secrets: frozenset[str]) -> _Compiled:
    forms: list[str] = []
    hexadecimal: list[str] = []
    for secret in _longest_first(secrets):
        byte_forms = _decoded(secret)
        forms += [*_text_forms(secret), *(form.decode("latin-1") for form in byte_forms)]
        forms += [form for raw in (_bytes(secret), *byte_forms) for form in _base64_forms(raw)]
        hexadecimal += [raw.hex() for raw in (_bytes(secret), *byte_forms)]
    spellings = [
        spelling
        for form in forms
        for spelling in (form, quote(form, "", errors="replace"), json.dumps(form)[1:-1])
    ]
    return _Compiled(
        tuple(dict.fromkeys(map(_folded, forms))),
        tuple(dict.fromkeys(hexadecimal)),
        tuple(dict.fromkeys([*spellings, *hexadecimal])),
    )


@lru_cache(maxsize=64)
def _pattern(secrets: frozenset[str]) -> re.Pattern[str]:
    """Return a pattern that finds a secret of which any character is escaped; made only after a find."""
    whole: list[str] = []
    parts: list[str] = []
    for secret in _longest_first(secrets):
        byte_forms = _decoded(secret)
        whole += ["".join(map(_char_pattern, form)) for form in dict.fromkeys(_text_forms(secret))]
        whole += ["".join(map(_byte_pattern, form)) for form in byte_forms]
        for raw in (_bytes(secret), *byte_forms):
            # The characters beside an encoded secret contain some of its bits.
            parts += [
                rf"[\w+/-]?{''.join(map(_char_pattern, form))}[\w+/-]?=*" for form in _base64_forms(raw)
            ]
            parts.append(f"(?i:{raw.hex()})")
    return re.compile("|".join([*whole, *parts]) or "(?!)")


def _longest_first(secrets: Iterable[str]) -> list[str]:
    return sorted(secrets, key=lambda item: (-len(item), item))  # a secret may contain another one


def _bytes(secret: str) -> bytes:
    return secret.encode("utf-8", "surrogatepass")


def _text_forms(secret: str) -> Iterator[str]:
    yield secret
    if secret.startswith(_PREFIX) and len(secret) >= len(_PREFIX) + MIN_SECRET:
        yield secret.removeprefix(_PREFIX)
    for decoded in _decoded(secret):
        yield decoded.decode("utf-8", "backslashreplace")


def _base64_forms(raw: bytes) -> list[str]:
    """Return the characters that encode the bytes alone, at each of the three alignments in a longer text."""
    forms: dict[str, None] = {}
    for offset, skipped in enumerate((0, 2, 3)):
        padded = bytes(offset) + raw
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            form = encode(padded).decode()[skipped : len(padded) * 8 // 6]
            if len(form) >= MIN_SECRET:
                forms[form] = None
    return list(forms)


def _decoded(secret: str) -> list[bytes]:
    try:
        decoded = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return []
    return [decoded] if len(decoded) >= MIN_SECRET else []


def _char_pattern(char: str) -> str:
    raw = char.encode("utf-8", "surrogatepass")
    units = char.encode("utf-16-be", "surrogatepass").hex()
    spellings = [
        re.escape(char),
        "".join(f"%(?i:{byte:02x})" for byte in raw),
        "".join(rf"{_ESCAPE}u(?i:{units[at : at + 4]})" for at in range(0, len(units), 4)),
    ]
    if char in _LETTERS:
        spellings.append(rf"{_ESCAPE}{re.escape(_LETTERS[char])}")
    if char in _ENTITIES:
        spellings.append(_ENTITIES[char])
    if char in " +":
        spellings.append("[ +]")
    return f"(?:{'|'.join(spellings)})"


def _byte_pattern(byte: int) -> str:
    spellings = [
        re.escape(chr(byte)),
        f"%(?i:{byte:02x})",
        rf"{_ESCAPE}x(?i:{byte:02x})",
        rf"{_ESCAPE}u00(?i:{byte:02x})",
    ]
    return f"(?:{'|'.join(spellings)})"
