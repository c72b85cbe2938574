# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The watcher with hints: its polls on a scripted registry, with times a tenth as long."""

from __future__ import annotations

import asyncio
import time

import pytest
from aiohttp import web

from airflow_registry_triggers.registry import flapping
from airflow_registry_triggers.tag_rule import TagRule
from airflow_registry_triggers.watcher import backoff, hint_schedule, hints
from airflow_registry_triggers.watcher import producer as producer_module
from airflow_registry_triggers.watcher.subscribers import watching
from tests.unit.registry.scripted_registry import digest_of
from tests.unit.watcher.streams import (
    KEY,
    acknowledge,
    acknowledged,
    baseline,
    settled,
    stored,
    stream,
    tags_of,
    taken,
    until,
)
from tests.unit.watcher.test_hints import SECRET, Rows


@pytest.fixture
def interval(monkeypatch, stores):
    """The poll interval; a test changes it."""
    current = {"seconds": 3600.0}
    monkeypatch.setattr(
        producer_module.RegistryProducer, "_interval", property(lambda self: current["seconds"])
    )
    return current


@pytest.fixture
def rows(monkeypatch, interval, connection):
    """The shared state, and a watcher whose times are a tenth of the real ones."""
    connection["extra"]["webhook_secret"] = SECRET
    store = Rows()
    monkeypatch.setattr(hints, "shared_state", lambda: store)
    monkeypatch.setattr(hints, "READ_INTERVAL", 0.01)
    monkeypatch.setattr(hint_schedule, "POLLED_AFTER", (0.0, 0.1, 0.4))
    monkeypatch.setattr(hint_schedule, "MIN_GAP", 0.1)
    monkeypatch.setattr(hint_schedule, "TOLERANCE", 0.005)
    monkeypatch.setattr(hint_schedule, "ALL_AFTER", 0.1)
    monkeypatch.setattr(hint_schedule, "ALL_GAP", 3.0)
    return store


@pytest.fixture
def real_rows(monkeypatch, rows):
    """The shared state, with the real times of the repeats: a loaded machine polls two short ones at once."""
    monkeypatch.setattr(hint_schedule, "POLLED_AFTER", (0.0, 1.0, 4.0))
    monkeypatch.setattr(hint_schedule, "MIN_GAP", 1.0)
    return rows


def heads(registry, tag):
    return registry.count("HEAD", f"/manifests/{tag}")


def lists(registry):
    return registry.count("GET", "tags/list")


async def ready(registry, stores, *assets):
    """Wait for the baselines and the end of the first poll; forget its requests."""
    await baseline(stores, *assets)
    await settled()
    registry.asked.clear()


async def test_producer_with_a_hint_finds_the_push_without_a_listing(registry, stores, rows):
    async with stream() as (producer, queue):
        await ready(registry, stores)
        registry.put("team/app", {"v1": "one", "v2": "one"})
        rows.hint(["v1"])
        assert await acknowledged(producer, queue) == ["v1"]
        assert (lists(registry), heads(registry, "v2")) == (0, 0)
        assert stored(stores).state_of("v1").digest == digest_of("one")


async def test_producer_with_a_hint_repeats_its_requests_twice(registry, stores, real_rows):
    async with stream():
        await ready(registry, stores)
        times = []

        async def record(request):
            times.append(time.monotonic())

        registry.faults.append(record)
        real_rows.hint(["v0"])
        await until(lambda: len(times) >= 3)
        await asyncio.sleep(1.5)
        first, second, third = times
        assert 0.9 <= second - first <= 3.9
        assert third - first >= 3.9


async def test_producer_sends_the_latest_digest_of_a_flapping_tag_without_a_further_hint(
    registry, stores, rows, connection, monkeypatch
):
    connection["extra"]["flap_limit"] = 2
    monkeypatch.setattr(flapping, "MIN_INTERVAL", 1.5)
    async with stream() as (producer, queue):
        await ready(registry, stores)
        for image in ("one", "two"):
            registry.put("team/app", {"v1": image})
            rows.hint(["v1"])
            assert await acknowledged(producer, queue) == ["v1"]
        sent_at = time.monotonic()
        registry.put("team/app", {"v1": "three"})
        rows.hint(["v1"])
        assert await acknowledged(producer, queue) == ["v1"]
        assert stored(stores).state_of("v1").digest == digest_of("three")
        assert time.monotonic() - sent_at > 1.0, "the push was held"
        assert lists(registry) == 0


@pytest.mark.parametrize("too_early", [1, 2])
async def test_producer_with_a_hint_before_the_tag_is_readable_finds_it(
    registry, stores, real_rows, too_early
):
    async with stream() as (producer, queue):
        await ready(registry, stores)
        real_rows.hint(["v1"])
        await until(lambda: heads(registry, "v1") >= too_early)
        registry.put("team/app", ["v1"])
        assert await acknowledged(producer, queue) == ["v1"]
        assert lists(registry) == 0


async def test_producer_with_a_second_hint_restarts_the_repeats(registry, stores, real_rows):
    async with stream():
        await ready(registry, stores)
        times = []

        async def record(request):
            times.append(time.monotonic())

        registry.faults.append(record)
        real_rows.hint(["v0"])
        await until(lambda: len(times) >= 2 and time.monotonic() >= times[1] + hint_schedule.MIN_GAP)
        hinted_at = time.monotonic()  # a hint within the gap would share the poll of its first repeat
        real_rows.hint(["v0"])
        await until(lambda: sum(at >= hinted_at for at in times) >= 3 and times[-1] >= hinted_at + 3.9)


async def test_producer_with_forged_and_late_hints_emits_nothing(registry, stores, real_rows):
    async with stream() as (_, queue):
        await ready(registry, stores)
        real_rows.hint(["v0", "never", "deleted"])
        await until(lambda: heads(registry, "never") >= 3)
        assert queue.empty()


async def test_producer_with_a_flood_of_hints_still_makes_full_polls(registry, stores, rows, interval):
    """A hint and an overdue full poll must not block each other."""
    async with stream() as (_, queue):
        await ready(registry, stores)
        interval["seconds"] = 0.3
        rows.hint(["*"])
        await until(lambda: lists(registry))
        registry.asked.clear()
        began = time.monotonic()
        async with asyncio.timeout(60):
            while lists(registry) < 6:
                rows.hint([f"t{int(time.monotonic() * 1000) % 20}", "v0"])
                await asyncio.sleep(0.005)
        took = time.monotonic() - began
        assert took >= 5 * 0.27, "no full poll comes early"
        assert heads(registry, "v0") - lists(registry) <= took / 0.1 + 2
        assert queue.empty()


async def test_producer_with_a_hint_keeps_the_time_of_the_next_full_poll(registry, stores, rows, interval):
    async with stream():
        await ready(registry, stores)
        interval["seconds"] = 0.6
        began = time.monotonic()
        rows.hint(["*"])
        await until(lambda: lists(registry) == 1)
        async with asyncio.timeout(30):
            while lists(registry) < 2:  # never, if each hint moved the poll
                rows.hint(["v0"])
                await asyncio.sleep(0.11)
        assert time.monotonic() - began >= 0.1 + 0.54


async def test_producer_with_hints_for_all_tags_makes_one_full_poll_in_30_s(registry, stores, rows):
    async with stream() as (producer, queue):
        await ready(registry, stores)
        registry.put("team/app", ["v1"])
        began = time.monotonic()
        rows.hint(["*"])
        assert await acknowledged(producer, queue) == ["v1"]
        assert time.monotonic() - began >= 0.1
        for _ in range(10):
            rows.hint(["*"])
            await asyncio.sleep(0.05)
        assert lists(registry) == 1
        registry.put("team/app", ["v2"])
        assert await acknowledged(producer, queue) == ["v2"], "the later hint is not lost"
        assert time.monotonic() - began >= 3.0


async def test_producer_in_back_off_lets_hints_wait_and_then_polls_all(registry, stores, rows, monkeypatch):
    monkeypatch.setattr(backoff, "FIRST_BACK_OFF", 1.0)
    failing = {"on": True}
    times = []

    async def fault(request):
        times.append(time.monotonic())
        return web.Response(status=403) if failing["on"] else None

    async with stream() as (producer, queue):
        await ready(registry, stores)
        registry.faults.append(fault)
        rows.hint(["v0"])
        await until(lambda: producer._backoff.failures)
        failed, failed_at = len(times), times[-1]
        registry.put("team/app", ["v1"])
        failing["on"] = False
        rows.hint(["v1"])
        assert await acknowledged(producer, queue) == ["v1"]
        assert times[failed] - failed_at >= 0.8, "the back-off of a second, less its jitter"
        assert lists(registry) == 1


async def test_producer_before_the_baseline_makes_full_polls_only(
    registry, stores, rows, interval, monkeypatch
):
    monkeypatch.setattr(producer_module, "FIRST_BACK_OFF", 0.2)
    interval["seconds"] = 0.2

    async def fault(request):
        return web.Response(status=503) if "tags/list" in request.path else None

    registry.faults.append(fault)
    async with stream() as (_, queue):
        rows.hint(["v0"])
        await until(lambda: lists(registry) >= 2)
        assert heads(registry, "v0") == 0
        registry.faults.clear()
        await baseline(stores)
        assert queue.empty()


async def test_producer_with_two_rules_shares_the_requests_of_a_hint(registry, stores, rows):
    two = (("one", TagRule(tag_regex="v.*")), ("two", TagRule(tags=["v1", "w1"])))
    async with stream(*two) as (producer, queue):
        await ready(registry, stores, "one", "two")
        registry.put("team/app", ["v1", "w1"])
        rows.hint(["v1", "w1"])
        batches = [await taken(queue), await taken(queue)]
        assert (heads(registry, "v1"), heads(registry, "w1")) == (1, 1)
        assert {batch.asset: sorted(tags_of(batch)) for batch in batches} == {
            "one": ["v1"],
            "two": ["v1", "w1"],
        }
        await acknowledge(producer, *batches)


async def test_producer_of_one_push_with_many_hints_emits_it_once(registry, stores, rows):
    async with stream() as (producer, queue):
        await ready(registry, stores)
        registry.put("team/app", ["v1"])
        rows.hint(["v1"])
        assert await acknowledged(producer, queue) == ["v1"]
        for _ in range(6):
            rows.hint(["v1", "*"])
            await asyncio.sleep(0.11)
        assert queue.empty()


async def test_producer_when_an_asset_joins_polls_all_at_once(registry, stores, rows):
    async with stream():
        await ready(registry, stores)
        with watching(KEY, "late", TagRule(), 9):
            await baseline(stores, "late")
            assert lists(registry) == 1


async def test_producer_with_changed_settings_makes_a_full_poll(
    registry, stores, rows, connection, monkeypatch
):
    from airflow_registry_triggers.watcher import connection_cache

    async with stream() as (producer, queue):
        await ready(registry, stores)
        connection["extra"]["updates"] = "false"
        connection_cache._read.clear()
        registry.put("team/app", ["v1"])
        rows.hint(["v1"])
        assert await acknowledged(producer, queue) == ["v1"]
        assert lists(registry) == 1


async def test_producer_with_one_failing_asset_polls_all_after_its_back_off(
    registry, stores, rows, connection, monkeypatch
):
    monkeypatch.setattr(backoff, "FIRST_BACK_OFF", 0.3)
    connection["extra"]["storm_limit"] = 1
    two = (("one", TagRule(tag_regex="v.*")), ("two", TagRule(tag_regex="w.*")))
    async with stream(*two) as (producer, queue):
        await ready(registry, stores, "one", "two")
        registry.put("team/app", ["v1", "w1", "w2"])
        rows.hint(["v1", "w1", "w2"])
        batch = await taken(queue)
        assert tags_of(batch) == ["v1"]
        # Before the next poll, which waits for the acknowledgement.
        registry.repositories["team/app"].pop("w2")
        await acknowledge(producer, batch)
        assert await acknowledged(producer, queue) == ["w1"]
        assert lists(registry) == 1


@pytest.mark.parametrize("hint", ["v1", "*"])
async def test_producer_with_failures_after_a_hint_backs_off_for_seconds_until_a_success(
    registry, stores, rows, monkeypatch, hint
):
    monkeypatch.setattr(backoff, "FIRST_BACK_OFF", 0.1)
    failing = {"on": True}

    async def fault(request):
        return web.Response(status=403) if failing["on"] else None

    async with stream() as (producer, queue):
        await ready(registry, stores)
        registry.faults.append(fault)
        registry.put("team/app", ["v1"])
        rows.hint([hint])
        await until(lambda: producer._backoff.failures >= 3)  # the interval is an hour
        assert producer._backoff.pause <= 0.1 * 4 * 1.2
        failing["on"] = False
        assert await acknowledged(producer, queue) == ["v1"]
        await until(lambda: not producer._backoff.failures)
        assert not producer._backoff.missed_hint


async def test_producer_with_failures_before_a_hint_backs_off_by_the_interval(
    registry, stores, rows, interval, monkeypatch
):
    monkeypatch.setattr(backoff, "FIRST_BACK_OFF", 0.1)

    async def fault(request):
        return web.Response(status=403)

    async with stream() as (producer, _):
        interval["seconds"] = 0.5
        await ready(registry, stores)
        interval["seconds"] = 100.0
        registry.faults.append(fault)
        await until(lambda: producer._backoff.failures)
        assert producer._backoff.pause >= 80


async def test_producer_with_an_asset_that_fails_twice_after_a_hint_polls_it_again_soon(
    registry, stores, rows, connection, monkeypatch
):
    monkeypatch.setattr(backoff, "FIRST_BACK_OFF", 0.3)
    connection["extra"]["storm_limit"] = 1
    two = (("one", TagRule(tag_regex="v.*")), ("two", TagRule(tag_regex="w.*")))
    async with stream(*two) as (producer, queue):
        await ready(registry, stores, "one", "two")
        registry.put("team/app", ["v1", "w1", "w2"])
        rows.hint(["v1", "w1", "w2"])
        await acknowledge(producer, await taken(queue))
        await until(lambda: lists(registry) >= 2)
        registry.repositories["team/app"].pop("w2")
        assert await acknowledged(producer, queue) == ["w1"]
        polls = lists(registry)
        await asyncio.sleep(1)
        assert lists(registry) == polls, "no full poll before the interval is over"


async def test_producer_counts_the_hinted_tags_that_it_requested(registry, stores, real_rows, monkeypatch):
    counted = []
    monkeypatch.setattr(
        producer_module, "count_hints_polled", lambda tags, new: counted.append((set(tags), set(new)))
    )
    two = (("one", TagRule(tag_regex="v.*")), ("two", TagRule(tags=["v1", "w1"])))
    async with stream(*two) as (producer, queue):
        await ready(registry, stores, "one", "two")
        registry.put("team/app", ["v1", "other"])
        real_rows.hint(["v1", "v9", "w1", "other"])
        await acknowledge(producer, await taken(queue), await taken(queue))
    # v9 does not exist, and no rule covers the tag "other".
    assert counted[0] == ({"v1", "v9", "w1"}, {"v1"})
