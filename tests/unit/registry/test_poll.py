# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""One poll: which pushes are new, what is only remembered, and what it costs."""

from __future__ import annotations

import json
import logging
import zlib
from datetime import UTC, datetime

import pytest
from aiohttp import web

from airflow_registry_triggers.notification import Notification, push_id
from airflow_registry_triggers.registry import poll as module
from airflow_registry_triggers.registry.client import RegistryClient
from airflow_registry_triggers.registry.errors import RegistryError, StormHeld
from airflow_registry_triggers.registry.poll import Poll, poll
from airflow_registry_triggers.registry.watermark import HEAD_KEY, Watermark
from airflow_registry_triggers.tag_rule import TagRule
from tests.unit.registry.scripted_registry import Paging, ScriptedRegistry, SignIn, digest_of

REPOSITORY = "team/app"
REFERRERS = ["sha256-" + "a" * 64 + ending for ending in ("", ".sig", ".att", ".sbom")]


class Watcher:
    """Polls, keeps the watermark in its stored form, and announces."""

    def __init__(self, registry: ScriptedRegistry, **options: object) -> None:
        self.registry = registry
        self.options = options
        self.values: dict[str, object] = {}
        self.last: Poll | None = None

    async def poll(self, **options: object) -> list[str]:
        async with RegistryClient(self.registry.url) as client:
            watermark = Watermark.from_dict(json.loads(json.dumps(self.values)))
            self.last = await poll(client, REPOSITORY, watermark, **{**self.options, **options})
            changes = self.last.watermark.changes_since(watermark)
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


async def test_new_and_updated_tags(watcher: Watcher) -> None:
    assert await watcher.poll() == []
    assert await watcher.poll() == []
    watcher.registry.put(REPOSITORY, {"v2": "two", "v3": "one"})
    assert await watcher.poll() == ["v2=two:updated", "v3=one:new"]
    assert [n.to_dict()["event"]["previous_digest"] for n in watcher.last.notifications] == [
        digest_of("one"),
        None,
    ]
    assert await watcher.poll() == []


async def test_what_is_not_handed_on_comes_again_with_the_same_id(watcher: Watcher) -> None:
    await watcher.poll()
    watcher.registry.put(REPOSITORY, {"v2": "two", "v3": "one"})
    stored = dict(watcher.values)
    await watcher.poll()
    ids = [n.id for n in watcher.last.notifications]
    for _ in range(2):
        watcher.values = dict(stored)
        await watcher.poll()
        assert [n.id for n in watcher.last.notifications] == ids


async def test_there_and_back_gives_three_ids(watcher: Watcher) -> None:
    await watcher.poll()
    ids = []
    for label in ("two", "one", "two"):
        watcher.registry.put(REPOSITORY, {"v1": label})
        assert await watcher.poll() == [f"v1={label}:updated"]
        ids.append(watcher.last.notifications[0].id)
    assert len(set(ids)) == 3


async def test_a_deleted_tag_stays_remembered(watcher: Watcher) -> None:
    await watcher.poll()
    del watcher.registry.repositories[REPOSITORY]["v1"]
    assert await watcher.poll() == []
    watcher.registry.put(REPOSITORY, {"v1": "one"})
    assert await watcher.poll() == []
    del watcher.registry.repositories[REPOSITORY]["v1"]
    assert await watcher.poll() == []
    watcher.registry.put(REPOSITORY, {"v1": "two"})
    assert await watcher.poll() == ["v1=two:updated"]


async def test_the_notification(watcher: Watcher) -> None:
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
        },
    }
    assert json.dumps(notification.to_dict()) == json.dumps(expected)  # the order of the keys counts


@pytest.mark.parametrize(
    ("name", "namespace", "last"), [("app", "", "app"), ("team/app", "team", "app"), ("a/b/c", "a/b", "c")]
)
async def test_name_and_namespace(registry: ScriptedRegistry, name: str, namespace: str, last: str) -> None:
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
async def test_an_argument_that_cannot_be_meant(watcher: Watcher, options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        await watcher.poll(**options)
    assert watcher.registry.count() == 0


# First run


async def test_first_run_baseline_says_nothing(watcher: Watcher) -> None:
    assert await watcher.poll() == []
    assert watcher.last.watermark_before == watcher.last.watermark
    assert watcher.last.watermark.size == 2


async def test_first_run_notify_announces_all_with_an_epoch_that_is_stored_first(watcher: Watcher) -> None:
    assert await watcher.poll(first_run="notify") == ["v1=one:new", "v2=one:new"]
    assert watcher.last.watermark_before.epoch == watcher.last.notifications[0].to_dict()["event"]["epoch"]
    assert watcher.last.watermark_before.size == 0
    ids = [n.id for n in watcher.last.notifications]
    watcher.values = watcher.last.watermark_before.to_dict()  # killed before it was handed on
    assert await watcher.poll(first_run="notify") == ["v1=one:new", "v2=one:new"]
    assert [n.id for n in watcher.last.notifications] == ids


async def test_a_first_run_cut_short_goes_on_as_a_baseline(watcher: Watcher) -> None:
    watcher.registry.faults.append(failing("v2"))
    assert await watcher.poll() == []
    assert list(watcher.last.unknown) == ["v2"]
    watcher.registry.faults.clear()
    watcher.registry.put(REPOSITORY, {"v2": "two", "v3": "one"})
    assert await watcher.poll() == ["v3=one:new"]
    watcher.registry.put(REPOSITORY, {"v2": "three"})
    assert await watcher.poll() == ["v2=three:updated"]


async def test_a_first_run_without_its_listing_is_still_to_come(watcher: Watcher) -> None:
    watcher.registry.faults.append(failing("x"))

    async def broken(request: web.Request) -> web.Response | None:
        return web.Response(status=500) if "tags/list" in request.path else None

    watcher.registry.faults.append(broken)
    with pytest.raises(RegistryError):
        await watcher.poll()
    assert watcher.values == {}
    watcher.registry.faults.clear()
    assert await watcher.poll() == []


async def test_a_ghost_tag_at_the_baseline_is_new_when_it_comes(watcher: Watcher) -> None:
    watcher.registry.faults.append(failing("v2", 404))
    assert await watcher.poll() == []
    watcher.registry.faults.clear()
    assert await watcher.poll() == ["v2=one:new"]


async def test_an_empty_repository_is_a_baseline(watcher: Watcher) -> None:
    watcher.registry.repositories[REPOSITORY].clear()
    assert await watcher.poll() == []
    watcher.registry.put(REPOSITORY, {"v1": "one"})
    assert await watcher.poll() == ["v1=one:new"]


# Unknown and absent change nothing


@pytest.mark.parametrize("status", [401, 403, 404, 418, 429, 500, 503])
async def test_unknown_and_absent_change_nothing(watcher: Watcher, status: int) -> None:
    await watcher.poll()
    before = dict(watcher.values)
    watcher.registry.faults.append(failing("v2", status))
    watcher.registry.put(REPOSITORY, {"v2": "two"})
    assert await watcher.poll() == []
    assert watcher.values == before
    assert list(watcher.last.unknown) == ([] if status == 404 else ["v2"])
    watcher.registry.faults.clear()
    assert await watcher.poll() == ["v2=two:updated"]


async def test_a_new_tag_that_is_unknown_is_new_later(watcher: Watcher) -> None:
    await watcher.poll()
    watcher.registry.put(REPOSITORY, {"v3": "two"})
    watcher.registry.faults.append(failing("v3"))
    assert await watcher.poll() == []
    watcher.registry.faults.clear()
    assert await watcher.poll() == ["v3=two:new"]


async def test_unknown_tags_are_one_clear_line(watcher: Watcher, caplog: pytest.LogCaptureFixture) -> None:
    await watcher.poll()
    watcher.registry.faults += [failing("v1"), failing("v2")]
    with caplog.at_level(logging.INFO, "airflow_registry_triggers"):
        await watcher.poll()
    assert len(caplog.records) == 1
    assert "2 tags could not be read" in caplog.text
    assert watcher.last.warnings == [caplog.records[0].getMessage()]


async def test_denied_everywhere_is_an_error(watcher: Watcher) -> None:
    await watcher.poll()
    before = dict(watcher.values)
    watcher.registry.faults += [failing("v1", 403), failing("v2", 403)]
    with pytest.raises(RegistryError) as caught:
        await watcher.poll()
    assert caught.value.kind == "credentials"
    assert watcher.values == before


async def test_a_registry_that_goes_away_mid_poll_is_not_asked_for_every_tag(watcher: Watcher) -> None:
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


async def test_a_token_that_ends_mid_poll(watcher: Watcher) -> None:
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


async def test_a_registry_that_is_replaced_by_an_empty_one(watcher: Watcher) -> None:
    await watcher.poll()
    before = dict(watcher.values)
    watcher.registry.repositories = {REPOSITORY: {}}
    assert await watcher.poll() == []
    watcher.registry.repositories = {}
    with pytest.raises(RegistryError) as caught:
        await watcher.poll()
    assert caught.value.kind == "no_such_repository"
    assert watcher.values == before
    watcher.registry.put(REPOSITORY, {"v1": "one", "v2": "two"})
    assert await watcher.poll() == ["v2=two:updated"]


async def test_a_clock_that_jumps(watcher: Watcher) -> None:
    await watcher.poll(now=datetime(2030, 1, 1, tzinfo=UTC))
    watcher.registry.put(REPOSITORY, {"v1": "two"})
    assert await watcher.poll(now=datetime(1999, 1, 1, tzinfo=UTC)) == ["v1=two:updated"]
    assert await watcher.poll(now=datetime(2099, 1, 1, tzinfo=UTC)) == []


# What is watched


async def test_referrers_are_left_out(watcher: Watcher) -> None:
    watcher.registry.put(REPOSITORY, REFERRERS)
    assert await watcher.poll(first_run="notify") == ["v1=one:new", "v2=one:new"]
    assert watcher.registry.by_kind["head"] == 2


async def test_referrers_are_a_baseline_when_they_are_switched_on(watcher: Watcher) -> None:
    watcher.registry.put(REPOSITORY, REFERRERS[:2])
    await watcher.poll()
    assert await watcher.poll(referrers=True) == []
    watcher.registry.put(REPOSITORY, REFERRERS)
    assert [line.rpartition(":")[2] for line in await watcher.poll(referrers=True)] == ["new", "new"]


async def test_a_referrer_that_the_rule_names_is_watched(watcher: Watcher) -> None:
    watcher.registry.put(REPOSITORY, REFERRERS)
    rule = TagRule(tags=[REFERRERS[1]])
    assert len(await watcher.poll(rule=rule, first_run="notify")) == 1


async def test_only_what_the_rule_covers_is_asked_about(watcher: Watcher) -> None:
    watcher.registry.put(REPOSITORY, ["latest", "x"])
    await watcher.poll(rule=TagRule(tag_regex="v.*"))
    assert watcher.registry.by_kind == {"list": 1, "head": 2}
    assert {asked.path.rpartition("/")[2] for asked in watcher.registry.asked[1:]} == {"v1", "v2"}


async def test_an_explicit_list_costs_no_listing(watcher: Watcher) -> None:
    rule = TagRule(tags=["v1", "v9"])
    assert await watcher.poll(rule=rule) == []
    assert watcher.registry.by_kind == {"head": 2}
    watcher.registry.put(REPOSITORY, {"v9": "one", "v2": "two", "v1": "two"})
    assert await watcher.poll(rule=rule) == ["v1=two:updated", "v9=one:new"]
    assert watcher.registry.by_kind == {"head": 4}


async def test_an_explicit_list_of_a_repository_that_does_not_exist(watcher: Watcher) -> None:
    watcher.registry.repositories.clear()
    with pytest.raises(RegistryError) as caught:
        await watcher.poll(rule=TagRule(tags=["v1"]))
    assert caught.value.kind == "no_such_repository"


async def test_an_explicit_list_of_tags_that_do_not_exist_yet(watcher: Watcher) -> None:
    rule = TagRule(tags=["v8", "v9"])
    assert await watcher.poll(rule=rule) == []
    assert watcher.registry.by_kind == {"head": 2, "list": 1}  # this once, to tell it from a wrong name
    assert await watcher.poll(rule=rule) == []
    assert watcher.registry.by_kind == {"head": 4, "list": 1}
    watcher.registry.put(REPOSITORY, {"v9": "one"})
    assert await watcher.poll(rule=rule) == ["v9=one:new"]


async def test_an_explicit_list_on_a_registry_that_is_down(watcher: Watcher) -> None:
    watcher.registry.faults += [failing("v1"), failing("v2")]
    with pytest.raises(RegistryError) as caught:
        await watcher.poll(rule=TagRule(tags=["v1", "v2"]))
    assert caught.value.kind == "unavailable"


async def test_a_changed_rule_baselines_what_it_newly_covers(watcher: Watcher) -> None:
    watcher.registry.put(REPOSITORY, [f"old{number}" for number in range(90)])
    await watcher.poll(rule=TagRule(tag_regex="v.*"))
    watcher.registry.put(REPOSITORY, {"v3": "two"})
    # v3 is covered by both rules and not remembered: that is a push, all the others were there before
    assert await watcher.poll() == ["v3=two:new"]
    watcher.registry.put(REPOSITORY, {"old5": "two"})
    assert await watcher.poll() == ["old5=two:updated"]


async def test_a_rule_that_comes_back_baselines_what_moved_meanwhile(watcher: Watcher) -> None:
    await watcher.poll()
    await watcher.poll(rule=TagRule(tags=["v2"]))
    watcher.registry.put(REPOSITORY, {"v1": "two", "v2": "two"})
    assert await watcher.poll() == ["v2=two:updated"]
    watcher.registry.put(REPOSITORY, {"v1": "three"})
    assert await watcher.poll() == ["v1=three:updated"]


async def test_a_changed_rule_whose_head_failed_is_still_a_baseline(watcher: Watcher) -> None:
    await watcher.poll(rule=TagRule(tags=["v1"]))
    watcher.registry.faults.append(failing("v2"))
    assert await watcher.poll() == []
    watcher.registry.faults.clear()
    assert await watcher.poll() == []


async def test_updates_off_watches_for_new_tags_only(watcher: Watcher) -> None:
    assert await watcher.poll(updates=False) == []
    assert watcher.registry.by_kind == {"list": 1}
    watcher.registry.put(REPOSITORY, {"v1": "two", "v3": "one"})
    assert await watcher.poll(updates=False) == ["v3=one:new"]
    assert watcher.registry.by_kind == {"list": 2, "head": 1}
    watcher.registry.put(REPOSITORY, {"v3": "two"})
    assert await watcher.poll(updates=False) == []
    assert watcher.registry.by_kind == {"list": 3, "head": 1}


async def test_updates_off_where_the_listing_tells_that_a_tag_moved(watcher: Watcher) -> None:
    watcher.registry.paging = Paging(upload_times={})
    await watcher.poll(updates=False)
    watcher.registry.put(REPOSITORY, {"v1": "two", "v3": "one"})
    assert await watcher.poll(updates=False) == ["v3=one:new"]


async def test_updates_off_with_an_explicit_list(watcher: Watcher) -> None:
    rule = TagRule(tags=["v1", "v9"])
    assert await watcher.poll(rule=rule, updates=False) == []
    watcher.registry.put(REPOSITORY, {"v1": "two", "v9": "one"})
    assert await watcher.poll(rule=rule, updates=False) == ["v9=one:new"]
    assert watcher.registry.by_kind == {"head": 3}


async def test_updates_switched_on_is_a_baseline(watcher: Watcher) -> None:
    await watcher.poll(updates=False)
    watcher.registry.put(REPOSITORY, {"v3": "one"})
    await watcher.poll(updates=False)
    watcher.registry.put(REPOSITORY, {"v1": "two", "v3": "two"})
    assert await watcher.poll() == []
    watcher.registry.put(REPOSITORY, {"v1": "three", "v3": "three"})
    assert await watcher.poll() == ["v1=three:updated", "v3=three:updated"]


async def test_a_changed_accept_is_a_baseline_that_goes_on(
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
async def test_another_registry_behind_the_connection_is_a_baseline_with_a_warning(
    watcher: Watcher, first_run: str, caplog: pytest.LogCaptureFixture
) -> None:
    await watcher.poll()
    async with ScriptedRegistry().served() as other:
        other.put(REPOSITORY, {"v1": "two", "v3": "one"})
        moved = Watcher(other)
        moved.values = watcher.values
        assert await moved.poll(first_run=first_run) == []
        assert "and of" in caplog.text
        caplog.clear()
        other.put(REPOSITORY, {"v1": "three", "v2": "one", "v4": "one"})
        # What only the other registry had is as new as any.
        assert await moved.poll(first_run=first_run) == ["v1=three:updated", "v2=one:new", "v4=one:new"]
        assert caplog.text == ""


async def test_a_watermark_from_before_registries_were_stored_goes_on(watcher: Watcher) -> None:
    await watcher.poll()
    head = {key: value for key, value in watcher.values[HEAD_KEY].items() if key not in ("registry", "check")}
    watcher.values[HEAD_KEY] = {**head, "check": zlib.crc32(json.dumps(head, sort_keys=True).encode())}
    watcher.registry.put(REPOSITORY, {"v1": "two"})
    assert await watcher.poll() == ["v1=two:updated"]


# Lost state


@pytest.mark.parametrize("first_run", ["baseline", "notify"])
@pytest.mark.parametrize("damage", [None, "", "x", {}, {"form": 99}])
async def test_a_lost_head_is_a_baseline_with_a_warning(
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
async def test_a_lost_shard_is_a_baseline_of_its_tags_with_a_warning(
    watcher: Watcher,
    first_run: str,
    damage: object,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from airflow_registry_triggers.registry import watermark

    monkeypatch.setattr(watermark, "MAX_VALUE", 1500)
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


# Storms


async def test_a_storm_is_held_and_says_how_to_let_it_through(watcher: Watcher) -> None:
    await watcher.poll()
    before = dict(watcher.values)
    watcher.registry.put(REPOSITORY, [f"t{number}" for number in range(6)])
    for _ in range(2):
        with pytest.raises(
            StormHeld, match=r"6 pushes at once.*storm_limit=5.*set storm_limit to 6"
        ) as caught:
            await watcher.poll(storm_limit=5)
        assert (caught.value.count, caught.value.limit, caught.value.transient) == (6, 5, False)
    assert watcher.values == before
    assert len(await watcher.poll(storm_limit=6)) == 6


async def test_the_storm_limit_is_500(watcher: Watcher) -> None:
    await watcher.poll()
    watcher.registry.put(REPOSITORY, [f"t{number}" for number in range(501)])
    with pytest.raises(StormHeld):
        await watcher.poll()
    assert len(await watcher.poll(storm_limit=None)) == 501


# What it costs


async def test_an_unchanged_poll_is_pages_and_heads(watcher: Watcher) -> None:
    watcher.registry.put(REPOSITORY, [f"t{number}" for number in range(250)])
    watcher.registry.paging = Paging(size=100, empty_last=True)
    watcher.registry.sign_in = SignIn()
    await watcher.poll()
    for _ in range(3):
        watcher.registry.asked.clear()
        assert await watcher.poll() == []
        assert watcher.registry.by_kind == {"list": 3, "head": 252}


async def test_google_listing_is_one_request_with_the_upload_time(watcher: Watcher) -> None:
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


async def test_google_listing_and_heads_agree(watcher: Watcher) -> None:
    await watcher.poll()
    watcher.registry.paging = Paging(upload_times={})
    assert await watcher.poll() == []


async def test_a_poll_that_changes_nothing_writes_nothing(watcher: Watcher) -> None:
    await watcher.poll()
    watermark = Watermark.from_dict(watcher.values)
    await watcher.poll()
    assert watcher.last.watermark.changes_since(watermark) == {}
    assert watcher.last.watermark_before.changes_since(watermark) == {}
