# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
Random operations on a registry and on the process that watches it, checked against a model.

The watcher does what the sensor does: poll, save the watermark_before, remember what was found, hand it on, advance;
it is killed before any write, also between two keys. See push_model for what it is checked against.

One operation is one step of a state machine; ``make test`` runs 500 or more, ``make fuzz`` 5,000 (FUZZ_EXAMPLES).
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from aiohttp import web
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from airflow_registry_triggers.registry import poll as poll_module
from airflow_registry_triggers.registry import sharding, watermark
from airflow_registry_triggers.registry.client import RegistryClient
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.http import session
from airflow_registry_triggers.registry.poll import Poll, poll
from airflow_registry_triggers.registry.poll_memory import PollMemory
from airflow_registry_triggers.registry.watermark import HEAD_KEY, TagState, Watermark
from airflow_registry_triggers.tag_rule import TagRule
from tests.unit.registry.push_model import Holding, Model, View, Watch
from tests.unit.registry.scripted_registry import Paging, ScriptedRegistry, digest_of

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = "team/app"
POOL = [f"v{n}" for n in range(14)] + [
    "latest",
    "T" * 128,
    "sha256-" + "a" * 64 + ".sig",
    "sha256-" + "b" * 64,
]
LABELS = ["one", "two", "three", "four"]
RULES = [
    TagRule(),
    TagRule(tag_regex="v.*"),
    TagRule(tag_regex="v[0-4]|latest"),
    TagRule(tags=["v1", "v7", "latest"]),
]

STEPS = 50
OPERATIONS = 500
FUZZ_OPERATIONS = int(os.environ.get("FUZZ_EXAMPLES", "5000"))


class Killed(BaseException):
    """The process is gone."""


class Watching(RuleBasedStateMachine):
    """A registry, a store, a consumer, and a process that may die."""

    operations = 0

    @invariant()
    def count(self) -> None:
        Watching.operations += 1

    @initialize(
        first_run=st.sampled_from(["baseline", "baseline", "notify"]),
        seed=st.integers(0, 2**32),
        flap_limit=st.sampled_from([0, 0, 2, 4]),
        there=st.dictionaries(st.sampled_from(POOL), st.sampled_from(LABELS), min_size=3, max_size=16),
    )
    def begin(self, first_run: str, seed: int, flap_limit: int, there: dict[str, str]) -> None:
        random.seed(seed)
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        # Few tags to a shard, so that states of several shards grow and are torn apart.
        chosen = random.Random(seed)
        self.patches = [
            mock.patch.object(sharding, "MAX_VALUE", 700),
            mock.patch.object(watermark.secrets, "token_hex", lambda size: chosen.randbytes(size).hex()),
        ]
        for patch in self.patches:
            patch.start()
        self.registry = ScriptedRegistry()
        self.registry.put(REPOSITORY, there)
        self.registry.faults.append(self.script)
        self.run(self.stack.enter_async_context(self.registry.served()))
        self.first_run = first_run
        self.now = Watch()
        self.model = Model(first_run)
        self.holding = Holding(flap_limit)
        self.memory = PollMemory()
        self.clock = datetime(2026, 1, 1, tzinfo=UTC)
        self.ids: set[str] = set()
        self.store: dict[str, str] = {}
        self.memo: str | None = None
        self.found_before_kill: dict[tuple[str, str], str] = {}
        self.broken_page: tuple[int, str] | None = None
        self.broken_heads: dict[str, int] = {}
        self.moves: list[tuple[int, str, str | None]] = []
        self.ticks: Iterator[int] = iter(())
        self.reset_view()

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.run(self.stack.aclose())
            self.runner.close()
            for patch in self.patches:
                patch.stop()

    def run(self, awaitable: Any) -> Any:
        async def wait() -> Any:
            return await awaitable

        return self.runner.run(wait())

    # What the registry does

    def reset_view(self) -> None:
        self.pages = 0
        self.requests = 0
        self.registry.listed = []
        self.seen: dict[str, str | None] = {}

    async def script(self, request: web.Request) -> web.Response | None:
        """Fail as told, let tags move in the middle of a poll, and note what was answered."""
        self.requests += 1
        while self.moves and self.moves[0][0] <= self.requests:
            _, tag, label = self.moves.pop(0)
            self.move(tag, label)
        if "/manifests/" in request.path:
            return self.answer_head(request.path.rpartition("/")[2])
        self.pages += 1
        if self.broken_page and self.broken_page[0] == self.pages:
            return self.break_page(request)
        return None

    def answer_head(self, tag: str) -> web.Response | None:
        status = self.broken_heads.get(tag)
        if status == 404:
            self.seen[tag] = None  # a ghost: listed, and not there
        if status:
            headers = {"Retry-After": "3600"} if status == 429 else {}
            return web.Response(status=status, headers=headers)
        label = self.registry.repositories[REPOSITORY].get(tag)
        self.seen[tag] = digest_of(label) if label else None
        return None

    def break_page(self, request: web.Request) -> web.Response:
        assert self.broken_page is not None
        how = self.broken_page[1]
        if how == "cut":
            request.transport.abort()  # type: ignore[union-attr]
        if how == "html":
            return web.Response(text="<html>", content_type="text/html")
        if how == "elsewhere":
            link = '<http://127.0.0.9/v2/x/tags/list>; rel="next"'
            return web.json_response({"tags": ["v1"]}, headers={"Link": link})
        return web.Response(
            status=int(how) if how.isdigit() else 500, headers={"Retry-After": "3600"} if how == "429" else {}
        )

    def move(self, tag: str, label: str | None) -> None:
        tags = self.registry.repositories[REPOSITORY]
        if label is None:
            tags.pop(tag, None)
        else:
            tags[tag] = label

    # Operations on the registry

    @rule(tag=st.sampled_from(POOL), label=st.sampled_from(LABELS))
    def push(self, tag: str, label: str) -> None:
        self.move(tag, label)

    @rule(tags=st.lists(st.sampled_from(POOL), max_size=8), label=st.sampled_from(LABELS))
    def push_many(self, tags: list[str], label: str) -> None:
        for tag in tags:
            self.move(tag, label)

    @rule(tag=st.sampled_from(POOL), other=st.integers(0, 20))
    def retag(self, tag: str, other: int) -> None:
        tags = sorted(self.registry.repositories[REPOSITORY])
        if tags:
            self.move(tag, self.registry.repositories[REPOSITORY][tags[other % len(tags)]])

    @rule(tag=st.sampled_from(POOL))
    def delete(self, tag: str) -> None:
        self.move(tag, None)

    @rule(
        size=st.sampled_from([None, 1, 2, 5, 50]),
        empty_last=st.booleans(),
        nulls=st.booleans(),
        google=st.booleans(),
    )
    def change_paging(self, size: int | None, empty_last: bool, nulls: bool, google: bool) -> None:
        # With Google's map nothing can tell here what was seen, so no tag may move or fail meanwhile.
        self.registry.paging = Paging(
            size=size, empty_last=empty_last, nulls=nulls, upload_times={} if google else None
        )

    # Operations on how it is watched

    @rule(rule=st.sampled_from(RULES))
    def change_rule(self, rule: TagRule) -> None:
        self.now = replace(self.now, rule=rule)
        self.holding.changed()

    @rule(confirm_polls=st.sampled_from([1, 1, 2, 3]))
    def change_confirm_polls(self, confirm_polls: int) -> None:
        self.now = replace(self.now, confirm_polls=confirm_polls)
        self.holding.changed()

    @rule(seconds=st.sampled_from([1, 60, 299, 301, 3601]))
    def let_time_pass(self, seconds: int) -> None:
        self.clock += timedelta(seconds=seconds)

    @rule()
    def continue_in_another_process(self) -> None:
        """Hand the memory over, as a deferred sensor does."""
        self.memory = PollMemory.from_dict(json.loads(json.dumps(self.memory.to_dict())))

    @rule(updates=st.booleans(), referrers=st.booleans(), accept=st.sampled_from(["A", "A", "B"]))
    def change_settings(self, updates: bool, referrers: bool, accept: str) -> None:
        self.now = replace(self.now, updates=updates, referrers=referrers, accept=accept)
        self.holding.changed()

    @rule(number=st.integers(0, 20), how=st.sampled_from(["drop", "garbage", "flip"]))
    def damage(self, number: int, how: str) -> None:
        if not self.store or self.memo is not None:
            return
        key = sorted(self.store)[number % len(self.store)]
        if how == "drop" and key != HEAD_KEY:
            del self.store[key]
        else:
            self.store[key] = flipped(self.store[key]) if how == "flip" else '"garbage"'
        self.holding.changed()
        self.model.damaged = True
        self.model.head_damaged |= key == HEAD_KEY
        self.found_before_kill = {}

    # Polls

    @rule()
    def cycle(self) -> None:
        self.work(None)

    @rule(at=st.integers(0, 12))
    def cycle_killed(self, at: int) -> None:
        self.work(at)

    @rule(
        page=st.integers(1, 4), how=st.sampled_from(["500", "404", "403", "429", "cut", "html", "elsewhere"])
    )
    def cycle_with_a_broken_listing(self, page: int, how: str) -> None:
        self.broken_page = (page, how)
        self.work(None)

    @rule(
        broken=st.dictionaries(
            st.sampled_from(POOL), st.sampled_from([500, 500, 403, 404, 418, 429]), max_size=5
        ),
        at=st.none() | st.integers(0, 12),
    )
    def cycle_with_broken_tags(self, broken: dict[str, int], at: int | None) -> None:
        self.broken_heads = broken
        self.work(at)

    @rule(
        moves=st.lists(
            st.tuples(st.integers(2, 25), st.sampled_from(POOL), st.none() | st.sampled_from(LABELS)),
            min_size=1,
            max_size=6,
        ),
        at=st.none() | st.integers(0, 12),
    )
    def cycle_while_tags_move(self, moves: list[tuple[int, str, str | None]], at: int | None) -> None:
        self.moves = sorted(moves, key=lambda move: move[0])
        self.work(at)

    # The process

    def tick(self) -> None:
        """Die here, where it was drawn so; each durable write comes after one."""
        if next(self.ticks, None) is None:
            raise Killed

    def write(self, key: str, value: object) -> None:
        self.tick()
        self.store[key] = json.dumps(value)

    def load(self) -> Watermark:
        head = json.loads(self.store[HEAD_KEY]) if HEAD_KEY in self.store else None
        if head is None:
            return Watermark.from_dict({key: json.loads(value) for key, value in self.store.items()})
        keys = [HEAD_KEY, *Watermark.keys(head)]
        return Watermark.from_dict({key: json.loads(self.store[key]) for key in keys if key in self.store})

    def work(self, killed_at: int | None) -> None:
        """One life of the process: until it is done, or killed before its n-th write."""
        if self.registry.paging.upload_times is not None:
            self.moves, self.broken_heads = [], {}
        self.ticks = iter(range(10_000 if killed_at is None else killed_at))
        self.reset_view()
        try:
            self.live()
        except Killed:
            self.memory = PollMemory()
            self.holding.restarted()
        except RegistryError:
            self.holding.changed()
        finally:
            # A pause of an hour is over until the next operation, and a new process knows nothing.
            session.forget_everything()
            self.broken_page, self.broken_heads = None, {}
            for _, tag, label in self.moves:
                self.move(tag, label)
            self.moves = []

    def live(self) -> None:
        if self.memo is not None:
            self.hand_on()
            return
        before = self.load()
        result = self.run(self.poll_once(before))
        for tag in self.broken_heads.keys() & result.unknown.keys():
            self.seen.pop(tag, None)  # HEAD was answered with 404, and no GET confirmed that
        view, announced = self.view(), {n.tag for n in result.notifications}
        held = self.check(result, view)
        try:
            for key, value in result.watermark_before.changes_since(before).items():
                self.write(key, value)
        except Killed:
            self.found_before_kill = {}
            self.model.torn(view, self.now, announced, held)
            raise
        self.model.stored(view, self.now, announced, held)
        self.found_before_kill = {(n.tag, str(n.digest)): str(n.id) for n in result.notifications}
        self.tick()
        self.memo = json.dumps([n.to_dict() for n in result.notifications])
        self.found_before_kill = {}
        self.model.handed_on(view, self.now, announced, held)
        for notification in result.notifications:
            assert notification.id not in self.ids, "an id came twice"
            self.ids.add(str(notification.id))
        self.hand_on()

    async def poll_once(self, before: Watermark) -> Poll:
        with mock.patch.object(poll_module, "_ACCEPT_MARK", self.now.accept):
            async with RegistryClient(self.registry.url, max_in_flight=3) as client:
                return await poll(
                    client,
                    REPOSITORY,
                    before,
                    self.now.rule,
                    self.first_run,
                    updates=self.now.updates,
                    referrers=self.now.referrers,
                    storm_limit=None,
                    confirm_polls=self.now.confirm_polls,
                    flap_limit=self.holding.flap_limit,
                    memory=self.memory,
                    now=self.clock,
                )

    def hand_on(self) -> None:
        """Announce what is remembered, move the watermark past it, forget the memo."""
        assert self.memo is not None
        found = json.loads(self.memo)
        if found:
            before = self.load()
            marks = [
                TagState(n["push_data"]["tag"], n["event"]["generation"], n["push_data"]["digest"])
                for n in found
            ]
            after = before.advanced(marks, found[0]["event"]["epoch"])
            for key, value in after.changes_since(before).items():
                self.write(key, value)
        self.tick()
        self.memo = None

    # The model's side

    def view(self) -> View:
        """What the registry told in this poll."""
        listed = frozenset(self.now.rule.tags or self.registry.listed)
        if self.registry.paging.upload_times is None or self.now.rule.tags is not None:
            return View(listed, dict(self.seen))
        tags = self.registry.repositories[REPOSITORY]
        return View(listed, {tag: digest_of(label) for tag, label in tags.items()})

    def check(self, result: Poll, view: View) -> set[str]:
        """Nothing missed, nothing invented, and the same push has the same id; return the held tags."""
        announced = {n.tag: n for n in result.notifications}
        assert len(announced) == len(result.notifications)
        held = set()
        for tag in {*view.listed, *view.digests, *announced}:
            told = announced.get(tag)
            verdict = told.action if told else None
            pushed = self.model.verdicts(tag, view, self.now)
            self.holding.polled(tag, view, pushed)
            allowed = self.holding.verdicts(tag, pushed, self.now.confirm_polls)
            assert verdict in allowed, f"{tag}: {verdict}, expected one of {allowed}"
            if told is not None:
                assert told.digest == view.digests[tag]
                self.holding.returned(tag, told.generation or 0, self.clock.timestamp())
            elif pushed != {None} and self.holding.may_hold(tag, self.now.confirm_polls):
                held.add(tag)
        for notification in result.notifications:
            before = self.found_before_kill.get((notification.tag, str(notification.digest)))
            assert before in (None, notification.id), "the same push, another id"
        return held


def flipped(text: str) -> str:
    """Change some characters, so that it stays JSON."""
    changed = text.replace("1", "2").replace("A", "B").replace("c", "d")
    try:
        json.loads(changed)
    except ValueError:
        return '"garbage"'
    return changed


def sized(operations: int) -> settings:
    """Some machines end early: so more than are needed, above all where few machines run."""
    return settings(
        max_examples=operations // STEPS * 7 // 5 + 6,
        stateful_step_count=STEPS,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )


class TestWatching(Watching.TestCase):
    settings = sized(OPERATIONS)
    least = OPERATIONS

    def runTest(self) -> None:
        Watching.operations = 0
        super().runTest()
        assert Watching.operations >= self.least


@pytest.mark.fuzz
class TestWatchingForLong(TestWatching):
    settings = sized(FUZZ_OPERATIONS)
    least = FUZZ_OPERATIONS
