# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The order of the states when several conditions are true, whatever the facts are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_registry_triggers.overview.facts import (
    AssetFacts,
    AssetStatus,
    Count,
    DagFacts,
    Facts,
    Heartbeats,
    TaskRun,
    Trigger,
)
from airflow_registry_triggers.overview.serialized import DagShape, TaskShape
from airflow_registry_triggers.overview.states import State, decide, last_delivery
from airflow_registry_triggers.watcher.status_values import WatcherStatus

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
ASSET = "team/app @ registry_default"
ABOUT = '{"declared_in": "registry_triggers.yaml:31"}'


def trigger(**dag) -> Trigger:
    shape = DagShape({"match": TaskShape("match", "match", {"doc_json": ABOUT})})
    return Trigger(DagFacts("d", shape=shape, **dag), "match", "match", deliveries=("deliver",))


def facts(*, kind=None, polled=10.0, heartbeat=1.0, counts=None, failed=()) -> Facts:
    beat = NOW - timedelta(seconds=heartbeat)
    status = WatcherStatus(
        NOW.timestamp() - polled, kind, None, 1, 1, 60.0, 214, 3, None, "812 pushes are held."
    )
    return Facts(
        NOW,
        assets={"d": [AssetFacts(ASSET, NOW - timedelta(days=1), beat, True)]},
        heartbeats=Heartbeats(beat, beat),
        statuses={ASSET: AssetStatus(status, NOW.timestamp())},
        counts=counts or {},
        failed={"d": list(failed)},
    )


def test_decide_of_a_held_trigger_shows_the_sentence_of_its_dag():
    sentence = "Held: registry_triggers.yaml:12 has 2 problems."
    state, why = decide(trigger(is_held=True, is_paused=True, description=sentence), facts())
    assert (state, why.text(NOW)) == (State.BROKEN, sentence)


def test_decide_of_a_disabled_trigger_names_its_line():
    state, why = decide(trigger(is_disabled=True), facts())
    assert (state, why.text(NOW)) == (State.PAUSED, "Disabled in registry_triggers.yaml:31.")


BROKEN = st.sampled_from([{}, {"is_stale": True}, {"has_import_errors": True}, {"is_held": True}])
PAUSED = st.sampled_from([{}, {"is_paused": True}, {"is_disabled": True}])
LATE = st.booleans()
KIND = st.sampled_from([None, "storm", "credentials"])
VERDICT = st.sampled_from(["none", "matched", "unmatched"])
DELIVERY = st.sampled_from([None, "204", "503", "404"])


@given(BROKEN, PAUSED, LATE, KIND, VERDICT, DELIVERY)
def test_decide_of_any_facts_gives_the_first_state_that_is_true(
    broken, paused, late, kind, verdict, delivery
):
    counts = {("d", "match"): {}, ("d", "deliver"): {}}
    if verdict != "none":
        counts["d", "match"] = {"triggered" if verdict == "matched" else "untriggered": Count(7, 1)}
    if delivery:
        counts["d", "deliver"] = {delivery: Count(5, 1)}
    found, _ = decide(
        trigger(**broken, **paused), facts(kind=kind, polled=1000.0 if late else 10.0, counts=counts)
    )
    is_failing = delivery in ("503", "404")
    expected = (
        State.BROKEN if broken
        else State.PAUSED if paused
        else State.NOT_WATCHED if late
        else State.REGISTRY_ERROR if kind == "credentials"
        else State.STORM if kind == "storm"
        else State.BASELINE if verdict == "none" and not delivery
        else State.UNTRIGGERED if verdict == "unmatched" and not is_failing
        else State.DELIVERY if is_failing
        else State.OK
    )  # fmt: skip
    assert found is expected


@pytest.mark.parametrize(
    ("status", "state", "result"),
    [("503", "up_for_retry", "retrying"), ("503", "failed", "failed"), ("404", "failed", "failed"), ("409", "success", "delivered"),
     ("blocked", "failed", "blocked"), ("dns_error", "up_for_retry", "retrying")],
)  # fmt: skip
def test_last_delivery_follows_status_and_task_instance(status, state, result):
    run = TaskRun(5, "deliver", status, -1, state)
    found = last_delivery(trigger(), facts(counts={("d", "deliver"): {status: Count(5, 1)}}, failed=[run]))
    assert (found.result, found.instance) == (result, run)


def test_last_delivery_of_a_run_with_several_prefers_one_that_failed():
    counts = {("d", "deliver"): {"204": Count(5, 1), "503": Count(5, 1), "404": Count(4, 1)}}
    failed = [TaskRun(5, "deliver", "503", 3, "failed")]
    assert last_delivery(trigger(), facts(counts=counts, failed=failed)).status == "503"
    newer = {("d", "deliver"): {"204": Count(6, 1), "503": Count(5, 1)}}
    assert last_delivery(trigger(), facts(counts=newer, failed=failed)).status == "204"


@pytest.mark.parametrize("state", State)
def test_state_with_a_problem_is_one_of_five(state):
    assert state.is_problem == (
        state.word in {"broken", "not_watched", "registry_error", "storm", "delivery"}
    )
