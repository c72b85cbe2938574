# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Each example does what its page in the docs says; test_real_airflow.py runs the event-driven ones from a push."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness import images
from tests.harness.dag_test import run_dag

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from airflow.sdk import DAG

    from tests.integration.conftest import Chain

pytestmark = pytest.mark.airflow

EXAMPLES = Path(__file__).resolve().parents[2] / "example_dags"
FORMS = {path.stem for path in EXAMPLES.glob("*.py")}
SCHEDULED = {"registry_push_expanded", "registry_push_fan_out", "registry_push_to_webhook"}
EVENT_DRIVEN = {
    "deploy_each_image",
    "deploy_on_push",
    "newest_release",
    "registry_event_many_repositories",
    "registry_event_two_rules",
    "registry_triggers",
    "trigger_in_python",
}
OTHERS = {"notify_on_failure", "record_release_digests"}
AFTER_THE_MATCH = {
    "approval_then_deliver",
    "argocd_image_updater",
    "change_window",
    "cloud_run_job",
    "coolify_deploy",
    "ecs_deploy",
    "flux_receiver",
    "github_dispatch",
    "jenkins_job",
    "kubernetes_rollout",
    "portainer_service",
    "signed_images_only",
    "slack_message",
    "smoke_test_by_digest",
}
"""Run by test_after_the_match.py."""
QUEUES = {"registry_queue"}  # push_mode/test_queues.py runs it


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def scheduled_example(name: str) -> DAG:
    push = load(name).push
    # Settings that only slow a test down, and deferral, which dag.test() does not support.
    push.deferrable, push.poke_interval, push.timeout = False, 0.2, 0.5
    return push.dag


def notification(tag: str, digest: str) -> dict[str, Any]:
    return {
        "push_data": {"tag": tag, "digest": digest},
        "repository": {"repo_full_name": "team/app", "name": "app", "namespace": "team"},
        "event": {"registry": "registry.example.com", "image": f"registry.example.com/team/app@{digest}"},
    }


def test_examples_are_all_run_by_a_test() -> None:
    assert FORMS == SCHEDULED | EVENT_DRIVEN | OTHERS | AFTER_THE_MATCH | QUEUES


@pytest.mark.parametrize(
    ("name", "tags", "delivered"),
    [
        ("registry_push_to_webhook", ["release-v1", "other"], {"deliver": "success"}),
        ("registry_push_expanded", ["release-v1", "release-v2"], {"deliver[0]": "success", "deliver[1]": "success"}),
        ("registry_push_fan_out", ["release-v1", "other"], {"deliver_releases": "success", "deliver_latest": "skipped"}),
        ("registry_push_fan_out", ["latest"], {"deliver_releases": "skipped", "deliver_latest": "success"}),
    ],
)  # fmt: skip
def test_scheduled_example_after_a_push_delivers_matching_tags(
    chain: Chain, name: str, tags: list[str], delivered: dict[str, str]
) -> None:
    images.put_image(chain.registry, images.Image("first"), "team/app", ["v0"])
    dag = scheduled_example(name)
    assert run_dag(dag).states["push"] in {"skipped", "success"}
    image = images.Image(f"{name}-{tags}")
    images.put_image(chain.registry, image, "team/app", tags)
    chain.receiver.forget()

    run = run_dag(dag)

    assert {task: state for task, state in run.states.items() if task.startswith("deliver")} == delivered
    sent = chain.receiver.received("/hook")
    assert {item.json()["push_data"]["tag"] for item in sent} == {tag for tag in tags if tag != "other"}
    assert {item.json()["push_data"]["digest"] for item in sent} == {image.digest}


def test_deploy_each_image_runs_a_task_for_each_matching_push(airflow_db: None) -> None:
    pushes = [notification("release-v1", "sha256:1"), notification("nightly", "sha256:2"), notification("release-v3", "sha256:3")]  # fmt: skip

    run = run_dag(load("deploy_each_image").match.dag, conf={"notification": pushes})

    assert run.states == {"match": "success", "deploy[0]": "success", "deploy[1]": "success"}
    assert [run.xcoms[f"deploy[{index}]"]["return_value"] for index in (0, 1)] == [
        {"tag": "release-v1", "digest": "sha256:1", "image": "registry.example.com/team/app@sha256:1"},
        {"tag": "release-v3", "digest": "sha256:3", "image": "registry.example.com/team/app@sha256:3"},
    ]


@pytest.mark.parametrize("name", ["deploy_on_push", "newest_release", "registry_event_many_repositories"])
def test_event_driven_example_with_a_matching_notification_delivers_it(chain: Chain, name: str) -> None:
    run = run_dag(load(name).match.dag, conf={"notification": notification("release-v1", "sha256:1")})

    assert run.states == {"match": "success", "deliver": "success"}
    (sent,) = chain.receiver.received("/hook")
    assert sent.json()["push_data"]["tag"] == "release-v1"


def test_two_rules_example_delivers_each_tag_for_its_own_rule(chain: Chain) -> None:
    # The loop of the file leaves the Dag of its last rule: latest and main.
    dag = load("registry_event_two_rules").match.dag

    run = run_dag(dag, conf={"notification": [notification("release-v1", "sha256:1"), notification("main", "sha256:2")]})  # fmt: skip

    assert run.states == {"match": "success", "deliver": "success"}
    (sent,) = chain.receiver.received("/hook")
    assert (sent.json()["push_data"]["tag"], sent.header("X-Environment")) == ("main", "staging")


def test_notify_on_failure_sends_a_webhook(chain: Chain, connect: Callable[..., None]) -> None:
    connect("alerts", conn_type="webhook", schema="http", host="127.0.0.1", port=chain.receiver.port, extra={"path": "/alerts"})  # fmt: skip
    module = load("notify_on_failure")

    run = run_dag(module.dag)

    assert run.states == {"report": "failed"}
    (sent,) = chain.receiver.received("/alerts")
    assert sent.json() == {"text": "notify_on_failure failed"}


def test_record_release_digests_returns_the_digests_of_the_registry(chain: Chain) -> None:
    image = images.Image("recorded")
    images.put_image(chain.registry, image, "team/app", ["release-v9", "other"])
    module = load("record_release_digests")

    run = run_dag(module.dag)

    recorded = run.xcoms["record"]["return_value"]
    assert recorded["release-v9"] == image.digest
    assert all(tag.startswith("release-v") for tag in recorded)
