# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow_registry_triggers.access_record import AccessRecord
from airflow_registry_triggers.delivery.texts import failed_text, next_try_text, pending_text, retry_note

NOW = datetime(2026, 1, 31, 0, 30, tzinfo=UTC)
DUE = datetime(2026, 1, 31, 0, 34, 32, tzinfo=UTC)


def record(status="503", **values):
    known = {
        "trigger_name": "prod",
        "status_code": status,
        "trigger_log_id": "msg_1/1",
        "trigger_url": "http://127.0.0.1:18099/hook",
        "repository": "team/app",
        "tag": "v9",
        "reason": "because",
    }
    return AccessRecord(**{**known, **values})


def test_failed_text_of_one_webhook_names_image_receiver_and_status_within_80_characters():
    text = failed_text([record("422")], 1)
    assert text.startswith("1 of 1 webhooks failed: team/app:v9 → 127.0.0.1:18099 answered 422 (no retry). ")
    assert text.index("422") < 80


def test_failed_text_of_several_webhooks_counts_the_statuses():
    text = failed_text([record("404"), record("404"), record("422")], 5)
    assert text.startswith("3 of 5 webhooks failed: 2 x 404, 1 x 422; the first: team/app:v9 → ")


def test_failed_text_without_an_answer_names_the_error():
    text = failed_text([record("connection_refused", reason="no server listens on that port")], 1)
    assert "127.0.0.1:18099 connection refused: no server listens on that port (no retry)" in text


def test_pending_text_has_the_answer_the_next_try_and_the_retries_left():
    note = next_try_text(DUE, 6, 8, NOW)
    assert pending_text([record()], 0, 1, note) == (
        "1 of 1 not delivered yet: team/app:v9 → 127.0.0.1:18099 answered 503; "
        "next try about 00:34:32 UTC, 6 of 8 left"
    )


def test_pending_text_with_unsent_notifications_counts_them():
    assert "2 not sent yet" in pending_text([], 2, 3, "stopped")


def test_next_try_text_on_another_day_has_the_date():
    assert "2026-02-01 00:34:32 UTC" in next_try_text(DUE + timedelta(days=1), 6, 8, NOW)


def test_next_try_text_without_a_retry_left_says_so():
    assert next_try_text(None, 0, 8, NOW) == "no retry is left"


def test_retry_note_has_a_moment_and_no_duration():
    assert retry_note(DUE, 6, 8) == "a retry is due at 2026-01-31 00:34:32Z, 6 of 8 left"
