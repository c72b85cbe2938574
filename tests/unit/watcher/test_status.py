# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""One writer for all watchers of a process: its schedule, its order, and its end."""

from __future__ import annotations

import asyncio
import itertools
import json

import pytest

from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.tag_rule import TagRule
from airflow_registry_triggers.watcher import producer
from airflow_registry_triggers.watcher import status as module
from airflow_registry_triggers.watcher.backoff import FailureBackoff
from airflow_registry_triggers.watcher.status import TICK, PollProgress, Reporter, reporting
from airflow_registry_triggers.watcher.status_values import WatcherStatus
from tests.unit.watcher.streams import baseline, polls, stream, until

PREFIX = "watchers/host-1/"


class Clock:
    def __init__(self, monkeypatch):
        self.now = 1000.0
        monkeypatch.setattr(module.time, "monotonic", lambda: self.now)


class Store:
    """A state store that keeps the calls, with their time."""

    def __init__(self, clock=None):
        self.values, self.calls, self.clock, self.is_down = {}, [], clock, False

    async def aget(self, key, default=None):
        return json.loads(self.values[key]) if key in self.values else default

    async def aset(self, key, value):
        await self._call("set", key)
        self.values[key] = json.dumps(value)

    async def adelete(self, key):
        await self._call("delete", key)
        self.values.pop(key, None)

    async def _call(self, kind, key):
        if self.is_down:
            raise ConnectionError("hunter2")
        self.calls.append((kind, key, self.clock.now if self.clock else 0))

    def watchers(self):
        found = {}
        for value in self.values.values():
            found |= json.loads(value)["watchers"]
        return found


class Stream:
    def __init__(self, *assets):
        self.kinds = dict.fromkeys(assets)

    def statuses(self):
        for asset, kind in self.kinds.items():
            yield asset, WatcherStatus(polled_at=1.0, error_kind=kind, tags=214, next_in_s=60.0)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def reporter_of(store, *streams):
    made = Reporter(store, PREFIX)
    made._sources = list(streams)
    return made


async def passed(reporter, clock, seconds):
    for _ in range(round(seconds / TICK)):
        await reporter.tick()
        clock.now += TICK


async def test_reporter_of_1000_watchers_writes_at_most_0_2_values_per_second(clock):
    store = Store(clock)
    stream = Stream(*(f"team/application-{number:04} @ registry_default" for number in range(1000)))
    reporter = reporter_of(store, stream)
    await passed(reporter, clock, 600)
    assert len(store.watchers()) == 1000
    assert len(store.values) == 3
    assert len(store.calls) / 600 <= 0.12
    times = {key: [at for _, of, at in store.calls if of == key] for key in store.values}
    for of_value in times.values():
        gaps = [after - before for before, after in itertools.pairwise(of_value)]
        assert gaps
        assert min(gaps) >= 30
        assert max(gaps) <= 45


async def test_reporter_of_1000_watchers_that_change_all_the_time_keeps_the_limit_and_every_value(clock):
    store = Store(clock)
    stream = Stream(*(f"team/application-{number:04} @ registry_default" for number in range(1000)))
    reporter = reporter_of(store, stream)
    for second in range(120):
        stream.kinds["team/application-0000 @ registry_default"] = f"kind{second}"
        await passed(reporter, clock, TICK)
    assert len(store.calls) <= 120, "600 seconds, a write each five at most"
    for key in store.values:
        times = [at for _, of, at in store.calls if of == key]
        assert max(after - before for before, after in itertools.pairwise(times)) <= 70


async def test_reporter_with_changed_health_writes_that_value_first(clock):
    store = Store(clock)
    assets = [f"team/application-{number:04} @ registry_default" for number in range(1000)]
    reporter = reporter_of(store, stream := Stream(*assets))
    await passed(reporter, clock, 60)
    stream.kinds[assets[-1]] = "credentials"
    store.calls.clear()
    await reporter.tick()
    assert [key for _, key, _ in store.calls] == [f"{PREFIX}2"]
    assert store.watchers()[assets[-1]][1] == "credentials"


async def test_reporter_with_values_of_an_earlier_process_deletes_the_surplus(clock):
    store = Store(clock)
    for number in range(4):
        store.values[f"{PREFIX}{number}"] = json.dumps({"at": 1, "parts": 4, "watchers": {"old": []}})
    await passed(reporter_of(store, Stream("one")), clock, 30)
    assert list(store.values) == [f"{PREFIX}0"]
    assert list(store.watchers()) == ["one"]


async def test_reporter_without_watchers_deletes_its_values(clock):
    store = Store(clock)
    reporter = reporter_of(store, Stream("one"))
    await passed(reporter, clock, 30)
    reporter._sources.clear()
    await passed(reporter, clock, 30)
    assert store.values == {}


async def test_reporter_with_a_store_that_fails_logs_no_secret_and_writes_later(monkeypatch, caplog):
    monkeypatch.setattr(module, "TICK", 0.01)
    store = Store()
    store.is_down = True
    reporter = Reporter(store, PREFIX)
    with caplog.at_level("INFO"):
        reporter.join(source := Stream("one"))
        await until(lambda: caplog.records)
        store.is_down = False
        await until(lambda: store.values)
    assert "hunter2" not in caplog.text
    assert len(caplog.records) == 1
    reporter.leave(source)
    await until(reporter._task.done)


async def test_reporter_while_first_polls_run_writes_nothing(monkeypatch):
    monkeypatch.setattr(module, "TICK", 0.01)
    waits = asyncio.Event()
    store, reporter = Store(), None

    class Starting(Stream):
        asked = 0

        def statuses(self):
            self.asked += 1
            if self.asked > 5:
                waits.set()
            yield "one", WatcherStatus(polled_at=1.0 if done else None)

    done = []
    reporter = Reporter(store, PREFIX)
    reporter.join(source := Starting())
    await asyncio.wait_for(waits.wait(), 60)
    assert store.calls == []
    done.append(True)
    await until(lambda: store.values)
    reporter.leave(source)
    await until(reporter._task.done)


async def test_reporter_when_the_triggerer_stops_writes_the_last_status(monkeypatch):
    monkeypatch.setattr(module, "TICK", 0.01)
    store = Store()
    reporter = Reporter(store, PREFIX)
    reporter.join(source := Stream("one"))
    await until(lambda: store.values)
    monkeypatch.setattr(module, "TICK", 60.0)
    await asyncio.sleep(0.05)
    source.kinds["one"] = "unavailable"
    # Airflow ends the streams first, then the loop cancels what is left.
    reporter.leave(source)
    reporter._task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reporter._task
    assert store.watchers()["one"][1] == "unavailable"


async def test_reporter_when_the_triggerer_stops_and_no_answer_comes_ends_in_time(monkeypatch):
    monkeypatch.setattr(module, "TICK", 0.01)
    monkeypatch.setattr(module, "FINAL_WRITE", 0.05)

    class Silent(Store):
        async def aset(self, key, value):
            await asyncio.sleep(3600)

    reporter = Reporter(Silent(), PREFIX)
    reporter.join(Stream("one"))
    await asyncio.sleep(0.05)
    reporter._task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(reporter._task, 60)


def test_progress_of_a_failing_watcher_has_its_error_and_the_time_of_the_next_try():
    progress, backoff = PollProgress(), FailureBackoff("watcher")
    with progress.measured():
        pause = backoff.record_failure(RegistryError("answered 401", kind="credentials", status=401), 60)
    status = progress.status(backoff, 60, None)
    assert (status.error_kind, status.failures, status.note) == ("credentials", 1, "401: answered 401")
    assert status.next_in_s == pause
    assert status.failing_since <= status.polled_at
    backoff.record_success()
    status = progress.status(backoff, 60, 214)
    assert (status.error_kind, status.failing_since, status.failures, status.note) == (None, None, 0, "")
    assert (status.next_in_s, status.tags) == (60, 214)


async def test_producer_while_it_watches_reports_tags_requests_and_errors(
    registry, stores, connection, monkeypatch
):
    store = Store()
    monkeypatch.setattr(module, "TICK", 0.01)
    monkeypatch.setattr(module, "shared_state", lambda: store)
    monkeypatch.setattr(producer, "MAX_AGE", 0.0)
    monkeypatch.setattr(module, "_reporters", type(module._reporters)())
    assets = (("one", TagRule()), ("two", TagRule(tag_regex="v.*")))
    async with stream(*assets):
        await baseline(stores, "one", "two")
        await until(lambda: set(store.watchers()) == {"one", "two"} and store.watchers()["one"][6] == 1)
        await polls(registry)
        polled, kind, since, failures, _, _, tags, requests, quota, note = store.watchers()["one"]
        assert (kind, since, failures, tags, quota, note) == (None, None, 0, 1, None, "")
        assert requests >= 1
        assert polled > 1_700_000_000
        connection["host"] = "http://127.0.0.1:1"
        await until(lambda: store.watchers()["two"][1] == "unavailable")
        assert "127.0.0.1:1" in store.watchers()["two"][9]
        (key,) = store.values
        assert key.startswith("watchers/")
        assert key.endswith("/0")
    await until(lambda: not store.values)


def test_reporting_without_a_loop_raises_runtime_error():
    with pytest.raises(RuntimeError), reporting(Stream("one")):
        pass
