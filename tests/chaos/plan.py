# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A plan of tag updates and kills that a seed repeats, and its execution on an installation."""

from __future__ import annotations

import os
import random
import secrets
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.harness.airflow_rest import RestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tests.chaos.cluster import Cluster
    from tests.chaos.ledger import Ledger

__all__ = ["TAGS", "WORKER", "Plan", "count", "number", "print_row", "run_plan", "seed", "settle"]

TAGS = [f"t{number}" for number in range(10)]

WORKER = "celery worker"

APART = {
    # Airflow gives the watchers of a dead triggerer to the next one after 5 to 12 s; killing one that watches
    # nothing tests nothing.
    "triggerer": 14.0,
    # An api-server answers 15 to 20 s after its start while other processes start too.
    "api-server": 30.0,
}
"""Seconds between two kills of a component, at least."""


@dataclass(frozen=True)
class Plan:
    """Updates and kills with their times, in seconds from the beginning."""

    seed: int
    seconds: float
    updates: list[tuple[float, str]]
    kills: list[tuple[float, str]]

    @classmethod
    def drawn(cls, seed: int, updates: int, seconds: float, kills: Mapping[str, int]) -> Plan:
        """
        Draw a plan.

        :param seed: the same gives the same plan
        :param updates: number of updates
        :param seconds: time within which all of it happens
        :param kills: number of kills of each component
        """
        random_ = random.Random(seed)
        # Some tags move often and some seldom, so that some states stand for long and some for a moment.
        weights = [1 / (1 + number) for number in range(len(TAGS))]
        tags = random_.choices(TAGS, weights, k=updates)
        times = sorted(random_.uniform(0, seconds) for _ in range(updates))
        planned = [
            (at, component)
            for component, apart in APART.items()
            for at in _spread(random_, kills.get(component, 0), seconds, apart)
        ]
        planned += [(random_.uniform(0, seconds), "scheduler") for _ in range(kills.get("scheduler", 0))]
        # The worker's turn is in the last third: what is repeated before that has no excuse.
        workers = kills.get(WORKER, 0)
        planned += [(random_.uniform(seconds * 2 / 3, seconds), WORKER) for _ in range(workers)]
        return cls(seed, seconds, list(zip(times, tags, strict=True)), sorted(planned))


def _spread(random_: random.Random, count: int, seconds: float, apart: float) -> list[float]:
    """Draw times that are at least so many seconds apart."""
    if not count:
        return []
    free = seconds - (count - 1) * apart
    assert free > 0, f"{count} kills do not fit into {seconds:g} s"
    drawn = sorted(random_.uniform(0, free) for _ in range(count))
    return [at + number * apart for number, at in enumerate(drawn)]


def _kill_as_planned(
    running: Cluster, plan: Plan, begin: float, after_kill: Callable[[float, str], None]
) -> list[tuple[float, str]]:
    killed = []
    for at, component in plan.kills:
        time.sleep(max(0.0, begin + at - time.monotonic()))
        killed.append((running.kill(component), component))
        after_kill(*killed[-1])
    return killed


def _push_as_planned(ledger: Ledger, plan: Plan, begin: float) -> None:
    for at, tag in plan.updates:
        time.sleep(max(0.0, begin + at - time.monotonic()))
        ledger.push(tag)


def run_plan(
    running: Cluster,
    plan: Plan,
    ledger: Ledger,
    after_kill: Callable[[float, str], None] = lambda _at, _component: None,
) -> list[tuple[float, str]]:
    """
    Push and kill as planned, after a baseline; return the kills with their times (``time.time()``).

    :param after_kill: called with time and component of each kill
    """
    ledger.baseline(TAGS)
    running.begin()
    running.wait_for_baseline()
    running.registry.forget_requests()
    begin = time.monotonic()
    pusher = threading.Thread(target=_push_as_planned, args=(ledger, plan, begin))
    pusher.start()
    killed = _kill_as_planned(running, plan, begin, after_kill)
    pusher.join()
    return killed


def settle(running: Cluster, has_arrived: Callable[[], bool], timeout: float = 480.0) -> None:
    """Wait until all that must arrive has arrived and no run is active; or until the time is over."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        time.sleep(2)
        try:
            active = running.active_runs()
        except (RestError, OSError):
            continue
        if not active and has_arrived():
            time.sleep(5)  # for what must not come
            if not running.active_runs():
                return


def number(name: str, default: int) -> int:
    """Return the number in an environment variable."""
    return int(os.environ.get(name) or default)


def seed() -> int:
    """Return and print the seed: CHAOS_SEED, or a random one."""
    drawn = number("CHAOS_SEED", secrets.randbelow(1_000_000))
    print(f"CHAOS_SEED={drawn}")
    return drawn


def count(killed: Iterable[tuple[float, str]], components: Iterable[str]) -> str:
    """Return the number of kills of each component as a text."""
    names = [who for _, who in killed]
    return ", ".join(f"{component} {names.count(component)}" for component in components)


def print_row(cells: Mapping[str, object]) -> None:
    """Print a table of one row."""
    print(f"\n| {' | '.join(cells)} |\n|{'---|' * len(cells)}\n| {' | '.join(map(str, cells.values()))} |")
