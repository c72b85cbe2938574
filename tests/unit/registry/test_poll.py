# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""One poll: pushes, baselines, and the requests that it sends."""

from __future__ import annotations

import itertools
import json
import logging
import zlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from airflow_registry_triggers.registry import poll as module
from airflow_registry_triggers.registry.client import RegistryClient
from airflow_registry_triggers.registry.errors import RegistryError, StormHeld
from airflow_registry_triggers.registry.notification_builder import push_id
from airflow_registry_triggers.registry.poll import Poll, poll
from airflow_registry_triggers.registry.poll_memory import PollMemory
from airflow_registry_triggers.registry.watermark import HEAD_KEY, Watermark
from airflow_registry_triggers.tag_rule import TagRule
from tests.unit.registry.scripted_registry import Paging, ScriptedRegistry, SignIn, digest_of

if TYPE_CHECKING:
    from airflow_registry_triggers.notification import Notification

REPOSITORY = "team/app"
REFERRERS = ["sha256-" + "a" * 64 + ending for ending in ("", ".sig", ".att", ".sbom")]


class Watcher:
    """Poll, keep the watermark in its stored form, and acknowledge the notifications."""

    def __init__(self, registry: ScriptedRegistry, **options: object) -> None:
        self.registry = registry
        self.options = options
        self.values: dict[str, object] = {}
        self.last: Poll | None = None

    async def poll(self, **options: object) -> list[str]:
        async with RegistryClient(self.registry.url) as client:
            watermark = Watermark.from_dict(json.loads(json.dumps(self.values)))
            self.last = await poll(client, REPOSITORY, watermark, **{**self.options, **options})
            changes = self.last.watermark_after.changes_since(watermark)
            self.values = {
                key: value
                for key, value in {**self.values, **changes}.items()
                if key in changes or key in self.values
            }
        return [f"{n.tag}={self.label(n)}:{n.action}" for n in self.last.notifications]

    def label(self, notification: Notification) -> str:
        labels = {label for tags in self.registry.repositories.values() for label in tags.values()} | {
            "one",
            "two",
            "three",
        }
        return next(label for label in labels if digest_of(label) == notification.digest)


@pytest.fixture
def watcher(registry: ScriptedRegistry) -> Watcher:
    registry.put(REPOSITORY, {"v1": "one", "v2": "one"})
    return Watcher(registry)


def failing(tag: str, status: int = 500):
    async def fault(request: web.Request) -> web.Response | None:
        return web.Response(status=status) if request.path.endswith(f"/manifests/{tag}") else None

    return fault


# New and updated


async def test_poll_after_pushes_returns_new_and_updated_tags(watcher: Watcher) -> None:
    assert await watcher.poll() == []
    assert await watcher.poll() == []
    watcher.registry.put(REPOSITORY, {"v2": "two", "v3": "one"})
    assert await watcher.poll() == ["v2=two:updated", "v3=one:new"]
    assert [n.to_dict()["event"]["previous_digest"] for n in watcher.last.notifications] == [
        digest_of("one"),
        None,
    ]
    assert await watcher.poll() == []


async def test_poll_without_acknowledgement_returns_the_push_with_the_same_id(watcher: Watcher) -> None:
    await watcher.poll()
    watcher.registry.put(REPOSITORY, {"v2": "two", "v3": "one"})
    stored = dict(watcher.values)
    await watcher.poll()
    ids = [n.id for n in watcher.last.notifications]
    for _ in range(2):
        watcher.values = dict(stored)
        await watcher.poll()
        assert [n.id for n in watcher.last.notifications] == ids


async def test_poll_of_a_tag_that_moves_back_returns_three_ids(watcher: Watcher) -> None:
    await watcher.poll()
    ids = []
    for label in ("two", "one", "two"):
        watcher.registry.put(REPOSITORY, {"v1": label})
        assert await watcher.poll() == [f"v1={label}:updated"]
        ids.append(watcher.last.notifications[0].id)
    assert len(set(ids)) == 3


async def test_poll_of_a_deleted_tag_keeps_its_state(watcher: Watcher) -> None:
    await watcher.poll()
    del watcher.registry.repositories[REPOSITORY]["v1"]
    assert await watcher.poll() == []
    watcher.registry.put(REPOSITORY, {"v1": "one"})
    assert await watcher.poll() == []
    del watcher.registry.repositories[REPOSITORY]["v1"]
    assert await watcher.poll() == []
    watcher.registry.put(REPOSITORY, {"v1": "two"})
    assert await watcher.poll() == ["v1=two:updated"]


async def test_poll_returns_the_whole_notification(watcher: Watcher) -> None:
    await watcher.poll()
    watcher.registry.put(REPOSITORY, {"v2": "two"})
    now = datetime(2016, 11, 29, 12, 25, 46, tzinfo=UTC)
    await watcher.poll(
        now=now, timezone="Asia/Shanghai", repository_facts={"region": "cn-hangzhou", "repo_type": "PUBLIC"}
    )
    (notification,) = watcher.last.notifications
    registry = watcher.registry.url.removeprefix("http://")
    epoch = watcher.values[HEAD_KEY]["epoch"]
    expected = {
        "push_data": {"digest": digest_of("two"), "pushed_at": "2016-11-29 20:25:46", "tag": "v2"},
        "repository": {
            "date_created": "",
            "name": "app",
            "namespace": "team",
            "region": "cn-hangzhou",
            "repo_authentication_type": "NO_CERTIFIED",
            "repo_full_name": "team/app",
            "repo_origin_type": "NO_CERTIFIED",
            "repo_type": "PUBLIC",
        },
        "event": {
            "id": push_id(epoch, registry, REPOSITORY, "v2", 1, digest_of("two")),
            "registry": registry,
            "action": "updated",
            "previous_digest": digest_of("one"),
            "detected_at": "2016-11-29T12:25:46Z",
            "epoch": epoch,
            "generation": 1,
            "image": f"{registry}/{REPOSITORY}@{digest_of('two')}",
        },
    }
    assert json.dumps(notification.to_dict()) == json.dumps(expected)  # the order of the keys counts


@pytest.mark.parametrize(
    ("name", "namespace", "last"), [("app", "", "app"), ("team/app", "team", "app"), ("a/b/c", "a/b", "c")]
)
async def test_poll_of_any_depth_splits_namespace_and_name(
    registry: ScriptedRegistry, name: str, namespace: str, last: str
) -> None:
    registry.put(name, ["v1"])
    async with RegistryClient(registry.url) as client:
        found = await poll(client, name, Watermark(), first_run="notify")
    told = found.notifications[0].to_dict()["repository"]
    assert (told["namespace"], told["name"], told["repo_full_name"]) == (namespace, last, name)


@pytest.mark.parametrize(
    "options",
    [
        {"first_run": "all"},
        {"timezone": "Mars/Olympus"},
        {"timezone": ""},
        {"repository_facts": {"name": "x"}},
        {"now": datetime(2026, 1, 1)},
    ],
)
async def test_poll_with_an_invalid_argument_sends_no_request(
    watcher: Watcher, options: dict[str, object]
) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        await watcher.poll(**options)
    assert watcher.registry.count() == 0


# First run


async def test_first_poll_with_baseline_returns_no_notification(watcher: Watcher) -> None:
    assert await watcher.poll() == []
    assert watcher.last.watermark_before == watcher.last.watermark_after
    assert watcher.last.watermark_after.size == 2


async def test_first_poll_with_notify_returns_all_tags_and_an_epoch_to_store_first(watcher: Watcher) -> None:
    assert await watcher.poll(first_run="notify") == ["v1=one:new", "v2=one:new"]
    assert watcher.last.watermark_before.epoch == watcher.last.notifications[0].to_dict()["event"]["epoch"]
    assert watcher.last.watermark_before.size == 0
    ids = [n.id for n in watcher.last.notifications]
    watcher.values = watcher.last.watermark_before.to_dict()  # killed before it was handed on
    assert await watcher.poll(first_run="notify") == ["v1=one:new", "v2=one:new"]
    assert [n.id for n in watcher.last.notifications] == ids


async def test_first_poll_with_an_unreadable_tag_continues_as_a_baseline(watcher: Watcher) -> None:
    watcher.registry.faults.append(failing("v2"))
    assert await watcher.poll() == []
    assert list(watcher.last.unknown) == ["v2"]
    watcher.registry.faults.clear()
    watcher.registry.put(REPOSITORY, {"v2": "two", "v3": "one"})
    assert await watcher.poll() == ["v3=one:new"]
    watcher.registry.put(REPOSITORY, {"v2": "three"})
    assert await watcher.poll() == ["v2=three:updated"]


async def test_first_poll_without_a_listing_stores_nothing(watcher: Watcher) -> None:
    watcher.registry.faults.append(failing("x"))

    async def broken(request: web.Request) -> web.Response | None:
        return web.Response(status=500) if "tags/list" in request.path else None

    watcher.registry.faults.append(broken)
    with pytest.raises(RegistryError):
        await watcher.poll()
    assert watcher.values == {}
    watcher.registry.faults.clear()
    assert await watcher.poll() == []


async def test_first_poll_with_a_ghost_tag_leaves_it_new(watcher: Watcher) -> None:
    watcher.registry.faults.append(failing("v2", 404))
    assert await watcher.poll() == []
    watcher.registry.faults.clear()
    assert await watcher.poll() == ["v2=one:new"]


async def test_first_poll_of_an_empty_repository_records_an_empty_baseline(watcher: Watcher) -> None:
    watcher.registry.repositories[REPOSITORY].clear()
    assert await watcher.poll() == []
    watcher.registry.put(REPOSITORY, {"v1": "one"})
    assert await watcher.poll() == ["v1=one:new"]


# Unknown and absent change nothing


@pytest.mark.parametrize("status", [401, 403, 404, 418, 429, 500, 503])
async def test_poll_with_an_unknown_or_absent_tag_changes_nothing(watcher: Watcher, status: int) -> None:
    await watcher.poll()
    before = dict(watcher.values)
    watcher.registry.faults.append(failing("v2", status))
    watcher.registry.put(REPOSITORY, {"v2": "two"})
    assert await watcher.poll() == []
    assert watcher.values == before
    assert list(watcher.last.unknown) == ([] if status == 404 else ["v2"])
    watcher.registry.faults.clear()
    assert await watcher.poll() == ["v2=two:updated"]


async def test_poll_after_an_unknown_new_tag_returns_it_as_new(watcher: Watcher) -> None:
    await watcher.poll()
    watcher.registry.put(REPOSITORY, {"v3": "two"})
    watcher.registry.faults.append(failing("v3"))
    assert await watcher.poll() == []
    watcher.registry.faults.clear()
    assert await watcher.poll() == ["v3=two:new"]


async def test_poll_with_unknown_tags_logs_one_line(
    watcher: Watcher, caplog: pytest.LogCaptureFixture
) -> None:
    await watcher.poll()
    watcher.registry.faults += [failing("v1"), failing("v2")]
    with caplog.at_level(logging.INFO, "airflow_registry_triggers"):
        await watcher.poll()
    assert len(caplog.records) == 1
    assert "2 tags could not be read" in caplog.text
    assert watcher.last.warnings == [caplog.records[0].getMessage()]


async def test_poll_that_is_denied_for_all_tags_raises(watcher: Watcher) -> None:
    await watcher.poll()
    before = dict(watcher.values)
    watcher.registry.faults += [failing("v1", 403), failing("v2", 403)]
    with pytest.raises(RegistryError) as caught:
        await watcher.poll()
    assert caught.value.kind == "credentials"
    assert watcher.values == before


async def test_poll_of_a_registry_that_goes_away_stops_sending_requests(watcher: Watcher) -> None:
    watcher.registry.put(REPOSITORY, [f"t{number}" for number in range(200)])
    await watcher.poll()
    watcher.registry.asked.clear()

    async def gone(request: web.Request) -> None:
        if "/manifests/" in request.path:
            request.transport.abort()

    watcher.registry.faults.append(gone)
    assert await watcher.poll() == []
    assert len(watcher.last.unknown) == 202
    assert watcher.registry.by_kind["head"] < 60  # each is tried again once on a fresh connection by aiohttp


async def test_poll_with_a_token_that_expires_finds_all_tags(watcher: Watcher) -> None:
    registry = watcher.registry
    registry.put(REPOSITORY, [f"t{number}" for number in range(30)])
    registry.sign_in = SignIn()
    await watcher.poll()
    registry.put(REPOSITORY, {"t7": "two"})
    registry.asked.clear()

    async def forget(request: web.Request) -> None:
        if registry.by_kind.get("head") == 15:
            registry.sign_in.granted.clear()

    registry.faults.append(forget)
    assert await watcher.poll() == ["t7=two:updated"]
    assert not watcher.last.unknown


async def test_poll_of_a_registry_replaced_by_an_empty_one_keeps_the_state(watcher: Watcher) -> None:
    await watcher.poll()
    before = dict(watcher.values)
    watcher.registry.repositories = {REPOSITORY: {}}
    assert await watcher.poll() == []
    watcher.registry.repositories = {}
    with pytest.raises(RegistryError) as caught:
        await watcher.poll()
    assert (caught.value.kind, caught.value.transient) == ("no_such_repository", True)
    assert watcher.values == before
    watcher.registry.put(REPOSITORY, {"v1": "one", "v2": "two"})
    assert await watcher.poll() == ["v2=two:updated"]


async def test_poll_after_a_clock_jump_finds_pushes(watcher: Watcher) -> None:
    await watcher.poll(now=datetime(2030, 1, 1, tzinfo=UTC))
    watcher.registry.put(REPOSITORY, {"v1": "two"})
    assert await watcher.poll(now=datetime(1999, 1, 1, tzinfo=UTC)) == ["v1=two:updated"]
    assert await watcher.poll(now=datetime(2099, 1, 1, tzinfo=UTC)) == []


# What is watched


async def test_poll_by_default_leaves_referrers_out(watcher: Watcher) -> None:
    watcher.registry.put(REPOSITORY, REFERRERS)
    assert await watcher.poll(first_run="notify") == ["v1=one:new", "v2=one:new"]
    assert watcher.registry.by_kind["head"] == 2


async def test_poll_with_referrers_switched_on_records_a_baseline(watcher: Watcher) -> None:
    watcher.registry.put(REPOSITORY, REFERRERS[:2])
    await watcher.poll()
    assert await watcher.poll(referrers=True) == []
    watcher.registry.put(REPOSITORY, REFERRERS)
    assert [line.rpartition(":")[2] for line in await watcher.poll(referrers=True)] == ["new", "new"]


async def test_poll_of_a_referrer_named_by_the_rule_returns_it(watcher: Watcher) -> None:
    watcher.registry.put(REPOSITORY, REFERRERS)
    rule = TagRule(tags=[REFERRERS[1]])
    assert len(await watcher.poll(rule=rule, first_run="notify")) == 1


async def test_poll_with_a_rule_requests_matching_tags_only(watcher: Watcher) -> None:
    watcher.registry.put(REPOSITORY, ["latest", "x"])
    await watcher.poll(rule=TagRule(tag_regex="v.*"))
    assert watcher.registry.by_kind == {"list": 1, "head": 2}
    assert {asked.path.rpartition("/")[2] for asked in watcher.registry.asked[1:]} == {"v1", "v2"}


async def test_poll_with_named_tags_sends_no_listing_request(watcher: Watcher) -> None:
    rule = TagRule(tags=["v1", "v9"])
    assert await watcher.poll(rule=rule) == []
    # One GET an hour for a tag that answers 404 to HEAD: some registries answer so although the tag exists.
    assert watcher.registry.by_kind == {"head": 2, "get": 1}
    watcher.registry.put(REPOSITORY, {"v9": "one", "v2": "two", "v1": "two"})
    assert await watcher.poll(rule=rule) == ["v1=two:updated", "v9=one:new"]
    assert watcher.registry.by_kind == {"head": 4, "get": 1}


async def test_first_poll_with_named_tags_of_a_missing_repository_raises(watcher: Watcher) -> None:
    watcher.registry.repositories.clear()
    with pytest.raises(RegistryError) as caught:
        await watcher.poll(rule=TagRule(tags=["v1"]))
    assert caught.value.kind == "no_such_repository"


async def test_poll_with_named_tags_that_do_not_exist_yet_finds_them_later(watcher: Watcher) -> None:
    rule = TagRule(tags=["v8", "v9"])
    assert await watcher.poll(rule=rule) == []
    # One listing tells missing tags from a missing repository.
    assert watcher.registry.by_kind == {"head": 2, "get": 2, "list": 1}
    assert await watcher.poll(rule=rule) == []
    assert watcher.registry.by_kind == {"head": 4, "get": 2, "list": 1}
    watcher.registry.put(REPOSITORY, {"v9": "one"})
    assert await watcher.poll(rule=rule) == ["v9=one:new"]


async def test_poll_with_named_tags_of_a_registry_that_is_down_raises(watcher: Watcher) -> None:
    watcher.registry.faults += [failing("v1"), failing("v2")]
    with pytest.raises(RegistryError) as caught:
        await watcher.poll(rule=TagRule(tags=["v1", "v2"]))
    assert caught.value.kind == "unavailable"


async def test_poll_with_a_changed_rule_records_a_baseline_of_new_matches(watcher: Watcher) -> None:
    watcher.registry.put(REPOSITORY, [f"old{number}" for number in range(90)])
    await watcher.poll(rule=TagRule(tag_regex="v.*"))
    watcher.registry.put(REPOSITORY, {"v3": "two"})
    # v3 is covered by both rules and not remembered: that is a push, all the others were there before
    assert await watcher.poll() == ["v3=two:new"]
    watcher.registry.put(REPOSITORY, {"old5": "two"})
    assert await watcher.poll() == ["old5=two:updated"]


async def test_poll_with_an_earlier_rule_records_a_baseline_of_changes(watcher: Watcher) -> None:
    await watcher.poll()
    await watcher.poll(rule=TagRule(tags=["v2"]))
    watcher.registry.put(REPOSITORY, {"v1": "two", "v2": "two"})
    assert await watcher.poll() == ["v2=two:updated"]
    watcher.registry.put(REPOSITORY, {"v1": "three"})
    assert await watcher.poll() == ["v1=three:updated"]


async def test_poll_with_a_changed_rule_and_an_unknown_tag_is_still_a_baseline(watcher: Watcher) -> None:
    await watcher.poll(rule=TagRule(tags=["v1"]))
    watcher.registry.faults.append(failing("v2"))
    assert await watcher.poll() == []
    watcher.registry.faults.clear()
    assert await watcher.poll() == []


async def test_poll_with_updates_off_returns_new_tags_only(watcher: Watcher) -> None:
    assert await watcher.poll(updates=False) == []
    assert watcher.registry.by_kind == {"list": 1}
    watcher.registry.put(REPOSITORY, {"v1": "two", "v3": "one"})
    assert await watcher.poll(updates=False) == ["v3=one:new"]
    assert watcher.registry.by_kind == {"list": 2, "head": 1}
    watcher.registry.put(REPOSITORY, {"v3": "two"})
    assert await watcher.poll(updates=False) == []
    assert watcher.registry.by_kind == {"list": 3, "head": 1}


async def test_poll_with_updates_off_and_digests_in_the_listing_returns_new_tags_only(
    watcher: Watcher,
) -> None:
    watcher.registry.paging = Paging(upload_times={})
    await watcher.poll(updates=False)
    watcher.registry.put(REPOSITORY, {"v1": "two", "v3": "one"})
    assert await watcher.poll(updates=False) == ["v3=one:new"]


async def test_poll_with_updates_off_and_named_tags_returns_new_tags_only(watcher: Watcher) -> None:
    rule = TagRule(tags=["v1", "v9"])
    assert await watcher.poll(rule=rule, updates=False) == []
    watcher.registry.put(REPOSITORY, {"v1": "two", "v9": "one"})
    assert await watcher.poll(rule=rule, updates=False) == ["v9=one:new"]
    assert watcher.registry.by_kind == {"head": 3, "get": 1}


async def test_poll_with_updates_switched_on_records_a_baseline(watcher: Watcher) -> None:
    await watcher.poll(updates=False)
    watcher.registry.put(REPOSITORY, {"v3": "one"})
    await watcher.poll(updates=False)
    watcher.registry.put(REPOSITORY, {"v1": "two", "v3": "two"})
    assert await watcher.poll() == []
    watcher.registry.put(REPOSITORY, {"v1": "three", "v3": "three"})
    assert await watcher.poll() == ["v1=three:updated", "v3=three:updated"]


async def test_poll_with_a_changed_accept_header_records_a_baseline(
    watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    await watcher.poll()
    monkeypatch.setattr(module, "_ACCEPT_MARK", "other")
    watcher.registry.put(REPOSITORY, {"v1": "two", "v2": "two", "v3": "one"})
    watcher.registry.faults.append(failing("v2"))
    assert await watcher.poll() == ["v3=one:new"]
    watcher.registry.faults.clear()
    assert await watcher.poll() == []
    watcher.registry.put(REPOSITORY, {"v2": "three"})
    assert await watcher.poll() == ["v2=three:updated"]


@pytest.mark.parametrize("first_run", ["baseline", "notify"])
async def test_poll_of_another_registry_records_a_baseline_and_warns(
    watcher: Watcher, first_run: str, caplog: pytest.LogCaptureFixture
) -> None:
    await watcher.poll()
    async with ScriptedRegistry().served() as other:
        other.put(REPOSITORY, {"v1": "two", "v3": "one"})
        moved = Watcher(other)
        moved.values = watcher.values
        assert await moved.poll(first_run=first_run) == []
        assert "earlier polls read" in caplog.text
        caplog.clear()
        other.put(REPOSITORY, {"v1": "three", "v2": "one", "v4": "one"})
        # What only the other registry had is as new as any.
        assert await moved.poll(first_run=first_run) == ["v1=three:updated", "v2=one:new", "v4=one:new"]
        assert caplog.text == ""


async def test_poll_with_a_watermark_without_a_registry_name_continues(watcher: Watcher) -> None:
    await watcher.poll()
    head = {key: value for key, value in watcher.values[HEAD_KEY].items() if key not in ("registry", "check")}
    watcher.values[HEAD_KEY] = {**head, "check": zlib.crc32(json.dumps(head, sort_keys=True).encode())}
    watcher.registry.put(REPOSITORY, {"v1": "two"})
    assert await watcher.poll() == ["v1=two:updated"]


# Lost state


@pytest.mark.parametrize("first_run", ["baseline", "notify"])
@pytest.mark.parametrize("damage", [None, "", "x", {}, {"form": 99}])
async def test_poll_with_a_lost_head_records_a_baseline_and_warns(
    watcher: Watcher, first_run: str, damage: object, caplog: pytest.LogCaptureFixture
) -> None:
    await watcher.poll()
    epoch = watcher.values[HEAD_KEY]["epoch"]
    watcher.values[HEAD_KEY] = damage
    watcher.registry.put(REPOSITORY, {"v2": "two", "v3": "one"})
    assert await watcher.poll(first_run=first_run) == []
    assert "cannot be read" in caplog.text
    assert watcher.values[HEAD_KEY]["epoch"] != epoch
    caplog.clear()
    watcher.registry.put(REPOSITORY, {"v2": "three"})
    assert await watcher.poll(first_run=first_run) == ["v2=three:updated"]
    assert caplog.text == ""


@pytest.mark.parametrize("first_run", ["baseline", "notify"])
@pytest.mark.parametrize("damage", [None, "", {"epoch": "x"}])
async def test_poll_with_a_lost_shard_records_a_baseline_of_its_tags_and_warns(
    watcher: Watcher,
    first_run: str,
    damage: object,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from airflow_registry_triggers.registry import sharding

    monkeypatch.setattr(sharding, "MAX_VALUE", 1500)
    tags = [f"t{number}" for number in range(60)]
    watcher.registry.put(REPOSITORY, tags, "one")
    await watcher.poll()
    keys = Watermark.keys(watcher.values[HEAD_KEY])
    assert len(keys) > 2
    watcher.values[keys[1]] = damage
    lost = {tag for tag in tags if Watermark.from_dict(watcher.values).is_lost(tag)}
    assert lost
    epoch = watcher.values[HEAD_KEY]["epoch"]
    watcher.registry.put(REPOSITORY, tags, "two")
    assert await watcher.poll(first_run=first_run) == [
        f"{tag}=two:updated" for tag in sorted(tags) if tag not in lost
    ]
    assert f"1 of {len(keys)} parts" in caplog.text
    # Generations of the lost tags begin again; with another epoch their ids do not.
    assert (
        watcher.last.notifications[0].to_dict()["event"]["epoch"]
        == watcher.values[HEAD_KEY]["epoch"]
        != epoch
    )
    assert await watcher.poll() == []


# Registries that answer in their own way


async def test_poll_with_named_tags_on_a_registry_without_head_finds_them_by_get(watcher: Watcher) -> None:
    watcher.registry.head_status = 404
    rule = TagRule(tags=["v1"])
    assert await watcher.poll(rule=rule, first_run="notify") == ["v1=one:new"]


@pytest.mark.parametrize("body", [{"name": REPOSITORY}, {"name": REPOSITORY, "tags": None}])
async def test_poll_of_an_empty_listing_in_any_form_records_an_empty_baseline(
    watcher: Watcher, body: dict[str, object]
) -> None:
    async def empty(request: web.Request) -> web.Response | None:
        return web.json_response(body) if "tags/list" in request.path else None

    watcher.registry.faults.append(empty)
    assert await watcher.poll() == []
    assert watcher.values[HEAD_KEY]["epoch"]
    watcher.registry.faults.clear()
    assert await watcher.poll() == ["v1=one:new", "v2=one:new"]


async def test_poll_of_a_repository_that_answers_404_after_its_baseline_is_a_transient_error(
    watcher: Watcher,
) -> None:
    kept = watcher.registry.repositories.pop(REPOSITORY)
    with pytest.raises(RegistryError) as caught:
        await watcher.poll()
    assert not caught.value.transient
    watcher.registry.repositories[REPOSITORY] = kept
    await watcher.poll()
    before = dict(watcher.values)
    watcher.registry.repositories.clear()
    with pytest.raises(RegistryError, match="the watermark is kept") as caught:
        await watcher.poll()
    assert caught.value.transient
    assert watcher.values == before


# Replicas that disagree


async def test_poll_with_confirm_polls_returns_a_push_after_that_many_polls(watcher: Watcher) -> None:
    memory = PollMemory()
    await watcher.poll(memory=memory, confirm_polls=3)
    watcher.registry.put(REPOSITORY, {"v1": "two", "v3": "one"})
    assert await watcher.poll(memory=memory, confirm_polls=3) == []
    assert await watcher.poll(memory=memory, confirm_polls=3) == []
    assert await watcher.poll(memory=memory, confirm_polls=3) == ["v1=two:updated", "v3=one:new"]
    assert await watcher.poll(memory=memory, confirm_polls=3) == []


async def test_poll_of_replicas_that_alternate_returns_no_push(watcher: Watcher) -> None:
    memory = PollMemory()
    await watcher.poll(memory=memory, confirm_polls=2)
    for label in ("two", "one") * 3:
        watcher.registry.put(REPOSITORY, {"v1": label})
        assert await watcher.poll(memory=memory, confirm_polls=2) == []
    watcher.registry.put(REPOSITORY, {"v1": "two"})
    await watcher.poll(memory=memory, confirm_polls=2)
    assert await watcher.poll(memory=memory, confirm_polls=2) == ["v1=two:updated"]


async def test_poll_with_a_confirmed_push_that_was_not_acknowledged_returns_it_again(
    watcher: Watcher,
) -> None:
    memory = PollMemory()
    await watcher.poll(memory=memory, confirm_polls=2)
    watcher.registry.put(REPOSITORY, {"v1": "two"})
    await watcher.poll(memory=memory, confirm_polls=2)
    stored = dict(watcher.values)
    for _ in range(2):
        watcher.values = dict(stored)
        assert await watcher.poll(memory=memory, confirm_polls=2) == ["v1=two:updated"]


async def test_poll_with_a_memory_from_another_process_continues_to_count(watcher: Watcher) -> None:
    memory = PollMemory()
    await watcher.poll(memory=memory, confirm_polls=2)
    watcher.registry.put(REPOSITORY, {"v1": "two"})
    await watcher.poll(memory=memory, confirm_polls=2)
    memory = PollMemory.from_dict(json.loads(json.dumps(memory.to_dict())))
    assert await watcher.poll(memory=memory, confirm_polls=2) == ["v1=two:updated"]


# A tag that flaps


async def test_poll_of_a_flapping_tag_warns_once_and_returns_it_every_five_minutes(
    watcher: Watcher, caplog: pytest.LogCaptureFixture
) -> None:
    memory, clock = PollMemory(), datetime(2026, 1, 1, tzinfo=UTC)
    await watcher.poll(memory=memory, now=clock)
    sent: list[float] = []
    for second in range(0, 1800, 10):
        watcher.registry.put(REPOSITORY, {"v1": "two" if second % 20 == 0 else "one"})
        now = clock + timedelta(seconds=second)
        sent += [second] * len(await watcher.poll(memory=memory, now=now, flap_limit=5))
    assert sent[:5] == [0, 10, 20, 30, 40]
    pauses = [after - before for before, after in itertools.pairwise(sent[4:])]
    assert pauses
    assert min(pauses) >= 300
    assert max(pauses) <= 310
    assert caplog.text.count("tag v1 was pushed 5 times within an hour") == 1
    assert "flap_limit" in caplog.text


async def test_poll_with_flap_limit_0_returns_every_push(watcher: Watcher) -> None:
    memory = PollMemory()
    await watcher.poll(memory=memory)
    for label in ("two", "one") * 10:
        watcher.registry.put(REPOSITORY, {"v1": label})
        assert await watcher.poll(memory=memory, flap_limit=0) == [f"v1={label}:updated"]


# Storms


async def test_poll_over_the_storm_limit_raises_and_names_the_setting(watcher: Watcher) -> None:
    await watcher.poll()
    before = dict(watcher.values)
    watcher.registry.put(REPOSITORY, [f"t{number}" for number in range(6)])
    for _ in range(2):
        with pytest.raises(StormHeld, match=r"6 pushes.*storm_limit=5.*set storm_limit to 6") as caught:
            await watcher.poll(storm_limit=5)
        assert (caught.value.count, caught.value.limit, caught.value.transient) == (6, 5, False)
    assert watcher.values == before
    assert len(await watcher.poll(storm_limit=6)) == 6


async def test_poll_by_default_has_a_storm_limit_of_500(watcher: Watcher) -> None:
    await watcher.poll()
    watcher.registry.put(REPOSITORY, [f"t{number}" for number in range(501)])
    with pytest.raises(StormHeld):
        await watcher.poll()
    assert len(await watcher.poll(storm_limit=None)) == 501


# What it costs


async def test_poll_without_changes_sends_pages_and_heads_only(watcher: Watcher) -> None:
    watcher.registry.put(REPOSITORY, [f"t{number}" for number in range(250)])
    watcher.registry.paging = Paging(size=100, empty_last=True)
    watcher.registry.sign_in = SignIn()
    await watcher.poll()
    for _ in range(3):
        watcher.registry.asked.clear()
        assert await watcher.poll() == []
        assert watcher.registry.by_kind == {"list": 3, "head": 252}


async def test_poll_with_digests_in_the_listing_sends_one_request(watcher: Watcher) -> None:
    watcher.registry.paging = Paging(upload_times={"v2": 1480422346000, "v3": 1480422345999})
    assert await watcher.poll() == []
    assert watcher.registry.by_kind == {"list": 1}
    watcher.registry.put(REPOSITORY, {"v2": "two", "v3": "three", "v4": "one"})
    now = datetime(2020, 1, 1, tzinfo=UTC)
    assert await watcher.poll(now=now) == ["v3=three:new", "v2=two:updated", "v4=one:new"]
    assert [n.to_dict()["push_data"]["pushed_at"] for n in watcher.last.notifications] == [
        "2016-11-29 12:25:45",
        "2016-11-29 12:25:46",
        "2020-01-01 00:00:00",
    ]
    assert watcher.registry.by_kind == {"list": 2}


async def test_poll_after_heads_with_digests_in_the_listing_returns_nothing(watcher: Watcher) -> None:
    await watcher.poll()
    watcher.registry.paging = Paging(upload_times={})
    assert await watcher.poll() == []


async def test_poll_without_changes_leaves_nothing_to_store(watcher: Watcher) -> None:
    await watcher.poll()
    watermark = Watermark.from_dict(watcher.values)
    await watcher.poll()
    assert watcher.last.watermark_after.changes_since(watermark) == {}
    assert watcher.last.watermark_before.changes_since(watermark) == {}
