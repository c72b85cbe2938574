# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

import logging

import pytest

from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.watcher import backoff as module
from airflow_registry_triggers.watcher.backoff import FIRST_BACK_OFF, MAX_BACK_OFF, FailureBackoff


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, logger=module.__name__)
    return lambda: [record.message for record in caplog.records]


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch):
    monkeypatch.setattr(module.random, "uniform", lambda low, high: (low + high) / 2)


def error(kind="unavailable", retry_after=None):
    return RegistryError(f"the registry said {kind}", kind=kind, retry_after=retry_after)


def test_backoff_failures_double_the_pause_up_to_five_minutes():
    backoff = FailureBackoff("watcher")
    pauses = [backoff.record_failure(error(), 1.0) for _ in range(12)]
    assert pauses[:4] == [5, 10, 20, 40]
    assert pauses[-1] == MAX_BACK_OFF


def test_backoff_pause_is_not_shorter_than_the_poll_interval():
    assert FailureBackoff("watcher").record_failure(error(), 60.0) == 60


@pytest.mark.parametrize(("retry_after", "pause"), [(2, 5), (90, 90), (86_400, 3600)])
def test_backoff_retry_after_prolongs_the_pause_up_to_an_hour(retry_after, pause):
    assert FailureBackoff("watcher").record_failure(error(retry_after=retry_after), 1.0) == pause


def test_backoff_success_resets_the_pause():
    backoff = FailureBackoff("watcher")
    for _ in range(5):
        backoff.record_failure(error(), 1.0)
    backoff.record_success()
    assert backoff.failures == 0
    assert backoff.record_failure(error(), 1.0) == FIRST_BACK_OFF


def test_backoff_that_missed_a_hint_begins_with_the_shortest_pause_until_a_success():
    backoff = FailureBackoff("watcher")
    backoff.missed_hint = True
    pauses = [backoff.record_failure(error(), 3600.0) for _ in range(8)]
    assert pauses == [5, 10, 20, 40, 80, 160, MAX_BACK_OFF, MAX_BACK_OFF]
    backoff.record_success()
    assert backoff.record_failure(error(), 60.0) == 60


def test_backoff_logs_each_kind_once_and_the_recovery_once(lines):
    backoff = FailureBackoff("watcher of team/app")
    for kind in ("unavailable", "unavailable", "credentials", "credentials"):
        backoff.record_failure(error(kind), 1.0)
    backoff.record_success()
    backoff.record_success()
    assert lines() == [
        "watcher of team/app: the registry said unavailable; the watcher retries",
        "watcher of team/app: the registry said credentials; the watcher retries",
        "watcher of team/app: recovered after 4 failures",
    ]


def test_backoff_unexpected_error_is_logged_with_its_class(lines):
    FailureBackoff("watcher").record_failure(KeyError("x"), 1.0)
    assert lines() == ["watcher: KeyError: 'x'; the watcher retries"]
