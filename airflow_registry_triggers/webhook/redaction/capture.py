# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""What is kept of a request and an answer: masked, escaped and short."""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING

from airflow_registry_triggers.webhook.redaction.fields import escape_text, mask_headers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_registry_triggers.webhook.connection import Answer
    from airflow_registry_triggers.webhook.redaction.secrets import Masker

__all__ = ["MAX_RECORDED", "recorded_body", "recorded_headers"]

MAX_RECORDED = 4096
"""Characters (ASCII, so bytes too) of a body that are recorded, the marker among them."""

MAX_HEADERS = 100
MAX_HEADER = 1024

# Masking a text costs more than reading it; four times what is kept is enough but for a body of secrets.
_LOOKED_AT = 4 * MAX_RECORDED
_CHARSET = re.compile(r";\s*charset\s*=\s*\"?([A-Za-z0-9_-]{1,40})", re.IGNORECASE)
_CHARSETS = frozenset({"ascii", "cp1252", "iso8859-1", "utf-8"})


def recorded_headers(headers: Iterable[tuple[str, str]], masker: Masker) -> dict[str, str]:
    """
    Give headers as they are recorded; one that came several times is joined with commas.

    :param headers: names and values
    :param masker: knows the secrets
    """
    joined: dict[str, str] = {}
    for name, value in list(headers)[:MAX_HEADERS]:
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    masked = mask_headers(joined)
    if not _needs_care(masked, masker):
        return masked
    return {_line(name, masker): _line(value, masker) for name, value in masked.items()}


def _needs_care(headers: Mapping[str, str], masker: Masker) -> bool:
    # Headers are many and plain: one look at all of them is enough mostly.
    texts = (*headers, *headers.values())
    joined = " ".join(texts)
    return (
        max(map(len, texts), default=0) > MAX_HEADER or escape_text(joined) != joined or masker.finds(joined)
    )


def _line(text: str, masker: Masker) -> str:
    line = escape_text(masker.mask(text[:_LOOKED_AT], is_cut=len(text) > _LOOKED_AT))
    return line if len(line) <= MAX_HEADER else f"{line[:MAX_HEADER]} [cut]"


def recorded_body(answer: Answer, masker: Masker) -> str:
    """
    Give an answer's body as it is recorded. Compressed and binary ones could hide an echo: they are not.

    :param answer: what came back
    :param masker: knows the secrets
    """
    body, cut = answer.body, answer.cut
    encoding = answer.header("content-encoding").strip()
    if encoding.lower() not in ("", "identity"):
        return _not_shown(f"Content-Encoding {masker.mask(encoding)}", answer)
    if b"\0" in body:
        return _not_shown("binary", answer)
    is_long = len(body) > _LOOKED_AT
    text = body[:_LOOKED_AT].decode(_charset(answer.header("content-type")), "backslashreplace")
    shown = escape_text(masker.mask(text, is_cut=is_long or bool(cut)))
    marker = _marker(cut, is_long=is_long or len(shown) > MAX_RECORDED)
    return shown[: MAX_RECORDED - len(marker)] + marker


def _marker(cut: str, *, is_long: bool) -> str:
    whys = [why for why in ("only the beginning is recorded" if is_long else "", cut) if why]
    return f" [cut: {'; '.join(whys)}]" if whys else ""


def _not_shown(what: str, answer: Answer) -> str:
    rest = f"; {answer.cut}" if answer.cut else ""
    return escape_text(f"[not shown: {what[:100]}, {len(answer.body)} bytes read{rest}]")


def _charset(content_type: str) -> str:
    match = _CHARSET.search(content_type)
    try:
        name = codecs.lookup(match[1]).name if match else "utf-8"
    except LookupError:
        return "utf-8"
    return name if name in _CHARSETS else "utf-8"
