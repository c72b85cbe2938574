# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Rules 9, 11 and 12: what a status means, what Retry-After says, and when to try again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_registry_triggers.webhook.outcome import (
    Outcome,
    check_success_statuses,
    classify_status,
    honors_retry_after,
)
from airflow_registry_triggers.webhook.retry_schedule import MAX_RETRY_AFTER, next_wait
from tests.unit.webhook.cases import tsv_cases

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


def test_classify_status_every_status_has_its_outcome() -> None:
    retried = {408, 425, 429} | (set(range(500, 600)) - {501, 505, 510, 511})
    for status in range(200, 600):
        outcome = classify_status(status)
        if status < 300:
            assert outcome is Outcome.DELIVERED, status
        elif status == 410:
            assert outcome is Outcome.GONE, status
        else:
            assert outcome is (Outcome.RETRY if status in retried else Outcome.FINAL), status


def test_outcome_values_are_stable() -> None:
    assert {outcome.value for outcome in Outcome} == {"delivered", "retry", "final", "gone"}


@pytest.mark.parametrize("status", [0, 99, 100, 103, 199, 600, 999, -200, True, "200", None, 200.5])
def test_classify_status_outside_200_to_599_raises(status: Any) -> None:
    with pytest.raises(ValueError, match="200 to 599"):
        classify_status(status)


def test_classify_status_success_statuses_are_delivered() -> None:
    assert classify_status(409, (409, 503)) is classify_status(503, [409, 503]) is Outcome.DELIVERED
    assert classify_status(410, {410}) is Outcome.DELIVERED
    assert classify_status(404, (409,)) is Outcome.FINAL
    assert classify_status(200, (409,)) is Outcome.DELIVERED


def test_classify_status_shared_cases_have_their_outcome() -> None:
    meaning = {"retry-after": "retry", "protocol-error": None, "not-final": None}
    wrong = []
    for row in tsv_cases("status-policy.tsv"):
        wanted = meaning.get(row["expected"], row["expected"])
        if row["status"] == "101":
            wanted = None  # the sender answers for it: see test_sender.py
        try:
            got = classify_status(int(row["status"])).value
        except ValueError:
            got = None
        if got != wanted:
            wrong.append((row, got))
    assert wrong == []


def test_check_success_statuses_valid_list_is_returned_once_each() -> None:
    assert check_success_statuses([409, 304, 409]) == (409, 304)
    assert check_success_statuses(()) == ()


@pytest.mark.parametrize(
    "listed", [[700], [199], ["409"], [True], [None], [409, 0], [[409]], 409, "409", None]
)
def test_check_success_statuses_invalid_list_raises(listed: Any) -> None:
    with pytest.raises(ValueError, match="success_statuses") as refused:
        check_success_statuses(listed)
    assert "409" in str(refused.value) or "200 to 599" in str(refused.value)


def test_honors_retry_after_408_425_429_and_5xx_only() -> None:
    assert [status for status in range(200, 600) if honors_retry_after(status)] == [
        408,
        425,
        429,
        *range(500, 600),
    ]


TABLE = [5, 30, 120, 300, 1800, 7200, 18000, 36000]


@pytest.mark.parametrize(("retry", "own"), [*enumerate(TABLE, start=1), (9, 36000), (100, 36000), (0, 5)])
def test_next_wait_without_retry_after_is_scheduled_plus_minus_20_percent(retry: int, own: float) -> None:
    assert next_wait(retry, random=lambda: 0.0).seconds == pytest.approx(own * 0.8)
    assert next_wait(retry, random=lambda: 0.5).seconds == pytest.approx(own)
    assert next_wait(retry, random=lambda: 1.0).seconds == pytest.approx(own * 1.2)


@given(
    st.integers(1, 12),
    st.floats(0, MAX_RETRY_AFTER),
    st.sampled_from([408, 425, 429, 503, "503"]),
    st.floats(0, 1),
)
def test_next_wait_with_retry_after_is_never_earlier(
    retry: int, asked: float, status: int | str, drawn: float
) -> None:
    wait = next_wait(retry, asked, status, random=lambda: drawn)
    longest = max(asked, TABLE[min(retry, 8) - 1])
    assert not wait.is_final
    assert longest <= wait.seconds <= longest * 1.2 + 1e-6


@given(st.integers(1, 12), st.floats(0, 1), st.sampled_from([429, "429"]))
def test_next_wait_429_without_retry_after_is_at_least_a_minute(
    retry: int, drawn: float, status: int | str
) -> None:
    wait = next_wait(retry, None, status, random=lambda: drawn)
    assert wait.seconds >= 60
    assert wait.seconds <= max(72, TABLE[min(retry, 8) - 1] * 1.2) + 1e-6


def test_next_wait_429_with_retry_after_uses_it() -> None:
    assert next_wait(1, 10, 429, random=lambda: 0.0).seconds == 10


def test_next_wait_over_a_day_is_final() -> None:
    assert not next_wait(1, 86400, 503).is_final
    wait = next_wait(1, 86401, 503)
    assert wait.is_final
    assert "24 h" in wait.reason


def test_next_wait_has_jitter() -> None:
    assert len({next_wait(8).seconds for _ in range(50)}) > 40
