# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The shared stream of the watchers, with a scripted registry and a state store in memory."""

from __future__ import annotations

import asyncio
import logging

import pytest
from aiohttp import web
from airflow.triggers.shared_stream import AdvanceItem, AdvanceOutcome, SharedStreamManager

from airflow_registry_triggers.common.chunked_values import load_chunked
from airflow_registry_triggers.common.state_store import WatermarkStore
from airflow_registry_triggers.hooks.registry_target import RegistryTarget
from airflow_registry_triggers.registry.asset_uri import asset_name
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.tag_rule import TagRule
from airflow_registry_triggers.triggers.registry_push import RegistryPushTrigger
from airflow_registry_triggers.watcher import backoff, outbox, push_batch
from airflow_registry_triggers.watcher import producer as producer_module
from airflow_registry_triggers.watcher.subscribers import watching
from tests.unit.common.test_state_store import FullStore
from tests.unit.registry.scripted_registry import SignIn, digest_of
from tests.unit.watcher.streams import (
    CLEAN,
    KEY,
    acknowledge,
    acknowledged,
    baseline,
    polls,
    settled,
    state,
    stored,
    stream,
    tags_of,
    taken,
    until,
)

TWO_RULES = (("one", TagRule(tag_regex="a.*")), ("two", TagRule(tag_regex="v.*")))


async def test_producer_push_moves_watermark_only_when_acknowledged(registry, stores, connection):
    async with stream() as (producer, queue):
        await baseline(stores)
        registry.put("team/app", ["v1"])
        batch = await taken(queue)
        (pushed,) = batch.payload
        assert (pushed["push_data"]["tag"], pushed["push_data"]["digest"]) == ("v1", digest_of("first"))
        await settled()
        assert stored(stores).state_of("v1") is None
        assert queue.empty()
        await acknowledge(producer, batch)
        assert stored(stores).state_of("v1").generation == 1


async def test_producer_tags_of_one_poll_are_one_event(registry, stores, connection):
    async with stream() as (producer, queue):
        await baseline(stores)
        registry.put("team/app", [f"n{number}" for number in range(5)])
        assert sorted(await acknowledged(producer, queue)) == [f"n{number}" for number in range(5)]
        await polls(registry)
        assert queue.empty()


async def test_producer_killed_before_acknowledgement_emits_same_id(registry, stores, connection):
    async with stream() as (_, queue):
        await baseline(stores)
        registry.put("team/app", ["v1"])
        first = await taken(queue)
    async with stream() as (producer, queue):
        again = await taken(queue)
        assert again.payload == first.payload
        assert again.replayed == 1
        await acknowledge(producer, again)
        await polls(registry)
        assert queue.empty()


async def test_producer_restarted_after_acknowledgement_emits_nothing(registry, stores, connection):
    async with stream() as (producer, queue):
        await baseline(stores)
        registry.put("team/app", ["v1", "v2"])
        await acknowledged(producer, queue)
    for _ in range(3):
        async with stream() as (_, queue):
            await polls(registry)
            assert queue.empty()


async def test_producer_killed_three_times_emits_an_unacknowledged_push_once_more(
    registry, stores, connection
):
    async with stream() as (_, queue):
        await baseline(stores)
        registry.put("team/app", ["v1"])
        await taken(queue)
    emitted = 0
    for _ in range(3):
        async with stream() as (producer, queue):
            await polls(registry) if emitted else await acknowledged(producer, queue)
            emitted += 1 + queue.qsize()
    assert emitted == 3, "one in the first restart, none later"


async def test_producer_of_another_trigger_replays_recent_pushes_once(registry, stores, connection):
    """Its consumer may have been paused at that moment; Airflow then stored the event for nobody."""
    async with stream() as (producer, queue):
        await baseline(stores)
        registry.put("team/app", ["v1", "v2"])
        first = await taken(queue)
        await acknowledge(producer, first)
    async with stream(trigger_id=8) as (producer, queue):
        again = await taken(queue)
        assert again.payload == first.payload
        await acknowledge(producer, again)
        await polls(registry)
        assert queue.empty(), "once"
        assert stored(stores).state_of("v1").generation == 1
    async with stream(trigger_id=8) as (_, queue):
        await polls(registry)
        assert queue.empty(), "once, also after a restart"


async def test_producer_replay_and_new_push_are_one_event(registry, stores, connection):
    async with stream() as (producer, queue):
        await baseline(stores)
        registry.put("team/app", ["v1"])
        await acknowledged(producer, queue)
    registry.put("team/app", ["v2"])
    async with stream(trigger_id=8) as (producer, queue):
        assert await acknowledged(producer, queue) == ["v1", "v2"]
        await polls(registry)
        assert queue.empty()


async def test_producer_with_newest_emits_the_greatest_tag_over_restarts(registry, stores, connection):
    watched = ("asset", TagRule(semver="1.x"), "version")
    registry.put("team/app", ["1.1.0", "1.0.0"])
    async with stream(watched) as (producer, queue):
        await baseline(stores)
        registry.put("team/app", ["1.0.1", "1.2.0", "2.0.0"])
        assert await acknowledged(producer, queue) == ["1.2.0"]
        assert stored(stores).newest == "1.2.0"
    del registry.repositories["team/app"]["1.2.0"]
    registry.put("team/app", ["1.1.9"])
    async with stream(watched) as (producer, queue):
        await polls(registry)
        assert queue.empty()
        ((asset, status),) = producer.statuses()
        assert (asset, status.note) == (
            "asset",
            (
                "the greatest tag is 1.1.9, less than 1.2.0, which was notified last. No notification is sent until "
                "one is greater"
            ),
        )
        registry.put("team/app", ["1.10.0"])
        assert await acknowledged(producer, queue) == ["1.10.0"]


async def test_producer_two_minutes_after_push_empties_outbox(registry, stores, connection, monkeypatch):
    clock = [0.0]
    now = outbox.time.time
    monkeypatch.setattr(outbox.time, "time", lambda: now() + clock[0])
    async with stream() as (producer, queue):
        await baseline(stores)
        registry.put("team/app", ["v1"])
        await acknowledged(producer, queue)
        assert len(load_chunked(stores["asset"], outbox.KEY)) == 1
        clock[0] += outbox.EXPIRES_AFTER + 1
        await until(lambda: load_chunked(stores["asset"], outbox.KEY) == [])
    async with stream(trigger_id=8) as (_, queue):
        await polls(registry)
        assert queue.empty()


@pytest.mark.parametrize("outcome", [AdvanceOutcome(0, 0), AdvanceOutcome(1, 1), AdvanceOutcome(1, 0, 1)])
async def test_advance_event_not_clean_raises_and_stores_nothing(registry, stores, connection, outcome):
    async with stream() as (producer, queue):
        await baseline(stores)
        registry.put("team/app", ["v1"])
        batch = await taken(queue)
        with pytest.raises(RuntimeError, match="emits them again"):
            await producer.advance([AdvanceItem(batch, outcome)])
        assert stored(stores).state_of("v1") is None


async def test_producer_with_unacknowledged_event_sends_no_requests(registry, stores, connection):
    """So a push that two polls saw is in the metadata database, whatever is killed."""
    async with stream(*TWO_RULES) as (producer, queue):
        await baseline(stores, "one", "two")
        registry.put("team/app", ["a1", "v1"])
        first, second = await taken(queue), await taken(queue)
        registry.put("team/app", ["v2"])
        registry.asked.clear()
        await acknowledge(producer, second)
        await settled()
        assert registry.count() == 0
        states = stored(stores, "one").state_of("a1"), stored(stores, "two").state_of("v1")
        assert sorted(found is None for found in states) == [False, True]
        await acknowledge(producer, first)
        assert tags_of(await taken(queue)) == ["v2"]


async def test_producer_poll_fails_for_one_rule_loses_nothing_of_the_other(
    registry, stores, connection, monkeypatch
):
    poll_with = RegistryTarget.poll_with
    failing = []

    async def poll_or_fail(self, client, watermark, rule, **options):
        if failing and rule.tag_regex == "v.*":
            raise failing.pop()
        return await poll_with(self, client, watermark, rule, **options)

    monkeypatch.setattr(RegistryTarget, "poll_with", poll_or_fail)
    async with stream(*TWO_RULES) as (producer, queue):
        await baseline(stores, "one", "two")
        failing.append(RegistryError("down for a moment", kind="unavailable"))
        registry.put("team/app", ["a1"])
        assert await acknowledged(producer, queue) == ["a1"]
        assert not failing
        assert stored(stores, "one").state_of("a1").generation == 1


async def test_producer_two_rules_share_requests(registry, stores, connection, monkeypatch):
    registry.put("team/app", [f"a{n}" for n in range(5)])
    watched = (("one", TagRule(tag_regex="a.*")), ("two", TagRule(tag_regex="v.*|a1")))
    async with stream(*watched) as (producer, queue):
        await baseline(stores, "one", "two")
        registry.put("team/app", {"a1": "other"})
        batches = [await taken(queue) for _ in range(2)]
        assert {batch.asset for batch in batches} == {"one", "two"}
        registry.asked.clear()
        monkeypatch.setattr(producer_module.RegistryProducer, "_interval", 3600.0)
        await acknowledge(producer, *batches)
        await until(lambda: registry.count("HEAD") >= 6)
        await settled()
        assert registry.count("GET", "tags/list") == 1
        assert registry.count("HEAD") == 6, "each covered tag once"


async def test_producer_registry_error_is_logged_once_and_recovery_once(registry, stores, connection, caplog):
    caplog.set_level(logging.INFO, logger=backoff.__name__)
    tags = registry.repositories.pop("team/app")
    async with stream():
        await until(lambda: "the watcher retries" in caplog.text)
        asked = registry.count("GET", "tags/list")
        await until(lambda: registry.count("GET", "tags/list") > asked)
        assert caplog.text.count("the watcher retries") == 1
        registry.repositories["team/app"] = tags
        await until(lambda: "recovered" in caplog.text)
        assert caplog.text.count("watcher of team/app, Connection 'conn': recovered") == 1


async def test_producer_changed_password_takes_effect_without_restart(registry, stores, connection):
    registry.sign_in = SignIn(scheme="basic", challenge='Basic realm="r"', username="u", password="new")
    connection |= {"login": "u", "password": "old"}
    async with stream():
        await until(lambda: registry.count() >= 1)
        connection["password"] = "new"
        await baseline(stores)


async def test_producer_store_that_fails_does_not_end_the_stream(registry, stores, connection, caplog):
    caplog.set_level(logging.INFO, logger=backoff.__name__)
    async with stream() as (producer, queue):
        await baseline(stores)
        stores["asset"].left = 0
        registry.put("team/app", ["v1"])
        await until(lambda: "the watcher retries" in caplog.text)
        assert queue.empty(), "a push that is not in the outbox is not emitted"
        stores["asset"].left = 1
        batch = await taken(queue)
        with pytest.raises(FullStore):
            await acknowledge(producer, batch)
        stores["asset"].left = None
        await acknowledge(producer, batch)
        assert stored(stores).state_of("v1").generation == 1
        await until(lambda: "recovered" in caplog.text)
    assert caplog.text.count("the watcher retries") == 1


async def test_producer_without_subscription_sends_no_requests(registry, stores, connection):
    producer = producer_module.RegistryProducer(KEY)
    reads = []
    connected = producer._connected

    async def counted():
        reads.append(1)
        return await connected()

    producer._connected = counted
    task = asyncio.ensure_future(anext(producer.open_stream()))
    await until(lambda: len(reads) >= 3)
    task.cancel()
    await producer.aclose()
    assert registry.count() == 0


async def test_producer_event_its_trigger_did_not_consume_is_emitted_again(registry, stores, connection):
    async with stream() as (producer, queue):
        await baseline(stores)
        registry.put("team/app", ["v1"])
        batch = await taken(queue)
        batch.consumed = False
        await acknowledge(producer, batch)
        assert stored(stores).state_of("v1") is None
        again = await taken(queue)
        assert again.payload == batch.payload
        await acknowledge(producer, again)
        assert stored(stores).state_of("v1").generation == 1


async def test_producer_tag_moved_back_before_restart_emits_both_changes(registry, stores, connection):
    """Without the outbox the watermark would still have the first digest, and no poll would find a push."""
    registry.put("team/app", {"v1": "one"})
    async with stream() as (_, queue):
        await baseline(stores)
        registry.put("team/app", {"v1": "two"})
        first = await taken(queue)  # and the triggerer is killed
    registry.put("team/app", {"v1": "one"})
    async with stream() as (producer, queue):
        again = await taken(queue)
        assert again.payload == first.payload
        await acknowledge(producer, again)
        (back,) = (await taken(queue)).payload
        assert back["push_data"]["digest"] == digest_of("one")
        assert back["event"]["previous_digest"] == digest_of("two")
        assert back["event"]["generation"] == 2


async def test_producer_frozen_while_another_took_over_reads_watermark_first(registry, stores, connection):
    async with stream() as (frozen, queue):
        await baseline(stores)
        registry.repositories["team/app"] = {}
        await polls(registry)
        before = stored(stores)
        states = [state("v1", 1, "one"), state("v1", 2, "two")]
        WatermarkStore(stores["asset"]).save(before.advanced(states, before.epoch), before)
        registry.put("team/app", {"v0": "first", "v1": "two"})
        await polls(registry, 3)
        assert queue.empty()
        registry.put("team/app", {"v1": "three"})
        batch = await taken(queue)
        assert batch.payload[0]["event"]["generation"] == 3
        await acknowledge(frozen, batch)


async def test_producer_frozen_behind_the_answer_polls_again(registry, stores, connection, monkeypatch):
    for assets in (1, 2):
        stores.clear()
        registry.put("team/app", {"v1": "one"})
        watched = (("asset", TagRule()), ("other", TagRule(tag_regex="x.*|v1")))[:assets]
        poll_with = RegistryTarget.poll_with
        frozen = []

        async def poll_and_freeze(
            self, client, watermark, rule, poll_with=poll_with, frozen=frozen, **options
        ):
            found = await poll_with(self, client, watermark, rule, **options)
            if found.notifications and not frozen and rule == TagRule():
                frozen.append(True)
                states = [state("v1", 1, "two"), state("v1", 2, "three")]
                WatermarkStore(stores["asset"]).save(watermark.advanced(states, watermark.epoch), watermark)
                registry.put("team/app", {"v1": "three"})
            return found

        with monkeypatch.context() as patch:
            patch.setattr(RegistryTarget, "poll_with", poll_and_freeze)
            async with stream(*watched) as (_, queue):
                await baseline(stores, *(asset for asset, _ in watched))
                registry.put("team/app", {"v1": "two"})
                await until(lambda frozen=frozen: frozen)
                await polls(registry) if assets == 1 else await taken(queue)
                assert [batch for batch in queue._queue if batch.asset == "asset"] == []


async def test_producer_asset_that_comes_back_replays_and_continues(registry, stores, connection):
    other = (("other", TagRule(tags=["nothing"])),)
    async with stream(*other) as (producer, queue):
        with watching(KEY, "asset", TagRule(), 7):
            await baseline(stores)
            registry.put("team/app", ["v1"])
            assert await acknowledged(producer, queue) == ["v1"]
        with watching(KEY, "asset", TagRule(), 8):
            assert await acknowledged(producer, queue) == ["v1"], "its consumer may have been paused"
            registry.put("team/app", ["v2"])
            assert await acknowledged(producer, queue) == ["v2"]


async def test_producer_new_trigger_joins_before_the_old_one_leaves_replays(registry, stores, connection):
    """Airflow makes the new one first; what the old one took after it was detached is stored for nobody."""
    async with stream() as (producer, queue):
        await baseline(stores)
        registry.put("team/app", ["v1"])
        assert await acknowledged(producer, queue) == ["v1"]
        with watching(KEY, "asset", TagRule(), 8):
            assert await acknowledged(producer, queue) == ["v1"]
            registry.put("team/app", ["v2"])
            assert await acknowledged(producer, queue) == ["v2"]


async def test_producer_storm_is_split_and_keeps_order(registry, stores, connection, monkeypatch):
    monkeypatch.setattr(push_batch, "MAX_NOTIFICATIONS", 50)
    async with stream() as (producer, queue):
        await baseline(stores)
        tags = [f"n{number:03}" for number in range(120)]
        registry.put("team/app", tags)
        found = []
        while len(found) < 120:
            batch = await taken(queue)
            await settled()
            assert queue.empty(), "the next event waits for the acknowledgement"
            assert len(batch.payload) <= 50
            found += tags_of(batch)
            await acknowledge(producer, batch)
        assert found == tags


async def test_producer_killed_in_a_storm_loses_nothing(registry, stores, connection, monkeypatch):
    monkeypatch.setattr(push_batch, "MAX_NOTIFICATIONS", 4)
    found = set()
    async with stream() as (producer, queue):
        await baseline(stores)
        tags = {f"n{number:02}" for number in range(10)}
        registry.put("team/app", sorted(tags))
        found |= set(await acknowledged(producer, queue))
        await taken(queue)  # and the triggerer is killed
    registry.repositories["team/app"] = {}
    async with stream() as (producer, queue):
        found |= set(await acknowledged(producer, queue))
    assert len(found) == 8, "those that were never emitted are gone from the registry"


async def test_producer_error_of_one_asset_is_logged_once_and_backs_off(
    registry, stores, connection, monkeypatch, caplog
):
    caplog.set_level(logging.INFO, logger=backoff.__name__)
    monkeypatch.setattr(backoff, "FIRST_BACK_OFF", 0.5)
    connection["extra"] |= {"storm_limit": 2}
    async with stream(*TWO_RULES) as (producer, queue):
        await baseline(stores, "one", "two")
        registry.put("team/app", ["a1", "a2", "a3"])
        await until(lambda: "the watcher retries" in caplog.text)
        registry.put("team/app", ["v1"])
        assert await acknowledged(producer, queue) == ["v1"]
        await polls(registry, 5)
        assert caplog.text.count("the watcher retries") == 1
        assert "for asset one" in caplog.text


async def test_producer_registry_away_is_requested_once_for_many_assets(
    registry, stores, connection, monkeypatch
):
    monkeypatch.setattr(backoff, "FIRST_BACK_OFF", 3600.0)
    watched = [(f"asset{number}", TagRule(tag_regex=f"v.*|{number}")) for number in range(5)]
    registry.repositories.pop("team/app")
    async with stream(*watched) as (producer, _queue):
        await until(lambda: producer._backoff.failures)
        paths = [request.path for request in registry.asked]
        assert len(paths) == len(set(paths)), "the client tries other page sizes, each once"


async def test_producer_1500_pushes_pass_through_the_shared_stream_of_airflow(registry, stores, connection):
    """As the triggerer runs it: it confirms stored events later, in another call."""
    connection["extra"] |= {"storm_limit": 5000}
    manager, fired, unconfirmed, sizes = SharedStreamManager(), [], [], []
    trigger = RegistryPushTrigger("team/app", "conn")
    asset = asset_name("team/app", "conn")

    async def run_trigger():
        subscribed = manager.subscribe(trigger_id=1, trigger=trigger, key=trigger.shared_stream_key())
        async for event in trigger.filter_shared_stream(subscribed):
            await asyncio.to_thread(str, event)
            unconfirmed.append(manager.bind_pending_event(trigger_id=1, key=trigger.shared_stream_key()))
            fired.extend(push["push_data"]["tag"] for push in event.payload)
            sizes.append(len(event.payload))

    async def confirm():
        while True:
            await asyncio.sleep(0.05)
            seqs, unconfirmed[:] = unconfirmed[:], []
            manager.confirm_persisted(seqs)

    tasks = [asyncio.create_task(run_trigger()), asyncio.create_task(confirm())]
    try:
        await baseline(stores, asset)
        tags = [f"n{number:04}" for number in range(1500)]
        registry.put("team/app", tags)
        await until(lambda: len(fired) >= 1500 or tasks[0].done())
        assert sorted(fired) == tags
        assert max(sizes) <= push_batch.MAX_NOTIFICATIONS
        await until(lambda: stored(stores, asset).size == 1501)
    finally:
        for task in tasks:
            task.cancel()
        await manager.stop_all()


async def test_producer_outbox_write_fails_for_one_asset_loses_no_replay_of_the_other(
    registry, stores, connection
):
    registry.put("team/app", {"a1": "one"})
    async with stream(*TWO_RULES) as (_, queue):
        await baseline(stores, "one", "two")
        registry.put("team/app", {"a1": "two"})
        first = await taken(queue)  # and the triggerer is killed
    registry.put("team/app", {"a1": "three", "v1": "one"})
    stores["two"].left = 0
    async with stream(*TWO_RULES) as (producer, queue):
        await until(lambda: producer._backoff.failures)
        stores["two"].left = None
        again = await taken(queue)
        assert again.payload == first.payload
        await acknowledge(producer, again)
        rest = set()
        while len(rest) < 2:
            rest.update(await acknowledged(producer, queue))
        assert rest == {"a1", "v1"}
        assert stored(stores, "one").state_of("a1").generation == 2


@pytest.mark.parametrize("rule", [TagRule(), TagRule(tags=["v0", "v1"]), TagRule(tag_regex="v.*")])
async def test_producer_push_costs_no_second_poll(registry, stores, connection, rule, monkeypatch):
    seen = []
    poll_with = RegistryTarget.poll_with

    async def counted(self, *args, **options):
        found = await poll_with(self, *args, **options)
        seen.append(bool(found.notifications))
        return found

    monkeypatch.setattr(RegistryTarget, "poll_with", counted)
    async with stream(("asset", rule)) as (producer, queue):
        await baseline(stores)
        for content in ("one", "two"):
            seen.clear()
            registry.put("team/app", {"v1": content})
            assert await acknowledged(producer, queue) == ["v1"]
            assert seen.count(True) == 1


async def test_producer_push_costs_three_state_calls_before_the_next_poll(registry, stores, connection):
    """Each call takes 20 to 40 ms of the triggerer; two of them delay the event, one the next poll."""
    async with stream() as (producer, queue):
        await baseline(stores)
        await polls(registry)
        stores["asset"].calls.clear()
        registry.put("team/app", ["v1"])
        batch = await taken(queue)
        assert [name for name, _ in stores["asset"].calls] == ["get", "set"]
        await acknowledge(producer, batch)
        assert [name for name, _ in stores["asset"].calls] == ["get", "set", "set"]
        await polls(registry)
        assert len(stores["asset"].calls) == 3


async def test_producer_unreadable_tag_is_logged_once(registry, stores, connection, caplog):
    async def fault(request):
        return web.Response(status=500) if request.path.endswith("/manifests/v1") else None

    registry.put("team/app", ["v1"])
    async with stream():
        await baseline(stores)
        for count in (1, 2):
            registry.faults.append(fault)
            await until(lambda count=count: caplog.text.count("tag v1 could not be read") == count)
            await polls(registry)
            assert caplog.text.count("tag v1 could not be read") == count
            registry.faults.clear()
            await polls(registry)


async def test_advance_clean_outcome_of_every_batch_lets_the_next_poll_begin(registry, stores, connection):
    async with stream() as (producer, queue):
        await baseline(stores)
        registry.put("team/app", ["v1"])
        batch = await taken(queue)
        await producer.advance([AdvanceItem(batch, CLEAN)])
        await polls(registry)


@pytest.mark.parametrize(
    ("collected_ago", "due_in", "sleeps"),
    [
        (None, 0.4, 0.4),  # no event was acknowledged yet
        (61.0, 0.4, 0.4),  # too long ago
        (0.0, 1.0, 0.75),
        (0.0, -1.0, 0.75),  # overdue after an acknowledgement
        (0.3, 0.1, 0.45),
        (0.5, 1.2, 1.25),
        (3.0, 60.0, 59.75),
        (0.9, 0.0, 0.85),
    ],
)
def test_seconds_until_poll_ends_before_the_next_collection(monkeypatch, collected_ago, due_in, sleeps):
    monkeypatch.setattr(producer_module.time, "monotonic", lambda: 1000.0)
    monkeypatch.setattr(producer_module.RegistryProducer, "_interval", 1.0)
    producer = producer_module.RegistryProducer(KEY)
    if collected_ago is not None:
        producer._collections.observe(1000.0 - collected_ago)
    assert producer._seconds_until(1000.0 + due_in) == pytest.approx(sleeps)


async def test_producer_with_a_recheck_interval_requests_known_tags_once_and_new_tags_at_once(
    registry, stores, connection
):
    connection["extra"] = {"poll_interval": 1, "recheck_interval": 86_400}
    registry.put("team/app", [f"n{number}" for number in range(20)])
    async with stream() as (producer, queue):
        await baseline(stores)
        await polls(registry)
        registry.asked.clear()
        await polls(registry, 5)
        # A moment of one of these tags may lie in these milliseconds of the day, that of many cannot.
        assert registry.count("HEAD") <= 2
        registry.put("team/app", ["v1"])
        assert await acknowledged(producer, queue) == ["v1"]
