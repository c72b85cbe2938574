# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

import json

import pytest

from airflow_registry_triggers.access_record import (
    BODY_LEFT_OUT,
    VERDICTS,
    AccessRecord,
    AccessRecordDict,
    RecordSummary,
    Status,
)
from airflow_registry_triggers.notification import Notification
from airflow_registry_triggers.tag_rule import TagRule

NOTIFICATION = Notification.from_dict(
    {
        "push_data": {"digest": "sha256:d", "tag": "v1"},
        "repository": {"repo_full_name": "team/app"},
        "event": {"id": "e1", "action": "updated", "registry": "r.example"},
    }
)

REGISTRYS_NAMES = [
    "trigger_name",
    "trigger_url",
    "trigger_type",
    "trigger_tag",
    "repo_event",
    "trigger_log_id",
    "status_code",
    "request_time",
    "request_headers",
    "request_body",
    "response_headers",
    "response_body",
]
OUR_NAMES = [
    "notification_id",
    "registry",
    "repository",
    "tag",
    "digest",
    "reason",
    "duration_ms",
    "try_number",
    "attempts",
]


def record(**values):
    return AccessRecord(
        **{"trigger_name": "prod", "status_code": "200", "trigger_log_id": "msg_1/1", **values}
    )


def test_to_dict_of_any_record_has_all_fields():
    assert set(record().to_dict()) == {*REGISTRYS_NAMES, *OUR_NAMES, "ambiguous"}
    assert set(record().to_dict()) == set(AccessRecordDict.__annotations__)


def test_of_verdict_with_a_rule_fills_rule_and_notification():
    of_verdict = AccessRecord.of_verdict(
        NOTIFICATION,
        status_code=Status.UNTRIGGERED,
        reason="no",
        trigger_name="prod",
        rule=TagRule(tags=["a", "b"]),
        try_number=2,
    )
    fields = of_verdict.to_dict()
    assert fields["trigger_type"] == "TAG_LIST"
    assert fields["trigger_tag"] == "a,b"
    assert fields["repo_event"] == "updated"
    assert fields["registry"] == "r.example"
    assert (fields["repository"], fields["tag"], fields["digest"]) == ("team/app", "v1", "sha256:d")
    assert (fields["notification_id"], fields["trigger_log_id"]) == ("e1", "e1")
    assert fields["duration_ms"] is None
    assert fields["request_time"].endswith("Z")


def test_of_malformed_with_a_value_names_value_and_reason():
    fields = AccessRecord.of_malformed(
        "v1", reason="value 1: bad", trigger_name="prod", try_number=3
    ).to_dict()
    assert fields["status_code"] == "malformed"
    assert fields["reason"] == "value 1: bad"
    assert (fields["trigger_log_id"], fields["try_number"]) == ("v1", 3)


def test_log_fields_of_a_record_are_flat_and_prefixed():
    fields = record(response_headers={"X": "1"}, attempts=({"try_number": 1},)).log_fields()
    assert all(name.startswith("access_") for name in fields)
    assert all(isinstance(value, str | int | None) for value in fields.values())
    assert json.loads(fields["access_response_headers"]) == {"X": "1"}
    assert json.loads(fields["access_attempts"]) == [{"try_number": 1}]


def test_log_fields_of_a_record_begin_with_status_image_and_reason():
    names = [name.removeprefix("access_") for name in record().log_fields()]
    assert names[:4] == ["status_code", "repository", "tag", "reason"]
    assert names[-1] == "attempts"


@pytest.mark.parametrize("name", ["request_body", "response_body"])
def test_without_bodies_with_a_body_replaces_it_by_a_note(name):
    assert getattr(record(**{name: "x" * 1000}).without_bodies(), name) == BODY_LEFT_OUT
    assert getattr(record().without_bodies(), name) == ""


def test_without_headers_with_a_reason_keeps_it():
    kept = record(
        request_headers={"a": "b"}, attempts=({"x": 1},), request_body="x", reason="why"
    ).without_headers()
    assert (kept.request_headers, kept.response_headers, kept.attempts) == ({}, {}, ())
    assert (kept.request_body, kept.reason) == (BODY_LEFT_OUT, "why")


def test_summary_of_a_record_has_six_fields():
    summary = record(
        notification_id="e1", repository="team/app", tag="v1", digest="sha256:d", reason="ok"
    ).summary()
    assert summary == {
        "id": "e1", "repository": "team/app", "tag": "v1", "digest": "sha256:d", "status_code": "200", "reason": "ok",
    }  # fmt: skip
    assert set(summary) == set(RecordSummary.__annotations__)


@pytest.mark.parametrize(
    "name", ["trigger_name", "repository", "tag", "digest", "registry", "reason", "notification_id"]
)
@pytest.mark.parametrize("char", ["n", "\n", "\U0001f433"])
def test_record_with_a_long_text_keeps_its_beginning_and_an_ellipsis(name, char):
    text = getattr(record(**{name: char * 100_000}), name)
    assert len(json.dumps(text)) <= 4096 + len('""')
    assert text.endswith("…")
    assert set(text[:-1]) == {char}
    assert getattr(record(**{name: text}), name) == text, "a copy is not cut a second time"


def test_record_of_the_longest_dag_and_task_id_keeps_the_name():
    name = f"{'d' * 250}.{'t' * 250}"
    assert record(trigger_name=name).trigger_name == name


def test_of_a_notification_with_long_texts_is_short():
    long = "x" * 1_000_000
    notification = Notification.from_dict(
        {
            "push_data": {"digest": long, "tag": long},
            "repository": {"repo_full_name": long},
            "event": {"id": long, "action": long, "registry": long, "trigger": {"type": long, "tag": long}},
        }
    )
    of = AccessRecord.of(notification, status_code="200", trigger_name=long, reason=long)
    assert len(json.dumps(of.to_dict())) < 20_000


def test_to_dict_after_a_json_round_trip_is_equal():
    fields = record(status_code=Status.TIMEOUT, attempts=({"try_number": 1},)).to_dict()
    assert AccessRecord(**json.loads(json.dumps(fields))).to_dict() == fields
    assert type(fields["status_code"]) is str


def test_verdicts_compared_with_statuses_are_those_without_http():
    assert [str(status) for status in VERDICTS] == ["triggered", "untriggered", "duplicate", "malformed"]


def test_to_dict_of_a_test_or_a_retry_has_the_optional_fields():
    fields = record(is_test=True, retries_left=0, next_try_at="2026-01-31T00:34:32Z").to_dict()
    assert (fields["is_test"], fields["retries_left"], fields["next_try_at"]) == (
        True,
        0,
        "2026-01-31T00:34:32Z",
    )


def test_log_fields_of_a_record_show_status_image_and_reason_within_120_characters():
    fields = record(
        repository="team/app", tag="release-v1", reason="the receiver answered 503: busy"
    ).log_fields()
    line = "access " + " ".join(f"{name}={value}" for name, value in fields.items())
    for text in ("200", "team/app", "release-v1", "the receiver answered 503"):
        assert text in line[:120]
