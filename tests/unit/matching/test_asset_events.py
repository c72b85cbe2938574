# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Events that Airflow leaves out of a run. tests/chaos repeats this with a real Airflow."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk import Asset
from airflow.sdk.execution_time import context as airflow_context

from airflow_registry_triggers.matching.asset_events import missed_events, notifications_of_events
from airflow_registry_triggers.matching.inputs import read_inputs
from tests.unit.memory_store import MemoryStore

ASSET = Asset(name="oci://conn/team/app", uri="oci://conn/team/app")
ASKED = datetime(2026, 1, 1, tzinfo=UTC)
BEGAN = ASKED + timedelta(seconds=8)
PUSH = {"repository": {"name": "app", "namespace": "team", "repo_full_name": "team/app"}}


def at(seconds):
    return ASKED + timedelta(seconds=seconds)


@dataclass
class Event:
    timestamp: datetime
    tag: str

    @property
    def extra(self):
        return {"from_trigger": True, "payload": {**PUSH, "push_data": {"tag": self.tag}}}


@dataclass
class Run:
    run_after: datetime = ASKED
    start_date: datetime | None = BEGAN
    clear_number: int = 0


@dataclass
class TaskInstance:
    try_number: int = 1


@pytest.fixture
def events(monkeypatch):
    """Events of the asset; both bounds are inclusive, as in Airflow's API."""
    there = []

    class Accessors:
        def __init__(self, inlets):
            self.inlets = inlets

        def __getitem__(self, asset):
            assert asset in self.inlets
            return self

        def after(self, text):
            self.first = datetime.fromisoformat(text)
            return self

        def before(self, text):
            self.last = datetime.fromisoformat(text)
            return self

        def __iter__(self):
            return (event for event in there if self.first <= event.timestamp <= self.last)

    monkeypatch.setattr(airflow_context, "InletEventsAccessors", Accessors)
    return there


def tags(context, assets=(ASSET,)):
    return [incoming.value["push_data"]["tag"] for incoming in missed_events(context, assets)]


def context_of(run=None, try_number=1, store=None):
    return {
        "dag_run": run or Run(),
        "ti": TaskInstance(try_number),
        "task_state_store": MemoryStore() if store is None else store,
    }


def test_missed_events_between_request_and_start_of_the_run_belong_to_it(events):
    events += [
        Event(at(-1), "its own"),
        Event(ASKED, "its own too"),
        Event(at(3), "second"),
        Event(at(0.001), "first"),
        Event(at(9.5), "within the skew of two clocks"),
        Event(at(11), "after it: has a run of its own"),
    ]
    assert tags(context_of()) == ["first", "second", "within the skew of two clocks"]


def test_missed_events_without_a_repository_are_none(events):
    events.append(Event(at(1), "late"))
    assert tags(context_of(), assets=()) == []
    assert tags({}) == []


def test_missed_events_in_a_retry_and_after_a_clear_are_the_same(events):
    events.append(Event(at(1), "late"))
    store = MemoryStore()
    assert tags(context_of(store=store)) == ["late"]
    events.append(Event(at(2), "later"))
    assert tags(context_of(try_number=2, store=store)) == ["late"]
    cleared = Run(start_date=at(3600), clear_number=1)
    assert tags(context_of(cleared, try_number=2, store=store)) == ["late"]


def test_missed_events_after_a_clear_leave_out_those_of_other_runs(events):
    store = MemoryStore()
    assert tags(context_of(store=store)) == []
    events.append(Event(at(100), "of another run"))
    assert tags(context_of(Run(start_date=at(3600), clear_number=1), try_number=2, store=store)) == []


def test_missed_events_after_a_killed_try_are_read_again(events):
    events.append(Event(at(1), "late"))
    assert tags(context_of(try_number=2)) == ["late"]


def test_missed_events_that_are_malformed_are_left_to_their_own_run(events, monkeypatch):
    events.append(Event(at(1), "late"))
    events.append(Event(at(2), "malformed"))
    monkeypatch.setattr(Event, "extra", property(lambda self: {} if self.tag == "malformed" else {**PUSH, "push_data": {"tag": self.tag}}))  # fmt: skip
    assert tags(context_of()) == ["late"]


def test_missed_events_with_a_list_payload_keep_the_order_of_the_list(events, monkeypatch):
    lists = {"one": ["a", "b"], "two": ["c"]}
    payload = property(
        lambda self: {
            "from_trigger": True,
            "payload": [{**PUSH, "push_data": {"tag": tag}} for tag in lists[self.tag]],
        }
    )
    monkeypatch.setattr(Event, "extra", payload)
    events += [Event(at(2), "two"), Event(at(1), "one")]
    found = missed_events(context_of(), (ASSET,))
    assert [(item.value["push_data"]["tag"], item.position) for item in found] == [
        ("a", 0),
        ("b", 1),
        ("c", 0),
    ]


def test_missed_events_of_many_notifications_survive_a_retry(events, monkeypatch):
    many = [{**PUSH, "push_data": {"tag": f"t{number}"}} for number in range(2000)]
    monkeypatch.setattr(Event, "extra", property(lambda self: {"payload": many}))
    events.append(Event(at(1), "x"))
    store = MemoryStore()
    first = missed_events(context_of(store=store), (ASSET,))
    assert len(first) == 2000
    assert missed_events(context_of(try_number=2, store=store), (ASSET,)) == first


def test_event_read_by_two_runs_gets_the_same_ids(events):
    """A notification made by hand has no id: it gets one from the event, so that the second run knows it."""
    event = Event(at(1), "late")
    events.append(event)
    (missed,) = missed_events(context_of(), [ASSET])
    own = notifications_of_events({"triggering_asset_events": {ASSET: [event]}})
    assert own == [missed]
    by_event = {"run_id": "other", "triggering_asset_events": {ASSET: [event]}}
    ids = [read_inputs(context, None).valid[0].id for context in (by_event, {**by_event, "run_id": "x"})]
    assert ids[0] == ids[1]


@dataclass
class Plain:
    extra: object
    timestamp: object


def test_notifications_of_events_of_all_repositories_are_in_order_of_time():
    context = {
        "triggering_asset_events": {
            Asset("oci://h/a", uri="oci://h/a"): [Plain({"from_trigger": True, "payload": [1, 2]}, 1), Plain({"payload": 5}, 3)],
            Asset("oci://h/b", uri="oci://h/b"): [Plain({"push_data": {"tag": "x"}}, 2), Plain({"notification": 6}, 4)],
            Asset("s3://other", uri="s3://other/x"): [Plain({"payload": 9}, 0)],
        }
    }  # fmt: skip
    found = notifications_of_events(context)
    assert [item.value for item in found] == [1, 2, {"push_data": {"tag": "x"}}, 5, 6]
    assert len({(item.source, item.position) for item in found}) == 5
    assert notifications_of_events({}) == []
