# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The shape of a serialized Dag, of Airflow's own serializer."""

from __future__ import annotations

import json
import zlib
from datetime import datetime

import pytest
from airflow.sdk import DAG, AssetAny, task
from airflow.serialization.serialized_objects import LazyDeserializedDAG

from airflow_registry_triggers import (
    RegistryPushSensor,
    TriggerMatchOperator,
    WebhookDeliverOperator,
    repository_asset,
)
from airflow_registry_triggers.overview.serialized import DagShape, TaskShape, TemplatedRule, shape_of


def data_of(dag: DAG):
    return LazyDeserializedDAG.from_dag(dag).data


@pytest.fixture(scope="module")
def dag() -> DAG:
    class OwnMatch(TriggerMatchOperator):
        """A subclass in a Dag file."""

    assets = AssetAny(
        repository_asset("team/app"), repository_asset("ghcr.io/team/two", "other", tags=["v1"])
    )
    with DAG("shape", schedule=assets, start_date=datetime(2026, 1, 1)) as made:
        push = RegistryPushSensor(task_id="push", repository="team/app")
        match = OwnMatch(task_id="match", notifications=push.output, tag_regex="v.*", trigger_name="prod")

        @task
        def between(found):
            return found

        WebhookDeliverOperator(task_id="plain", notifications=between(match.output), webhook_conn_id="deploy")
        WebhookDeliverOperator.partial(task_id="each", url="https://h.example/{{ ds }}").expand(
            notifications=match.output
        )
        TriggerMatchOperator.partial(task_id="mapped", notifications=[]).expand(tag_regex=["a", "b"])
        TriggerMatchOperator(task_id="templated", tags=["{{ ds }}"])
    return made


def test_shape_of_a_dag_has_the_kinds_of_its_tasks(dag):
    shape = shape_of(data_of(dag))
    assert {name: found.kind for name, found in shape.tasks.items()} == {
        "push": "sensor", "match": "match", "between": "other", "plain": "deliver", "each": "deliver",
        "mapped": "match", "templated": "match",
    }  # fmt: skip
    assert [found.task_id for found in shape.before("match", "sensor")] == ["push"]
    assert {found.task_id for found in shape.after("match", "deliver")} == {"plain", "each"}
    assert shape.after("push", "match") == [shape.tasks["match"]]
    assert (shape.tasks["plain"].receiver, shape.tasks["each"].receiver) == (
        "deploy",
        "https://h.example/{{ ds }}",
    )


def test_shape_of_a_dag_has_its_watched_repositories(dag):
    watched = {item.repository: item for item in shape_of(data_of(dag)).watched if item.asset}
    assert set(watched) == {"team/app", "ghcr.io/team/two"}
    assert (watched["ghcr.io/team/two"].conn_id, watched["ghcr.io/team/two"].conditions) == (
        "other",
        {"tags": ["v1"]},
    )


def test_rule_of_a_task_is_that_of_the_dag_file(dag):
    tasks = shape_of(data_of(dag)).tasks
    assert tasks["match"].rule().trigger_tag == "v.*"
    for name in ("mapped", "templated"):
        with pytest.raises(TemplatedRule):
            tasks[name].rule()


def test_shape_of_compressed_data_is_the_same(dag):
    data = data_of(dag)
    assert shape_of(None, zlib.compress(json.dumps(data).encode())) == shape_of(data)
    assert shape_of(json.dumps(data)) == shape_of(data)


@pytest.mark.parametrize(
    "data", [None, {}, [], "x", {"dag": None}, {"dag": {"tasks": [1]}}, {"dag": {"tasks": [{"__var": {}}]}}]
)
def test_shape_of_data_in_another_form_is_empty(data):
    assert shape_of(data) == DagShape()
    assert shape_of(None, b"not compressed") == DagShape()


def test_shape_of_a_held_trigger_has_the_repositories_of_its_inlets():
    inlets = [
        {
            "__type": "asset",
            "__var": {"name": "team/app @ registry_default (tag_regex: v.*)", "group": "registry"},
        },
        {
            "__type": "asset",
            "__var": {"name": "airflow-registry-triggers-state", "group": "registry-internal"},
        },
    ]
    about = json.dumps({"declared_in": "f.yaml:12", "problems": ["f.yaml:16:5: ..."]})
    held = {"task_id": "held", "task_type": "HeldTriggerOperator", "inlets": inlets, "doc_json": about}
    shape = shape_of({"dag": {"tasks": [{"__type": "operator", "__var": held}], "timetable": {}}})
    assert shape.tasks["held"].kind == "held"
    assert shape.tasks["held"].about["declared_in"] == "f.yaml:12"
    assert [(item.repository, item.conn_id) for item in shape.watched] == [("team/app", "registry_default")]


@pytest.mark.parametrize("text", [None, "", "{", "[]", 5])
def test_about_of_a_task_without_a_position_is_empty(text):
    assert TaskShape("t", "match", {"doc_json": text}).about == {}
