# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
Random operations on a registry whose own API is stale, lies, fails or pages, checked against the truth.

No push is invented: HEAD returned its digest, and the digest is not the one that was sent last. No push is missed: it
is found at once while the API has told the truth to this process, and otherwise by the whole listing of the hour.

``make test`` runs 500 operations or more, ``make fuzz`` 5,000 (FUZZ_EXAMPLES).
"""

from __future__ import annotations

import asyncio
import os
import random
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiohttp import web
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from airflow_registry_triggers.registry.bulk.listing import WHOLE_EVERY
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.http import session
from tests.unit.registry.bulk.bulk_registry import API_PATHS, REPOSITORY, BulkRegistry, Row, View
from tests.unit.registry.bulk.watching import Watcher, api_of
from tests.unit.registry.scripted_registry import digest_of

POOL = [f"v{number}" for number in range(30)]
LABELS = ["one", "two", "three"]
STEPS = 50
OPERATIONS = 500
FUZZ_OPERATIONS = int(os.environ.get("FUZZ_EXAMPLES", "5000"))

REFUSALS: list[Any] = [
    lambda: web.Response(status=403),
    lambda: web.Response(status=404),
    lambda: web.Response(text="<html>", content_type="text/html"),
    lambda: web.json_response({}),
]
FAILURES = [429, 500, 503]


class Reporting(RuleBasedStateMachine):
    """A registry, its API, and a process that watches it and may die."""

    operations = 0
    missed = 0
    invented = 0
    found = 0

    @invariant()
    def count(self) -> None:
        Reporting.operations += 1

    @initialize(
        api=st.sampled_from(["azure", "docker_hub", "quay", *API_PATHS]),
        page_size=st.sampled_from([3, 4, 4, 100]),
        recheck=st.sampled_from([0, 0, 900]),
        confirm=st.sampled_from([1, 1, 1, 2]),
        there=st.dictionaries(st.sampled_from(POOL), st.sampled_from(LABELS), min_size=24),
        tells_lies=st.booleans(),
        seed=st.integers(0, 2**32),
    )
    def begin(
        self,
        api: str,
        page_size: int,
        recheck: int,
        confirm: int,
        there: dict[str, str],
        tells_lies: bool,
        seed: int,
    ) -> None:
        random.seed(seed)
        self.tells_lies = tells_lies
        self.runner, self.stack = asyncio.Runner(), AsyncExitStack()
        session.forget_everything()
        self.registry = BulkRegistry(api)
        self.registry.page_size = page_size
        self.broken: set[str] = set()
        self.moves: list[tuple[int, str, str]] = []
        self.requests = 0
        self.registry.faults.append(self.script)
        self.run(self.stack.enter_async_context(self.registry.served()))
        for tag, label in there.items():
            self.registry.push(tag, label=label, seconds=random.choice([1, 600, 600]))
        self.watcher = Watcher(self.registry, recheck_interval=recheck, confirm_polls=confirm, flap_limit=0)
        self.watcher.api = api_of(self.registry)
        self.run(self.watcher.poll())
        self.told = {tag: digest_of(label) for tag, label in there.items()}
        self.ids: dict[str, tuple[str, str]] = {}
        self.unacknowledged: dict[tuple[str, str], str] = {}
        self.is_honest = True
        """Whether the API has told nothing but the truth to the process that runs now."""

    def teardown(self) -> None:
        if not hasattr(self, "runner"):
            return
        try:
            if hasattr(self, "watcher"):
                self.settle()
        finally:
            self.run(self.stack.aclose())
            self.runner.close()
            session.forget_everything()

    def run(self, awaitable: Any) -> Any:
        async def wait() -> Any:
            return await awaitable

        return self.runner.run(wait())

    async def script(self, request: web.Request) -> web.Response | None:
        self.requests += 1
        while self.moves and self.moves[0][0] <= self.requests:
            _, tag, label = self.moves.pop(0)
            self.registry.push(tag, label=label)
        tag = request.path.rpartition("/")[2]
        if "/manifests/" in request.path and tag in self.broken:
            return web.Response(status=500)
        return None

    # The truth

    @rule(tag=st.sampled_from(POOL), label=st.sampled_from(LABELS), seconds=st.sampled_from([1, 400, 400]))
    def push(self, tag: str, label: str, seconds: int) -> None:
        self.registry.push(tag, label=label, seconds=seconds)

    @rule(
        tags=st.lists(st.sampled_from(POOL), min_size=3, max_size=14),
        label=st.sampled_from(LABELS),
        seconds=st.sampled_from([1, 100, 400]),
    )
    def push_many(self, tags: list[str], label: str, seconds: int) -> None:
        self.registry.push(*tags, label=label, seconds=seconds)

    @rule(tag=st.sampled_from(POOL))
    def delete(self, tag: str) -> None:
        if len(self.registry.repositories[REPOSITORY]) > 1:
            self.registry.delete(tag)

    @rule(tags=st.sets(st.sampled_from(POOL), max_size=3))
    def break_heads(self, tags: set[str]) -> None:
        self.broken = tags

    @rule(
        moves=st.lists(
            st.tuples(st.integers(1, 12), st.sampled_from(POOL), st.sampled_from(LABELS)), max_size=3
        )
    )
    def move_within_the_next_poll(self, moves: list[tuple[int, str, str]]) -> None:
        self.moves = sorted(moves)
        self.requests = 0

    # The API

    @precondition(lambda self: self.tells_lies)
    @rule()
    def freeze(self) -> None:
        self.registry.view.stale = self.registry.truth()
        self.is_honest = False

    @precondition(lambda self: self.tells_lies)
    @rule(
        tags=st.one_of(
            st.sets(st.sampled_from(POOL), max_size=5), st.sets(st.sampled_from(POOL), min_size=10)
        ),
        label=st.sampled_from([*LABELS, "never pushed", None]),
    )
    def lie(self, tags: set[str], label: str | None) -> None:
        self.registry.view.wrong = dict.fromkeys(tags, digest_of(label) if label else None)
        self.is_honest = False

    @precondition(lambda self: self.tells_lies)
    @rule(tags=st.sets(st.sampled_from(POOL), max_size=6))
    def hide(self, tags: set[str]) -> None:
        self.registry.view.hidden = tags
        self.is_honest = False

    @precondition(lambda self: self.tells_lies)
    @rule(tags=st.sets(st.sampled_from(POOL), min_size=1, max_size=3), label=st.sampled_from(LABELS))
    def hide_pushes_until_the_cursor_has_passed(self, tags: set[str], label: str) -> None:
        self.hide(tags)
        self.registry.push(*tags, label=label)
        self.registry.push(*(tag for tag in POOL[:8] if tag not in tags), label="two", seconds=100)
        self.work(60)

    @precondition(lambda self: self.tells_lies)
    @rule(
        tag=st.sampled_from([*POOL, "ghost"]), label=st.sampled_from(LABELS), age=st.integers(-(10**7), 4000)
    )
    def list_a_ghost(self, tag: str, label: str, age: int) -> None:
        row = Row(tag, digest_of(label), self.registry.clock - age)
        self.registry.view.ghosts = {tag: row}
        self.is_honest = False

    @precondition(lambda self: self.tells_lies)
    @rule(seed=st.integers(0, 100))
    def scramble(self, seed: int) -> None:
        order = random.Random(seed)
        keys: dict[str, float] = {}
        self.registry.view.order = lambda row: keys.setdefault(row.name, order.random())
        self.is_honest = False

    @rule(skew=st.integers(-20, 20))
    def skew(self, skew: int) -> None:
        self.registry.view.skew = skew

    @rule()
    def tell_the_truth(self) -> None:
        self.registry.view = View(skew=self.registry.view.skew)

    @rule(refusal=st.sampled_from(REFUSALS))
    def refuse(self, refusal: Any) -> None:
        self.registry.api_answers = [refusal()]

    @rule(failure=st.sampled_from(FAILURES), page=st.integers(0, 3))
    def fail(self, failure: int, page: int) -> None:
        self.registry.api_answers = [*[None] * page, web.Response(status=failure)]

    @rule(size=st.sampled_from([3, 4, 4, 100]))
    def page(self, size: int) -> None:
        self.registry.page_size = size

    @rule()
    def switch(self) -> None:
        self.watcher.api = None if self.watcher.api else api_of(self.registry)

    # The process

    @rule()
    def kill(self) -> None:
        self.watcher.restart()
        session.forget_everything()
        self.is_honest = self.registry.view == View(skew=self.registry.view.skew)

    @rule(
        seconds=st.sampled_from([1, 60, 60, 60, 60, 400, 400, 4000]),
        acknowledges=st.sampled_from([True, True, False]),
    )
    def poll(self, seconds: int, acknowledges: bool) -> None:
        self.work(seconds, acknowledges)

    @rule(seconds=st.sampled_from([1, 60, 400]), acknowledges=st.booleans())
    def poll_soon(self, seconds: int, acknowledges: bool) -> None:
        self.work(seconds, acknowledges)

    @rule(
        tags=st.lists(st.sampled_from(POOL), min_size=5, max_size=20),
        label=st.sampled_from(LABELS),
        seconds=st.sampled_from([1, 100, 400]),
        acknowledges=st.sampled_from([True, True, False]),
    )
    def push_many_and_poll(self, tags: list[str], label: str, seconds: int, acknowledges: bool) -> None:
        self.registry.push(*tags, label=label, seconds=seconds)
        self.work(60, acknowledges)

    def work(self, seconds: float, acknowledges: bool = True) -> bool:
        """Poll once and check what it returns; return whether the poll succeeded."""
        before = dict(self.registry.repositories[REPOSITORY])
        is_quiet = not self.moves
        try:
            self.run(self.watcher.poll(seconds, acknowledges=acknowledges))
        except RegistryError:
            return False
        finally:
            # No pause outlasts an operation.
            for memory in session._memories.values():
                memory.pause._until = 0.0
            self.moves = []
            self.registry.api_answers = []
        self.check(before)
        sent = {n.tag: n for n in self.watcher.last.notifications}
        if acknowledges:
            self.told |= {tag: str(n.digest) for tag, n in sent.items()}
        if is_quiet and self.is_honest and self.is_immediate:
            self.check_nothing_is_missing(sent if not acknowledges else {})
        return True

    @property
    def is_immediate(self) -> bool:
        options = self.watcher.options
        return options["confirm_polls"] == 1 and not options["recheck_interval"]

    def check(self, before: dict[str, str]) -> None:
        """Check that nothing is invented, and that the same push has the same id."""
        after = self.registry.repositories[REPOSITORY]
        for push in self.watcher.last.notifications:
            possible = {digest_of(tags[push.tag]) for tags in (before, after) if push.tag in tags}
            is_true = push.digest in possible and push.digest != self.told.get(push.tag)
            Reporting.invented += not is_true
            Reporting.found += 1
            assert is_true, f"invented: {push.tag}"
            known = self.ids.setdefault(str(push.id), (push.tag, str(push.digest)))
            assert known == (push.tag, push.digest), "one id for two pushes"

    def check_nothing_is_missing(self, sent: dict[str, Any]) -> None:
        for tag, label in self.registry.repositories[REPOSITORY].items():
            is_found = self.told.get(tag) == digest_of(label) or tag in sent or tag in self.broken
            Reporting.missed += not is_found
            assert is_found, f"missed: {tag}"

    def settle(self) -> None:
        """Let the API tell the truth; within an hour, all pushes are found."""
        self.registry.view, self.registry.api_answers, self.broken, self.moves = View(), [], set(), []
        for seconds in (60, WHOLE_EVERY + 1, 60, 60):
            assert self.work(seconds)
        self.check_nothing_is_missing({})
        assert self.work(60)
        assert not self.watcher.last.notifications


def sized(operations: int) -> settings:
    """Some machines end early: so more than are needed, above all where few machines run."""
    return settings(
        max_examples=operations // STEPS * 7 // 5 + 6,
        stateful_step_count=STEPS,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )


class TestReporting(Reporting.TestCase):
    settings = sized(OPERATIONS)
    least = OPERATIONS

    def runTest(self) -> None:
        Reporting.operations = Reporting.missed = Reporting.invented = Reporting.found = 0
        super().runTest()
        print(
            f"{Reporting.operations} operations, {Reporting.found} pushes found, {Reporting.missed} missed, "
            f"{Reporting.invented} invented"
        )
        assert Reporting.operations >= self.least


@pytest.mark.fuzz
class TestReportingForLong(TestReporting):
    settings = sized(FUZZ_OPERATIONS)
    least = FUZZ_OPERATIONS
