# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Finding known secrets in text, however they are spelled."""

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
"""What stands where a secret stood, as in Airflow's own masker."""

MIN_SECRET = 4
"""Characters a secret must have to be looked for: a shorter one would mask half of every line."""

_PREFIX = "whsec_"
_BACKSLASHED = {'"': '"', "\\": "\\", "/": "/", "n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_LETTERS = {char: letter for letter, char in _BACKSLASHED.items()}
_JSON_LAYERS = 3
# Bounded: a text of backslashes alone would take quadratic time otherwise.
_ESCAPE = r"\\{1,8}"
_JSON_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([\"\\/nrtbf]))")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#0?39;"}


class _Compiled(NamedTuple):
    """
    Secrets made ready.

    :param folded: each as it is, and decoded or encoded as base64, with a space for a plus
    :param spellings: the same as they are, percent-encoded and JSON-escaped throughout
    :param pattern: finds one of which any character is escaped or not
    """

    folded: tuple[str, ...]
    spellings: tuple[str, ...]
    pattern: re.Pattern[str]


class Masker:
    """
    Replace secrets by ``***`` in text.

    They are found as they are, base64-decoded or -encoded, percent-encoded and JSON-escaped, also where only
    some of their characters are. Secrets of fewer than 4 characters are not looked for.

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
        Give a masker that knows more.

        :param secrets: the further ones
        """
        return Masker(self._secrets | frozenset(secrets))

    def finds(self, text: str) -> bool:
        """
        Tell whether a secret is in a text.

        :param text: the text
        """
        folded = self._compiled.folded
        for reading in _readings(text):
            for form in folded:  # a loop, since this is asked many times for each attempt
                if form in reading:
                    return True
        return False

    def mask(self, text: str, *, is_cut: bool = False) -> str:
        """
        Mask a text.

        :param text: the text
        :param is_cut: whether it may end within a secret; what begins one at its end is masked too
        """
        masked = text
        # The pattern costs a hundred times what the look for it does.
        if self.finds(text):
            masked = self._compiled.pattern.sub(MASK, text)
            if masked == text:
                return MASK  # escaped in a way the pattern does not know
        return _without_beginning(masked, self._compiled.spellings) if is_cut else masked


def _readings(text: str) -> Iterator[str]:
    """Give the text, and what a reader of its escapes would see; a plus is a space in all of them."""
    yield _folded(text)
    for plain in (text, html.unescape(text)) if "&" in text else (text,):
        for layer in _json_layers(plain):
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
    patterns: list[str] = []
    # The longest first: a secret may contain another.
    for secret in sorted(secrets, key=lambda item: (-len(item), item)):
        text_forms = list(dict.fromkeys(_text_forms(secret)))
        byte_forms = _decoded(secret)
        forms += [*text_forms, *(form.decode("latin-1") for form in byte_forms)]
        patterns += ["".join(map(_char_pattern, form)) for form in text_forms]
        patterns += ["".join(map(_byte_pattern, form)) for form in byte_forms]
    spellings = [
        spelling
        for form in forms
        for spelling in (form, quote(form, "", errors="replace"), json.dumps(form)[1:-1])
    ]
    return _Compiled(
        tuple(map(_folded, forms)), tuple(dict.fromkeys(spellings)), re.compile("|".join(patterns) or "(?!)")
    )


def _text_forms(secret: str) -> Iterator[str]:
    yield secret
    if secret.startswith(_PREFIX) and len(secret) >= len(_PREFIX) + MIN_SECRET:
        yield secret.removeprefix(_PREFIX)
    raw = secret.encode("utf-8", "surrogatepass")
    for encoded in (base64.b64encode(raw), base64.urlsafe_b64encode(raw)):
        yield encoded.decode().rstrip("=")
    for decoded in _decoded(secret):
        yield decoded.decode("utf-8", "backslashreplace")
        yield decoded.hex()


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
