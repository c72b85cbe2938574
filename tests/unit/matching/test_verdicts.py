# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

from airflow_registry_triggers.access_record import Status
from airflow_registry_triggers.matching.deduplication import NullDeduplicator
from airflow_registry_triggers.matching.verdicts import decide
from airflow_registry_triggers.notification import Notification
from airflow_registry_triggers.tag_rule import TagRule


class Memory:
    """A memory without a store."""

    def __init__(self, *known):
        self.claimed = list(known)

    def duplicate_reason(self, notification):
        return "known" if notification.id in self.claimed else None

    def claim(self, notification):
        self.claimed.append(notification.id)

    def save(self):
        raise AssertionError("decide() must not store")


def push(tag="v1", push_id="1", generation=None):
    event = {"id": push_id, "generation": generation}
    return Notification.from_dict({"push_data": {"tag": tag}, "repository": {"name": "app"}, "event": event})


def statuses(decisions):
    return [str(decision.status) for decision in decisions]


def test_decide_with_any_pushes_claims_only_those_that_trigger():
    memory = Memory("2")
    decisions = decide(TagRule(tags=["v1"]), [push(), push(push_id="2"), push("x", "3"), push()], memory)
    assert statuses(decisions) == ["triggered", "duplicate", "untriggered", "duplicate"]
    assert memory.claimed == ["2", "1"]
    assert all(decision.reason for decision in decisions)


def test_decide_in_a_test_run_finds_no_duplicate():
    decisions = decide(TagRule(), [push(), push()], NullDeduplicator())
    assert [decision.status for decision in decisions] == [Status.TRIGGERED] * 2
