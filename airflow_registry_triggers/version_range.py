# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
Versions and ranges of versions.

The library ``semver`` parses and orders versions. It has no ranges, and other libraries' ranges differ in
their treatment of pre-releases.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from semver import Version

from airflow_registry_triggers.version_interval import Interval, interval_of, smallest

__all__ = ["IN_RANGE", "OUT_OF_RANGE", "PRE_RELEASE", "RangeResult", "VersionRange", "parse_version"]

RangeResult = Literal["in_range", "out_of_range", "pre_release"]

IN_RANGE: RangeResult = "in_range"
OUT_OF_RANGE: RangeResult = "out_of_range"
PRE_RELEASE: RangeResult = "pre_release"

MAX_LENGTH = 128
"""Characters of a version, as of a tag. Python refuses to convert a number of very many digits."""

_NUMBER = r"(?:0|[1-9][0-9]*)"
_PART = rf"(?:{_NUMBER}|[xX*])"
_COMPARISON = re.compile(
    rf"(?P<operator>>=|<=|!=|[><=~^])? *(?:v(?=[0-9]))?(?P<parts>{_PART}(?:\.{_PART}){{0,2}})(?P<pre>-.+)?"
)
_OPERATOR_ONLY = re.compile(r"[<>=!~^]+")
_WILDCARDS = frozenset("xX*")
# With these operators, a pre-release can follow fewer than three numbers.
_FILLS_NUMBERS = frozenset({"", "=", ">=", "~", "^"})
_MATCHES_NOTHING = frozenset({">", "<", "!="})


def parse_version(text: str) -> Version | None:
    """
    Return the version in a text, or None if the text is not a version.

    :param text: ``[v]MAJOR.MINOR.PATCH[-PRE]``
    """
    # A tag cannot contain "+", so a build is not part of the grammar here.
    if len(text) > MAX_LENGTH or "+" in text:
        return None
    try:
        return Version.parse(text.removeprefix("v"))
    except ValueError:
        return None


class VersionRange:
    """
    Check versions against a range, such as ``>=1.2 <2 || ^3``.

    :param text: alternatives separated by ``||``; the comparisons of an alternative must all be true
    :raises ValueError: the text is not a range, or no version satisfies it
    """

    __slots__ = ("_alternatives", "text")

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise ValueError(f"semver={text!a}: expected text. Write a range such as '>=1.2 <2'.")
        self.text = text
        try:
            self._alternatives = tuple(_parse_alternative(part) for part in text.split("||"))
        except _Fault as fault:
            raise ValueError(f"semver={text!a}: {fault}") from None

    def __repr__(self) -> str:
        return f"VersionRange({self.text!r})"

    def check(self, version: Version) -> RangeResult:
        """
        Return ``in_range``, ``out_of_range`` or ``pre_release``.

        ``pre_release`` means that the version would be in the range if the range admitted pre-releases.
        """
        result = OUT_OF_RANGE
        for alternative in self._alternatives:
            if alternative.contains(version):
                if version.prerelease is None or alternative.admits_pre_releases:
                    return IN_RANGE
                result = PRE_RELEASE
        return result

    def check_text(self, text: str) -> RangeResult | Literal["not_a_version"]:
        """
        Return the result of :meth:`check`, or ``not_a_version``.

        :param text: the text of a version
        """
        version = parse_version(text)
        return "not_a_version" if version is None else self.check(version)

    def pre_release_advice(self, text: str) -> str:
        """
        Return a sentence that says how the range can match a pre-release.

        :param text: a version for which :meth:`check` returns ``pre_release``
        :raises ValueError: the text is not a version
        """
        version = Version.parse(text.removeprefix("v"))
        alternative = next(item for item in self._alternatives if item.contains(version))
        for comparison in alternative.comparisons:
            if comparison.fills_numbers:
                return f"Add -0 to a bound to match both, for example {comparison.text}-0."
        return f"Add *-0 to match both, for example {alternative.text} *-0."


class _Fault(ValueError):
    """Explain the error in a range and its correction."""


@dataclass(frozen=True, slots=True)
class _Comparison:
    """
    Describe one comparison of a range.

    :param text: the comparison as written
    :param operator: empty if the comparison has none
    :param interval: the versions that match; for ``!=`` the versions that do not match
    """

    text: str
    operator: str
    interval: Interval
    has_pre_release: bool

    @property
    def fills_numbers(self) -> bool:
        """Whether a pre-release can follow fewer than three numbers."""
        return self.operator in _FILLS_NUMBERS

    @property
    def is_negated(self) -> bool:
        return self.operator == "!="


@dataclass(frozen=True, slots=True)
class _Alternative:
    """Describe the comparisons that must all be true."""

    text: str
    comparisons: tuple[_Comparison, ...]
    admits_pre_releases: bool
    included: tuple[Interval, ...]
    excluded: tuple[Interval, ...]

    @classmethod
    def of(cls, text: str, comparisons: list[_Comparison]) -> _Alternative:
        return cls(
            text=text,
            comparisons=tuple(comparisons),
            admits_pre_releases=any(comparison.has_pre_release for comparison in comparisons),
            included=tuple(item.interval for item in comparisons if not item.is_negated),
            excluded=tuple(item.interval for item in comparisons if item.is_negated),
        )

    def contains(self, version: Version) -> bool:
        """Return True if the version is in all intervals, whether pre-releases are admitted or not."""
        numbers = (version.major, version.minor, version.patch)
        for interval in self.included:
            if not interval.contains(version, numbers):
                return False
        return not any(interval.contains(version, numbers) for interval in self.excluded)

    def is_empty(self) -> bool:
        """Return True if no version is in all intervals; ``!=`` does not count."""
        candidates = [smallest(interval.low, self.admits_pre_releases) for interval in self.included]
        if not candidates:
            return False
        version = max(candidates)
        numbers = (version.major, version.minor, version.patch)
        return not all(interval.contains(version, numbers) for interval in self.included)


def _parse_alternative(text: str) -> _Alternative:
    tokens: list[str] = []
    for part in text.split(","):
        tokens += _tokens(part.strip(" "))
    _check_hyphens(tokens)
    alternative = _Alternative.of(text.strip(" "), [_parse_comparison(token) for token in tokens])
    if alternative.is_empty():
        raise _Fault(f"no version satisfies {alternative.text!a}.")
    return alternative


def _tokens(text: str) -> list[str]:
    """Split a text at its spaces, except between an operator and its number."""
    if not text:
        raise _Fault("a comparison is missing. Write a range such as '>=1.2 <2'.")
    tokens: list[str] = []
    operator = ""
    for word in re.split(" +", text):
        if not operator and _OPERATOR_ONLY.fullmatch(word):
            operator = word
            continue
        tokens.append(f"{operator} {word}" if operator else word)
        operator = ""
    return [*tokens, operator] if operator else tokens


def _check_hyphens(tokens: list[str]) -> None:
    for before, hyphen, after in zip(tokens, tokens[1:], tokens[2:], strict=False):
        ends = _COMPARISON.fullmatch(before), _COMPARISON.fullmatch(after)
        if hyphen == "-" and all(end and not end["operator"] for end in ends):
            last = after if ends[1] is None or not ends[1]["pre"] else _with_three_numbers(ends[1])
            raise _Fault(f"hyphen ranges are not supported. Write '>={before} <={last}'.")


def _parse_comparison(text: str) -> _Comparison:
    match = _COMPARISON.fullmatch(text) if len(text) <= MAX_LENGTH else None
    if match is None or not _is_pre_release(match["pre"]):
        raise _Fault(
            f"{text!a} is not a comparison. Write one such as >=1.2, <2, ^1.2, ~1.2.3, 1.x or !=1.4.0."
        )
    operator = match["operator"] or ""
    numbers = _numbers(match)
    pre = match["pre"][1:] if match["pre"] else None
    if pre is not None and len(numbers) < 3 and operator not in _FILLS_NUMBERS:
        example = f"{operator}{_with_three_numbers(match)}"
        raise _Fault(f"write three numbers before the pre-release, for example {example!a}.")
    if not numbers and operator in _MATCHES_NOTHING:
        raise _Fault(f"no version satisfies {text!a}. Write '*' to match every release.")
    interval = interval_of("=" if operator in {"", "!="} else operator, numbers, pre)
    return _Comparison(text, operator, interval, pre is not None)


def _is_pre_release(text: str | None) -> bool:
    # The library knows the grammar of a pre-release.
    return text is None or ("+" not in text and parse_version(f"0.0.0{text}") is not None)


def _numbers(match: re.Match[str]) -> list[int]:
    """Return the numbers before the first ``x``."""
    parts = match["parts"].split(".")
    count = next((at for at, part in enumerate(parts) if part in _WILDCARDS), len(parts))
    if any(part not in _WILDCARDS for part in parts[count:]):
        shorter = f"{match['operator'] or ''}{'.'.join(parts[: count + 1])}"
        raise _Fault(f"a number follows {parts[count]}. Write {shorter!a}.")
    return [int(part) for part in parts[:count]]


def _with_three_numbers(match: re.Match[str]) -> str:
    numbers = [part for part in match["parts"].split(".") if part not in _WILDCARDS]
    return f"{'.'.join([*numbers, '0', '0', '0'][:3])}{match['pre']}"
