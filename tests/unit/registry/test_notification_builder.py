# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

from datetime import UTC, datetime

import pytest

from airflow_registry_triggers.notification import TagState
from airflow_registry_triggers.registry.notification_builder import NotificationBuilder, Push, push_id

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def builder(timezone="UTC", facts=None, now=NOW):
    return NotificationBuilder("r.example", "team/app", timezone, facts or {}, now)


def push(tag="v1", previous=None, pushed_at=None):
    return Push(TagState(tag, 2, "sha256:" + "0" * 64), previous, pushed_at)


def test_push_id_with_another_part_differs():
    base = ("epoch", "registry", "team/app", "latest", 1, "sha256:a")
    ids = {push_id(*base)}
    for position in range(len(base)):
        changed = list(base)
        changed[position] = 2 if position == 4 else f"{base[position]}x"
        ids.add(push_id(*changed))
    assert len(ids) == 7
    assert all(len(value) == 32 and int(value, 16) >= 0 for value in ids)
    assert push_id("a", "bc", "", "", 1, "") != push_id("ab", "c", "", "", 1, "")


def test_in_order_sorts_by_time_then_by_tag():
    pushes = [push("b"), push("a"), push("late", pushed_at=NOW.timestamp() + 1), push("early", pushed_at=1.0)]
    assert [item.state.tag for item in builder().in_order(pushes)] == ["early", "a", "b", "late"]


@pytest.mark.parametrize(("previous", "action"), [(None, "new"), ("sha256:" + "1" * 64, "updated")])
def test_notification_action_follows_from_the_digest_before(previous, action):
    built = builder().notification(push(previous=previous), "e")
    assert (built.action, built.to_dict()["event"]["previous_digest"]) == (action, previous)


def test_notification_time_is_that_of_the_registry_in_the_time_zone():
    built = builder("Asia/Tokyo").notification(push(pushed_at=NOW.timestamp()), "e").to_dict()
    assert built["push_data"]["pushed_at"] == "2026-01-31 21:00:00"
    assert built["event"]["detected_at"] == "2026-01-31T12:00:00Z"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"timezone": "Mars/Olympus"}, "timezone='Mars/Olympus' is not known"),
        ({"facts": {"planet": "Mars"}}, "'planet' is not known"),
        ({"now": datetime(2026, 1, 31)}, "lacks a time zone"),
    ],
)
def test_builder_invalid_argument_names_it(arguments, text):
    with pytest.raises(ValueError, match=text):
        builder(**arguments)
