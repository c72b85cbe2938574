# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The operator that stores hints, with the messages of each queue."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from airflow.sdk import Asset, Connection
from airflow.sdk.exceptions import AirflowFailException
from airflow.sdk.execution_time import context as airflow_context

from airflow_registry_triggers import RegistryHintOperator
from airflow_registry_triggers.common.state_store import STATE_ASSET
from airflow_registry_triggers.exceptions import MalformedNotifications
from airflow_registry_triggers.hooks.registry import RegistryHook
from airflow_registry_triggers.inbound.hint_row import merge, newer_than
from tests.unit.inbound.samples import EXPECTED, read_sample
from tests.unit.inbound.test_queues import FORMS
from tests.unit.memory_store import MemoryStore

QUEUE = Asset(name="queue", uri="sqs://queue")
REPOSITORY = Asset(name="oci://conn/team/app", uri="oci://conn/team/app")
ECR = "ecr_eventbridge.json"
KEY = "hints/tasks"


@pytest.fixture(autouse=True)
def connection(monkeypatch):
    current = {"conn_type": "oci_registry", "extra": {"queue_hints": True}}
    monkeypatch.setattr(
        RegistryHook,
        "get_connection",
        lambda conn_id: Connection(
            conn_id=conn_id, conn_type=current["conn_type"], extra=json.dumps(current["extra"])
        ),
    )
    return current


@pytest.fixture(autouse=True)
def left_out(monkeypatch):
    """Events that Airflow leaves out of the run."""
    found = []

    class Accessors:
        def __init__(self, assets):
            pass

        def __getitem__(self, asset):
            return self

        def after(self, text):
            return self

        def before(self, text):
            return found

    monkeypatch.setattr(airflow_context, "InletEventsAccessors", Accessors)
    return found


def event(extra, second=1):
    return SimpleNamespace(extra=extra, timestamp=datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC))


class Context(dict):
    def __init__(self, *events, asset=QUEUE, store=None):
        self.store = store or MemoryStore()
        start = datetime(2026, 1, 1, tzinfo=UTC)
        super().__init__(
            triggering_asset_events={asset: list(events)},
            asset_state_store={STATE_ASSET: self.store},
            dag_run=SimpleNamespace(clear_number=0, run_after=start, start_date=start),
        )

    @property
    def hints(self):
        return newer_than(self.store.get(KEY), -1)


def expected(name):
    return {(event.repository, event.tag or "*") for event in EXPECTED[name][1]}


def operator(**arguments):
    return RegistryHintOperator(task_id="hint", registry_conn_id="conn", **arguments)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "name", [ECR, "harbor_default.json", "distribution.json", "google_artifact_registry.json"]
)
def test_registry_hint_with_each_form_of_a_queue_stores_its_tags(form, name):
    context = Context(event(FORMS[form][0](read_sample(name).decode())))
    result = operator().execute(context)
    assert {(item["repository"], item["tag"]) for item in result} >= expected(name)
    assert {("conn", item["repository"]) for item in result} == set(context.hints)
    assert set().union(*context.hints.values()) == {item["tag"] for item in result}


def test_registry_hint_with_bodies_reads_them_and_no_events():
    context = Context(event(read_sample("distribution.json").decode()))
    body = read_sample(ECR).decode()
    for bodies in (body, [body], json.loads(body), [json.loads(body), body]):
        result = operator(bodies=bodies).execute(context)
        assert {(item["repository"], item["tag"]) for item in result} == expected(ECR)


def test_registry_hint_reads_events_that_airflow_left_out(left_out):
    left_out.append(event(FORMS["sqs"][0](read_sample(ECR).decode()), 5))
    result = operator().execute(Context(event({"other": 1})))
    assert {(item["repository"], item["tag"]) for item in result} == expected(ECR)


def test_registry_hint_of_a_repository_asset_or_an_unknown_payload_stores_nothing():
    body = read_sample(ECR).decode()
    assert operator().execute(Context(event({"payload": body}), asset=REPOSITORY)) == []
    context = Context(event({"path": "/data/file"}), event({}), event(None))
    assert operator().execute(context) == []
    assert context.store.values == {}


@pytest.mark.parametrize(
    ("conn_type", "extra", "text"),
    [
        ("oci_registry", {}, "queue_hints is off. Set queue_hints to true."),
        ("oci_registry", {"queue_hints": "false"}, "queue_hints is off. Set queue_hints to true."),
        (
            "docker",
            {"queue_hints": True},
            "queue_hints is off, because the type is 'docker'. Set the type to oci_registry and queue_hints to true.",
        ),
    ],
)
def test_registry_hint_with_queue_hints_off_fails_without_a_retry(connection, conn_type, extra, text):
    connection.update(conn_type=conn_type, extra=extra)
    with pytest.raises(AirflowFailException) as failure:
        operator().execute(Context(event(read_sample(ECR).decode())))
    assert str(failure.value) == f"Connection 'conn': {text}"


def test_registry_hint_with_unknown_messages_warns_or_fails():
    good, bad = FORMS["sqs"][0](read_sample(ECR).decode()), FORMS["sqs"][0]('{"hunter2": 1}')
    assert operator().execute(Context(event(good), event(bad)))
    with pytest.raises(MalformedNotifications) as failure:
        operator().execute(Context(event(bad)))
    assert "hunter2" not in str(failure.value)


class Contested(MemoryStore):
    """Another task overwrites the row after each of the first writes."""

    def __init__(self, times):
        super().__init__()
        self.times, self.writes = times, 0

    def set(self, key, value):
        super().set(key, value)
        self.writes += 1
        if self.writes <= self.times:
            super().set(key, merge(None, {("other", "app"): {"v1"}}, value["seq"] + 1))


@pytest.mark.parametrize(("times", "writes", "is_stored"), [(0, 1, True), (2, 3, True), (9, 3, False)])
def test_registry_hint_overwritten_by_another_task_writes_at_most_three_times(times, writes, is_stored):
    context = Context(event(read_sample(ECR).decode()), store=Contested(times))
    operator().execute(context)
    assert context.store.writes == writes
    assert any(conn == "conn" for conn, _ in context.hints) == is_stored
    assert times == 0 or is_stored is False or ("other", "app") in context.hints


def test_registry_hint_defaults_and_inlets_hold_for_mapped_tasks_too():
    task = operator()
    assert (task.retries, task.retry_delay.total_seconds(), task.max_active_tis_per_dag) == (3, 5, 1)
    assert STATE_ASSET in task.inlets
    mapped = RegistryHintOperator.partial(task_id="mapped").expand(bodies=["{}"])
    assert mapped.partial_kwargs["max_active_tis_per_dag"] == 1
    assert STATE_ASSET in mapped.partial_kwargs["inlets"]
