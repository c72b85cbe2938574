# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Polls with ``newest``: one notification of the greatest tag, and never of a lesser one than before."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from airflow_registry_triggers.registry.client import RegistryClient
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.http.pagination import Listing
from airflow_registry_triggers.registry.poll import Poll, poll
from airflow_registry_triggers.registry.poll_memory import PollMemory
from airflow_registry_triggers.registry.tag_order import TagOrder
from airflow_registry_triggers.registry.watermark import HEAD_KEY, Watermark
from airflow_registry_triggers.tag_rule import TagRule
from tests.unit.registry.scripted_registry import Paging, ScriptedRegistry, digest_of

REPOSITORY = "team/app"


class Watcher:
    """Poll with ``newest``, keep the watermark in its stored form, and acknowledge the notifications."""

    def __init__(self, registry: ScriptedRegistry, **options: object) -> None:
        self.registry = registry
        self.options: dict[str, object] = {"newest": "version", "memory": PollMemory(), **options}
        self.values: dict[str, object] = {}
        self.last: Poll | None = None

    @property
    def newest(self) -> object:
        return self.values[HEAD_KEY].get("newest")

    async def poll(self, **options: object) -> list[str]:
        watermark = Watermark.from_dict(json.loads(json.dumps(self.values)))
        async with RegistryClient(self.registry.url) as client:
            self.last = await poll(client, REPOSITORY, watermark, **{**self.options, **options})
        self.values |= self.last.watermark_after.changes_since(watermark)
        return [f"{item.tag}:{item.action}" for item in self.last.notifications]


@pytest.fixture
def watcher(registry: ScriptedRegistry) -> Watcher:
    registry.put(REPOSITORY, ["1.0.0", "1.1.0", "latest"])
    return Watcher(registry)


def failing(status: int, *tags: str):
    async def fault(request: web.Request) -> web.Response | None:
        is_faulty = any(request.path.endswith(f"/manifests/{tag}") for tag in tags)
        return web.Response(status=status) if is_faulty else None

    return fault


async def test_poll_of_a_greater_tag_returns_it_once(watcher):
    assert await watcher.poll() == []
    assert watcher.newest == "1.1.0"
    watcher.registry.put(REPOSITORY, ["1.0.1", "1.2.0", "1.3.0", "nightly"])
    assert await watcher.poll() == ["1.3.0:new"]
    assert watcher.newest == "1.3.0"
    assert await watcher.poll() == []


async def test_poll_of_lesser_tags_returns_none(watcher):
    await watcher.poll()
    watcher.registry.put(REPOSITORY, ["1.0.1", "0.9.0"])
    watcher.registry.put(REPOSITORY, {"1.0.0": "other"})
    assert await watcher.poll() == []


async def test_poll_of_the_stored_tag_with_another_digest_is_an_update(watcher):
    await watcher.poll()
    watcher.registry.put(REPOSITORY, {"1.1.0": "other"})
    assert await watcher.poll() == ["1.1.0:updated"]
    assert watcher.last.notifications[0].to_dict()["event"]["previous_digest"] == digest_of("first")
    watcher.registry.put(REPOSITORY, {"1.1.0": "third"})
    assert await watcher.poll(updates=False) == []


async def test_first_poll_with_notify_returns_the_greatest_tag_only(watcher):
    assert await watcher.poll(first_run="notify") == ["1.1.0:new"]
    assert await watcher.poll(first_run="notify") == []


async def test_poll_of_an_empty_repository_then_of_any_tag_returns_it(watcher):
    watcher.registry.repositories[REPOSITORY] = {"latest": "first"}
    assert await watcher.poll() == []
    assert watcher.newest is None
    watcher.registry.put(REPOSITORY, ["0.0.1"])
    assert await watcher.poll() == ["0.0.1:new"]


@pytest.mark.parametrize(("pages", "size"), [(1, None), (10, 1000)])
async def test_unchanged_poll_of_ten_thousand_tags_sends_one_request_more_than_pages(watcher, pages, size):
    watcher.registry.put(REPOSITORY, [f"1.0.{number}" for number in range(9_997)])
    watcher.registry.paging = Paging(size=size)
    assert await watcher.poll() == []
    watcher.registry.asked.clear()
    assert await watcher.poll() == []
    assert (watcher.registry.count("GET", "tags/list"), len(watcher.registry.asked)) == (pages, pages + 1)


async def test_unchanged_poll_does_not_order_the_tags_again(watcher, monkeypatch):
    await watcher.poll()
    await watcher.poll()

    def never(*_: object) -> list[str]:
        raise AssertionError("ordered again")

    monkeypatch.setattr(TagOrder, "greatest", never)
    assert await watcher.poll() == []
    watcher.registry.put(REPOSITORY, ["1.2.0"])
    with pytest.raises(AssertionError, match="ordered again"):
        await watcher.poll()


async def test_unchanged_poll_with_a_range_does_not_match_the_tags_again(watcher, monkeypatch):
    watcher.options |= {"newest": None, "rule": TagRule(semver=">=1")}
    await watcher.poll()
    covers, asked = TagRule.covers, []
    monkeypatch.setattr(TagRule, "covers", lambda rule, tag: asked.append(tag) or covers(rule, tag))
    assert await watcher.poll() == []
    assert asked == []
    watcher.registry.put(REPOSITORY, ["1.2.0"])
    assert await watcher.poll() == ["1.2.0:new"]
    assert "1.2.0" in asked
    assert await watcher.poll(rule=TagRule(semver=">=2")) == []


async def test_poll_after_the_stored_tag_was_deleted_warns_once_and_returns_none(watcher, caplog):
    await watcher.poll()
    del watcher.registry.repositories[REPOSITORY]["1.1.0"]
    watcher.registry.put(REPOSITORY, {"1.0.0": "other"})
    with caplog.at_level(logging.WARNING):
        assert [await watcher.poll(), await watcher.poll()] == [[], []]
    text = "the greatest tag is 1.0.0, less than 1.1.0, which was notified last. No notification is sent until one is greater"
    assert [record.getMessage() for record in caplog.records] == [f"team/app: {text}"]
    assert (watcher.last.note, watcher.newest) == (text, "1.1.0")
    watcher.registry.put(REPOSITORY, ["1.1.1"])
    assert await watcher.poll() == ["1.1.1:new"]
    assert watcher.last.note == ""


async def test_poll_after_every_tag_was_deleted_keeps_the_stored_tag(watcher):
    await watcher.poll()
    watcher.registry.repositories[REPOSITORY] = {"latest": "first"}
    assert await watcher.poll() == []
    assert watcher.last.note.startswith("no tag is as great as 1.1.0")
    assert watcher.newest == "1.1.0"


async def test_poll_of_a_greatest_tag_that_does_not_exist_tries_the_next_ones(watcher):
    await watcher.poll()
    watcher.registry.put(REPOSITORY, [f"2.0.{patch}" for patch in range(6)])
    watcher.registry.faults.append(failing(404, *(f"2.0.{patch}" for patch in range(2, 6))))
    assert await watcher.poll() == ["2.0.1:new"]


async def test_poll_of_five_tags_that_do_not_exist_requests_no_sixth(watcher):
    await watcher.poll()
    watcher.registry.put(REPOSITORY, [f"2.0.{patch}" for patch in range(6)])
    watcher.registry.faults.append(failing(404, *(f"2.0.{patch}" for patch in range(1, 6))))
    watcher.registry.asked.clear()
    assert await watcher.poll() == []
    assert watcher.registry.count(path="/manifests/2.0.0") == 0
    assert watcher.newest == "1.1.0"


@pytest.mark.parametrize("status", [500, 503])
async def test_poll_of_a_greatest_tag_that_cannot_be_read_changes_nothing(watcher, status):
    await watcher.poll()
    stored = dict(watcher.values)
    watcher.registry.put(REPOSITORY, ["2.0.0", "1.9.0"])
    watcher.registry.faults.append(failing(status, "2.0.0"))
    assert await watcher.poll() == []
    assert watcher.last.unknown.keys() == {"2.0.0"}
    assert watcher.values == stored
    watcher.registry.faults.clear()
    assert await watcher.poll() == ["2.0.0:new"]


async def test_poll_of_a_tag_whose_access_is_denied_raises(watcher):
    await watcher.poll()
    watcher.registry.put(REPOSITORY, ["2.0.0"])
    watcher.registry.faults.append(failing(403, "2.0.0"))
    with pytest.raises(RegistryError):
        await watcher.poll()


@pytest.mark.parametrize("status", [404, 500])
async def test_first_poll_that_cannot_read_the_greatest_tag_records_no_baseline(watcher, status):
    watcher.registry.faults.append(failing(status, "1.1.0", "1.0.0"))
    assert await watcher.poll() == []
    assert watcher.values == {}
    watcher.registry.faults.clear()
    assert await watcher.poll() == []
    assert watcher.newest == "1.1.0"


@pytest.mark.parametrize(
    "options",
    [
        {"rule": TagRule(semver="*")},
        {"newest": "text"},
        {"newest": None},
        {"rule": TagRule(exclude_regex="9.*"), "newest": "number"},
    ],
)
async def test_poll_with_another_rule_or_order_records_a_baseline(watcher, options):
    await watcher.poll()
    watcher.registry.put(REPOSITORY, ["2.0.0", "99"])
    assert await watcher.poll(**options) == []
    assert await watcher.poll(**options) == []
    assert await watcher.poll() == []
    assert watcher.newest == "2.0.0"


async def test_poll_of_a_tag_with_an_equal_key_returns_none(watcher):
    await watcher.poll()
    watcher.registry.put(REPOSITORY, ["v1.1.0"])
    assert await watcher.poll() == []
    del watcher.registry.repositories[REPOSITORY]["1.1.0"]
    assert await watcher.poll() == []
    assert (watcher.newest, watcher.last.note) == ("1.1.0", "")


async def test_poll_after_a_crash_between_shard_and_head_does_not_repeat_the_push(watcher):
    await watcher.poll()
    head = watcher.values[HEAD_KEY]
    watcher.registry.put(REPOSITORY, ["2.0.0"])
    assert await watcher.poll() == ["2.0.0:new"]
    watcher.values[HEAD_KEY] = head
    assert await watcher.poll() == []
    assert watcher.newest == "2.0.0"


async def test_poll_without_acknowledgement_returns_the_push_with_the_same_id(watcher):
    await watcher.poll()
    watcher.registry.put(REPOSITORY, ["2.0.0"])
    stored, ids = dict(watcher.values), set()
    for _ in range(3):
        watcher.values = dict(stored)
        assert await watcher.poll() == ["2.0.0:new"]
        ids.add(watcher.last.notifications[0].id)
    assert len(ids) == 1


async def test_poll_with_a_damaged_head_records_a_baseline(watcher):
    await watcher.poll()
    watcher.registry.put(REPOSITORY, ["2.0.0"])
    watcher.values[HEAD_KEY]["newest"] = "0.0.1"
    assert await watcher.poll() == []
    assert watcher.newest == "2.0.0"


async def test_poll_with_a_lost_shard_returns_a_greater_tag_only(watcher):
    await watcher.poll()
    watcher.values["s1.00"] = "damaged"
    assert await watcher.poll() == []
    watcher.values["s1.00"] = "damaged"
    watcher.registry.put(REPOSITORY, ["2.0.0"])
    assert await watcher.poll() == ["2.0.0:new"]


async def test_poll_with_confirm_polls_waits_for_the_next_poll(watcher):
    watcher.options["confirm_polls"] = 2
    await watcher.poll()
    watcher.registry.put(REPOSITORY, ["2.0.0"])
    assert [await watcher.poll(), await watcher.poll(), await watcher.poll()] == [[], ["2.0.0:new"], []]


async def test_poll_of_signatures_by_text_leaves_them_out(watcher):
    watcher.options["newest"] = "text"
    await watcher.poll()
    watcher.registry.put(REPOSITORY, ["sha256-" + "f" * 64 + ".sig"])
    assert await watcher.poll() == []
    assert watcher.newest == "latest"


async def test_poll_with_a_digest_in_the_listing_sends_no_other_request(watcher):
    watcher.registry.paging = Paging(upload_times={"1.1.0": 5000, "1.2.0": 6000})
    await watcher.poll()
    watcher.registry.asked.clear()
    watcher.registry.put(REPOSITORY, ["1.2.0"])
    assert await watcher.poll() == ["1.2.0:new"]
    assert len(watcher.registry.asked) == 1


async def test_hint_of_a_covered_tag_polls_and_another_one_does_not(watcher):
    watcher.options["rule"] = TagRule(semver="*")
    assert await watcher.poll(only=["1.1.0"]) == []
    assert watcher.values == {}
    await watcher.poll()
    watcher.registry.put(REPOSITORY, ["1.3.0", "1.2.0", "main"])
    watcher.registry.asked.clear()
    assert await watcher.poll(only=["main"]) == []
    assert watcher.registry.asked == []
    assert await watcher.poll(only=["1.2.0"]) == ["1.3.0:new"]


async def test_head_of_a_watermark_without_newest_has_no_new_key(watcher):
    watcher.options["newest"] = None
    await watcher.poll()
    assert watcher.values[HEAD_KEY].keys() == {
        "form", "epoch", "salt", "shards", "rule", "updates", "referrers", "accept", "registry", "check",
    }  # fmt: skip
    assert watcher.values[HEAD_KEY]["rule"] == {"tag_regex": None}


class Memory:
    """A registry in memory."""

    registry, in_flight = "registry.example.com", 2

    def __init__(self) -> None:
        self.tags: dict[str, str] = {}

    async def list(self, repository: str) -> Listing:
        return Listing(list(self.tags))

    async def digest(self, repository: str, tag: str) -> str | None:
        return self.tags[tag]


KEYS = st.integers(0, 40).map(lambda number: f"1.{number // 7}.{number % 7}")
LISTINGS = st.lists(
    st.dictionaries(KEYS, st.sampled_from(["a", "b"]).map(digest_of), max_size=8), max_size=12
)


@given(LISTINGS, st.sampled_from(["baseline", "notify"]), st.booleans())
def test_polls_of_random_listings_with_holes_never_notify_a_lesser_tag(listings, first_run, is_restarted):
    client, memory, watermark = Memory(), PollMemory(), Watermark()
    order, notified, reached = TagOrder("version", TagRule()), None, None
    for number, listing in enumerate(listings):
        client.tags = listing
        memory = PollMemory() if is_restarted else memory
        found = asyncio.run(poll(client, REPOSITORY, watermark, TagRule(), first_run, newest="version", memory=memory, flap_limit=0))  # fmt: skip
        watermark = Watermark.from_dict(json.loads(json.dumps(found.watermark_after.to_dict())))
        greatest = max(listing, key=order.key, default=None)
        assert len(found.notifications) <= 1
        for item in found.notifications:
            assert item.tag == greatest
            assert notified is None or order.compare(item.tag, notified) >= 0
            notified = item.tag
        is_greater = greatest and (reached is None or order.compare(greatest, reached) > 0)
        if is_greater:
            assert len(found.notifications) == (1 if number or first_run == "notify" else 0)
            reached = greatest
