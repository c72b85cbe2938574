# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Finding known secrets in text, however they are spelled."""

from __future__ import annotations

import base64
import binascii
import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["MASK", "MIN_SECRET", "Masker"]

MASK = "***"
"""What stands where a secret stood, as in Airflow's own masker."""

MIN_SECRET = 4
"""Characters a secret must have to be looked for: a shorter one would mask half of every line."""

_PREFIX = "whsec_"
_BACKSLASHED = {'"': '"', "\\": "\\", "/": "/", "\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f"}
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#0?39;"}


class _Compiled(NamedTuple):
    pattern: re.Pattern[str] | None
    spellings: tuple[str, ...]


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
        pattern, _ = self._compiled
        return pattern is not None and pattern.search(text) is not None

    def mask(self, text: str, *, is_cut: bool = False) -> str:
        """
        Mask a text.

        :param text: the text
        :param is_cut: whether it may end within a secret; what begins one at its end is masked too
        """
        pattern, spellings = self._compiled
        if pattern is None:
            return text
        masked = pattern.sub(MASK, text)
        return _without_beginning(masked, spellings) if is_cut else masked


def _without_beginning(text: str, spellings: Iterable[str]) -> str:
    for spelling in spellings:
        for length in range(min(len(spelling) - 1, len(text)), MIN_SECRET - 1, -1):
            if text.endswith(spelling[:length]):
                return text[:-length] + MASK
    return text


@lru_cache(maxsize=256)
def _compiled(secrets: frozenset[str]) -> _Compiled:
    patterns: list[str] = []
    spellings: list[str] = []
    # The longest first: a secret may contain another.
    for secret in sorted(secrets, key=lambda item: (-len(item), item)):
        for form in _text_forms(secret):
            patterns.append("".join(map(_char_pattern, form)))
            spellings += dict.fromkeys((form, quote(form, safe="", errors="replace"), json.dumps(form)[1:-1]))
        patterns += ["".join(map(_byte_pattern, decoded)) for decoded in _decoded(secret)]
    return _Compiled(re.compile("|".join(patterns)) if patterns else None, tuple(spellings))


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
        "".join(rf"\\+u(?i:{units[at : at + 4]})" for at in range(0, len(units), 4)),
    ]
    if char in _BACKSLASHED:
        spellings.append(rf"\\+{re.escape(_BACKSLASHED[char])}")
    if char in _ENTITIES:
        spellings.append(_ENTITIES[char])
    if char == " ":
        spellings.append(r"\+")
    return f"(?:{'|'.join(spellings)})"


def _byte_pattern(byte: int) -> str:
    spellings = [
        re.escape(chr(byte)),
        f"%(?i:{byte:02x})",
        rf"\\+x(?i:{byte:02x})",
        rf"\\+u00(?i:{byte:02x})",
    ]
    return f"(?:{'|'.join(spellings)})"
