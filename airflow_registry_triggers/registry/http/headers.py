# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Parsers of a registry's headers: challenges, the link to the next page, quotas and waiting times."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_registry_triggers.http_dates import parse_retry_after

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

__all__ = [
    "MAX_HEADER",
    "Challenge",
    "empty_quota",
    "next_link",
    "parse_challenges",
    "quota_pause",
    "retry_after",
]

MAX_HEADER = 64 * 1024
"""Bytes of one header line that are accepted."""

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - the grammar of RFC 9110 5.6.2
_SCHEME = re.compile(rf"[\s,]*({_TOKEN})(?:\s+(?!=)|(?=,)|$)")
_PARAMETER = re.compile(rf'[\s,]*({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN}))(?=\s*(?:,|$))')
_TOKEN68 = re.compile(r"[A-Za-z0-9._~+/-]+=*(?=\s*(?:,|$))")


@dataclass(frozen=True, slots=True)
class Challenge:
    """
    One authentication scheme that a 401 offers.

    :param scheme: in lower case; the client supports ``basic`` and ``bearer``
    :param parameters: ``realm``, ``service``, ``scope``; names in lower case
    """

    scheme: str
    parameters: dict[str, str] = field(default_factory=dict)


def parse_challenges(values: Iterable[str]) -> list[Challenge]:
    """
    Parse ``WWW-Authenticate``; one header can contain several challenges (RFC 9110 11.6.1).

    :param values: each value of the header
    :return: the challenges in order, without those that cannot be parsed
    """
    return [challenge for value in values for challenge in _challenges(value[:MAX_HEADER])]


def _challenges(text: str) -> Iterator[Challenge]:
    at = 0
    while scheme := _SCHEME.match(text, at):
        at = scheme.end()
        parameters: dict[str, str] = {}
        if token68 := _TOKEN68.match(text, at):
            at = token68.end()
        while parameter := _PARAMETER.match(text, at):
            name, quoted, plain = parameter.groups()
            parameters.setdefault(name.lower(), re.sub(r"\\(.)", r"\1", quoted) if plain is None else plain)
            at = parameter.end()
        yield Challenge(scheme[1].lower(), parameters)


_MARGIN = 1024
_MARK = re.compile(r'[<>",;\\]')


def next_link(values: Iterable[str]) -> str | None:
    """
    Return the target of the link to the next page (RFC 8288), None on the last page.

    Quay sometimes omits the angle brackets. A header that is too long returns an empty target.

    :param values: each value of ``Link``
    """
    for value in values:
        for target, *parameters in _links(value[:MAX_HEADER]):
            if any(_is_next(parameter) for parameter in parameters):
                return target.strip("<> \t")
        if len(value) > MAX_HEADER - _MARGIN:
            return ""  # cut off: without this, a listing would end early and silently
    return None


def _links(value: str) -> Iterator[list[str]]:
    """Split a header into links, and each link into its target and parameters, in one pass."""
    parts, start, closing, skipped = [], 0, "", -1
    for mark in _MARK.finditer(value):
        char, at = mark[0], mark.start()
        if at == skipped:
            continue
        if char == "\\":
            skipped = at + 1 if closing == '"' else -1
        elif closing:
            closing = "" if char == closing else closing
        elif char in '<"':
            closing = ">" if char == "<" else '"'
        elif char in ",;":
            parts.append(value[start:at])
            start = at + 1
            if char == ",":
                yield parts
                parts = []
    yield [*parts, value[start:]]


def _is_next(parameter: str) -> bool:
    name, _, value = parameter.partition("=")
    return name.strip().lower() == "rel" and "next" in value.strip(' \t"').lower().split()


_QUOTA = re.compile(r"\s*([0-9]{1,15})\s*(?:;.*)?")
_WINDOW = re.compile(r";\s*w\s*=\s*([0-9]{1,9})\b")


def quota_pause(remaining: str | None, limit: str | None, reset: str | None, now: float) -> float | None:
    """
    Return the seconds to pause if ``ratelimit-remaining`` is 0, else None.

    Without a reset time, the pause is the time in which a sliding window returns one request. It is 0 if the
    headers contain no time at all.

    :param remaining: value of ``ratelimit-remaining``, such as ``0`` or ``0;w=21600`` (Docker Hub)
    :param limit: value of ``ratelimit-limit``, such as ``100;w=21600``
    :param reset: value of ``ratelimit-reset``: seconds, or seconds since 1970
    :param now: seconds since 1970
    """
    left = _QUOTA.fullmatch(remaining or "")
    if left is None or int(left[1]) > 0:
        return None
    until = _QUOTA.fullmatch(reset or "")
    if until:
        seconds = float(until[1])
        return max(0.0, seconds - now) if seconds > 1e9 else seconds
    window = _WINDOW.search(remaining or "") or _WINDOW.search(limit or "")
    whole = _QUOTA.fullmatch(limit or "")
    if not window:
        return 0.0
    return float(window[1]) / max(1, int(whole[1]) if whole else 1)


def empty_quota(headers: Mapping[str, str], now: float) -> float | None:
    """
    Return the seconds to pause if the headers of an answer say that no request is left, else None.

    :param headers: of the answer
    :param now: seconds since 1970
    """
    remaining = headers.get("ratelimit-remaining")
    if remaining is None:
        return None
    return quota_pause(remaining, headers.get("ratelimit-limit"), headers.get("ratelimit-reset"), now)


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """
    Return the seconds that an answer asks to wait, None if it does not ask.

    :param headers: with ``Retry-After``, or the ``X-Retry-After`` of Docker Hub's own API: seconds since 1970
    :param now: the current time, with its zone
    """
    until = headers.get("X-Retry-After", "")
    if "Retry-After" not in headers and until.isascii() and until.isdigit():
        return max(0.0, int(until[:12]) - now.timestamp())
    return parse_retry_after(headers.get("Retry-After"), now)
