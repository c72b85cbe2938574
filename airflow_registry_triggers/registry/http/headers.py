# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""What a registry says in headers: challenges, the next page, and when to come back."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Challenge", "next_link", "parse_challenges", "quota_pause"]

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - RFC 9110 5.6.2, no secret
_SCHEME = re.compile(rf"[\s,]*({_TOKEN})(?:\s+(?!=)|(?=,)|$)")
_PARAMETER = re.compile(rf'[\s,]*({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN}))(?=\s*(?:,|$))')
_TOKEN68 = re.compile(r"[A-Za-z0-9._~+/-]+=*(?=\s*(?:,|$))")
_MAX_HEADER = 16 * 1024


@dataclass(frozen=True, slots=True)
class Challenge:
    """
    One way to sign in that a 401 offers.

    :param scheme: in lower case, ``basic`` or ``bearer`` where it is one we can meet
    :param parameters: ``realm``, ``service``, ``scope``; names in lower case
    """

    scheme: str
    parameters: dict[str, str] = field(default_factory=dict)


def parse_challenges(values: Iterable[str]) -> list[Challenge]:
    """
    Read ``WWW-Authenticate``; several challenges may stand in one header (RFC 9110 11.6.1).

    :param values: each value of the header
    :return: what could be read, in order; what could not is left out
    """
    return [challenge for value in values for challenge in _challenges(value[:_MAX_HEADER])]


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


_PIECE = re.compile(r'<[^>]*>|"(?:[^"\\]|\\.)*"|[,;]|[^<",;]+|.', re.DOTALL)


def next_link(values: Iterable[str]) -> str | None:
    """
    Find where the next page is (RFC 8288); Quay has been seen to leave out the angle brackets.

    :param values: each value of ``Link``
    :return: the target as it stands there, None on the last page
    """
    for value in values:
        for target, *parameters in _links(value[:_MAX_HEADER]):
            if any(_is_next(parameter) for parameter in parameters):
                return target.strip("<> \t")
    return None


def _links(value: str) -> Iterator[list[str]]:
    parts = [""]
    for piece in _PIECE.findall(value):
        if piece == ",":
            yield parts
            parts = [""]
        elif piece == ";":
            parts.append("")
        else:
            parts[-1] += piece
    yield parts


def _is_next(parameter: str) -> bool:
    name, _, value = parameter.partition("=")
    return name.strip().lower() == "rel" and "next" in value.strip(' \t"').lower().split()


_QUOTA = re.compile(r"\s*([0-9]{1,15})\s*(?:;.*)?")
_WINDOW = re.compile(r";\s*w\s*=\s*([0-9]{1,9})\b")


def quota_pause(remaining: str | None, limit: str | None, reset: str | None, now: float) -> float | None:
    """
    Tell how long to stay away when ``ratelimit-remaining`` has come down to nothing.

    :param remaining: its value, such as ``0`` or ``0;w=21600`` (Docker Hub)
    :param limit: value of ``ratelimit-limit``, such as ``100;w=21600``
    :param reset: value of ``ratelimit-reset``: seconds, or seconds since 1970
    :param now: seconds since 1970
    :return: None where something is left or nothing is told; 0 where it is not told when there will be
        more. Without a reset it is the time in which a sliding window gives one request back.
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
