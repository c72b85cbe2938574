# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from airflow_registry_triggers.common.chunked_values import load_chunked, save_chunked
from airflow_registry_triggers.watcher import outbox as module
from airflow_registry_triggers.watcher.outbox import (
    DETACHED_KEY,
    EXPIRES_AFTER,
    KEY,
    MAX_ACKNOWLEDGED,
    Outbox,
    record_detached,
)
from tests.unit.common.test_state_store import FullStore, MemoryStore
from tests.unit.watcher.notifications import notification_of


@pytest.fixture
def clock(monkeypatch):
    now = [1_000_000.0]
    monkeypatch.setattr(module.time, "time", lambda: now[0])
    return now


async def loaded(store, trigger_id=1):
    outbox = Outbox(store, trigger_id)
    await outbox.load()
    return outbox


async def emitted(outbox, *numbers):
    notifications = [notification_of(number) for number in numbers]
    await outbox.append(notifications)
    await outbox.acknowledge(notifications)


def tags(notifications):
    return [notification.tag for notification in notifications]


def stored_tags(store):
    return [row[2]["push_data"]["tag"] for row in load_chunked(store, KEY, [])]


async def test_outbox_new_watcher_pops_what_was_not_acknowledged(clock):
    store = MemoryStore()
    await (await loaded(store)).append([notification_of(1), notification_of(2)])
    outbox = await loaded(store)
    assert tags(outbox.pop_pending(lambda notification: notification.tag == "t2")) == ["t2"]
    assert tags(outbox.pop_pending(lambda _: True)) == ["t1"]
    assert outbox.pop_pending(lambda _: True) == []


async def test_outbox_notification_is_read_back_unchanged(clock):
    store = MemoryStore()
    await (await loaded(store)).append([notification_of(1)])
    assert (await loaded(store)).pop_pending(lambda _: True) == [notification_of(1)]


@pytest.mark.parametrize(("trigger_id", "replayed"), [(1, []), (2, ["t1"]), (None, ["t1"])])
async def test_outbox_acknowledged_is_replayed_by_another_trigger_only(clock, trigger_id, replayed):
    store = MemoryStore()
    await emitted(await loaded(store), 1)
    assert tags((await loaded(store, trigger_id)).pop_undelivered()) == replayed


async def test_outbox_two_minutes_count_from_the_first_emission_over_restarts(clock):
    store = MemoryStore()
    await emitted(await loaded(store, 1), 1)
    for trigger_id in (2, 3, 4):
        clock[0] += EXPIRES_AFTER / 4
        outbox = await loaded(store, trigger_id)
        assert tags(outbox.pop_undelivered()) == ["t1"]
        await emitted(outbox, 1)
    clock[0] += EXPIRES_AFTER / 3
    assert (await loaded(store, 5)).pop_undelivered() == []


async def test_outbox_detached_trigger_with_a_reused_id_replays_once(clock):
    """SQLite gives the id of the row that was deleted last to the next trigger."""
    store = MemoryStore()
    await emitted(await loaded(store), 1)
    clock[0] += 5
    await record_detached(store, 1)
    outbox = await loaded(store)
    assert tags(outbox.pop_undelivered()) == ["t1"]
    await emitted(outbox, 1)
    assert DETACHED_KEY not in store.values
    assert (await loaded(store)).pop_undelivered() == []


async def test_outbox_killed_before_a_replay_is_acknowledged_replays_again(clock):
    store = MemoryStore()
    await emitted(await loaded(store), 1)
    for _ in range(2):
        outbox = await loaded(store, 2)
        (replayed,) = outbox.pop_undelivered()
        await outbox.append([replayed])  # and the triggerer is killed
    await outbox.acknowledge([replayed])
    assert (await loaded(store, 2)).pop_undelivered() == []


async def test_outbox_detached_record_of_another_trigger_is_ignored(clock):
    store = MemoryStore()
    await record_detached(store, 9)
    await emitted(await loaded(store), 1)
    assert (await loaded(store)).pop_undelivered() == []


async def test_outbox_clock_set_back_does_not_prolong_an_entry(clock):
    store = MemoryStore()
    await emitted(await loaded(store), 1)
    clock[0] -= 3600
    outbox = await loaded(store, 2)
    clock[0] += EXPIRES_AFTER + 1
    assert outbox.pop_undelivered() == []


async def test_outbox_expire_writes_only_when_all_entries_are_expired(clock):
    store = MemoryStore()
    outbox = await loaded(store)
    await emitted(outbox, 1)
    clock[0] += EXPIRES_AFTER - 1
    await emitted(outbox, 2)
    clock[0] += 2
    store.calls.clear()
    await outbox.expire()
    assert store.calls == []
    clock[0] += EXPIRES_AFTER
    await outbox.expire()
    assert stored_tags(store) == []


async def test_outbox_append_drops_expired_entries_and_keeps_unacknowledged(clock):
    store = MemoryStore()
    outbox = await loaded(store)
    await emitted(outbox, 1)
    await outbox.append([notification_of(2)])
    clock[0] += EXPIRES_AFTER + 1
    await outbox.append([notification_of(3)])
    assert stored_tags(store) == ["t2", "t3"]
    await outbox.expire()
    assert stored_tags(store) == ["t2", "t3"]


async def test_outbox_unacknowledged_after_an_hour_is_replayed(clock):
    store = MemoryStore()
    await (await loaded(store)).append([notification_of(1)])
    clock[0] += 3600
    assert tags((await loaded(store)).pop_pending(lambda _: True)) == ["t1"]


async def test_outbox_second_event_of_a_storm_survives_the_first(clock):
    """A restart replays several events; the entries of the later ones must not be dropped with the first."""
    store = MemoryStore()
    storm = [notification_of(number) for number in range(6)]
    await (await loaded(store)).append(storm)
    clock[0] += EXPIRES_AFTER + 1
    outbox = await loaded(store, 2)
    assert outbox.pop_pending(lambda _: True) == storm
    await outbox.append(storm[:3])
    await outbox.acknowledge(storm[:3])
    assert set(stored_tags(store)) == {f"t{number}" for number in range(6)}


async def test_outbox_keeps_500_acknowledged_entries_in_parts(clock):
    store = MemoryStore()
    outbox = await loaded(store)
    for begin in range(0, 700, 100):
        await emitted(outbox, *range(begin, begin + 100))
    await outbox.append([notification_of(1000)])
    assert stored_tags(store) == [f"t{number}" for number in range(200, 700)] + ["t1000"]
    assert len(stored_tags(store)) == MAX_ACKNOWLEDGED + 1
    assert all(len(str(value)) < 65_535 for value in store.values.values())
    assert len(store.values) > 3


async def test_outbox_killed_while_it_writes_keeps_the_older_entries(clock):
    for cut in range(12):
        store = MemoryStore()
        old = [notification_of(number) for number in range(100)]
        await (await loaded(store)).append(old)
        outbox = await loaded(store)
        outbox.pop_pending(lambda _: True)
        store.left = cut
        try:
            await outbox.append([notification_of(number) for number in range(100, 300)])
        except FullStore:
            store.left = None
        assert set(stored_tags(store)) >= set(tags(old))


@pytest.mark.parametrize(
    "damaged", [1, "x", {}, [1], [[1, 2]], [["x", 1, {}]], [[1.0, 1, {"event": {}}]], [[1.0, 1, None]]]
)
async def test_outbox_damaged_value_is_empty(damaged):
    store = MemoryStore()
    save_chunked(store, KEY, damaged)
    outbox = await loaded(store)
    assert outbox.pop_pending(lambda _: True) == []
    await outbox.append([notification_of(1)])
    assert stored_tags(store) == ["t1"]


class OutboxMachine(RuleBasedStateMachine):
    """A watcher that is killed at any moment: what was appended and not acknowledged is always stored."""

    def __init__(self):
        super().__init__()
        self.store = MemoryStore()
        self.open: dict[str, object] = {}
        self.number = 0
        self.trigger_id = 1
        self._run(self._restart())

    @staticmethod
    def _run(coroutine):
        try:
            coroutine.send(None)
        except StopIteration as stop:
            return stop.value
        raise AssertionError("a store in memory does not wait")

    async def _restart(self):
        self.outbox = await loaded(self.store, self.trigger_id)

    @rule(count=st.integers(1, 9))
    def append(self, count):
        new = [notification_of(self.number + n) for n in range(count)]
        self.number += count
        self._run(self.outbox.append(new))
        self.open |= {notification.id: notification for notification in new}

    @rule(count=st.integers(1, 9))
    def acknowledge(self, count):
        done = list(self.open.values())[:count]
        self._run(self.outbox.acknowledge(done))
        for notification in done:
            del self.open[notification.id]

    @rule()
    def expire(self):
        self._run(self.outbox.expire())

    @rule(changes_trigger=st.booleans())
    def kill(self, changes_trigger):
        self.trigger_id += changes_trigger
        self._run(self._restart())
        replayed = self.outbox.pop_pending(lambda notification: notification.id in self.open)
        assert {notification.id for notification in replayed} == set(self.open)

    @invariant()
    def open_is_stored(self):
        stored = {row[2]["event"]["id"] for row in load_chunked(self.store, KEY, [])}
        assert stored >= set(self.open)


TestOutboxMachine = OutboxMachine.TestCase
TestOutboxMachine.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
