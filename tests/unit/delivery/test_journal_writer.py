# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

import asyncio
import logging

import pytest

from airflow_registry_triggers.access_record import AccessRecord
from airflow_registry_triggers.delivery import journal_writer
from airflow_registry_triggers.delivery.journal import DeliveryJournal
from airflow_registry_triggers.delivery.journal_writer import JournalUnavailable, JournalWriter
from airflow_registry_triggers.webhook.outcome import Outcome
from tests.unit.memory_store import MemoryStore

LOG = logging.getLogger(__name__)


@pytest.fixture(autouse=True)
def short_times(monkeypatch):
    monkeypatch.setattr(journal_writer, "FLUSH_SECONDS", 0.01)
    monkeypatch.setattr(journal_writer, "RETRY_SECONDS", (0.01,))


@pytest.fixture
def store():
    return MemoryStore()


def record(number):
    return AccessRecord(trigger_name="prod", status_code="200", trigger_log_id=str(number))


def writer_of(store, reported):
    journal = DeliveryJournal(store, 8)
    journal.add("a", Outcome.DELIVERED, record(0))
    return JournalWriter(journal, reported.append, LOG)


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.005)


async def test_close_writes_the_journal_and_reports_in_order(store):
    reported = []
    writer = writer_of(store, reported)
    for number in range(3):
        writer.add(record(number))
    await writer.close(tries=1)
    assert DeliveryJournal(store, 8).is_final("a")
    assert [item.trigger_log_id for item in reported] == ["0", "1", "2"]


async def test_failing_store_pauses_the_sending_until_it_is_well_again(store, caplog):
    writer = writer_of(store, [])
    store.is_down = True
    writer.start()
    await until(lambda: store.failed_writes >= 2)
    waiting = asyncio.create_task(writer.wait_until_writable())
    done, _ = await asyncio.wait([waiting], timeout=0.05)
    assert not done
    store.is_down = False
    await asyncio.wait_for(waiting, 60)
    await writer.close(tries=1)
    assert "sending pauses" in caplog.text


async def test_wait_until_writable_with_a_store_down_for_long_ends_the_try(store, monkeypatch):
    monkeypatch.setattr(journal_writer, "PATIENCE", 0.05)
    writer = writer_of(store, [])
    store.is_down = True
    writer.start()
    await until(lambda: store.failed_writes >= 2)  # by then the first failure has paused the sending
    with pytest.raises(JournalUnavailable, match="could not be written"):
        await writer.wait_until_writable()
    await writer.close(tries=1)


async def test_close_with_a_store_down_warns_and_still_reports(store, caplog):
    reported = []
    writer = writer_of(store, reported)
    store.is_down = True
    writer.add(record(1))
    await writer.close(tries=2)
    assert store.failed_writes == 2
    assert "may send webhooks again" in caplog.text
    assert len(reported) == 1


async def test_release_ends_a_wait(store):
    writer = writer_of(store, [])
    store.is_down = True
    writer.start()
    await until(lambda: store.failed_writes >= 2)  # by then the first failure has paused the sending
    waiting = asyncio.create_task(writer.wait_until_writable())
    writer.release()
    await asyncio.wait_for(waiting, 60)
    await writer.close(tries=1)
