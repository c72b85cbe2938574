# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Decide for each notification whether it triggers, does not match, or is a duplicate."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from airflow_registry_triggers.access_record import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_registry_triggers.matching.deduplication import Deduplicator, NullDeduplicator
    from airflow_registry_triggers.notification import Notification
    from airflow_registry_triggers.tag_rule import TagRule

__all__ = ["Decision", "decide"]


class Decision(NamedTuple):
    """
    The status of one notification.

    :param status: ``triggered``, ``untriggered`` or ``duplicate``
    :param reason: one sentence that explains it
    """

    status: Status
    reason: str


def decide(
    rule: TagRule, notifications: Sequence[Notification], memory: Deduplicator | NullDeduplicator
) -> list[Decision]:
    """Apply the rule, and claim each notification that triggers, so that a later one is a duplicate."""
    decisions: list[Decision] = []
    for notification in notifications:
        verdict = rule.judge(notification.tag)
        if not verdict.triggered:
            decisions.append(Decision(Status.UNTRIGGERED, verdict.reason))
        elif reason := memory.duplicate_reason(notification):
            decisions.append(Decision(Status.DUPLICATE, reason))
        else:
            decisions.append(Decision(Status.TRIGGERED, verdict.reason))
            memory.claim(notification)
    return decisions
