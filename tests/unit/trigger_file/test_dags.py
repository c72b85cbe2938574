# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The Dags of a trigger file, as Airflow builds and serializes them."""

from __future__ import annotations

import json
import logging
import runpy

import pytest
from airflow.sdk import DAG, Asset, AssetAny
from airflow.sdk.definitions._internal.contextmanager import DagContext
from airflow.sdk.exceptions import AirflowFailException
from airflow.serialization.serialized_objects import DagSerialization

from airflow_registry_triggers import RegistryTrigger, repository_asset, trigger_dags_from
from airflow_registry_triggers.common.state_store import STATE_ASSET
from airflow_registry_triggers.trigger_file import trigger_dag as module
from airflow_registry_triggers.trigger_file.names import DISABLED_TAG, HELD_TAG, TAG
from tests.unit.trigger_file.test_loader import GOOD

BAD = (
    GOOD
    + """\
  nightly:
    repository: team/nightly
    tag-regex: n.*
    request_timeout: 600
    webhook: w
    owner: night
    labels: [late]
  "a b": {repository: team/app, webhook: w}
  a_b: {repository: team/app, webhook: w}
"""
)


@pytest.fixture
def dags_of(tmp_path):
    """Write a trigger file and its Dag file; return the Dags by id."""

    def create(text, prefix="trigger."):
        (tmp_path / "triggers.yaml").write_text(text)
        dag_file = tmp_path / "triggers.py"
        dag_file.write_text(
            "from airflow_registry_triggers import trigger_dags_from\n"
            f"dags = trigger_dags_from('triggers.yaml', prefix={prefix!r})\n"
        )
        return runpy.run_path(str(dag_file))["dags"]

    return create


def schedule_of(dag):
    condition = dag.timetable.asset_condition
    assert isinstance(condition, Asset | AssetAny)
    return [asset.uri for asset in getattr(condition, "objects", [condition])]


def test_trigger_dags_of_the_documented_example_are_one_for_each_trigger(dags_of):
    dags = dags_of(GOOD)
    assert list(dags) == ["trigger.prod", "trigger.staging", "trigger.old"]
    prod, staging, old = dags.values()
    assert schedule_of(prod) == ["oci://registry_default/team/app"]
    assert schedule_of(staging) == ["oci://registry_default/team/app", "oci://registry_default/team/worker"]
    assert (prod.owner, staging.description, prod.description) == (
        "platform",
        None,
        "Releases go to production",
    )
    assert (prod.tags, staging.tags, old.tags) == ({TAG}, {TAG, "staging"}, {TAG, DISABLED_TAG})
    assert [dag.is_paused_upon_creation for dag in dags.values()] == [False] * 3
    assert all(not dag.params for dag in dags.values())
    match, deliver = prod.get_task("match"), prod.get_task("deliver")
    assert (match.trigger_name, match.semver, match.exclude_regex, match.retries) == (
        "prod",
        ">=1.2 <2",
        ".*-debug",
        3,
    )
    assert (deliver.webhook_conn_id, deliver.headers, deliver.retries) == (
        "deploy_prod",
        {"X-Environment": "prod"},
        8,
    )
    assert staging.get_task("match").collapse == "image"
    assert match.downstream_task_ids == {"deliver"}


def test_dag_of_a_trigger_shows_rule_receiver_and_place(dags_of):
    dag = dags_of(GOOD)["trigger.prod"]
    assert "| Rule | `>=1.2 <2 not .*-debug` |" in dag.doc_md
    assert "| Receiver | `deploy_prod` |" in dag.doc_md
    assert "| Declared in | `triggers.yaml:6` |" in dag.doc_md
    assert json.loads(dag.get_task("match").doc_json) == {"declared_in": "triggers.yaml:6"}


def test_dag_of_a_disabled_trigger_keeps_its_assets_as_inlets(dags_of):
    old = dags_of(GOOD)["trigger.old"]
    assert old.schedule is None
    assert [one.uri for one in old.get_task("match").inlets] == [
        "oci://registry_default/team/old",
        STATE_ASSET.uri,
    ]


@pytest.mark.parametrize(
    ("fields", "uri"),
    [
        ("semver: 1.x", "oci://registry_default/team/app"),
        ("semver: 1.x, watch: matching", "oci://registry_default/team/app?semver=1.x"),
        ("semver: 1.x, newest: version", "oci://registry_default/team/app?newest=version&semver=1.x"),
        ("watch: matching", "oci://registry_default/team/app"),
    ],
)
def test_dag_of_a_trigger_watches_all_or_matching_tags(dags_of, fields, uri):
    (dag,) = dags_of(f"triggers: {{a: {{repository: team/app, webhook: w, {fields}}}}}").values()
    assert schedule_of(dag) == [uri]


def test_trigger_with_a_problem_becomes_a_held_dag(dags_of, caplog):
    with caplog.at_level(logging.ERROR):
        dags = dags_of(BAD)
    held = dags["trigger.nightly"]
    lines = [
        "triggers.yaml:25:5: triggers.nightly.tag-regex: no such field; did you mean 'tag_regex'?",
        "triggers.yaml:26:22: triggers.nightly.request_timeout: 600 is outside 1 to 60",
    ]
    assert (held.schedule, held.tags, held.owner) == (None, {TAG, HELD_TAG, "late"}, "night")
    assert held.description == "Held: triggers.yaml:23 has 2 problems."
    assert all(line in held.doc_md.splitlines() for line in lines)
    (task,) = held.tasks
    assert [one.uri for one in task.inlets] == ["oci://registry_default/team/nightly", STATE_ASSET.uri]
    assert json.loads(task.doc_json) == {"declared_in": "triggers.yaml:23", "problems": lines}
    with pytest.raises(AirflowFailException) as error:
        task.execute({})
    assert str(error.value) == "\n".join(
        ["Trigger 'nightly' is held: triggers.yaml:23 has 2 problems. Fix them in the file.", *lines]
    )
    messages = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert messages[:2] == lines
    assert len(messages) == 3


def test_trigger_with_a_problem_stops_no_other(dags_of):
    dags = dags_of(BAD)
    running = [dag_id for dag_id, dag in dags.items() if HELD_TAG not in dag.tags]
    assert running == ["trigger.prod", "trigger.staging", "trigger.old", "trigger.a_b"]
    assert "trigger.a_b_2" in dags, "the invalid name 'a b' takes no id of another trigger"


def test_trigger_that_no_dag_can_be_made_of_becomes_held(dags_of, monkeypatch, caplog):
    def fails(*args, **kwargs):
        raise RuntimeError("not possible")

    monkeypatch.setattr(module, "WebhookDeliverOperator", fails)
    dags = dags_of("triggers: {a: {repository: team/app, webhook: w}}")
    assert dags["trigger.a"].tags == {TAG, HELD_TAG}
    assert (
        "triggers.yaml:1:12: triggers.a: the Dag cannot be created: RuntimeError: not possible" in caplog.text
    )


def test_trigger_that_no_dag_can_be_made_of_is_registered_as_held_only(dags_of, monkeypatch):
    def fails(*args, **kwargs):
        raise RuntimeError("not possible")

    monkeypatch.setattr(module, "WebhookDeliverOperator", fails)
    monkeypatch.setattr(DagContext, "current_autoregister_module_name", __name__)
    monkeypatch.setattr(DagContext, "autoregistered_dags", set())
    dags = dags_of("triggers: {a: {repository: team/app, webhook: w}}")
    assert {dag for dag, _ in DagContext.autoregistered_dags} == set(dags.values())
    ((registered, _),) = DagContext.autoregistered_dags
    assert registered.task_ids == ["held"]


def test_held_trigger_with_an_invalid_repository_has_no_asset(dags_of):
    (dag,) = dags_of("triggers: {a: {repository: A, webhook: w}}").values()
    assert dag.get_task("held").inlets == [STATE_ASSET]


@pytest.mark.parametrize("text", ["triggers: ]", "version: 1", "version: 2\ntriggers: {}"])
def test_file_without_triggers_raises(dags_of, text):
    with pytest.raises(ValueError, match="^triggers.yaml:1:"):
        dags_of(text)


def test_missing_file_raises(tmp_path):
    with pytest.raises(OSError):
        trigger_dags_from(str(tmp_path / "none.yaml"))


@pytest.mark.parametrize("dag_id", ["trigger.prod", "trigger.nightly", "trigger.a_b", "trigger.a_b_2"])
def test_worker_creates_only_the_dag_of_its_task(dags_of, monkeypatch, dag_id):
    everything = dags_of(BAD)
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", dag_id)
    (found,) = dags_of(BAD).items()
    assert found[0] == dag_id
    assert found[1].doc_md == everything[dag_id].doc_md


def test_worker_of_another_dag_of_the_file_reads_nothing(dags_of, monkeypatch):
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "other")
    assert dags_of("triggers: [") == {}


def test_prefix_begins_each_id(dags_of):
    assert list(dags_of("triggers: {a: {repository: team/app, webhook: w}}", prefix="team-x.")) == [
        "team-x.a"
    ]


def test_dags_serialize_with_their_assets(dags_of):
    for dag in dags_of(BAD).values():
        DagSerialization.deserialize_dag(json.loads(json.dumps(DagSerialization.serialize_dag(dag))))


def test_dag_of_a_trigger_in_python_equals_that_of_a_file(dags_of):
    trigger = RegistryTrigger(name="prod", repository="team/app", semver=">=1.2 <2", webhook="deploy_prod")
    dag = trigger.dag()
    (filed,) = dags_of(
        "triggers: {prod: {repository: team/app, semver: '>=1.2 <2', webhook: deploy_prod}}"
    ).values()
    assert isinstance(dag, DAG)
    assert dag.get_task("match").doc_json is None
    assert dag.doc_md == "\n".join(line for line in filed.doc_md.splitlines() if "Declared in" not in line)
    forms = [
        json.dumps(DagSerialization.serialize_dag(one)["timetable"], default=str) for one in (dag, filed)
    ]
    assert forms[0] == forms[1]
    assert schedule_of(dag) == [repository_asset("team/app").uri]
