# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Tests of the entries that the page shows."""

from __future__ import annotations

import pytest

from airflow_registry_triggers.access_log.entries import reason_of, records_of, result_of
from airflow_registry_triggers.access_record import RETRY_NOTE, Status

RECORD = {
    "status_code": "503",
    "reason": f"503 Service Unavailable; {RETRY_NOTE}2026-11-26 12:00:00Z, 7 of 8 left",
}


@pytest.mark.parametrize("state", ["success", "failed", "skipped"])
def test_reason_of_an_ended_task_has_no_note_about_a_retry(state: str) -> None:
    assert reason_of(RECORD, state) == "503 Service Unavailable"


@pytest.mark.parametrize("state", ["up_for_retry", "running", None])
def test_reason_of_a_task_that_waits_keeps_the_note(state: str | None) -> None:
    assert reason_of(RECORD, state) == RECORD["reason"]


@pytest.mark.parametrize("status", [Status.MALFORMED, Status.DUPLICATE, Status.BLOCKED, Status.DRY_RUN])
def test_result_of_a_status_word_is_the_word(status: Status) -> None:
    assert result_of({"status_code": status.value}, "success") == status.value


def test_result_of_a_retryable_status_depends_on_the_state() -> None:
    assert result_of(RECORD, "up_for_retry") == "retrying"
    assert result_of(RECORD, "success") == "failed"


@pytest.mark.parametrize("value", [None, "text", 5, {"a": 1}, [1, None, "x"]])
def test_records_of_other_values_is_empty(value: object) -> None:
    assert records_of(value, "200") == []
