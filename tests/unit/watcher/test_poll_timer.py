# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The choice between a full poll and a poll of hinted tags."""

from __future__ import annotations

import asyncio
import time

import pytest

from airflow_registry_triggers.watcher import hint_schedule
from airflow_registry_triggers.watcher.poll_timer import PollTimer


class Waiter:
    """Hints that a test gives."""

    def __init__(self):
        self.tags = set()
        self.woken = asyncio.Event()

    def hint(self, *tags):
        self.tags |= set(tags)
        self.woken.set()

    def wake(self):
        self.woken.set()

    def take(self):
        tags, self.tags = frozenset(self.tags), set()
        self.woken.clear()
        return tags

    async def wait(self, seconds):
        try:
            await asyncio.wait_for(self.woken.wait(), seconds)
        except TimeoutError:
            return None
        return self.take()


@pytest.fixture
def waiter():
    return Waiter()


@pytest.fixture
def timer(waiter, monkeypatch):
    monkeypatch.setattr(hint_schedule, "POLLED_AFTER", (0.0, 0.2, 0.5))
    monkeypatch.setattr(hint_schedule, "MIN_GAP", 0.1)
    monkeypatch.setattr(hint_schedule, "TOLERANCE", 0.005)
    return PollTimer("conn", "team/app", waiter)


def later(seconds):
    return time.monotonic() + seconds


async def test_poll_timer_with_an_overdue_full_poll_and_a_hint_makes_the_full_poll_first(timer, waiter):
    began = time.monotonic()
    waiter.hint("v1")
    assert await timer.wait(later(-1)) is None
    assert await timer.wait(later(60)) == {"v1"}
    assert time.monotonic() - began >= 0.19, "the full poll replaced the first request; its repeats stay"


async def test_poll_timer_with_endless_hints_makes_every_full_poll(timer, waiter):
    full = 0
    for _ in range(20):
        waiter.hint("v1")
        full += await timer.wait(later(-1)) is None
    assert full == 20


class Asset:
    """A watched asset with one held push."""

    def __init__(self, at):
        self.at = at

    def held_until(self, polled_at):
        return {"v1": self.at} if polled_at < self.at else {}


async def test_poll_timer_with_held_tags_polls_at_the_first_moment(timer):
    assets = [Asset(time.time() + 60), Asset(time.time() + 0.3)]
    began = time.monotonic()
    timer.hold(assets, 3600, began)
    assert await timer.wait(later(10)) == {"v1"}
    assert time.monotonic() - began >= 0.28


async def test_poll_timer_with_a_moment_during_the_last_poll_polls_at_once_and_once(timer):
    asset = Asset(time.time() - 1)
    timer.hold([asset], 3600, later(-2))
    assert await timer.wait(later(10)) == {"v1"}
    timer.hold([asset], 3600, later(0))
    assert await timer.wait(later(0.3)) is None


async def test_poll_timer_with_frequent_full_polls_adds_none(timer):
    timer.hold([Asset(time.time() + 0.1)], 60, later(0))
    assert await timer.wait(later(0.3)) is None


async def test_poll_timer_that_holds_hints_waits_for_the_full_poll(timer, waiter):
    waiter.hint("v1")
    began = time.monotonic()
    assert await timer.wait(later(0.3), holds_hints=True) is None
    assert time.monotonic() - began >= 0.29


async def test_poll_timer_without_hints_waits_for_the_full_poll(timer):
    began = time.monotonic()
    assert await timer.wait(later(0.2)) is None
    assert time.monotonic() - began >= 0.19


async def test_poll_timer_told_to_poll_all_does_so_at_once_and_once(timer, waiter):
    timer.poll_all()
    assert await timer.wait(later(60)) is None
    assert await timer.wait(later(0.1)) is None
    waiting = asyncio.create_task(timer.wait(later(60)))
    await asyncio.sleep(0.05)
    timer.poll_all()
    assert await asyncio.wait_for(waiting, 30) is None
