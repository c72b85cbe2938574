# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from airflow_registry_triggers.access_record import AccessRecord
from airflow_registry_triggers.delivery import batch as batch_module
from airflow_registry_triggers.delivery import journal_writer
from airflow_registry_triggers.delivery.batch import BatchState, DeliveryBatch
from airflow_registry_triggers.delivery.retry_policy import WebhookRetryPolicy
from airflow_registry_triggers.exceptions import DeliveryFailed, DeliveryPending
from airflow_registry_triggers.notification import Notification
from airflow_registry_triggers.webhook.delivery import Result
from airflow_registry_triggers.webhook.outcome import Outcome
from tests.unit.memory_store import MemoryStore


@dataclass
class Receiver:
    """Stands for the receiver; each tag has its outcome, and ``hang`` never answers."""

    url: str = "https://hooks.example.com/x"
    sent: list[str] = field(default_factory=list)
    started: asyncio.Event | None = None
    pause: float = 0

    async def attempt(self, notification, name, try_number):
        self.sent.append(notification.tag)
        if self.started is not None:
            self.started.set()
        if notification.tag.startswith("hang"):
            await asyncio.Event().wait()
        if notification.tag.startswith("bug"):
            raise KeyError("bug")
        await asyncio.sleep(self.pause)
        status = notification.tag.partition("-")[0]
        outcome = {"200": Outcome.DELIVERED, "404": Outcome.FINAL}.get(status, Outcome.RETRY)
        record = AccessRecord.of(
            notification, status_code=status, trigger_name=name, trigger_log_id="x", try_number=try_number,
            trigger_url=self.url, reason="why",
        )  # fmt: skip
        return Result(record, outcome)


class Log:
    def __init__(self):
        self.lines = []

    def __getattr__(self, level):
        return lambda text, *args, **_: self.lines.append((level, text % args if args else text))


def push(tag, id_=""):
    return Notification.from_dict(
        {"push_data": {"tag": tag}, "repository": {"name": "app"}, "event": {"id": id_ or tag}}
    )


@dataclass
class Case:
    batch: DeliveryBatch
    receiver: Receiver
    log: Log
    reported: list[AccessRecord]


def case_of(
    *tags, store=None, try_number=1, max_tries=8, retries=8, receiver=None, policy=True, is_test=False
):
    ti = SimpleNamespace(try_number=try_number, max_tries=max_tries)
    task = SimpleNamespace(retries=retries, retry_policy=WebhookRetryPolicy() if policy else None)
    context = {"ti": ti, "task": task, "task_state_store": MemoryStore() if store is None else store}
    receiver, log, reported = receiver or Receiver(), Log(), []
    items = [(push(tag), "prod") for tag in tags]
    batch = DeliveryBatch(context, receiver, items, reported.append, log, is_test=is_test)
    return Case(batch, receiver, log, reported)


@pytest.fixture(autouse=True)
def short_times(monkeypatch):
    # Much longer than what is to end within it, and short for what hangs.
    monkeypatch.setattr(batch_module, "GRACE_SECONDS", 1.0)
    monkeypatch.setattr(journal_writer, "FLUSH_SECONDS", 0.01)
    monkeypatch.setattr(journal_writer, "RETRY_SECONDS", (0.01,))


async def test_batch_with_delivered_notifications_ends_without_an_error():
    case = case_of("200-a", "200-b")
    await case.batch.send_all()
    case.batch.check()
    assert case.batch.state is BatchState.ENDED
    assert case.batch.is_delivered()
    assert [record.tag for record in case.reported] == ["200-a", "200-b"]
    assert case.batch.label() == "2 notifications → 200"


async def test_batch_with_a_pending_one_raises_and_names_the_moment_of_the_retry():
    case = case_of("200-a", "503-b")
    await case.batch.send_all()
    with pytest.raises(
        DeliveryPending, match=r"1 of 2 not delivered yet: app:503-b → hooks.example.com"
    ) as error:
        case.batch.check()
    assert 4 <= error.value.wait <= 6
    reason = {record.tag: record.reason for record in case.batch.records()}["503-b"]
    assert reason.startswith("why; a retry is due at 20")
    assert reason.endswith("Z, 8 of 8 left")


async def test_batch_on_the_last_try_says_that_no_retry_is_left():
    case = case_of("503-b", try_number=9)
    await case.batch.send_all()
    assert case.batch.records()[0].reason == "why; no retry is left"


async def test_batch_without_our_policy_names_no_moment():
    case = case_of("503-b", policy=False)
    await case.batch.send_all()
    assert case.batch.records()[0].reason == "why; 8 of 8 retries left"


async def test_batch_with_rejected_ones_raises_failed():
    case = case_of("200-a", "404-b")
    await case.batch.send_all()
    with pytest.raises(DeliveryFailed, match="1 of 2 webhooks failed: app:404-b"):
        case.batch.check()


async def test_batch_in_a_retry_sends_only_the_pending_ones():
    store = MemoryStore()
    await case_of("200-a", "503-b", "404-c", store=store).batch.send_all()
    again = case_of("200-a", "503-b", "404-c", store=store, try_number=2)
    await again.batch.send_all()
    assert again.receiver.sent == ["503-b"]
    records = {record.tag: record for record in again.batch.records()}
    assert set(records) == {"200-a", "503-b", "404-c"}
    assert len(records["503-b"].attempts) == 1


async def stopped_during(case):
    case.receiver.started = asyncio.Event()
    sending = asyncio.create_task(case.batch.send_all())
    await case.receiver.started.wait()
    case.batch.stop()
    await sending


async def test_batch_stopped_while_an_attempt_hangs_records_it_as_ambiguous():
    store = MemoryStore()
    case = case_of("hang", store=store)
    await stopped_during(case)
    (record,) = case.batch.records()
    assert record.ambiguous
    assert "Airflow stopped the task" in record.reason
    assert "retry is due" not in record.reason
    assert case.reported == [record]
    with pytest.raises(DeliveryPending):
        case.batch.check()
    again = case_of("hang", store=store, try_number=2)
    assert again.batch._journal.attempts(push("hang").webhook_id("prod"))[0]["ambiguous"]


async def test_batch_stopped_lets_attempts_end_and_starts_none():
    tags = [f"200-{number}" for number in range(40)]
    case = case_of(*tags, receiver=Receiver(pause=0.02))
    await stopped_during(case)
    assert len(case.receiver.sent) == 16
    assert {record.status_code for record in case.batch.records()} == {"200"}
    with pytest.raises(DeliveryPending, match="24 of 40 not delivered yet: 24 not sent yet"):
        case.batch.check()


async def test_batch_stopped_before_it_sends_sends_nothing():
    case = case_of("200-a")
    case.batch.stop()
    await case.batch.send_all()
    assert case.receiver.sent == []
    with pytest.raises(DeliveryPending):
        case.batch.check()


async def test_batch_cancelled_by_a_timeout_records_the_attempt():
    case = case_of("hang", "200-a")
    case.receiver.started = asyncio.Event()
    sending = asyncio.create_task(case.batch.send_all())
    await case.receiver.started.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert {record.tag: record.ambiguous for record in case.batch.records()} == {"hang": True, "200-a": False}


async def test_batch_with_an_unexpected_error_continues_with_the_others():
    case = case_of("bug", "200-a")
    await case.batch.send_all()
    records = {record.tag: record for record in case.batch.records()}
    assert records["200-a"].status_code == "200"
    assert records["bug"].ambiguous


async def test_batch_without_a_journal_pauses_and_resumes():
    store = MemoryStore()
    tags = [f"200-{number}" for number in range(200)]
    case = case_of(*tags, store=store, receiver=Receiver(pause=0.005))
    store.is_down = True
    sending = asyncio.create_task(case.batch.send_all())
    async with asyncio.timeout(60):
        while store.failed_writes < 3:
            await asyncio.sleep(0.005)
        paused = len(case.receiver.sent)
        while store.failed_writes < 6:
            await asyncio.sleep(0.005)
        assert len(case.receiver.sent) == paused < 200
        store.is_down = False
        await sending
    case.batch.check()
    assert len(case.receiver.sent) == 200
    assert any("sending pauses" in text for _, text in case.log.lines)


async def test_batch_whose_journal_stays_down_succeeds_if_all_is_delivered():
    store = MemoryStore()
    case = case_of("200-a", store=store)
    store.is_down = True
    await case.batch.send_all()
    case.batch.check()
    assert case.log.lines[-1][0] == "warning"


async def test_batch_whose_journal_stays_down_ends_after_its_patience(monkeypatch):
    monkeypatch.setattr(journal_writer, "PATIENCE", 0.05)
    store = MemoryStore()
    case = case_of(*[f"200-{number}" for number in range(100)], store=store, receiver=Receiver(pause=0.02))
    store.is_down = True
    await case.batch.send_all()
    assert len(case.receiver.sent) < 100
    with pytest.raises(DeliveryPending, match="the journal could not be written"):
        case.batch.check()


class TaskTimeout(BaseException):
    """Stands for AirflowTaskTimeout, which a signal handler raises in whatever code runs."""


def raise_timeout():
    raise TaskTimeout


async def test_batch_with_a_timeout_raised_in_a_callback_stops_and_raises_it():
    case = case_of("hang", *[f"200-{number}" for number in range(40)], receiver=Receiver(pause=0.02))
    case.receiver.started = asyncio.Event()
    sending = asyncio.create_task(case.batch.send_all())
    await case.receiver.started.wait()
    asyncio.get_running_loop().call_soon(raise_timeout)
    with pytest.raises(TaskTimeout):
        await sending
    assert len(case.receiver.sent) == 16
    assert [record.tag for record in case.batch.records() if record.ambiguous] == ["hang"]


async def test_batch_with_a_timeout_raised_in_a_journal_write_stops_and_raises_it(monkeypatch):
    case = case_of("hang", "200-a")
    monkeypatch.setattr(journal_writer, "_pause", lambda failures: 0.01)
    monkeypatch.setattr(case.batch._writer, "_flush_or_pause", raise_timeout)
    with pytest.raises(TaskTimeout):
        await asyncio.wait_for(case.batch.send_all(), 60)
    assert {record.tag: record.ambiguous for record in case.batch.records()} == {"hang": True, "200-a": False}


def test_batch_stopped_after_its_event_loop_was_closed_does_nothing():
    case = case_of("200-a")
    asyncio.run(case.batch.send_all())
    case.batch.stop()
    case.batch.check()


async def test_batch_stopped_logs_cut_attempts_at_once_and_the_rest_on_request():
    case = case_of("200-a", "200-b", "hang")
    await stopped_during(case)
    assert [record.tag for record in case.reported] == ["hang"]
    case.batch.report_rest()
    assert [record.tag for record in case.reported] == ["hang", "200-a", "200-b"]


def test_records_of_a_pending_delivery_store_the_moment_of_the_next_try():
    case = case_of("503-a", try_number=3)
    began = datetime.now(UTC)
    asyncio.run(case.batch.send_all())
    ended = datetime.now(UTC)
    (record,) = case.batch.records()
    with pytest.raises(DeliveryPending) as error:
        case.batch.check()
    assert record.retries_left == 6
    due = datetime.fromisoformat(record.next_try_at)
    second = timedelta(seconds=1)  # the stored moment has whole seconds
    assert began - second <= due - timedelta(seconds=error.value.wait) <= ended + second
    assert f"{due:%Y-%m-%d %H:%M:%S}Z" in record.reason


def test_check_of_a_test_does_not_retry():
    case = case_of("503-a", "200-b", is_test=True)
    asyncio.run(case.batch.send_all())
    assert [record.is_test for record in case.batch.records()] == [True, True]
    assert {record.next_try_at for record in case.batch.records()} == {""}
    with pytest.raises(DeliveryFailed, match="1 of 2 webhooks failed"):
        case.batch.check()
