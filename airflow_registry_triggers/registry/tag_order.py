# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The order of tags, in which ``newest`` selects the greatest."""

from __future__ import annotations

import heapq
import re
from functools import total_ordering
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.tag_rule import VERSION_GROUP, TagRule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from semver import Version

    from airflow_registry_triggers.notification import TagState

__all__ = ["MAX_CANDIDATES", "ORDERS", "TagOrder", "check_conditions"]

ORDERS = ("version", "number", "text")
"""Values of ``newest``."""

ORDER_GROUP = "order"
"""Named group of ``tag_regex`` that holds the key."""

MAX_CANDIDATES = 5
"""Tags to request in one poll while the registry answers 404."""

# A tag has at most 128 characters. Python refuses to convert a number of very many digits.
_DIGITS = re.compile(r"[0-9]{1,128}")


def check_conditions(newest: str | None = None, **conditions: Any) -> None:
    """
    Check the conditions of a watcher or sensor together.

    :param newest: the order, None to watch all tags
    :param conditions: the conditions of a :class:`~airflow_registry_triggers.tag_rule.TagRule`
    :raises ValueError: one of them is not valid, or they cannot be combined
    """
    rule = TagRule(**conditions)
    if newest is not None:
        TagOrder(newest, rule)


class TagOrder:
    """
    Order the tags that a rule covers.

    The key of a tag is the text of the group ``order`` of ``tag_regex``, else for ``version`` that of the
    group ``version``, else the tag. A tag without a key has no place in the order.

    :param newest: ``version``, ``number`` or ``text``
    :param rule: the rule of the watcher
    :raises ValueError: the order is unknown, or the rule lists tags
    """

    __slots__ = ("_group", "_to_key", "newest", "rule")

    def __init__(self, newest: str, rule: TagRule) -> None:
        if newest not in ORDERS:
            raise ValueError(f"newest={newest!a} is not one of {', '.join(ORDERS)}.")
        if rule.tags is not None:
            raise ValueError(
                f"tags={list(rule.tags)!a} and newest={newest!a}: newest cannot be combined with tags. "
                "Set one of them."
            )
        self.newest = newest
        self.rule = rule
        self._group = _key_group(newest, rule)
        self._to_key = _KEYS[newest]

    def __repr__(self) -> str:
        return f"TagOrder({self.newest!r}, {self.rule!r})"

    def key(self, tag: str) -> Any:
        """Return the key of a tag, which compares with other keys of this order, or None."""
        text = tag if self._group is None else self.rule.group_text(tag, self._group)
        return None if text is None else self._to_key(text)

    def greatest(
        self, tags: Iterable[str], stored: str | None = None, limit: int = MAX_CANDIDATES
    ) -> list[str]:
        """
        Return the greatest of the tags that the rule covers, the greatest first.

        :param tags: the tags of a repository, in any order
        :param stored: the tag that was notified last. Of tags with equal keys it comes first, and the
            others follow by text
        :param limit: number of tags to return
        """
        candidates = {
            tag: key for tag in tags if self.rule.covers(tag) and (key := self.key(tag)) is not None
        }
        # nlargest keeps the order of equal keys.
        by_text = sorted(candidates, key=lambda tag: (tag != stored, tag))
        return heapq.nlargest(limit, by_text, key=candidates.__getitem__)

    def compare(self, tag: str, other: str) -> int:
        """
        Return a number below, equal to or above 0, as the tag is less than, equal to or greater than another.

        A tag without a key is less than each tag with one.
        """
        keys = self.key(tag), self.key(other)
        if keys[0] is None or keys[1] is None:
            return (keys[0] is not None) - (keys[1] is not None)
        return int(keys[0] > keys[1]) - int(keys[0] < keys[1])

    def highest(self, stored: str | None, states: Iterable[TagState]) -> str | None:
        """
        Return the greatest tag of some states; the stored one unless another is greater.

        :param stored: the tag that was notified last
        :param states: states of tags
        """
        for tag, _, _ in states:
            if stored is None or self.compare(tag, stored) > 0:
                stored = tag
        return stored


@total_ordering
class _PreRelease:
    """Compare versions with equal numbers, in the order of the library."""

    __slots__ = ("_version",)

    def __init__(self, version: Version) -> None:
        self._version = version

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _PreRelease) and self._version.compare(other._version) == 0

    def __lt__(self, other: _PreRelease) -> bool:
        return self._version.compare(other._version) < 0

    __hash__ = None  # type: ignore[assignment]


def _version_key(text: str) -> tuple[int, int, int, _PreRelease] | None:
    # Imported here: a Dag file without a range or an order does not load the library.
    from airflow_registry_triggers.version_range import parse_version

    version = parse_version(text)
    if version is None:
        return None
    # The numbers first: the library's own comparison costs ten times as much.
    return version.major, version.minor, version.patch, _PreRelease(version)


def _number_key(text: str) -> int | None:
    return int(text) if _DIGITS.fullmatch(text) else None


def _text_key(text: str) -> str:
    return text


_KEYS: Mapping[str, Callable[[str], Any]] = {
    "version": _version_key,
    "number": _number_key,
    "text": _text_key,
}


def _key_group(newest: str, rule: TagRule) -> str | None:
    if ORDER_GROUP in rule.groups:
        return ORDER_GROUP
    return VERSION_GROUP if newest == "version" and VERSION_GROUP in rule.groups else None
