# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
The part of a request and an answer that is recorded: masked and short.

Bodies stay as they came, so that JSON stays JSON; the task log and the page escape them when they are shown.
"""

from __future__ import annotations

import codecs
import json
import re
from typing import TYPE_CHECKING

from airflow_registry_triggers.webhook.redaction.fields import escape_text, mask_headers

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from airflow_registry_triggers.webhook.answer import Answer
    from airflow_registry_triggers.webhook.redaction.secrets import Masker

__all__ = ["MAX_RECORDED", "kept_body", "recorded_body", "recorded_headers", "recorded_request_body"]

MAX_RECORDED = 4096
"""Bytes of UTF-8 that are recorded of a body, and characters of all headers of an attempt as JSON."""

MAX_HEADERS = 100
MAX_HEADER = 1024

CUT = " [cut: only the beginning is recorded]"
LEFT_OUT = "[cut]"
"""Name of the entry that counts the headers that are not recorded."""

# Masking a text costs more than reading it; four times the limit is enough except for a body of secrets.
_LOOKED_AT = 4 * MAX_RECORDED
_CHARSET = re.compile(r";\s*charset\s*=\s*\"?([A-Za-z0-9_-]{1,40})", re.IGNORECASE)
_CHARSETS = frozenset({"ascii", "cp1252", "iso8859-1", "utf-8"})


def recorded_headers(
    headers: Iterable[tuple[str, str]],
    masker: Masker,
    secret_names: Collection[str] = (),
    *,
    limit: int = MAX_RECORDED,
) -> dict[str, str]:
    """
    Return headers as they are recorded; equal names are joined with commas.

    :param headers: names and values
    :param masker: masks the secrets
    :param secret_names: names of further headers whose values are secret, in lower case
    :param limit: characters of JSON
    """
    joined: dict[str, str] = {}
    given = list(headers)
    for name, value in given[:MAX_HEADERS]:
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    masked = mask_headers(joined, secret_names)
    if _needs_care(masked, masker):
        masked = {_line(name, masker): _line(value, masker) for name, value in masked.items()}
    return _within_limit(masked, max(0, len(given) - MAX_HEADERS), limit)


def _within_limit(headers: dict[str, str], left_out: int, limit: int) -> dict[str, str]:
    """Return the first headers that fit, and the number of the others."""
    room = limit - 64  # for the entry that counts
    # JSON makes of a printable ASCII character at most two.
    if not left_out and sum(2 * (len(name) + len(value)) + 8 for name, value in headers.items()) < room:
        return headers
    kept: dict[str, str] = {}
    for name, value in headers.items():
        room -= len(json.dumps(name)) + len(json.dumps(value)) + len(": , ")
        if room < 0:
            break
        kept[name] = value
    left_out += len(headers) - len(kept)
    return {**kept, LEFT_OUT: f"{left_out} more headers"} if left_out else kept


def _needs_care(headers: Mapping[str, str], masker: Masker) -> bool:
    # Headers are many and plain: one check of all of them is enough in most cases.
    texts = (*headers, *headers.values())
    joined = " ".join(texts)
    return (
        max(map(len, texts), default=0) > MAX_HEADER or escape_text(joined) != joined or masker.finds(joined)
    )


def _line(text: str, masker: Masker) -> str:
    line = escape_text(masker.mask(text[:_LOOKED_AT], is_cut=len(text) > _LOOKED_AT))
    return line if len(line) <= MAX_HEADER else f"{line[:MAX_HEADER]} [cut]"


def recorded_request_body(content: bytes, masker: Masker) -> str:
    """
    Return a request's body as it is recorded; a secret at the cut is left out whole.

    :param content: the body
    :param masker: masks the secrets
    """
    is_long = len(content) > MAX_RECORDED
    text = content[:MAX_RECORDED].decode(errors="backslashreplace")
    shown = masker.mask(text, is_cut=is_long)
    is_long = is_long or len(shown.encode()) > MAX_RECORDED
    return f"{_beginning(shown, MAX_RECORDED - len(CUT))}{CUT}" if is_long else shown


def recorded_body(answer: Answer, masker: Masker) -> str:
    """
    Return an answer's body as text for a log line: as :func:`kept_body`, but escaped to ASCII.

    :param answer: the answer
    :param masker: masks the secrets
    """
    return _body(answer, masker, escape_text)


def kept_body(answer: Answer, masker: Masker) -> str:
    """
    Return an answer's body as it came, masked and short.

    Compressed and binary bodies could hide an echo, so they are left out.

    :param answer: the answer
    :param masker: masks the secrets
    """
    return _body(answer, masker, str)


def _body(answer: Answer, masker: Masker, escaped: Callable[[str], str]) -> str:
    body, cut = answer.body, answer.cut
    encoding = answer.header("content-encoding").strip()
    if encoding.lower() not in ("", "identity"):
        return _not_shown(f"Content-Encoding {masker.mask(encoding)}", answer)
    if b"\0" in body:
        return _not_shown("binary", answer)
    is_long = len(body) > _LOOKED_AT
    text = body[:_LOOKED_AT].decode(_charset(answer.header("content-type")), "backslashreplace")
    shown = escaped(masker.mask(text, is_cut=is_long or bool(cut)))
    marker = _marker(cut, is_long=is_long or len(shown.encode()) > MAX_RECORDED)
    return _beginning(shown, MAX_RECORDED - len(marker)) + marker


def _beginning(text: str, size: int) -> str:
    """Return the beginning of a text that has at most a number of bytes of UTF-8."""
    return text.encode()[:size].decode(errors="ignore")


def _marker(cut: str, *, is_long: bool) -> str:
    reasons = [reason for reason in ("only the beginning is recorded" if is_long else "", cut) if reason]
    return f" [cut: {'; '.join(reasons)}]" if reasons else ""


def _not_shown(kind: str, answer: Answer) -> str:
    rest = f"; {answer.cut}" if answer.cut else ""
    return escape_text(f"[not shown: {kind[:100]}, {len(answer.body)} bytes read{rest}]")


def _charset(content_type: str) -> str:
    match = _CHARSET.search(content_type)
    try:
        name = codecs.lookup(match[1]).name if match else "utf-8"
    except LookupError:
        return "utf-8"
    return name if name in _CHARSETS else "utf-8"
