# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Search for known secrets in text, in every usual encoding."""

from __future__ import annotations

import base64
import binascii
import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from airflow_registry_triggers.webhook.redaction.readings import (
    BACKSLASHED,
    folded,
    joined_base64,
    joined_hexadecimal,
    readings,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["MASK", "MIN_SECRET", "Masker"]

MASK = "***"
"""Replacement of a secret, as in Airflow's own masker."""

MIN_SECRET = 4
"""Shortest secret in characters that is searched for: a shorter one would mask half of every line."""

MIN_JOINED = 6
"""
Shortest secret in bytes, and shortest encoding of it in characters, that is searched for across line breaks
and other separators: the numbers ``[31, 31, 31, 31]`` would be the hexadecimal form of a secret ``1111``.
"""

_PREFIX = "whsec_"
# A secret of words, such as "testtest", may be valid base64, and its decoded bytes in base64 are words again.
_MIN_WORDS = 16
_MIN_CUT = 8
"""Shortest beginning of a separated encoding that is masked at a cut."""
_END = 2048
_LETTERS = {char: letter for letter, char in BACKSLASHED.items()}
# Bounded, because a text of backslashes would take quadratic time otherwise.
_ESCAPE = r"\\{1,8}"
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#0?39;"}


class _Compiled(NamedTuple):
    """
    Secrets prepared for the search.

    :param folded: forms of the secrets, with a space for a plus
    :param hexadecimal: the secrets in lower-case hexadecimal
    :param spellings: the forms as they are, percent-encoded and JSON-escaped throughout
    :param joined_base64: the secrets in base64, as :func:`joined_base64` returns them
    :param joined_hexadecimal: the secrets in hexadecimal, as :func:`joined_hexadecimal` returns them
    """

    folded: tuple[str, ...]
    hexadecimal: tuple[str, ...]
    spellings: tuple[str, ...]
    joined_base64: tuple[bytes, ...]
    joined_hexadecimal: tuple[bytes, ...]


class Masker:
    """
    Replace secrets by ``***`` in text.

    Secrets are found as they are, in hexadecimal, in base64 at all three alignments, base64-decoded,
    percent-encoded and JSON-escaped, even if only some characters are escaped. Secrets of fewer than
    4 characters are not searched for. Line breaks and separators in base64 and hexadecimal are skipped for
    secrets of at least 6 bytes.

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
        known = self._compiled
        if not known.folded:
            return False
        for reading in readings(text):
            plain = folded(reading)
            for form in known.folded:  # a loop, because each attempt calls this many times
                if form in plain:
                    return True
            if known.hexadecimal:
                lower = plain.lower()
                if any(form in lower for form in known.hexadecimal):
                    return True
            if _finds_joined(reading, known, bytes.__contains__):
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
        return self._without_beginning(masked) if is_cut else masked

    def _without_beginning(self, text: str) -> str:
        """Return a text that was cut, without the beginning of a secret at its end."""
        known = self._compiled
        for spelling in known.spellings:
            for length in range(min(len(spelling) - 1, len(text)), MIN_SECRET - 1, -1):
                if text.endswith(spelling[:length]):
                    return text[:-length] + MASK
        ends = readings(text[-_END:])
        return MASK if any(_finds_joined(end, known, _ends_with_beginning) for end in ends) else text


def _finds_joined(text: str, known: _Compiled, test: Callable[[bytes, bytes], bool]) -> bool:
    """Return True if the test is true of a text and a form, both without separators."""
    if known.joined_base64:
        joined = joined_base64(text)
        for form in known.joined_base64:
            if test(joined, form):
                return True
    if known.joined_hexadecimal:
        joined = joined_hexadecimal(text)
        for form in known.joined_hexadecimal:
            if test(joined, form):
                return True
    return False


def _ends_with_beginning(text: bytes, form: bytes) -> bool:
    at = text.find(form[:_MIN_CUT], max(0, len(text) - len(form) + 1))
    while at >= 0 and not form.startswith(text[at:]):
        at = text.find(form[:_MIN_CUT], at + 1)
    return at >= 0


@lru_cache(maxsize=256)
def _compiled(secrets: frozenset[str]) -> _Compiled:
    forms: list[str] = []
    hexadecimal: list[str] = []
    joined: list[bytes] = []
    for secret in _longest_first(secrets):
        byte_forms = _decoded(secret)
        forms += [*_text_forms(secret), *(form.decode("latin-1") for form in byte_forms)]
        forms += [form for raw in (_bytes(secret), *byte_forms) for form in _base64_forms(raw)]
        hexadecimal += [raw.hex() for raw in (_bytes(secret), *byte_forms)]
        joined += _joined_forms(secret, (_bytes(secret), *byte_forms))
    spellings = [
        spelling
        for form in forms
        for spelling in (form, quote(form, "", errors="replace"), json.dumps(form)[1:-1])
    ]
    return _Compiled(
        tuple(dict.fromkeys(map(folded, forms))),
        tuple(dict.fromkeys(hexadecimal)),
        tuple(dict.fromkeys([*spellings, *hexadecimal])),
        tuple(dict.fromkeys(joined)),
        tuple(form.encode() for form in dict.fromkeys(hexadecimal) if len(form) >= 2 * MIN_JOINED),
    )


def _joined_forms(secret: str, raws: Iterable[bytes]) -> Iterator[bytes]:
    for raw in raws:
        for form in _base64_forms(raw) if len(raw) >= MIN_JOINED else ():
            joined = joined_base64(form)
            if len(joined) >= (_MIN_WORDS if form in secret else MIN_JOINED):
                yield joined


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
