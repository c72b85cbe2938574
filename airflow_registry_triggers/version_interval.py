# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Intervals of versions, and the interval that an operator and its numbers select."""

from __future__ import annotations

from dataclasses import dataclass

from semver import Version

__all__ = ["Bound", "Interval", "interval_of", "smallest"]

LOWEST = "0"
"""The lowest pre-release: ``2.0.0-0`` is below each other pre-release of 2.0.0."""


@dataclass(frozen=True, slots=True)
class Bound:
    """
    Describe one end of an interval.

    :param version: the end
    :param inclusive: True if the end belongs to the interval
    :param numbers: the three numbers of the version
    """

    version: Version
    inclusive: bool
    numbers: tuple[int, int, int]

    @classmethod
    def of(cls, version: Version, *, inclusive: bool) -> Bound:
        """Return the end at a version."""
        return cls(version, inclusive, (version.major, version.minor, version.patch))

    def is_below(self, version: Version, numbers: tuple[int, int, int]) -> bool:
        """Return True if the version is above this lower end."""
        if numbers != self.numbers:
            # The library's order costs five times as much, and differs only where the numbers are equal.
            return numbers > self.numbers
        order = version.compare(self.version)
        return order > 0 or (order == 0 and self.inclusive)

    def is_above(self, version: Version, numbers: tuple[int, int, int]) -> bool:
        """Return True if the version is below this upper end."""
        if numbers != self.numbers:
            return numbers < self.numbers
        order = version.compare(self.version)
        return order < 0 or (order == 0 and self.inclusive)


@dataclass(frozen=True, slots=True)
class Interval:
    """Describe the versions between two ends, pre-releases included. None is an open end."""

    low: Bound | None = None
    high: Bound | None = None

    def contains(self, version: Version, numbers: tuple[int, int, int]) -> bool:
        """
        Return True if the version is between the ends.

        :param numbers: the three numbers of the version
        """
        return (self.low is None or self.low.is_below(version, numbers)) and (
            self.high is None or self.high.is_above(version, numbers)
        )


def smallest(low: Bound | None, with_pre_releases: bool) -> Version:
    """Return the least version that is above a lower end."""
    if low is None:
        return Version(0, 0, 0, LOWEST if with_pre_releases else None)
    version = low.version
    if low.inclusive:
        return version
    if version.prerelease is not None:
        return version.replace(prerelease=f"{version.prerelease}.{LOWEST}")
    return version.replace(patch=version.patch + 1, prerelease=LOWEST if with_pre_releases else None)


def interval_of(operator: str, numbers: list[int], pre: str | None) -> Interval:
    """
    Return the versions that a comparison selects.

    :param operator: ``=``, ``>=``, ``>``, ``<``, ``<=``, ``~`` or ``^``
    :param numbers: at most three numbers; without any, the interval has no end
    :param pre: the pre-release, which follows the numbers filled up with zeros
    """
    if not numbers:
        return Interval() if pre is None else Interval(low=Bound.of(Version(0, 0, 0, pre), inclusive=True))
    start = _version([*numbers, 0, 0], pre)
    exact = len(numbers) == 3
    end = _before(numbers, len(numbers))
    match operator:
        case "=" if exact:
            edge = Bound.of(start, inclusive=True)
            return Interval(edge, edge)
        case ">":
            above = start if exact else end.version.replace(prerelease=None)
            return Interval(low=Bound.of(above, inclusive=not exact))
        case "<":
            return Interval(high=Bound.of(start, inclusive=False) if exact else _before_start(start))
        case "<=":
            return Interval(high=Bound.of(start, inclusive=True) if exact else end)
        case "~":
            end = _before(numbers, min(len(numbers), 2))
        case "^":
            leading = next((at + 1 for at, number in enumerate(numbers) if number), len(numbers))
            end = _before(numbers, leading)
    return Interval(Bound.of(start, inclusive=True), None if operator == ">=" else end)


def _before(numbers: list[int], count: int) -> Bound:
    """Return the upper end below which the first ``count`` numbers stay the same."""
    raised = [*numbers[: count - 1], numbers[count - 1] + 1, 0, 0]
    return Bound.of(_version(raised, LOWEST), inclusive=False)


def _version(numbers: list[int], pre: str | None) -> Version:
    major, minor, patch = numbers[:3]
    return Version(major, minor, patch, pre)


def _before_start(start: Version) -> Bound:
    return Bound.of(start.replace(prerelease=LOWEST), inclusive=False)
