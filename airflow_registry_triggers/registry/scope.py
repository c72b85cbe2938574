# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Settings that decide which tags of a repository are watched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from airflow_registry_triggers.oci_names import is_referrer
from airflow_registry_triggers.registry.tag_order import TagOrder
from airflow_registry_triggers.tag_rule import TagRule

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FIRST_RUNS", "FirstRun", "WatchScope", "checked_first_run"]

FirstRun = Literal["baseline", "notify"]
"""Mode of the first poll: record the current tags, or send a notification for each of them."""

FIRST_RUNS: tuple[FirstRun, ...] = get_args(FirstRun)


def checked_first_run(value: object) -> FirstRun:
    """
    Return the mode of the first poll unchanged.

    :raises ValueError: the value is not one of :data:`FIRST_RUNS`
    """
    for known in FIRST_RUNS:
        if value == known:
            return known
    raise ValueError(f"first_run={value!r} is not valid. Use {' or '.join(map(repr, FIRST_RUNS))}")


@dataclass(frozen=True, slots=True)
class WatchScope:
    """
    The scope of a poll. The watermark stores it; tags outside the stored scope get a baseline later.

    :param rule: the rule on tags
    :param updates: whether a known tag with another digest is a push
    :param referrers: whether tags of signatures, attestations and bills of materials are watched
    :param accept: hash of the Accept header, because digests depend on that header
    :param registry: name of the registry; empty if it was not stored
    :param newest: order of the tags of which only the greatest is watched; None to watch all of them
    """

    rule: TagRule
    updates: bool
    referrers: bool
    accept: str
    registry: str = ""
    newest: str | None = None

    @property
    def order(self) -> TagOrder | None:
        """The order of the tags; None if all of them are watched."""
        return None if self.newest is None else TagOrder(self.newest, self.rule)

    def has_same_order(self, other: WatchScope) -> bool:
        """Return True if both scopes select the greatest of the same tags."""
        return (self.newest, self.rule) == (other.newest, other.rule)

    def is_other_registry(self, other: WatchScope) -> bool:
        """Return True if the scopes name two registries, whose digests cannot be compared."""
        return bool(self.registry and other.registry) and self.registry != other.registry

    def covers(self, tag: str) -> bool:
        """Return True if the tag is watched. A referrer that the rule lists by name is watched too."""
        return not self.leaves_out(tag) and self.rule.covers(tag)

    def leaves_out(self, tag: str) -> bool:
        """Return True for a referrer, whatever the rule decides about it."""
        return not self.referrers and self.rule.tags is None and is_referrer(tag)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form; the key ``order`` exists only for a scope with an order."""
        return {
            "rule": self.rule.to_dict(),
            "updates": self.updates,
            "referrers": self.referrers,
            "accept": self.accept,
            "registry": self.registry,
            **({} if self.newest is None else {"order": self.newest}),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> WatchScope:
        """
        Read the JSON form.

        :param data: the result of :meth:`to_dict`
        :raises ValueError: the rule or the order is not valid (any more)
        """
        rule = TagRule(**data["rule"])
        updates, referrers = data["updates"] is True, data["referrers"] is True
        registry, newest = str(data.get("registry") or ""), data.get("order")
        scope = cls(rule, updates, referrers, str(data["accept"]), registry, newest)
        _ = scope.order  # raises ValueError
        return scope
