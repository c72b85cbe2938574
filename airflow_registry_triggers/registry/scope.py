# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Which tags of a repository are watched, and for what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.oci_names import is_referrer
from airflow_registry_triggers.tag_rule import TagRule

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["WatchScope"]


@dataclass(frozen=True, slots=True)
class WatchScope:
    """
    What was watched when a watermark was stored; what was not, is a baseline when it is watched later.

    :param rule: which tags
    :param updates: whether a known tag that moves counts
    :param referrers: whether tags of signatures and the like count
    :param accept: mark of the Accept header, as digests depend on it
    :param registry: name of the registry that was asked; empty where that was not stored
    """

    rule: TagRule
    updates: bool
    referrers: bool
    accept: str
    registry: str = ""

    def is_of_another_registry(self, other: WatchScope) -> bool:
        """
        Tell whether two registries were asked: what one has tells nothing of pushes to the other.

        :param other: what is compared
        """
        return bool(self.registry and other.registry) and self.registry != other.registry

    def covers(self, tag: str) -> bool:
        """Tell whether a tag is watched; one that the rule names is, referrer or not."""
        if not self.referrers and self.rule.tags is None and is_referrer(tag):
            return False
        return self.rule.covers(tag)

    def to_dict(self) -> dict[str, Any]:
        """Give the JSON form."""
        rule = {"tags": list(self.rule.tags)} if self.rule.tags else {"tag_regex": self.rule.tag_regex}
        return {
            "rule": rule,
            "updates": self.updates,
            "referrers": self.referrers,
            "accept": self.accept,
            "registry": self.registry,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> WatchScope:
        """
        Read the JSON form.

        :param data: what :meth:`to_dict` gave
        :raises ValueError: the rule is one that cannot work (any more)
        """
        rule = TagRule(**data["rule"])
        updates, referrers = data["updates"] is True, data["referrers"] is True
        return cls(rule, updates, referrers, str(data["accept"]), str(data.get("registry") or ""))
