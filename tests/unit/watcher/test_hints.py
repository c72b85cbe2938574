# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The reader of hints and its waiters, with a state store in memory."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time

import pytest
from airflow.sdk import Connection

from airflow_registry_triggers.hooks.registry import RegistryHook
from airflow_registry_triggers.inbound.hint_row import merge
from airflow_registry_triggers.watcher import collection_clock, connection_cache, hints
from airflow_registry_triggers.watcher.hints import hint_waiter, record_collection
from tests.unit.common.test_state_store import MemoryStore
from tests.unit.watcher.streams import until

SECRET = "a-secret-of-the-webhook"
NOW = 1_764_112_345_678


class Rows(MemoryStore):
    """The shared state; ``failure`` makes each read fail."""

    failure: Exception | None = None

    async def aget(self, key, default=None):
        await asyncio.sleep(0)
        if self.failure is not None:
            self.calls.append(("failed", key))
            raise self.failure
        return await super().aget(key, default)

    def hint(self, tags, repository="team/app", conn_id="conn", key="hints/webhooks", now=NOW):
        self.values[key] = merge(self.values.get(key), {(conn_id, repository): set(tags)}, now)

    def reads(self, key="hints/webhooks"):
        return self.calls.count(("get", key))


@pytest.fixture
def rows(monkeypatch):
    store = Rows()
    monkeypatch.setattr(hints, "shared_state", lambda: store)
    monkeypatch.setattr(hints, "READ_INTERVAL", 0.02)
    return store


@pytest.fixture
def extra(monkeypatch):
    """The extra of each Connection by id."""
    extras = {"conn": {"webhook_secret": SECRET}}

    async def aget_connection(conn_id):
        values = {"host": "registry.example.com", "extra": json.dumps(extras.get(conn_id, {}))}
        return Connection(conn_id=conn_id, conn_type="oci_registry", **values)

    monkeypatch.setattr(RegistryHook, "aget_connection", aget_connection)
    monkeypatch.setattr(connection_cache, "_read", {})
    return extras


@contextlib.asynccontextmanager
async def waiting(repository="team/app", conn_id="conn"):
    waiter = hint_waiter(conn_id, repository)
    try:
        yield waiter
    finally:
        waiter.close()


async def read_again(rows):
    """Wait until a read that began after this call has ended."""
    reads = rows.reads()
    await until(lambda: rows.reads() >= reads + 2)


async def test_hint_waiter_with_a_new_hint_returns_its_tags(rows, extra):
    async with waiting() as waiter:
        assert await waiter.wait(0.1) is None
        rows.hint(["v1", "v2"])
        assert await waiter.wait(60) == {"v1", "v2"}
        assert await waiter.wait(0.1) is None, "each hint once"
        rows.hint(["v1"])
        assert await waiter.wait(60) == {"v1"}


async def test_hint_waiter_between_two_waits_keeps_hints(rows, extra):
    async with waiting() as waiter:
        await waiter.wait(0.05)
        for tag in ("v1", "*"):
            rows.hint([tag])
            await read_again(rows)
        assert await waiter.wait(0) == {"v1", "*"}


async def test_hint_waiter_of_another_repository_or_connection_is_not_woken(rows, extra):
    extra["other"] = extra["conn"]
    async with waiting() as waiter, waiting("team/worker") as worker, waiting(conn_id="other") as other:
        await asyncio.gather(*(each.wait(0.05) for each in (waiter, worker, other)))
        rows.hint(["v1"], conn_id="other")
        rows.hint(["v2"], "team/worker")
        assert await other.wait(60) == {"v1"}
        assert await worker.wait(60) == {"v2"}
        assert await waiter.wait(0.1) is None


async def test_hint_waiter_of_a_repository_with_host_takes_hints_without_it(rows, extra):
    async with waiting("registry.example.com/team/app") as waiter:
        await waiter.wait(0.05)
        rows.hint(["v1"])
        assert await waiter.wait(60) == {"v1"}


async def test_hint_reader_at_its_start_counts_the_row_as_new(rows, extra):
    rows.hint(["v1"])
    async with waiting() as waiter:
        assert await waiter.wait(60) == {"v1"}
        async with waiting() as second:
            assert await second.wait(60) == {"v1"}, "also for a waiter that comes later"


async def test_hint_reader_after_seq_went_down_counts_the_row_as_new(rows, extra):
    rows.hint(["v1"])
    async with waiting() as waiter:
        await waiter.wait(60)
        rows.values.clear()
        rows.hint(["v2"], now=NOW - 3_600_000)
        assert await waiter.wait(60) == {"v2"}


@pytest.mark.parametrize(
    "row", ["text", 7, [], {"v": 2}, {"v": 1, "seq": "x"}, {"v": 1, "seq": 5, "hints": 3}]
)
async def test_hint_reader_with_an_unreadable_row_continues(rows, extra, row):
    rows.values["hints/webhooks"] = row
    async with waiting() as waiter:
        assert await waiter.wait(0.1) is None
        rows.hint(["v1"])
        assert await waiter.wait(60) == {"v1"}


async def test_hint_reader_without_push_mode_does_not_run(rows, extra):
    extra["conn"] = {}
    async with waiting() as waiter:
        rows.hint(["v1"])
        assert await waiter.wait(0.1) is None
        assert rows.calls == []
        assert not hints._readers[asyncio.get_running_loop()].is_running


@pytest.mark.parametrize(
    ("fields", "key"),
    [({"webhook_secret": SECRET}, "hints/webhooks"), ({"queue_hints": True}, "hints/tasks")],
)
async def test_hint_reader_reads_only_the_rows_that_are_needed(rows, extra, fields, key):
    extra["conn"] = fields
    async with waiting() as waiter:
        await waiter.wait(0.1)
        rows.hint(["v1"], key=key)
        assert await waiter.wait(60) == {"v1"}
    assert {read for _, read in rows.calls} == {key}


async def test_hint_reader_is_one_for_all_waiters_and_ends_with_the_last(rows, extra):
    async with waiting("team/one") as one, waiting("team/two") as two:
        began = time.monotonic()
        waits = [asyncio.create_task(each.wait(3600)) for each in (one, two)]
        await until(lambda: rows.reads() >= 10)
        assert time.monotonic() - began >= 0.17, "nine pauses of 0.02 s, and not half of them"
        reader = hints._readers[asyncio.get_running_loop()]
        assert reader.is_running
        for wait in waits:
            wait.cancel()
    await until(lambda: not reader.is_running)


async def test_hint_reader_after_a_collection_reads_before_the_next_one(rows, extra, monkeypatch):
    async with waiting() as waiter:
        assert await waiter.wait(0.1) is None
        monkeypatch.setattr(collection_clock, "INTERVAL", 0.5)
        clock = hints._readers[asyncio.get_running_loop()].collections
        planned, before_collection = [], clock.before_collection
        monkeypatch.setattr(
            clock,
            "before_collection",
            lambda *times: planned.append(before_collection(*times)) or planned[-1],
        )
        record_collection()
        await until(lambda: planned)
        # READ_LEAD before a collection of this test, which has one each 0.5 s.
        assert (planned[0] - clock._at) % 0.5 == pytest.approx(-hints.READ_LEAD % 0.5)
        reads = rows.reads()
        await until(lambda: rows.reads() > reads)
        assert time.monotonic() >= planned[0] - 0.001


async def test_hint_reader_after_failed_reads_logs_once_backs_off_and_continues(
    rows, extra, caplog, monkeypatch
):
    monkeypatch.setattr(hints, "MAX_BACK_OFF", 0.1)
    rows.failure = RuntimeError("the database is not available")
    with caplog.at_level(logging.INFO, logger=hints.__name__):
        async with waiting() as waiter:
            began = time.monotonic()
            await waiter.wait(0.01)
            await until(lambda: rows.calls.count(("failed", "hints/webhooks")) >= 6)
            assert time.monotonic() - began >= 0.04 + 0.08 + 0.1 + 0.1 + 0.1 - 0.02
            rows.failure = None
            rows.hint(["v1"])
            assert await waiter.wait(60) == {"v1"}
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]


async def test_hint_reader_without_coroutines_does_not_run(rows, extra):
    rows.failure = AttributeError("'InProcessSupervisorComms' object has no attribute 'asend'")
    async with waiting() as waiter:
        await waiter.wait(0.01)
        reader = hints._readers[asyncio.get_running_loop()]
        await until(lambda: not reader.is_running)
        await waiter.wait(0.1)
        assert rows.calls == [("failed", "hints/webhooks")]


async def test_hint_waiter_with_a_broken_connection_waits(rows, extra, monkeypatch):
    async def broken(conn_id):
        raise ValueError("no such Connection")

    monkeypatch.setattr(RegistryHook, "aget_connection", broken)
    async with waiting() as waiter:
        began = time.monotonic()
        assert await waiter.wait(0.1) is None
        assert time.monotonic() - began >= 0.09


async def test_hint_waiter_whose_connection_cannot_be_read_at_first_reads_it_again(rows, extra, monkeypatch):
    readable = RegistryHook.aget_connection
    failures = iter([ValueError("no such Connection"), TimeoutError("the api-server does not answer")])

    async def broken_at_first(conn_id):
        if error := next(failures, None):
            raise error
        return await readable(conn_id)

    monkeypatch.setattr(RegistryHook, "aget_connection", broken_at_first)
    monkeypatch.setattr(hints, "RETRY_CONNECTION_AFTER", 0.1, raising=False)
    async with waiting() as waiter:
        rows.hint(["v1"])
        began = time.monotonic()
        assert await waiter.wait(10) == {"v1"}
        assert time.monotonic() - began >= 0.19


async def test_hint_waiter_with_a_secret_of_15_characters_still_reads(rows, extra):
    """The endpoint rejects such a secret; the watcher is not stopped by it."""
    extra["conn"] = {"webhook_secret": "fifteen-letters"}
    async with waiting() as waiter:
        rows.hint(["v1"])
        assert await waiter.wait(60) == {"v1"}


async def test_hint_waiter_that_follows_a_target_reads_no_connection(rows, extra, monkeypatch):
    target = await connection_cache.target_for("conn", "team/app", 30.0)

    async def never(conn_id):
        pytest.fail("read")

    monkeypatch.setattr(RegistryHook, "aget_connection", never)
    async with waiting() as waiter:
        waiter.follow(target)
        rows.hint(["v1"])
        assert await waiter.wait(60) == {"v1"}
