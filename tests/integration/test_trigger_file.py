# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Each form of a trigger's Dag, run by Airflow in this process, and the example of the docs."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness.dag_test import run_dag

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import DAG

    from tests.integration.conftest import Chain

pytestmark = pytest.mark.airflow

EXAMPLES = Path(__file__).resolve().parents[2] / "example_dags"

FILE = """\
defaults:
  webhook: webhook_default
triggers:
  form_enabled:
    repository: team/app
    semver: ">=1.2 <2"
    collapse: image
    headers: {X-Environment: prod}
  form_disabled:
    repository: team/app
    enabled: false
  form_held:
    repository: team/app
    tag-regex: a
"""


def notification(tag: str) -> dict[str, Any]:
    return {
        "push_data": {"tag": tag, "digest": "sha256:1"},
        "repository": {"repo_full_name": "team/app"},
        "event": {"registry": "registry.example.com", "id": tag},
    }


@pytest.fixture
def dags(tmp_path: Path, airflow_db: None) -> dict[str, DAG]:
    (tmp_path / "registry_triggers.yaml").write_text(FILE)
    dag_file = tmp_path / "triggers.py"
    dag_file.write_text(
        "from airflow_registry_triggers import trigger_dags_from\n"
        "dags = trigger_dags_from('registry_triggers.yaml')\n"
    )
    found: dict[str, DAG] = runpy.run_path(str(dag_file))["dags"]
    return found


def test_dag_of_an_enabled_trigger_delivers_one_notification_of_an_image(
    chain: Chain, dags: dict[str, DAG]
) -> None:
    pushes = [notification(tag) for tag in ("1.2", "1.2.3", "v1.3.0", "2.0.0")]

    run = run_dag(dags["trigger.form_enabled"], conf={"notification": pushes})

    assert run.states == {"match": "success", "deliver": "success"}
    (sent,) = chain.receiver.received("/hook")
    assert (sent.json()["push_data"]["tag"], sent.header("X-Environment")) == ("v1.3.0", "prod")
    assert {record["trigger_name"] for record in run.access_records()} == {"form_enabled"}


def test_dag_of_a_disabled_trigger_runs_by_hand(chain: Chain, dags: dict[str, DAG]) -> None:
    run = run_dag(dags["trigger.form_disabled"], conf={"notification": notification("a")})

    assert run.states == {"match": "success", "deliver": "success"}
    assert len(chain.receiver.received("/hook")) == 1


def test_dag_of_a_held_trigger_fails_with_its_problems(dags: dict[str, DAG]) -> None:
    run = run_dag(dags["trigger.form_held"])

    assert run.states == {"held": "failed"}
    text = "\n".join(str(line.get("exception", "")) for line in run.log("held"))
    assert "Trigger 'form_held' is held: registry_triggers.yaml:12 has 1 problem. Fix it in the file." in text
    assert "registry_triggers.yaml:14:5: triggers.form_held.tag-regex: no such field" in text


def test_example_file_creates_a_dag_for_each_trigger(
    chain: Chain, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_registry_triggers import trigger_dags_from

    connect(
        "deploy_prod",
        conn_type="webhook",
        schema="http",
        host="127.0.0.1",
        port=chain.receiver.port,
        extra={"path": "/prod"},
    )
    dags = trigger_dags_from(str(EXAMPLES / "registry_triggers.yaml"), prefix="example.")
    assert list(dags) == ["example.prod", "example.staging", "example.old"]

    run = run_dag(dags["example.prod"], conf={"notification": [notification("1.5.0"), notification("1.5.0-debug")]})  # fmt: skip

    assert run.states == {"match": "success", "deliver": "success"}
    (sent,) = chain.receiver.received("/prod")
    assert (sent.json()["push_data"]["tag"], sent.header("X-Environment")) == ("1.5.0", "prod")


def test_example_of_a_trigger_in_python_delivers(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_registry_triggers import RegistryTrigger

    made: list[DAG] = []
    create = RegistryTrigger.dag
    monkeypatch.setattr(RegistryTrigger, "dag", lambda self: made.append(create(self)))
    runpy.run_path(str(EXAMPLES / "trigger_in_python.py"))
    (dag,) = made

    run = run_dag(dag, conf={"notification": [notification("nightly-2026-01-31"), notification("main")]})

    assert run.states == {"match": "success", "deliver": "success"}
    (sent,) = chain.receiver.received("/hook")
    assert sent.json()["push_data"]["tag"] == "nightly-2026-01-31"
