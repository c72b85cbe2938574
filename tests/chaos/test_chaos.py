# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
Triggerer, scheduler and worker are killed while tags move: nothing is lost, nothing is delivered twice.

CHAOS_SEED chooses the tags, the times and who is killed; CHAOS_UPDATES the number of updates, with
CHAOS_SECONDS for all of them, and CHAOS_TRIGGERER, CHAOS_SCHEDULER and CHAOS_WORKER how often each is killed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.chaos.cluster import DAG_ID, REPOSITORY, Cluster, cluster, event_dag
from tests.chaos.ledger import Ledger, Verdict
from tests.chaos.plan import WORKER, Plan, count, number, print_row, run_plan, seed, settle

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1200)]

# A lost heartbeat is found after 20 s, at intervals of 10 s, and a repeated try waits for its turn.
AFTER_A_WORKER = 90.0


def print_table(
    plan: Plan, verdict: Verdict, killed: list[tuple[float, str]], running: Cluster, duplicates: int
) -> None:
    print_row(
        {
            "seed": plan.seed,
            "updates": f"{verdict.updates} in {plan.seconds:g} s",
            "kills": count(killed, ("triggerer", "scheduler", WORKER)),
            "stood two polls": verdict.standing,
            "delivered": verdict.delivered,
            "lost": len(verdict.lost),
            "invented": len(verdict.invented),
            "repeated": len(verdict.repeated),
            "with another id": len(verdict.renamed),
            "runs": len(running.run_ids()),
            "duplicates": duplicates,
        }
    )


def check(plan: Plan, folder: Path) -> None:
    with cluster(folder, {"chaos.py": event_dag(DAG_ID)}) as running:
        ledger = Ledger(running.registry, REPOSITORY)

        def judged() -> Verdict:
            return ledger.verdict(running.receiver.received("/hook"))

        killed = run_plan(running, plan, ledger)
        settle(running, lambda: not judged().lost)
        verdict, duplicates = judged(), len(running.verdicts("duplicate"))
        print_table(plan, verdict, killed, running, duplicates)
    workers = [at for at, who in killed if who == WORKER]
    assert not verdict.lost
    assert not verdict.invented
    assert not verdict.renamed
    assert not verdict.repeated_without(workers, AFTER_A_WORKER)
    assert verdict.delivered > 0
    assert duplicates <= verdict.delivered


@pytest.mark.short
def test_installation_with_a_short_storm_loses_and_invents_nothing(tmp_path: Path) -> None:
    check(Plan.drawn(seed(), 60, 32, {"triggerer": 2, "scheduler": 1, WORKER: 1}), tmp_path)


def test_installation_with_a_long_storm_loses_and_invents_nothing(tmp_path: Path) -> None:
    kills = {
        "triggerer": number("CHAOS_TRIGGERER", 6),
        "scheduler": number("CHAOS_SCHEDULER", 2),
        WORKER: number("CHAOS_WORKER", 2),
    }
    plan = Plan.drawn(seed(), number("CHAOS_UPDATES", 300), number("CHAOS_SECONDS", 150), kills)
    check(plan, tmp_path)
