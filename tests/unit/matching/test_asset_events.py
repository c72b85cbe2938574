# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Which events of an asset belong to a run besides those that Airflow gave it; tests/chaos has the real ones."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk import Asset
from airflow.sdk.execution_time import context as airflow_context

from airflow_registry_triggers.matching.asset_events import missed_events, notifications_of_events
from airflow_registry_triggers.matching.inputs import parsed
from tests.unit.common.test_state_store import MemoryStore

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
    """What the asset has; both bounds belong to the span that is asked for, as in Airflow's API."""
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


def test_events_between_the_question_and_the_begin_of_the_run_belong_to_it(events):
    events += [
        Event(at(-1), "its own"),
        Event(ASKED, "its own too"),
        Event(at(3), "second"),
        Event(at(0.001), "first"),
        Event(at(9.5), "within the skew of two clocks"),
        Event(at(11), "after it: has a run of its own"),
    ]
    assert tags(context_of()) == ["first", "second", "within the skew of two clocks"]


def test_a_run_that_no_repository_began_has_none(events):
    events.append(Event(at(1), "late"))
    assert tags(context_of(), assets=()) == []
    assert tags({}) == []


def test_a_repeated_try_and_a_cleared_task_find_the_same(events):
    events.append(Event(at(1), "late"))
    store = MemoryStore()
    assert tags(context_of(store=store)) == ["late"]
    events.append(Event(at(2), "later"))
    assert tags(context_of(try_number=2, store=store)) == ["late"]
    cleared = Run(start_date=at(3600), clear_number=1)
    assert tags(context_of(cleared, try_number=2, store=store)) == ["late"]


def test_a_cleared_task_that_had_none_takes_none_of_other_runs(events):
    store = MemoryStore()
    assert tags(context_of(store=store)) == []
    events.append(Event(at(100), "of another run"))
    assert tags(context_of(Run(start_date=at(3600), clear_number=1), try_number=2, store=store)) == []


def test_a_try_that_was_killed_before_it_knew_asks_again(events):
    events.append(Event(at(1), "late"))
    assert tags(context_of(try_number=2)) == ["late"]


def test_what_is_no_notification_is_left_to_the_run_whose_event_it_is(events, monkeypatch):
    events.append(Event(at(1), "late"))
    events.append(Event(at(2), "malformed"))
    monkeypatch.setattr(Event, "extra", property(lambda self: {} if self.tag == "malformed" else {**PUSH, "push_data": {"tag": self.tag}}))  # fmt: skip
    assert tags(context_of()) == ["late"]


def test_an_event_is_the_same_whichever_run_meets_it(events):
    """One made by hand has no id: it gets one from the event, so that the second run knows it."""
    event = Event(at(1), "late")
    events.append(event)
    (late,) = missed_events(context_of(), [ASSET])
    own = notifications_of_events({"triggering_asset_events": {ASSET: [event]}})
    assert own == [late]
    ((first, _),) = parsed([late])
    ((second, _),) = parsed(own)
    assert first.id == second.id
