# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from airflow_registry_triggers.watcher.push_batch import (
    MAX_BYTES,
    MAX_NOTIFICATIONS,
    PushBatch,
    in_rounds,
    split,
)
from tests.unit.watcher.notifications import notification_of


class Watched:
    asset = "oci://conn/team/app"


def test_push_batch_payload_is_the_list_of_notifications():
    batch = PushBatch(Watched(), [notification_of(1), notification_of(2)])
    assert batch.payload == [notification_of(1).to_dict(), notification_of(2).to_dict()]
    assert batch.asset == "oci://conn/team/app"


def test_split_few_notifications_is_one_list():
    notifications = [notification_of(number) for number in range(MAX_NOTIFICATIONS)]
    assert list(split(notifications)) == [notifications]
    assert list(split([])) == []


def test_split_more_notifications_keeps_order_and_limit():
    notifications = [notification_of(number) for number in range(MAX_NOTIFICATIONS + 1)]
    parts = list(split(notifications))
    assert [len(part) for part in parts] == [MAX_NOTIFICATIONS, 1]
    assert [item for part in parts for item in part] == notifications


def test_split_large_notifications_keeps_the_limit_of_bytes():
    notifications = [notification_of(number, name="n" * 100_000) for number in range(30)]
    parts = list(split(notifications))
    assert len(parts) > 1
    assert all(len(json.dumps([item.to_dict() for item in part])) < MAX_BYTES + 1000 for part in parts)


def test_split_single_larger_notification_is_a_list_of_its_own():
    large = notification_of(2, name="n" * (MAX_BYTES + 1))
    assert list(split([notification_of(1), large, notification_of(3)])) == [
        [notification_of(1)], [large], [notification_of(3)]
    ]  # fmt: skip


@given(st.lists(st.integers(0, 4), max_size=30), st.integers(1, 5))
def test_in_rounds_has_each_asset_once_and_in_order(assets, size):
    watched = [Watched() for _ in range(5)]
    batches = [PushBatch(watched[number], []) for number in assets]
    rounds = list(in_rounds(batches, size))
    assert all(len(of_round) <= size for of_round in rounds)
    for of_round in rounds:
        assert len({id(batch.watched) for batch in of_round}) == len(of_round)
    flat = [batch for of_round in rounds for batch in of_round]
    for asset in watched:
        assert [b for b in flat if b.watched is asset] == [b for b in batches if b.watched is asset]
    assert len(flat) == len(batches)
