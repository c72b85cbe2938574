# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
Triggerer, scheduler and worker are killed while tags move: nothing is lost, nothing is delivered twice.

CHAOS_SEED chooses the tags, the times and who is killed; CHAOS_UPDATES the number of updates, with
CHAOS_SECONDS for all of them, and CHAOS_TRIGGERER, CHAOS_SCHEDULER and CHAOS_WORKER how often each is killed.
"""

from __future__ import annotations

import os
import random
import secrets
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.chaos.cluster import DAG_ID, REPOSITORY, Cluster, cluster, event_dag
from tests.chaos.ledger import Ledger, Verdict
from tests.harness.airflow_rest import RestError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1200)]

TAGS = [f"t{number}" for number in range(10)]

# Airflow gives the watchers of a dead triggerer to the next one after 5 to 12 s; killing one that watches
# nothing tests nothing.
BETWEEN_TRIGGERERS = 14.0

# A lost heartbeat is found after 20 s, at intervals of 10 s, and a repeated try waits for its turn.
AFTER_A_WORKER = 90.0

WORKER = "celery worker"


@dataclass(frozen=True)
class Plan:
    """What happens and when, in seconds from the beginning."""

    seed: int
    seconds: float
    updates: list[tuple[float, str]]
    kills: list[tuple[float, str]]

    @classmethod
    def drawn(cls, seed: int, updates: int, seconds: float, kills: dict[str, int]) -> Plan:
        """
        Draw a plan.

        :param seed: the same gives the same plan
        :param updates: how many
        :param seconds: within which all of it happens
        :param kills: how often each component
        """
        random_ = random.Random(seed)
        # Some tags move often and some seldom, so that some states stand for long and some for a moment.
        weights = [1 / (1 + number) for number in range(len(TAGS))]
        tags = random_.choices(TAGS, weights, k=updates)
        times = sorted(random_.uniform(0, seconds) for _ in range(updates))
        planned = [(at, "triggerer") for at in _spread(random_, kills["triggerer"], seconds)]
        planned += [(random_.uniform(0, seconds), "scheduler") for _ in range(kills["scheduler"])]
        # The worker's turn is in the last third: what is repeated before that has no excuse.
        planned += [(random_.uniform(seconds * 2 / 3, seconds), WORKER) for _ in range(kills[WORKER])]
        return cls(seed, seconds, list(zip(times, tags, strict=True)), sorted(planned))


def _spread(random_: random.Random, count: int, seconds: float) -> list[float]:
    """Draw times that are at least BETWEEN_TRIGGERERS apart."""
    free = seconds - (count - 1) * BETWEEN_TRIGGERERS
    assert free > 0, f"{count} kills do not fit into {seconds:g} s"
    drawn = sorted(random_.uniform(0, free) for _ in range(count))
    return [at + number * BETWEEN_TRIGGERERS for number, at in enumerate(drawn)]


def kill_as_planned(running: Cluster, plan: Plan, begin: float) -> list[tuple[float, str]]:
    killed = []
    for at, component in plan.kills:
        time.sleep(max(0.0, begin + at - time.monotonic()))
        killed.append((running.kill(component), component))
    return killed


def push_as_planned(ledger: Ledger, plan: Plan, begin: float) -> None:
    for at, tag in plan.updates:
        time.sleep(max(0.0, begin + at - time.monotonic()))
        ledger.push(tag)


def settle(running: Cluster, ledger: Ledger, timeout: float = 240.0) -> None:
    """Wait until all that must arrive has arrived and no run is active; or until nothing happens any more."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        time.sleep(2)
        try:
            active = running.active_runs()
        except (RestError, OSError):
            continue
        if not active and not ledger.verdict(running.receiver.received("/hook")).lost:
            time.sleep(5)  # for what must not come
            if not running.active_runs():
                return


def run_plan(running: Cluster, plan: Plan) -> tuple[Verdict, list[tuple[float, str]]]:
    ledger = Ledger(running.registry, REPOSITORY)
    ledger.baseline(TAGS)
    running.begin()
    running.wait_for_baseline()
    running.registry.forget_requests()
    begin = time.monotonic()
    pusher = threading.Thread(target=push_as_planned, args=(ledger, plan, begin))
    pusher.start()
    killed = kill_as_planned(running, plan, begin)
    pusher.join()
    settle(running, ledger)
    return ledger.verdict(running.receiver.received("/hook")), killed


def print_table(
    plan: Plan, verdict: Verdict, killed: list[tuple[float, str]], running: Cluster, duplicates: int
) -> None:
    counts = ", ".join(
        f"{name} {sum(who == name for _, who in killed)}" for name in ("triggerer", "scheduler", WORKER)
    )
    cells = {
        "seed": plan.seed,
        "updates": f"{verdict.updates} in {plan.seconds:g} s",
        "kills": counts,
        "stood two polls": verdict.standing,
        "delivered": verdict.delivered,
        "lost": len(verdict.lost),
        "invented": len(verdict.invented),
        "repeated": len(verdict.repeated),
        "with another id": len(verdict.renamed),
        "runs": len(running.run_ids()),
        "duplicates": duplicates,
    }
    print(f"\n| {' | '.join(cells)} |\n|{'---|' * len(cells)}\n| {' | '.join(map(str, cells.values()))} |")


def check(plan: Plan, folder: Path) -> None:
    with cluster(folder, {"chaos.py": event_dag(DAG_ID)}) as running:
        verdict, killed = run_plan(running, plan)
        duplicates = len(running.verdicts("duplicate"))
        print_table(plan, verdict, killed, running, duplicates)
    workers = [at for at, who in killed if who == WORKER]
    assert not verdict.lost
    assert not verdict.invented
    assert not verdict.renamed
    assert not verdict.repeated_without(workers, AFTER_A_WORKER)
    assert verdict.delivered > 0
    assert duplicates <= verdict.delivered


def number(name: str, default: int) -> int:
    return int(os.environ.get(name) or default)


@pytest.mark.short
def test_installation_with_a_short_storm_loses_and_invents_nothing(tmp_path: Path) -> None:
    seed = number("CHAOS_SEED", secrets.randbelow(1_000_000))
    print(f"CHAOS_SEED={seed}")
    check(Plan.drawn(seed, 60, 32, {"triggerer": 2, "scheduler": 1, WORKER: 1}), tmp_path)


def test_installation_with_a_long_storm_loses_and_invents_nothing(tmp_path: Path) -> None:
    seed = number("CHAOS_SEED", secrets.randbelow(1_000_000))
    print(f"CHAOS_SEED={seed}")
    kills = {
        "triggerer": number("CHAOS_TRIGGERER", 6),
        "scheduler": number("CHAOS_SCHEDULER", 2),
        WORKER: number("CHAOS_WORKER", 2),
    }
    plan = Plan.drawn(seed, number("CHAOS_UPDATES", 300), number("CHAOS_SECONDS", 150), kills)
    check(plan, tmp_path)
