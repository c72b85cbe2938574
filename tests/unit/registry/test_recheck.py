# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""recheck_interval: the moment of each tag, and the requests of polls that spread the known tags."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from airflow_registry_triggers.notification import TagState
from airflow_registry_triggers.registry.client import RegistryClient
from airflow_registry_triggers.registry.errors import RegistryError, StormHeld
from airflow_registry_triggers.registry.http.pagination import Listing
from airflow_registry_triggers.registry.poll import poll
from airflow_registry_triggers.registry.poll_memory import PollMemory
from airflow_registry_triggers.registry.recheck import Recheck, is_due
from airflow_registry_triggers.registry.watermark import Watermark
from airflow_registry_triggers.tag_rule import TagRule
from tests.unit.registry.scripted_registry import digest_of

START = 1_800_000_000.0
INTERVAL = 900.0


class TagStore:
    """A registry in memory that counts requests; it stands in for a client."""

    registry = "registry.example.com"
    in_flight = 2

    def __init__(self, tags: dict[str, str]) -> None:
        self.tags = dict(tags)
        self.broken: set[str] = set()
        self.lists = 0
        self.heads: list[str] = []

    async def list(self, repository: str) -> Listing:
        self.lists += 1
        return Listing(list(self.tags))

    async def digest(self, repository: str, tag: str) -> str | None:
        self.heads.append(tag)
        if tag in self.broken:
            raise RegistryError("broken", kind="unavailable", status=500)
        label = self.tags.get(tag)
        return digest_of(label) if label else None


class Watcher:
    """One process that polls a store and acknowledges what it finds."""

    def __init__(self, tags: TagStore, **options: object) -> None:
        self.store = tags
        self.options = {"recheck_interval": INTERVAL, **options}
        self.now = datetime.fromtimestamp(START, UTC)
        self.memory = PollMemory()
        self.watermark = Watermark()

    async def poll(self, seconds: float = 60.0, *, acknowledges: bool = True, **options: object) -> list[str]:
        """Poll after some seconds; return the pushed tags."""
        self.now += timedelta(seconds=seconds)
        self.store.heads = []
        arguments = {**self.options, **options}
        found = await poll(
            self.store, "team/app", self.watermark, memory=self.memory, now=self.now, **arguments
        )
        self.watermark = found.watermark_after if acknowledges else found.watermark_before
        return sorted(notification.tag for notification in found.notifications)


def watcher_of(count: int = 1000, **options: object) -> Watcher:
    return Watcher(TagStore({f"v{number}": "one" for number in range(count)}), **options)


def moment_of(tag: str) -> float:
    """The first moment of a tag after START, in seconds from it."""
    phase = int(sha256(tag.encode()).hexdigest()[:12], 16) / 2**48 * INTERVAL
    return (phase - START) % INTERVAL


# The moment of a tag


@given(
    tag=st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=20),
    interval=st.floats(1, 7200),
    gaps=st.lists(st.floats(0, 900), min_size=1, max_size=200),
)
def test_is_due_in_any_polls_skips_no_tag_longer_than_interval_and_gap(tag, interval, gaps) -> None:
    last = requested = START
    for gap in gaps:
        now = last + gap
        if is_due(tag, interval, last, now):
            requested = now
        assert now - requested <= interval + gap + 1e-5
        last = now


@given(
    tag=st.integers(0, 10_000).map(str),
    interval=st.integers(1, 3600),
    cuts=st.lists(st.floats(0, 1), max_size=20),
)
def test_is_due_within_one_interval_is_true_in_one_or_two_polls(tag, interval, cuts) -> None:
    times = [START, *(START + cut * interval * 0.999 for cut in sorted(cuts)), START + interval * 0.999]
    due = [is_due(tag, interval, last, now) for last, now in pairwise(times) if now > last]
    # Two: a moment on the border between two polls. None: the moment is in the last thousandth.
    assert sum(due) <= 2
    assert any(due) or is_due(tag, interval, START + interval * 0.999, START + interval)


def test_is_due_of_a_tag_follows_its_hash() -> None:
    for tag in ("latest", "v1", "release-2.0"):
        moment = START + moment_of(tag)
        assert is_due(tag, INTERVAL, moment - 1, moment + 1)
        assert not is_due(tag, INTERVAL, moment + 1, moment + 61)
        assert not is_due(tag, INTERVAL, moment - 61, moment - 1)


def test_is_due_after_a_clock_that_was_set_back_is_true() -> None:
    assert all(is_due(f"v{number}", INTERVAL, START, START - 7200) for number in range(20))


@pytest.mark.parametrize(
    ("state", "is_needed"),
    [
        (TagState("calm", 0, "sha256:a"), False),
        (TagState("calm", 1, "sha256:a"), False),
        (TagState("calm", 2, "sha256:a"), True),
        (TagState("calm", 0, None), True),
        (TagState("unread", 0, "sha256:a"), True),
        (TagState("waits", 0, "sha256:a"), True),
        (TagState("stored", 0, "sha256:b"), False),
    ],
)
def test_needs_of_a_tag_that_is_not_due_depends_on_its_state(state: TagState, is_needed: bool) -> None:
    awaited = {"waits": "sha256:b", "stored": "sha256:b"}
    last = START + moment_of(state.tag) + 1
    recheck = Recheck(INTERVAL, last, last + 60, {"unread"}, awaited)
    assert recheck.needs(state) is is_needed


# Polls


async def test_poll_over_an_hour_with_an_interval_of_15_minutes_sends_at_most_90_requests_in_the_mean() -> (
    None
):
    watcher = watcher_of()
    for label in ("two", "three"):  # twenty tags move
        await watcher.poll(0)
        watcher.store.tags |= {f"v{number}": label for number in range(20)}
        watcher.memory = PollMemory()
    await watcher.poll(0)
    watcher.store.lists = requests = 0
    for _ in range(60):
        assert await watcher.poll() == []
        requests += len(watcher.store.heads)
        assert {f"v{number}" for number in range(20)} <= set(watcher.store.heads)
    assert watcher.store.lists == 60
    assert 80 < (requests + watcher.store.lists) / 60 <= 90


async def test_poll_with_interval_0_requests_every_tag() -> None:
    watcher = watcher_of(100, recheck_interval=0)
    for _ in range(3):
        await watcher.poll()
        assert len(watcher.store.heads) == 100


async def test_poll_requests_each_known_tag_once_in_an_interval() -> None:
    watcher = watcher_of(300)
    await watcher.poll()
    requested: list[str] = []
    for _ in range(15):
        await watcher.poll()
        requested += watcher.store.heads
    assert sorted(requested) == sorted(watcher.store.tags)


async def test_poll_of_a_new_process_requests_every_tag_once() -> None:
    watcher = watcher_of(100)
    await watcher.poll()
    await watcher.poll()
    assert len(watcher.store.heads) < 50
    watcher.memory = PollMemory()
    await watcher.poll()
    assert len(watcher.store.heads) == 100
    assert PollMemory.from_dict(watcher.memory.to_dict()).polled_at is None


async def test_poll_finds_new_tags_at_once_and_moved_tags_within_the_interval() -> None:
    watcher = watcher_of(100)
    await watcher.poll()
    watcher.store.tags |= {"new": "two", "v7": "two"}
    found = {tag: turn for turn in range(1, 17) for tag in await watcher.poll()}
    assert found.keys() == {"new", "v7"}
    assert found["new"] == 1
    watcher.store.tags["v7"] = "three"  # its second change
    assert any([await watcher.poll() == ["v7"] for _ in range(16)])
    watcher.store.tags["v7"] = "four"  # from now on it is moving
    assert await watcher.poll() == ["v7"]


async def test_poll_after_a_long_gap_requests_every_tag() -> None:
    watcher = watcher_of(100)
    await watcher.poll()
    await watcher.poll(INTERVAL)
    assert len(watcher.store.heads) == 100


async def test_poll_after_unread_tags_requests_them_until_they_are_read() -> None:
    watcher = watcher_of(50)
    watcher.store.broken = {"v3", "v4"}
    await watcher.poll()
    for _ in range(2):
        await watcher.poll()
        assert {"v3", "v4"} <= set(watcher.store.heads)
    watcher.store.broken = set()
    await watcher.poll()  # stores the baseline of both
    await watcher.poll(0.001)
    assert watcher.store.heads == []
    watcher.store.broken = {"v3"}
    await watcher.poll(INTERVAL)
    await watcher.poll(0.001)
    assert watcher.store.heads == ["v3"]


async def test_poll_of_a_tag_that_waits_for_confirm_polls_requests_it_each_time() -> None:
    watcher = watcher_of(50, confirm_polls=3)
    await watcher.poll()
    watcher.store.tags["v3"] = "two"
    assert await watcher.poll(INTERVAL) == []
    assert await watcher.poll(0.001) == []
    assert watcher.store.heads == ["v3"]
    assert await watcher.poll(0.001) == ["v3"]
    assert await watcher.poll(0.001) == []
    assert watcher.store.heads == []


async def test_poll_of_a_push_that_was_not_acknowledged_requests_it_each_time() -> None:
    watcher = watcher_of(50)
    await watcher.poll()
    watcher.store.tags["v3"] = "two"
    assert await watcher.poll(INTERVAL, acknowledges=False) == ["v3"]
    assert await watcher.poll(0.001, acknowledges=False) == ["v3"]
    assert await watcher.poll(0.001) == ["v3"]
    assert await watcher.poll(0.001) == []


async def test_poll_after_pushes_above_the_storm_limit_finds_them() -> None:
    watcher = watcher_of(50)
    await watcher.poll()
    watcher.store.tags |= {f"v{number}": "two" for number in range(9)}
    with pytest.raises(StormHeld):
        await watcher.poll(INTERVAL, storm_limit=5)
    assert len(await watcher.poll(0.001, storm_limit=10)) == 9


async def test_poll_with_a_rule_that_covers_more_tags_records_their_digests() -> None:
    watcher = watcher_of(50)
    await watcher.poll(rule=TagRule(tag_regex="v1.*"))
    await watcher.poll(0.001, rule=TagRule(tag_regex="v.*"))
    assert {f"v{number}" for number in range(20, 50)} <= set(watcher.store.heads)
    watcher.store.tags["v33"] = "two"
    assert await watcher.poll(INTERVAL, rule=TagRule(tag_regex="v.*")) == ["v33"]


async def test_poll_after_a_return_to_an_earlier_rule_records_the_missed_changes_as_a_baseline() -> None:
    watcher = watcher_of(50)
    await watcher.poll()
    await watcher.poll(0.001, rule=TagRule(tag_regex="v1.*"))
    watcher.store.tags["v33"] = "two"
    assert await watcher.poll(0.001) == []
    assert "v33" in watcher.store.heads
    assert watcher.watermark.state_of("v33").digest == digest_of("two")


async def test_poll_with_named_tags_follows_the_interval_too() -> None:
    watcher = watcher_of(5)
    rule_of = TagRule(tags=["v1", "v2", "later"])
    await watcher.poll(rule=rule_of)
    await watcher.poll(0.001, rule=rule_of)
    assert watcher.store.heads == ["later"]
    assert await watcher.poll(INTERVAL, rule=rule_of) == []
    assert sorted(watcher.store.heads) == ["later", "v1", "v2"]


class Spreading(RuleBasedStateMachine):
    """Any pushes, polls, kills and faults: each push is found within interval and gap, and none is invented."""

    tags = [f"v{number}" for number in range(12)]

    @initialize()
    def begin(self) -> None:
        self.runner = asyncio.Runner()
        self.watcher = watcher_of(8)
        self.runner.run(self.watcher.poll())
        self.told = dict.fromkeys(self.watcher.store.tags, "one")
        self.due: dict[str, datetime] = {}

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.runner.close()

    @rule(tag=st.sampled_from(tags), label=st.sampled_from(["one", "two", "three"]))
    def push(self, tag: str, label: str) -> None:
        self.watcher.store.tags[tag] = label
        if self.told.get(tag) == label:
            self.due.pop(tag, None)
        else:
            self.due.setdefault(tag, self.watcher.now + timedelta(seconds=INTERVAL))

    @rule(seconds=st.floats(-400, 2000))
    def poll(self, seconds: float) -> None:
        before = self.watcher.now
        store = self.watcher.store
        found = self.runner.run(self.watcher.poll(seconds))
        for tag in found:
            assert self.told.get(tag) != store.tags[tag], "invented"
            self.told[tag] = store.tags[tag]
            self.due.pop(tag, None)
        for tag, moment in self.due.items():
            assert self.watcher.now < moment or before < moment or tag in store.broken, "missed"
        if self.watcher.now < before:
            # All tags were requested; a clock that goes back must not extend the time of the others.
            assert not self.due.keys() - store.broken
        # The next poll requests a tag again that this one could not read, and no other broken tag.
        for tag in self.watcher.memory.reported & self.due.keys():
            self.due[tag] = self.watcher.now

    @rule()
    def kill(self) -> None:
        self.watcher.memory = PollMemory()

    @rule(tags=st.sets(st.sampled_from(tags), max_size=3))
    def break_heads(self, tags: set[str]) -> None:
        self.watcher.store.broken = tags


class TestSpreading(Spreading.TestCase):
    settings = settings(
        max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
    )


@pytest.mark.fuzz
class TestSpreadingForLong(TestSpreading):
    settings = settings(
        max_examples=400, stateful_step_count=100, deadline=None, suppress_health_check=list(HealthCheck)
    )


async def test_poll_of_a_scripted_registry_sends_one_list_and_the_due_heads(registry) -> None:
    registry.put("team/app", [f"v{number}" for number in range(200)])
    memory, watermark = PollMemory(), Watermark()
    now = datetime.fromtimestamp(START, UTC)
    async with RegistryClient(registry.url) as client:
        for minute in range(4):
            registry.asked.clear()
            found = await poll(
                client, "team/app", watermark, memory=memory, recheck_interval=INTERVAL,
                now=now + timedelta(minutes=minute),
            )  # fmt: skip
            watermark = found.watermark_after
            assert registry.by_kind["list"] == 1
            assert registry.by_kind["head"] == 200 if minute == 0 else 1 <= registry.by_kind["head"] <= 40
