# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
Push mode: api-server, triggerer and scheduler are killed while tags move, and polls are 10 minutes apart.

The registry's own webhooks go to the api-server. CHAOS_SEED, CHAOS_UPDATES and CHAOS_SECONDS as in
test_chaos.py; CHAOS_API_SERVER, CHAOS_TRIGGERER and CHAOS_SCHEDULER are the numbers of kills.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

import pytest

from tests.chaos.cluster import DAG_ID, REPOSITORY, Cluster, cluster, event_dag
from tests.chaos.ledger import Ledger, Verdict
from tests.chaos.plan import TAGS, Plan, count, number, print_row, run_plan, seed, settle
from tests.chaos.standing import Outages, full_polls, stood

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1200)]

POLL_INTERVAL = 600

OUTLIVING = {
    ("scheduler", "task_instance_heartbeat_timeout"): "300",
    ("workers", "max_failed_heartbeats"): "20",
}
"""Tasks outlive an api-server that takes a minute to start on a slow machine: no worker is killed here."""

MAX_OUTAGE = 60.0
"""Seconds; a longer outage would excuse too many lost pushes."""


def print_table(
    plan: Plan, verdict: Verdict, killed: list[tuple[float, str]], outages: Outages, running: Cluster
) -> None:
    down = [outage.end - outage.begin for outage in outages.of_api_servers()]
    print_row(
        {
            "seed": plan.seed,
            "updates": f"{verdict.updates} in {plan.seconds:g} s",
            "kills": count(killed, ("api-server", "triggerer", "scheduler")),
            "api-server down, median": f"{statistics.median(down or [0]):.0f} s",
            "full polls": len(full_polls(running, REPOSITORY)),
            "stood 5 s": verdict.standing,
            "delivered": verdict.delivered,
            "lost": len(verdict.lost),
            "invented": len(verdict.invented),
            "repeated": len(verdict.repeated),
            "with another id": len(verdict.renamed),
            "overtaken": len(verdict.overtaken),
            "runs": len(running.run_ids()),
            "duplicates": len(running.verdicts("duplicate")),
        }
    )


def check(plan: Plan, folder: Path) -> None:
    # Runs that are active at the same time can overtake each other.
    dags = {"chaos.py": event_dag(DAG_ID, max_active_runs=1)}
    extra = {"poll_interval": POLL_INTERVAL}
    with cluster(folder, dags, settings=OUTLIVING, extra=extra, push_mode=True) as running:
        ledger, outages = Ledger(running.registry, REPOSITORY), Outages(running, REPOSITORY)

        def judged() -> Verdict:
            return ledger.verdict(running.receiver.received("/hook"), stood(outages.all()))

        killed = run_plan(running, plan, ledger, outages.record)
        # An outage ends with an answer to a webhook or with a poll, so that one push must follow the last kill.
        ledger.push(TAGS[0])
        settle(running, lambda: not judged().lost)
        verdict, longest = judged(), max(outage.end - outage.begin for outage in outages.all())
        print_table(plan, verdict, killed, outages, running)
    assert longest < MAX_OUTAGE
    assert not verdict.lost
    assert not verdict.invented
    assert not verdict.renamed
    assert not verdict.overtaken
    # No worker is killed, and workers of Celery outlive a scheduler.
    assert not verdict.repeated
    assert verdict.standing > 0


@pytest.mark.short
def test_push_mode_with_a_short_storm_loses_and_invents_nothing(tmp_path: Path) -> None:
    check(Plan.drawn(seed(), 40, 32, {"api-server": 1, "triggerer": 1, "scheduler": 1}), tmp_path)


def test_push_mode_with_a_long_storm_loses_and_invents_nothing(tmp_path: Path) -> None:
    kills = {
        "api-server": number("CHAOS_API_SERVER", 4),
        "triggerer": number("CHAOS_TRIGGERER", 4),
        "scheduler": number("CHAOS_SCHEDULER", 2),
    }
    plan = Plan.drawn(seed(), number("CHAOS_UPDATES", 300), number("CHAOS_SECONDS", 240), kills)
    check(plan, tmp_path)
