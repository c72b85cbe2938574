# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""What tasks leave for the access log besides records: the link to it, and metrics."""

from __future__ import annotations

import sys
from urllib.parse import parse_qs, urlsplit

import pytest

from airflow_registry_triggers import (
    RegistryPushSensor,
    TriggerMatchOperator,
    WebhookDeliverOperator,
)
from airflow_registry_triggers.access_record import AccessRecord
from airflow_registry_triggers.common import metrics
from tests.harness.dag_test import run_dag
from tests.harness.receiver import Answer
from tests.integration.test_chain import new_dag, notification

pytestmark = pytest.mark.airflow


class Collector:
    """A backend of Airflow's Stats that keeps what it gets."""

    def __init__(self):
        self.counts, self.timings, self.tags = {}, {}, []

    def incr(self, stat, count=1, rate=1, *, tags=None):
        self.counts[stat] = self.counts.get(stat, 0) + count
        self.tags.append(tags)

    def timing(self, stat, dt, *, tags=None):
        self.timings.setdefault(stat, []).append(dt)

    def __getattr__(self, name):
        from airflow.sdk._shared.observability.metrics.base_stats_logger import NoStatsLogger

        return getattr(NoStatsLogger(), name)


@pytest.fixture
def collected():
    from airflow.sdk.observability.stats import Stats

    collector = Collector()
    Stats.initialize(factory=lambda: collector, export_legacy_names=False)
    yield collector
    from airflow.sdk._shared.observability.metrics.base_stats_logger import NoStatsLogger

    Stats.initialize(factory=NoStatsLogger, export_legacy_names=True)


def chain_of(items):
    with new_dag() as dag:
        match = TriggerMatchOperator(
            task_id="match", trigger_name="to prod, eu", tags=["a", "b"], notifications=items
        )
        WebhookDeliverOperator(
            task_id="deliver", notifications=match.output, webhook_conn_id="webhook_default", retries=0
        )
    return dag


def some(*tags):
    return [notification(tag, id=f"{n:032x}", registry="r.example") for n, tag in enumerate(tags)]


def test_metrics_of_a_chain_count_each_status(chain, collected):
    chain.receiver.script("/hook", Answer(200), Answer(404))
    run_dag(chain_of(some("a", "b", "c")))
    ours = {name: count for name, count in collected.counts.items() if name.startswith("registry_triggers.")}
    assert ours == {
        "registry_triggers.verdicts.triggered": 2,
        "registry_triggers.verdicts.untriggered": 1,
        "registry_triggers.deliveries.200": 1,
        "registry_triggers.deliveries.404": 1,
    }
    durations = collected.timings[metrics.DURATION]
    assert len(durations) == 2
    assert all(0 <= duration < 60_000 for duration in durations)
    triggers = {tags["trigger"] for tags in collected.tags if tags and "trigger" in tags}
    assert triggers == {"to_prod__eu"}, "no character that a StatsD line is split at"


def test_metrics_of_a_sensor_count_its_pushes(chain, collected):
    chain.push("v1", "v2")
    with new_dag() as dag:
        RegistryPushSensor(
            task_id="push", repository=chain.repository, first_run="notify", poke_interval=0.1, timeout=10
        )
    run_dag(dag)
    assert collected.counts[metrics.DETECTED] == 2


def test_metrics_without_airflows_stats_count_nothing(monkeypatch):
    for module in ("airflow.observability.stats", "airflow.sdk.observability.stats"):
        monkeypatch.setitem(sys.modules, module, None)
    metrics.count_detected(1, metrics.WATCHER)
    metrics.count_record(
        AccessRecord(trigger_name="prod", status_code="200", trigger_log_id="msg_1/1", duration_ms=3)
    )


@pytest.mark.parametrize("task", ["match", "deliver"])
def test_link_of_a_failed_task_opens_its_records(chain, task):
    chain.receiver.script("/hook", Answer(404))
    dag = chain_of(some("a"))
    run = run_dag(dag)
    assert run.states["deliver"] == "failed"
    link = urlsplit(run.xcoms[task]["_link_AccessLogLink"])
    assert link.path == "/plugin/access-log"
    assert parse_qs(link.query) == {"dag_id": [dag.dag_id], "run_id": [run.run_id], "task_id": [task]}


def test_link_of_a_mapped_task_has_its_index(monkeypatch):
    from airflow.sdk.types import TaskInstanceKey

    from airflow_registry_triggers.links.access_log import AccessLogLink

    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.com/team-a/")
    key = TaskInstanceKey(dag_id="d", task_id="t", run_id="r+1", try_number=1, map_index=3)
    link = AccessLogLink().get_link(None, ti_key=key)
    assert link == "/team-a/plugin/access-log?dag_id=d&run_id=r%2B1&task_id=t&map_index=3"
