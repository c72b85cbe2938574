# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

import importlib

import pytest

from airflow_registry_triggers.access_record import AccessRecord
from airflow_registry_triggers.common import metrics


class RecordedStats:
    def __init__(self):
        self.calls = []

    def incr(self, name, count=1, *, tags):
        self.calls.append((name, count, tags))

    def timing(self, name, milliseconds, *, tags):
        self.calls.append((name, milliseconds, tags))


@pytest.fixture
def stats(monkeypatch):
    recorded = {}
    for name in ("airflow.observability.stats", "airflow.sdk.observability.stats"):
        recorded[name] = RecordedStats()
        monkeypatch.setattr(importlib.import_module(name), "Stats", recorded[name])
    return recorded


def record(**values):
    return AccessRecord(trigger_log_id="1", **{"trigger_name": "prod", "status_code": "200", **values})


def test_count_detected_of_a_sensor_uses_the_stats_of_tasks(stats):
    metrics.count_detected(3, metrics.SENSOR)
    assert stats["airflow.sdk.observability.stats"].calls == [
        ("registry_triggers.notifications_detected", 3, {"source": "sensor"})
    ]
    assert stats["airflow.observability.stats"].calls == []


def test_count_detected_of_a_watcher_uses_the_stats_of_the_triggerer(stats):
    metrics.count_detected(1, metrics.WATCHER)
    assert [name for name, used in stats.items() if used.calls] == ["airflow.observability.stats"]


def test_count_detected_of_zero_pushes_counts_nothing(stats):
    metrics.count_detected(0, metrics.SENSOR)
    assert not any(used.calls for used in stats.values())


def test_count_record_of_an_attempt_counts_its_status_and_duration(stats):
    metrics.count_record(record(duration_ms=12))
    assert stats["airflow.sdk.observability.stats"].calls == [
        ("registry_triggers.deliveries.200", 1, {"trigger": "prod", "status": "200"}),
        ("registry_triggers.delivery_duration", 12.0, {"trigger": "prod", "status": "200"}),
    ]


def test_count_record_of_a_match_counts_a_verdict(stats):
    metrics.count_record(record(status_code="untriggered"))
    ((name, _, _),) = stats["airflow.sdk.observability.stats"].calls
    assert name == "registry_triggers.verdicts.untriggered"


def test_count_record_trigger_name_that_statsd_refuses_is_replaced(stats):
    metrics.count_record(record(trigger_name="a:b|c" + "x" * 200))
    ((_, _, tags),) = stats["airflow.sdk.observability.stats"].calls
    assert tags["trigger"] == "a_b_c" + "x" * 95


def test_count_record_without_airflows_stats_counts_nothing(monkeypatch):
    monkeypatch.delattr("airflow.sdk.observability.stats.Stats")
    metrics.count_record(record())
