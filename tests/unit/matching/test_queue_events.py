# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Asset events of queues as the inputs of a match."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from airflow.sdk import Asset
from airflow.sdk.execution_time import context as airflow_context

from airflow_registry_triggers.access_record import AccessRecord
from airflow_registry_triggers.inbound.queues import queue_push_id
from airflow_registry_triggers.matching.inputs import read_inputs
from airflow_registry_triggers.tag_rule import TagRule
from tests.unit.inbound.samples import EXPECTED, read_sample
from tests.unit.inbound.test_queues import FORMS
from tests.unit.memory_store import MemoryStore

QUEUE = Asset(name="queue", uri="sqs://queue")
REPOSITORY = Asset(name="oci://conn/team/app", uri="oci://conn/team/app")
AT = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)
ECR = "ecr_eventbridge.json"


@pytest.fixture(autouse=True)
def left_out(monkeypatch):
    found = {}

    class Accessors:
        def __init__(self, assets):
            self.asset = assets[0]

        def __getitem__(self, asset):
            return self

        def after(self, text):
            return self

        def before(self, text):
            return found.get(self.asset, [])

    monkeypatch.setattr(airflow_context, "InletEventsAccessors", Accessors)
    return found


def event(extra, at=AT):
    return SimpleNamespace(extra=extra, timestamp=at)


def inputs_of(events):
    run = SimpleNamespace(clear_number=0, run_after=AT, start_date=AT, conf=None)
    return read_inputs(
        {
            "triggering_asset_events": events,
            "dag_run": run,
            "ti": SimpleNamespace(try_number=1),
            "task_state_store": MemoryStore(),
        },
        None,
    )


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", [ECR, "dockerhub.json", "harbor_default_tagged.json", "quay.json"])
def test_read_inputs_of_a_queue_returns_its_pushes(form, name):
    write, message_id = FORMS[form]
    inputs = inputs_of({QUEUE: [event({"from_trigger": True, "payload": write(read_sample(name).decode())})]})
    wanted = [item for item in EXPECTED[name][1] if item.tag is not None]
    assert [(n.repository, n.tag, n.digest, n.registry) for n in inputs.valid] == [
        (item.repository, item.tag, item.digest, item.registry) for item in wanted
    ]
    for notification, item in zip(inputs.valid, wanted, strict=True):
        assert notification.id == (queue_push_id(item, message_id) or notification.id)
        assert len(notification.id) == 32
        assert notification.to_dict()["push_data"]["pushed_at"] == "2026-01-01 12:30:00"


def test_read_inputs_of_a_redelivered_message_has_the_same_id():
    body = FORMS["sqs"][0](read_sample(ECR).decode())
    inputs = inputs_of({QUEUE: [event(body), event(body, datetime(2026, 1, 2, tzinfo=UTC))]})
    first, second = inputs.valid
    assert first.id == second.id


def test_read_inputs_of_an_unknown_message_of_a_queue_is_malformed_and_of_another_payload_ignored():
    bad = FORMS["sqs"][0]('{"hunter2": 1}')
    inputs = inputs_of({QUEUE: [event(bad), event({"rows": 5}), event({}), event(None)]})
    (problem,) = inputs.problems
    assert inputs.valid == []
    assert "not a known webhook" in problem.reason
    assert "hunter2" not in problem.reason


def test_read_inputs_of_queue_and_repository_are_in_the_order_of_the_events():
    push = {"push_data": {"tag": "v1"}, "repository": {"repo_full_name": "team/app"}}
    later = datetime(2026, 1, 1, 13, tzinfo=UTC)
    inputs = inputs_of(
        {QUEUE: [event(read_sample(ECR).decode(), later)], REPOSITORY: [event({"payload": [push]})]}
    )
    assert inputs.valid[0].tag == "v1"
    assert len(inputs.valid) == 2


def test_read_inputs_of_a_queue_include_events_that_airflow_left_out(left_out):
    left_out[QUEUE] = [
        event(FORMS["sqs"][0](read_sample(ECR).decode()), datetime(2026, 1, 1, 12, 31, tzinfo=UTC))
    ]
    body = FORMS["sqs"][0](read_sample("quay.json").decode())
    assert len(inputs_of({QUEUE: [event(body)]}).valid) > len(
        [item for item in EXPECTED["quay.json"][1] if item.tag]
    )


def test_access_record_of_a_queues_push_has_no_repo_event():
    (notification,) = inputs_of({QUEUE: [event(read_sample(ECR).decode())]}).valid
    record = AccessRecord.of_verdict(
        notification, status_code="triggered", reason="", rule=TagRule(), trigger_name="t", try_number=1
    )
    assert record.repo_event == ""
