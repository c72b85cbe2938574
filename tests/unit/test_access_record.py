# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

import json

from airflow_registry_triggers.access_record import (
    BODY_LEFT_OUT,
    AccessRecord,
    by_status_code,
    within_limit,
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


def test_the_fields_are_those_of_the_design():
    assert set(record().to_dict()) == {*REGISTRYS_NAMES, *OUR_NAMES, "ambiguous"}


def test_a_verdicts_record():
    of_verdict = AccessRecord.of_verdict(
        NOTIFICATION,
        status_code="untriggered",
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


def test_the_log_line_is_flat_and_prefixed():
    fields = record(response_headers={"X": "1"}, attempts=({"try_number": 1},)).log_fields()
    assert all(name.startswith("access_") for name in fields)
    assert all(isinstance(value, str | int | None) for value in fields.values())
    assert json.loads(fields["access_response_headers"]) == {"X": "1"}
    assert json.loads(fields["access_attempts"]) == [{"try_number": 1}]


def test_records_are_grouped_by_status_code():
    groups = by_status_code(within_limit([record(), record(status_code="500"), record(tag="b")]))
    assert set(groups) == {"access_log.200", "access_log.500"}
    assert [item["tag"] for item in groups["access_log.200"]] == ["", "b"]


def test_bodies_beyond_the_limit_are_left_out_and_say_so():
    records = [record(request_body="x" * 1000, response_body="y") for _ in range(5)]
    kept = within_limit(records, limit=4000)
    assert [item["request_body"] == BODY_LEFT_OUT for item in kept] == [False, False, True, True, True]
    assert kept[-1]["response_body"] == BODY_LEFT_OUT
    assert within_limit([record()], limit=0)[0]["request_body"] == ""


def test_json_survives():
    fields = record(attempts=({"try_number": 1},)).to_dict()
    assert AccessRecord(**json.loads(json.dumps(fields))).to_dict() == fields
