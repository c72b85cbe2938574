# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The shared stream of the watchers, with a scripted registry and a state store in memory."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging

import pytest
from aiohttp import web
from airflow.sdk import Connection
from airflow.triggers.shared_stream import AdvanceItem, AdvanceOutcome, SharedStreamManager

from airflow_registry_triggers.assets.oci import asset_uri
from airflow_registry_triggers.common.state_store import WatermarkStore
from airflow_registry_triggers.hooks.registry import RegistryHook, RegistryTarget
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.watermark import Watermark
from airflow_registry_triggers.tag_rule import TagRule
from airflow_registry_triggers.triggers.registry_push import RegistryPushTrigger
from airflow_registry_triggers.watcher import backoff, connection_cache, outbox, watched_asset
from airflow_registry_triggers.watcher import producer as producer_module
from airflow_registry_triggers.watcher.subscribers import watching
from tests.unit.common.test_state_store import FullStore, MemoryStore
from tests.unit.registry.scripted_registry import ScriptedRegistry, SignIn, digest_of

KEY = ("registry-push", "conn", "team/app")
CLEAN = AdvanceOutcome(acked=1, failed=0)


@pytest.fixture
async def registry():
    async with ScriptedRegistry().served() as served:
        served.put("team/app", ["v0"])
        yield served


@pytest.fixture
def stores(monkeypatch):
    kept: dict[str, MemoryStore] = {}
    monkeypatch.setattr(watched_asset, "state_of_asset", lambda name: kept.setdefault(name, MemoryStore()))
    monkeypatch.setattr(producer_module, "FIRST_POLL_WITHIN", 0.0)
    monkeypatch.setattr(backoff, "FIRST_BACK_OFF", 0.1)
    return kept


@pytest.fixture
def connection(monkeypatch, registry):
    """The Connection that is read; a test changes it under the watcher."""
    current = {"host": registry.url, "extra": {"poll_interval": 1}}

    async def aget_connection(conn_id):
        values = {**current, "extra": json.dumps(current["extra"])}
        return Connection(conn_id=conn_id, conn_type="oci_registry", **values)

    monkeypatch.setattr(RegistryHook, "aget_connection", aget_connection)
    monkeypatch.setattr(connection_cache, "_read", {})
    return current


@contextlib.asynccontextmanager
async def stream(*watched, wait=0.05):
    """Run a producer; its pushes come through a queue, and are confirmed by whoever takes them."""
    producer = producer_module.RegistryProducer(KEY)
    queue: asyncio.Queue = asyncio.Queue()

    async def pump():
        async for item in producer.open_stream():
            item[0].taken = True  # as its own watcher's filter does
            queue.put_nowait(item)

    with contextlib.ExitStack() as stack:
        for asset, rule in watched or (("asset", TagRule()),):
            stack.enter_context(watching(KEY, asset, rule))
        task = asyncio.create_task(pump())
        try:
            yield producer, queue
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await producer.aclose()


async def taken(queue):
    return await asyncio.wait_for(queue.get(), 5)


async def confirmed(producer, queue):
    """Take an event, confirm it, and give its tag."""
    event, pushed = await taken(queue)
    await producer.advance([AdvanceItem(pushed, CLEAN)])
    return event.payload["push_data"]["tag"]


async def until(predicate, seconds=5.0):
    async with asyncio.timeout(seconds):
        while not predicate():
            await asyncio.sleep(0.02)


def stored(stores, asset="asset"):
    return WatermarkStore(stores[asset]).load() if asset in stores else Watermark()


async def baseline(stores, *assets):
    await until(lambda: all(stored(stores, asset).epoch for asset in assets or ("asset",)))


async def test_the_watermark_moves_when_the_event_is_confirmed_and_not_before(registry, stores, connection):
    async with stream() as (producer, queue):
        await baseline(stores)
        registry.put("team/app", ["v1"])
        event, pushed = await taken(queue)
        assert event.payload["push_data"] == {
            **event.payload["push_data"],
            "tag": "v1",
            "digest": digest_of("first"),
        }
        await asyncio.sleep(1.2)  # another poll must neither store nor repeat it
        assert stored(stores).mark_of("v1") is None
        assert queue.empty()
        await producer.advance([AdvanceItem(pushed, CLEAN)])
        assert stored(stores).mark_of("v1").generation == 1


async def test_a_crash_before_the_confirmation_announces_again_with_the_same_id(registry, stores, connection):
    async with stream() as (_, queue):
        await baseline(stores)
        registry.put("team/app", ["v1"])
        first, _ = await taken(queue)
    async with stream() as (producer, queue):
        again, pushed = await taken(queue)
        await producer.advance([AdvanceItem(pushed, CLEAN)])
    assert again.payload["event"]["id"] == first.payload["event"]["id"]


async def test_a_watcher_that_begins_soon_after_a_push_announces_it_again(registry, stores, connection):
    """Its consumer may have been paused at that moment, and Airflow has then stored the event for nobody."""
    async with stream() as (producer, queue):
        await baseline(stores)
        registry.put("team/app", ["v1", "v2"])
        pairs = [await taken(queue) for _ in range(2)]
        await producer.advance([AdvanceItem(pushed, CLEAN) for _, pushed in pairs])
    async with stream() as (producer, queue):
        again = [await taken(queue) for _ in range(2)]
        assert [event.payload for event, _ in again] == [event.payload for event, _ in pairs]
        await producer.advance([AdvanceItem(pushed, CLEAN) for _, pushed in again])
        await asyncio.sleep(1.5)
        assert queue.empty(), "once"
        assert stored(stores).mark_of("v1").generation == stored(stores).mark_of("v2").generation == 1


async def test_a_new_push_comes_before_what_only_may_have_been_announced_to_nobody(
    registry, stores, connection
):
    async with stream() as (producer, queue):
        await baseline(stores)
        registry.put("team/app", ["v1"])
        _, pushed = await taken(queue)
        await producer.advance([AdvanceItem(pushed, CLEAN)])
    registry.put("team/app", ["v2"])
    async with stream() as (producer, queue):
        assert [await confirmed(producer, queue) for _ in range(2)] == ["v2", "v1"]
        await asyncio.sleep(1.5)
        assert queue.empty()


async def test_what_a_watcher_has_outlived_is_not_announced_again(registry, stores, connection, monkeypatch):
    monkeypatch.setattr(outbox, "SETTLED_AFTER", 0.5)
    async with stream() as (producer, queue):
        await baseline(stores)
        registry.put("team/app", ["v1"])
        _, pushed = await taken(queue)
        await producer.advance([AdvanceItem(pushed, CLEAN)])
        await until(lambda: stores["asset"].values["announced"]["pushes"] == [])
    async with stream() as (_, queue):
        await asyncio.sleep(0.5)
        assert queue.empty()


@pytest.mark.parametrize("outcome", [AdvanceOutcome(0, 0), AdvanceOutcome(1, 1), AdvanceOutcome(1, 0, 1)])
async def test_what_is_not_clean_is_not_stored(registry, stores, connection, outcome):
    async with stream() as (producer, queue):
        await baseline(stores)
        registry.put("team/app", ["v1"])
        _, pushed = await taken(queue)
        with pytest.raises(RuntimeError, match="announced again"):
            await producer.advance([AdvanceItem(pushed, outcome)])
        assert stored(stores).mark_of("v1") is None


async def test_while_an_event_is_unconfirmed_nothing_more_is_asked(registry, stores, connection):
    """So that what two polls have seen is in the metadata database, whoever is killed."""
    async with stream() as (producer, queue):
        await baseline(stores)
        registry.put("team/app", ["v1", "v2"])
        (_, first), (_, second) = [await taken(queue) for _ in range(2)]
        registry.put("team/app", ["v3"])
        registry.asked.clear()
        await producer.advance([AdvanceItem(second, CLEAN)])
        await asyncio.sleep(1.5)
        assert registry.count() == 0
        marks = {tag: stored(stores).mark_of(tag) for tag in ("v1", "v2")}
        assert sorted(mark is None for mark in marks.values()) == [False, True]
        await producer.advance([AdvanceItem(first, CLEAN)])
        event, _ = await taken(queue)
        assert event.payload["push_data"]["tag"] == "v3"


async def test_a_poll_that_fails_for_one_rule_loses_nothing_of_another(
    registry, stores, connection, monkeypatch
):
    watched = (("one", TagRule(tag_regex="a.*")), ("two", TagRule(tag_regex="v.*")))
    poll_with = RegistryTarget.poll_with
    failing = []

    async def poll_or_fail(self, client, watermark, rule, **options):
        if failing and rule.tag_regex == "v.*":
            raise failing.pop()
        return await poll_with(self, client, watermark, rule, **options)

    monkeypatch.setattr(RegistryTarget, "poll_with", poll_or_fail)
    async with stream(*watched) as (producer, queue):
        await baseline(stores, "one", "two")
        failing.append(RegistryError("down for a moment", kind="unavailable"))
        registry.put("team/app", ["a1"])
        event, pushed = await asyncio.wait_for(queue.get(), 10)
        assert not failing
        assert event.payload["push_data"]["tag"] == "a1"
        await producer.advance([AdvanceItem(pushed, CLEAN)])
        assert stored(stores, "one").mark_of("a1").generation == 1


async def test_two_rules_of_one_repository_share_the_requests(registry, stores, connection):
    registry.put("team/app", [f"a{n}" for n in range(5)])
    watched = (("one", TagRule(tag_regex="a.*")), ("two", TagRule(tag_regex="v.*|a1")))
    async with stream(*watched) as (_, queue):
        await baseline(stores, "one", "two")
        await asyncio.sleep(0.1)
        registry.asked.clear()
        registry.put("team/app", {"a1": "other"})
        events = [(await taken(queue))[0] for _ in range(2)]
        assert {event.asset for event in events} == {"one", "two"}
        assert registry.count("GET", "tags/list") == 1
        assert registry.count("HEAD") == 6, "each covered tag once"


async def test_what_is_wrong_is_said_once_and_that_it_is_well_again_once(
    registry, stores, connection, caplog
):
    caplog.set_level(logging.INFO, logger=backoff.__name__)
    tags = registry.repositories.pop("team/app")
    async with stream() as (_, _queue):
        await until(lambda: registry.count("GET", "tags/list") >= 2, 15)
        assert len([record for record in caplog.records if "no_such_repository" in record.message or "no such repository" in record.message]) == 1  # fmt: skip
        registry.repositories["team/app"] = tags
        await until(lambda: stored(stores).epoch is not None, 30)
        assert [record.message for record in caplog.records if "well again" in record.message] == [
            "watching team/app through 'conn' is well again"
        ]


async def test_a_changed_password_is_used_without_a_restart(registry, stores, connection):
    registry.sign_in = SignIn(scheme="basic", challenge='Basic realm="r"', username="u", password="new")
    connection |= {"login": "u", "password": "old"}
    async with stream() as (_, _queue):
        await until(lambda: registry.count() >= 1)
        connection["password"] = "new"
        await until(lambda: stored(stores).epoch is not None, 15)


async def test_a_fault_of_the_store_does_not_end_the_stream(registry, stores, connection, caplog):
    caplog.set_level(logging.INFO, logger=backoff.__name__)
    async with stream() as (producer, queue):
        await baseline(stores)
        stores["asset"].left = 0
        registry.put("team/app", ["v1"])
        await until(lambda: "going on" in caplog.text)
        assert queue.empty(), "what cannot be written down is not announced"
        stores["asset"].left = 1
        _, pushed = await taken(queue)
        with pytest.raises(FullStore):
            await producer.advance([AdvanceItem(pushed, CLEAN)])
        stores["asset"].left = None
        await producer.advance([AdvanceItem(pushed, CLEAN)])
        assert stored(stores).mark_of("v1").generation == 1
        await until(lambda: "well again" in caplog.text)
    assert caplog.text.count("going on") == 1


async def test_without_anyone_watching_nothing_is_asked(registry, stores, connection):
    producer = producer_module.RegistryProducer(KEY)
    task = asyncio.ensure_future(anext(producer.open_stream()))
    await asyncio.sleep(0.4)
    task.cancel()
    await producer.aclose()
    assert registry.count() == 0


async def test_an_event_that_its_own_watcher_did_not_take_is_announced_again(registry, stores, connection):
    async with stream() as (producer, queue):
        await baseline(stores)
        registry.put("team/app", ["v1"])
        event, pushed = await taken(queue)
        event.taken = False
        await producer.advance([AdvanceItem(pushed, CLEAN)])
        assert stored(stores).mark_of("v1") is None
        again, pushed = await taken(queue)
        assert again.payload["event"]["id"] == event.payload["event"]["id"]
        await producer.advance([AdvanceItem(pushed, CLEAN)])
        assert stored(stores).mark_of("v1").generation == 1


async def test_a_push_that_a_poll_has_seen_survives_a_kill_also_when_its_tag_went_back(
    registry, stores, connection
):
    """Without the write-down the watermark would still say the first digest, and neither would be outbox."""
    registry.put("team/app", {"v1": "one"})
    async with stream() as (_, queue):
        await baseline(stores)
        registry.put("team/app", {"v1": "two"})
        first, _ = await taken(queue)  # and the triggerer is killed
    registry.put("team/app", {"v1": "one"})
    async with stream() as (producer, queue):
        again, pushed = await taken(queue)
        assert again.payload == first.payload
        await producer.advance([AdvanceItem(pushed, CLEAN)])
        back, pushed = await taken(queue)
        assert back.payload["push_data"]["digest"] == digest_of("one")
        assert back.payload["event"]["previous_digest"] == digest_of("two")
        assert back.payload["event"]["generation"] == 2
        await producer.advance([AdvanceItem(pushed, CLEAN)])


async def test_what_another_triggerer_did_while_this_one_was_frozen_is_read_first(
    registry, stores, connection
):
    async with stream() as (frozen, queue):
        await baseline(stores)
        # Another triggerer has taken over and handed on two changes of the tag meanwhile.
        registry.repositories["team/app"] = {}
        await asyncio.sleep(1.2)
        before = stored(stores)
        marks = [watch_mark("v1", 1, "one"), watch_mark("v1", 2, "two")]
        WatermarkStore(stores["asset"]).save(before.advanced(marks, before.epoch), before)
        registry.put("team/app", {"v0": "first", "v1": "two"})
        await asyncio.sleep(1.5)
        assert queue.empty()
        registry.put("team/app", {"v1": "three"})
        event, pushed = await taken(queue)
        assert event.payload["event"]["generation"] == 3
        await frozen.advance([AdvanceItem(pushed, CLEAN)])


def watch_mark(tag, generation, content):
    return watched_asset.TagState(tag, generation, digest_of(content))


async def test_an_asset_that_comes_back_while_another_kept_the_stream_begins_anew(
    registry, stores, connection
):
    other = (("other", TagRule(tags=["nothing"])),)
    async with stream(*other) as (producer, queue):
        with watching(KEY, "asset", TagRule()):
            await baseline(stores)
            registry.put("team/app", ["v1"])
            assert await confirmed(producer, queue) == "v1"
        with watching(KEY, "asset", TagRule()):
            assert await confirmed(producer, queue) == "v1", "its consumer may have been paused"
            registry.put("team/app", ["v2"])
            assert await confirmed(producer, queue) == "v2"


async def test_of_many_pushes_no_more_are_under_way_than_a_queue_takes(registry, stores, connection):
    async with stream() as (producer, queue):
        await baseline(stores)
        tags = [f"n{number:03}" for number in range(120)]
        registry.put("team/app", tags)
        announced_tags, most = [], 0
        while len(announced_tags) < 120:
            await asyncio.sleep(0.1)
            most = max(most, queue.qsize())
            batch = [queue.get_nowait() for _ in range(queue.qsize())]
            announced_tags += [event.payload["push_data"]["tag"] for event, _ in batch]
            if batch:
                await producer.advance([AdvanceItem(pushed, CLEAN) for _, pushed in batch])
        assert sorted(announced_tags) == tags
        assert 0 < most <= 50


async def test_what_is_wrong_with_one_asset_alone_is_said_once_and_tried_less_often(
    registry, stores, connection, monkeypatch, caplog
):
    caplog.set_level(logging.INFO, logger=backoff.__name__)
    connection["extra"] |= {"storm_limit": 2}
    watched = (("one", TagRule(tag_regex="a.*")), ("two", TagRule(tag_regex="v.*")))
    async with stream(*watched) as (producer, queue):
        await baseline(stores, "one", "two")
        registry.put("team/app", ["a1", "a2", "a3"])
        await until(lambda: "going on" in caplog.text)
        registry.put("team/app", ["v1"])
        assert await confirmed(producer, queue) == "v1"
        await asyncio.sleep(2.5)
        assert caplog.text.count("3 pushes at once") == 1
        assert "for the asset one" in caplog.text


async def test_a_registry_that_is_away_is_asked_once_in_a_round_of_many_assets(registry, stores, connection):
    watched = [(f"asset{number}", TagRule(tag_regex=f"v.*|{number}")) for number in range(5)]
    registry.repositories.pop("team/app")
    async with stream(*watched) as (_, _queue):
        await until(lambda: registry.count("GET", "tags/list"))
        await asyncio.sleep(0.3)
        assert registry.count("GET", "tags/list") == 1


async def test_the_pushes_of_two_minutes_are_kept_in_parts_that_a_store_takes(stores):
    store = MemoryStore()
    written = outbox.Outbox(store)
    await written.load()
    pushes = [
        {
            "push_data": {"tag": "t" * 128, "digest": digest_of(str(number))},
            "repository": {"repo_full_name": "r" * 255},
            "event": {"id": f"{number:032x}", "epoch": "e", "generation": number},
        }
        for number in range(600)
    ]
    for number in range(0, 600, 50):
        await written.add(pushes[number : number + 50])
    assert all(len(json.dumps(value)) < 65_535 for value in store.values.values())
    read = outbox.Outbox(store)
    await read.load()
    assert read.take() == pushes[-outbox.MAX_KEPT :]
    assert read.take() == []


async def test_each_push_is_kept_for_its_own_time(monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(outbox.time, "monotonic", lambda: clock[0])
    store = MemoryStore()
    written = outbox.Outbox(store)
    await written.load()

    async def add(number):
        pushed = {"tag": f"t{number}", "digest": "d"}
        await written.add(
            [{"push_data": pushed, "event": {"id": str(number), "epoch": "e", "generation": 1}}]
        )
        return [push["push_data"]["tag"] for push in store.values[outbox.KEY]["pushes"]]

    assert await add(1) == ["t1"]
    clock[0] += 100
    assert await add(2) == ["t1", "t2"]
    clock[0] += 100
    assert await add(3) == ["t2", "t3"], "although there was always one that is younger"
    clock[0] += 100
    await written.settle()
    assert len(store.values[outbox.KEY]["pushes"]) == 2
    clock[0] += 100
    await written.settle()
    assert store.values[outbox.KEY]["pushes"] == []


@pytest.mark.parametrize(
    "left", [None, 1, "x", [], {}, {"parts": "x"}, {"parts": 3, "pushes": [1, {"event": 1}]}]
)
async def test_what_cannot_be_read_of_them_is_nothing(left):
    store = MemoryStore()
    store.values[outbox.KEY] = left
    read = outbox.Outbox(store)
    await read.load()
    assert read.take() == []


async def test_more_pushes_than_a_queue_takes_go_through_the_shared_stream_of_airflow(
    registry, stores, connection
):
    """As the triggerer runs it: a log line for each event, and what is stored is confirmed a second later."""
    connection["extra"] |= {"storm_limit": 5000}
    manager, fired, unconfirmed = SharedStreamManager(), [], []
    trigger = RegistryPushTrigger("team/app", "conn")
    asset = asset_uri("team/app", "conn")

    async def run_trigger():
        stream = manager.subscribe(trigger_id=1, trigger=trigger, key=trigger.shared_stream_key())
        async for event in trigger.filter_shared_stream(stream):
            await asyncio.to_thread(str, event)
            unconfirmed.append(manager.bind_pending_event(trigger_id=1, key=trigger.shared_stream_key()))
            fired.append(event.payload["push_data"]["tag"])

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
        await until(lambda: len(fired) >= 1500 or tasks[0].done(), 60)
        assert sorted(fired) == tags
        await until(lambda: stored(stores, asset).size == 1501)
    finally:
        for task in tasks:
            task.cancel()
        await manager.stop_all()


async def test_a_trigger_that_joins_before_the_one_it_replaces_has_left_begins_anew(
    registry, stores, connection
):
    """Airflow makes the new one first; what the old one took since it was detached is stored for nobody."""
    async with stream() as (producer, queue):
        await baseline(stores)
        registry.put("team/app", ["v1"])
        assert await confirmed(producer, queue) == "v1"
        with watching(KEY, "asset", TagRule()):
            assert await confirmed(producer, queue) == "v1"
            registry.put("team/app", ["v2"])
            assert await confirmed(producer, queue) == "v2"


async def test_a_write_down_that_fails_for_one_asset_loses_nothing_that_another_is_to_announce_again(
    registry, stores, connection
):
    watched = (("one", TagRule(tag_regex="a.*")), ("two", TagRule(tag_regex="v.*")))
    registry.put("team/app", {"a1": "one"})
    async with stream(*watched) as (_, queue):
        await baseline(stores, "one", "two")
        registry.put("team/app", {"a1": "two"})
        first, _ = await taken(queue)  # and the triggerer is killed
    registry.put("team/app", {"a1": "three", "v1": "one"})
    stores["two"].left = 0
    async with stream(*watched) as (producer, queue):
        await asyncio.sleep(0.5)
        stores["two"].left = None
        again, pushed = await asyncio.wait_for(queue.get(), 15)
        assert again.payload == first.payload
        await producer.advance([AdvanceItem(pushed, CLEAN)])
        rest = set()
        while len(rest) < 2:
            rest.add(await asyncio.wait_for(confirmed(producer, queue), 15))
        assert rest == {"a1", "v1"}
        assert stored(stores, "one").mark_of("a1").generation == 2


@pytest.mark.parametrize("assets", [1, 2])
async def test_a_process_that_was_frozen_behind_the_answer_asks_the_registry_anew(
    registry, stores, connection, monkeypatch, assets
):
    registry.put("team/app", {"v1": "one"})
    watched = (("asset", TagRule()), ("other", TagRule(tag_regex="x.*|v1")))[:assets]
    poll_with = RegistryTarget.poll_with
    frozen = []

    async def poll_and_freeze(self, client, watermark, rule, **options):
        found = await poll_with(self, client, watermark, rule, **options)
        if found.notifications and not frozen and rule == TagRule():
            frozen.append(True)
            marks = [watch_mark("v1", 1, "two"), watch_mark("v1", 2, "three")]
            WatermarkStore(stores["asset"]).save(watermark.advanced(marks, watermark.epoch), watermark)
            registry.put("team/app", {"v1": "three"})
        return found

    monkeypatch.setattr(RegistryTarget, "poll_with", poll_and_freeze)
    async with stream(*watched) as (_, queue):
        await baseline(stores, *(asset for asset, _ in watched))
        registry.put("team/app", {"v1": "two"})
        await until(lambda: frozen)
        await asyncio.sleep(1.5)
        announced_of = [queue.get_nowait()[0] for _ in range(queue.qsize())]
        assert [event for event in announced_of if event.asset == "asset"] == []


@pytest.mark.parametrize("rule", [TagRule(), TagRule(tags=["v0", "v1"]), TagRule(tag_regex="v.*")])
async def test_a_push_costs_no_second_poll(registry, stores, connection, rule):
    async with stream(("asset", rule)) as (producer, queue):
        await baseline(stores)
        await asyncio.sleep(1.2)
        for tag in ("one", "two"):
            registry.put("team/app", {"v1": tag})
            registry.asked.clear()
            assert await confirmed(producer, queue) == "v1"
            assert registry.count("HEAD") <= 4, "at most one poll before the push and the one that finds it"


async def test_a_tag_that_cannot_be_read_is_named_once(registry, stores, connection, caplog):
    async def fault(request):
        return web.Response(status=500) if request.path.endswith("/manifests/v1") else None

    registry.put("team/app", ["v1"])
    async with stream() as (_, _queue):
        await baseline(stores)
        registry.faults.append(fault)
        await until(lambda: "tag v1 could not be read" in caplog.text)
        await asyncio.sleep(2.5)
        assert caplog.text.count("could not be read") == 1
        registry.faults.clear()
        await asyncio.sleep(1.2)
        registry.faults.append(fault)
        await until(lambda: caplog.text.count("could not be read") == 2)


async def test_a_connection_is_read_once_for_all_watchers_until_it_is_old(registry, connection, monkeypatch):
    reads = []
    aget_connection = RegistryHook.aget_connection

    async def counted(conn_id):
        reads.append(conn_id)
        return await aget_connection(conn_id)

    monkeypatch.setattr(RegistryHook, "aget_connection", counted)
    targets = [await connection_cache.target_for("conn", f"team/app{n}", 30.0) for n in range(5)]
    assert [target.repository for target in targets] == [f"team/app{n}" for n in range(5)]
    await connection_cache.target_for("other", "team/app", 30.0)
    assert reads == ["conn", "other"]
    connection["password"] = "changed"
    assert (await connection_cache.target_for("conn", "team/app", 30.0)).password is None
    assert (await connection_cache.target_for("conn", "team/app", 0.0)).password == "changed"
