# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

import pytest

from airflow_registry_triggers.access_record import BODY_LEFT_OUT, AccessRecord
from airflow_registry_triggers.delivery.journal import STATE_KEY, DeliveryJournal
from airflow_registry_triggers.webhook.outcome import Outcome
from tests.unit.memory_store import MemoryStore, StoreDown


def record(status="200", **values):
    return AccessRecord(trigger_name="prod", status_code=status, trigger_log_id="1", **values)


def test_journal_in_a_retry_knows_final_deliveries_and_attempts():
    store = MemoryStore()
    journal = DeliveryJournal(store, 8)
    journal.add("a", Outcome.DELIVERED, record())
    journal.add("b", Outcome.RETRY, record("503"))
    journal.flush()
    again = DeliveryJournal(store, 8)
    assert (again.is_final("a"), again.is_final("b")) == (True, False)
    assert (again.outcome("a"), again.outcome("b")) == (Outcome.DELIVERED, None)
    assert [attempt["status_code"] for attempt in again.attempts("b")] == ["503"]
    assert again.final_record("a").status_code == "200"


def test_journal_after_a_clear_starts_again_and_keeps_the_attempts():
    store = MemoryStore()
    journal = DeliveryJournal(store, 8)
    journal.add("a", Outcome.DELIVERED, record())
    journal.flush()
    cleared = DeliveryJournal(store, 17)
    assert not cleared.is_final("a")
    assert len(cleared.attempts("a")) == 1


def test_journal_after_a_failed_flush_writes_the_attempts_in_the_next():
    store = MemoryStore()
    journal = DeliveryJournal(store, 8)
    journal.add("a", Outcome.DELIVERED, record())
    store.is_down = True
    with pytest.raises(StoreDown):
        journal.flush()
    assert not journal.is_written
    store.is_down = False
    journal.flush()
    assert journal.is_written
    assert DeliveryJournal(store, 8).is_final("a")


def test_journal_without_a_flush_stores_nothing():
    store = MemoryStore()
    DeliveryJournal(store, 8).add("a", Outcome.DELIVERED, record())
    assert not DeliveryJournal(store, 8).is_final("a")


def test_journal_with_large_bodies_leaves_them_out():
    store = MemoryStore()
    journal = DeliveryJournal(store, 8)
    for number in range(20):
        journal.add(str(number), Outcome.DELIVERED, record(response_body="x" * 4000))
    journal.flush()
    assert DeliveryJournal(store, 8).final_record("3").response_body == BODY_LEFT_OUT


def test_journal_with_many_attempts_returns_the_last_30():
    journal = DeliveryJournal(MemoryStore(), 8)
    for number in range(40):
        journal.add("a", Outcome.RETRY, record("503", try_number=number))
    assert [attempt["try_number"] for attempt in journal.attempts("a")] == list(range(10, 40))


def test_journal_of_one_attempt_is_one_write():
    store = MemoryStore()
    journal = DeliveryJournal(store, 8)
    journal.add("a", Outcome.DELIVERED, record())
    journal.flush()
    assert len(store.values) == 1


@pytest.mark.parametrize("attempts_in_a_part", [1, 400])
def test_journal_killed_between_two_writes_keeps_the_parts_before(attempts_in_a_part):
    store = MemoryStore()
    journal = DeliveryJournal(store, 8)
    for part in range(4):
        for number in range(attempts_in_a_part):
            journal.add(f"{part}-{number}", Outcome.DELIVERED, record())
        before = dict(store.values)
        journal.flush()
        after, store.values = store.values, dict(before)
        # The head goes last, so any beginning of the writes is the older state.
        store.values |= {key: value for key, value in after.items() if key != STATE_KEY}
        killed = DeliveryJournal(store, 8)
        assert [killed.is_final(f"{number}-0") for number in range(4)] == [
            number < part for number in range(4)
        ]
        store.values = after
        again = DeliveryJournal(store, 8)
        assert [again.is_final(f"{number}-0") for number in range(4)] == [
            number <= part for number in range(4)
        ]


def test_journal_of_a_first_try_reads_nothing():
    class Unreadable(MemoryStore):
        def get(self, key, default=None):
            raise AssertionError(f"{key} is read")

    journal = DeliveryJournal(Unreadable(), 8, is_first_try=True)
    assert not journal.is_final("a")
