# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import web
from airflow.sdk import Connection

from airflow_registry_triggers.common.state_store import WatermarkStore
from airflow_registry_triggers.hooks.registry import RegistryHook
from airflow_registry_triggers.registry.asset_uri import asset_name
from airflow_registry_triggers.registry.watermark import Watermark
from airflow_registry_triggers.tag_rule import TagRule
from airflow_registry_triggers.triggers import registry_push as module
from airflow_registry_triggers.triggers.registry_push import RegistryChangeTrigger, RegistryPushTrigger
from airflow_registry_triggers.watcher.outbox import DETACHED_KEY
from airflow_registry_triggers.watcher.push_batch import PushBatch
from airflow_registry_triggers.watcher.subscribers import subscriptions_of
from tests.unit.common.test_state_store import MemoryStore
from tests.unit.registry.scripted_registry import ScriptedRegistry
from tests.unit.watcher.notifications import notification_of

ASSET = asset_name("team/app", "conn")


class Watched:
    def __init__(self, asset):
        self.asset = asset


@pytest.fixture
def store(monkeypatch):
    store = MemoryStore()
    monkeypatch.setattr(module, "shared_state", lambda: store)
    monkeypatch.setattr(module, "state_of_asset", lambda name: {ASSET: store}[name])
    return store


@pytest.fixture
async def registry(monkeypatch):
    async with ScriptedRegistry().served() as served:
        served.put("team/app", ["v0"])

        async def aget_connection(conn_id):
            return Connection(
                conn_id=conn_id, conn_type="oci_registry", host=served.url, extra=json.dumps({})
            )

        monkeypatch.setattr(RegistryHook, "aget_connection", staticmethod(aget_connection))
        yield served


def change_trigger(**changes):
    return RegistryChangeTrigger(
        **{
            "repository": "team/app",
            "registry_conn_id": "conn",
            "tags": None,
            "tag_regex": None,
            "first_run": "baseline",
            "state_prefix": "watermark/x/",
            "poll_interval": 0.01,
            **changes,
        }
    )


async def event_of(trigger):
    async with asyncio.timeout(60):
        return await anext(trigger.run())


async def test_change_trigger_without_baseline_fires_changed(store, registry):
    assert (await event_of(change_trigger())).payload["status"] == "changed"
    assert not [name for name, _ in store.calls if name != "get"], "the worker decides and stores"


async def test_change_trigger_waits_until_a_tag_differs(store, registry):
    target = await RegistryHook("conn").atarget("team/app")
    found = await target.poll(Watermark(), TagRule())
    WatermarkStore(store, "watermark/x/").save(found.watermark_after, Watermark())
    waiting = asyncio.create_task(event_of(change_trigger()))
    registry.asked.clear()
    while registry.count("GET", "tags/list") < 3:
        await asyncio.sleep(0.005)
    assert not waiting.done()
    registry.put("team/app", ["v1"])
    assert (await waiting).payload["status"] == "changed"


async def test_change_trigger_error_that_retrying_cannot_cure_fires_failed(store, registry):
    registry.repositories.clear()
    assert (await event_of(change_trigger())).payload["status"] == "failed"


@pytest.mark.parametrize(
    "trigger",
    [
        change_trigger(),
        change_trigger(semver="1.x", exclude_regex="b", newest="version"),
        RegistryPushTrigger("team/app", "conn", tags=["a"]),
        RegistryPushTrigger("team/app", "conn", semver="1.x", exclude_regex="b", newest="number"),
    ],
)
def test_serialize_arguments_make_an_equal_trigger(trigger):
    path, arguments = trigger.serialize()
    again = type(trigger)(**json.loads(json.dumps(arguments)))
    assert path == f"{module.__name__}.{type(trigger).__name__}"
    assert again.serialize() == (path, arguments)


def test_change_trigger_without_new_conditions_serializes_as_before():
    assert json.dumps(change_trigger().serialize()[1]) == (
        '{"repository": "team/app", "registry_conn_id": "conn", "tags": null, "tag_regex": null, '
        '"first_run": "baseline", "state_prefix": "watermark/x/", "poll_interval": 0.01}'
    )


async def test_change_trigger_with_newest_waits_for_a_greater_tag(store, registry):
    registry.put("team/app", ["1.0.0", "1.1.0"])
    target = await RegistryHook("conn").atarget("team/app")
    found = await target.poll(Watermark(), TagRule(semver="*"), newest="version")
    WatermarkStore(store, "watermark/x/").save(found.watermark_after, Watermark())
    waiting = asyncio.create_task(event_of(change_trigger(semver="*", newest="version")))
    registry.put("team/app", ["1.0.1", "1.2.0-rc.1"])
    registry.asked.clear()
    while registry.count("GET", "tags/list") < 3:
        await asyncio.sleep(0.005)
    assert not waiting.done()
    registry.put("team/app", ["1.2.0"])
    assert (await waiting).payload["status"] == "changed"


def test_push_trigger_streams_are_shared_by_connection_and_repository():
    key = RegistryPushTrigger("team/app", "conn").shared_stream_key()
    assert RegistryPushTrigger("team/app", "conn", tag_regex="v.*").shared_stream_key() == key
    assert RegistryPushTrigger("team/app", "other").shared_stream_key() != key
    assert RegistryPushTrigger("team/other", "conn").shared_stream_key() != key


async def test_push_trigger_yields_one_event_with_the_list_of_its_own_asset():
    trigger = RegistryPushTrigger("team/app", "conn")
    trigger.trigger_id = 5
    mine = PushBatch(Watched(ASSET), [notification_of(1), notification_of(2)])
    other = PushBatch(Watched("oci://conn/team/app?tags=x"), [notification_of(3)])

    async def batches():
        (subscription,) = subscriptions_of(trigger.shared_stream_key())
        assert (subscription.asset, subscription.trigger_id) == (ASSET, 5)
        yield other
        yield mine

    events = [event.payload async for event in trigger.filter_shared_stream(batches())]
    assert events == [[notification_of(1).to_dict(), notification_of(2).to_dict()]]
    assert (mine.consumed, other.consumed) == (True, False)
    assert subscriptions_of(trigger.shared_stream_key()) == []


async def test_push_trigger_with_newest_subscribes_with_its_rule_and_order():
    trigger = RegistryPushTrigger("team/app", "conn", semver="1.x", newest="version")

    async def batches():
        (subscription,) = subscriptions_of(trigger.shared_stream_key())
        assert (subscription.rule, subscription.newest) == (TagRule(semver="1.x"), "version")
        assert subscription.asset == asset_name("team/app", "conn", semver="1.x", newest="version")
        return
        yield

    assert [event async for event in trigger.filter_shared_stream(batches())] == []


async def test_push_trigger_detached_by_airflow_stores_its_id(store):
    trigger = RegistryPushTrigger("team/app", "conn")
    trigger.trigger_id = 5
    await trigger.on_kill()
    assert store.values[DETACHED_KEY]["trigger_id"] == 5


async def test_push_trigger_run_alone_raises():
    with pytest.raises(NotImplementedError, match="3.3"):
        await anext(RegistryPushTrigger("team/app", "conn").run())


@pytest.fixture
async def push_mode(monkeypatch, store, registry):
    """A sensor with a baseline, on a Connection with a webhook secret."""
    from airflow_registry_triggers.watcher import connection_cache, hint_schedule, hints
    from tests.unit.watcher.test_hints import SECRET, Rows

    async def aget_connection(conn_id):
        return Connection(
            conn_id=conn_id,
            conn_type="oci_registry",
            host=registry.url,
            extra=json.dumps({"webhook_secret": SECRET}),
        )

    monkeypatch.setattr(RegistryHook, "aget_connection", staticmethod(aget_connection))
    monkeypatch.setattr(connection_cache, "_read", {})
    rows = Rows()
    monkeypatch.setattr(hints, "shared_state", lambda: rows)
    monkeypatch.setattr(hints, "READ_INTERVAL", 0.01)
    # The real times of the last repeat: a loaded machine polls two short ones at once.
    monkeypatch.setattr(hint_schedule, "POLLED_AFTER", (0.0, 0.5, 4.0))
    monkeypatch.setattr(hint_schedule, "MIN_GAP", 0.05)
    target = await RegistryHook("conn").atarget("team/app")
    found = await target.poll(Watermark(), TagRule())
    WatermarkStore(store, "watermark/x/").save(found.watermark_after, Watermark())
    registry.asked.clear()
    return rows


async def test_change_trigger_with_a_hint_fires_without_a_full_poll(push_mode, registry):
    event = asyncio.create_task(event_of(change_trigger(poll_interval=3600)))
    push_mode.hint(["v1"])
    async with asyncio.timeout(60):
        while not registry.count("HEAD"):
            await asyncio.sleep(0.005)
    registry.put("team/app", ["v1"])
    assert (await event).payload["status"] == "changed"
    assert registry.count("GET", "tags/list") == 0


async def test_change_trigger_with_a_hint_of_a_known_tag_waits(push_mode, registry):
    event = asyncio.create_task(event_of(change_trigger(poll_interval=3600)))
    push_mode.hint(["v0"])
    async with asyncio.timeout(60):
        while registry.count("HEAD") < 3:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    assert not event.done()
    event.cancel()


async def test_change_trigger_that_ends_takes_no_more_hints(push_mode, registry):
    from airflow_registry_triggers.watcher import hints

    push_mode.hint(["v1"])
    registry.put("team/app", ["v1"])
    await event_of(change_trigger(poll_interval=3600))
    reader = hints._readers[asyncio.get_running_loop()]
    async with asyncio.timeout(60):
        while reader.is_running:
            await asyncio.sleep(0.01)


async def test_change_trigger_with_failures_after_a_hint_retries_within_seconds(
    push_mode, registry, monkeypatch
):
    monkeypatch.setattr(module, "FIRST_BACK_OFF", 0.02)
    failures = iter(range(2))

    async def fault(request):
        return web.Response(status=503) if next(failures, None) is not None else None

    registry.faults.append(fault)
    registry.put("team/app", ["v1"])
    push_mode.hint(["v1"])
    async with asyncio.timeout(30):
        assert (await event_of(change_trigger(poll_interval=3600))).payload["status"] == "changed"


@pytest.mark.parametrize(
    ("failures", "missed_hint", "retry_after", "shortest", "longest"),
    [
        (1, True, 0.0, 9, 11),
        (9, True, 0.0, 270, 330),
        (9, True, 1000.0, 1000, 1000),
        (0, False, 0.0, 540, 660),
        (9, False, 0.0, 3240, 3960),
        (1, False, 60.0, 60 + 1080, 60 + 1320),
    ],
)
def test_change_trigger_pause(failures, missed_hint, retry_after, shortest, longest):
    pause = change_trigger(poll_interval=600.0)._pause(failures, missed_hint, retry_after)
    assert shortest <= pause <= longest
