# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Each scheduled example does what it says; the event-driven ones run in test_real_airflow.py."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.harness import images
from tests.harness.dag_test import run_dag

if TYPE_CHECKING:
    from airflow.sdk import DAG

pytestmark = pytest.mark.airflow

EXAMPLES = Path(__file__).resolve().parents[2] / "example_dags"


def example(name: str) -> DAG:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    push = module.push
    # What only makes a test slow, or what dag.test() cannot do.
    push.deferrable, push.poke_interval, push.timeout = False, 0.2, 0.5
    return push.dag


@pytest.mark.parametrize(
    ("name", "tags", "delivered"),
    [
        ("deploy_on_push", ["release-v1", "other"], {"deliver": "success"}),
        ("registry_push_to_webhook", ["release-v1", "other"], {"deliver": "success"}),
        ("registry_push_expanded", ["release-v1", "release-v2"], {"deliver[0]": "success", "deliver[1]": "success"}),
        ("registry_push_fan_out", ["release-v1", "other"], {"deliver_releases": "success", "deliver_latest": "skipped"}),
        ("registry_push_fan_out", ["latest"], {"deliver_releases": "skipped", "deliver_latest": "success"}),
    ],
)  # fmt: skip
def test_a_scheduled_example(chain, name, tags, delivered):
    images.put_image(chain.registry, images.Image("first"), "team/app", ["v0"])
    dag = example(name)
    assert run_dag(dag).states["push"] in {"skipped", "success"}
    image = images.Image(f"{name}-{tags}")
    images.put_image(chain.registry, image, "team/app", tags)
    chain.receiver.forget()

    run = run_dag(dag)

    assert {task: state for task, state in run.states.items() if task.startswith("deliver")} == delivered
    sent = chain.receiver.received("/hook")
    assert {item.json()["push_data"]["tag"] for item in sent} == {tag for tag in tags if tag != "other"}
    assert {item.json()["push_data"]["digest"] for item in sent} == {image.digest}
