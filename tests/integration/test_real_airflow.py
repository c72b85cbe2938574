# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The whole of it on a real Airflow: scheduler, triggerer, API server, between a registry and a receiver."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness import images
from tests.harness.airflow_home import AirflowHome
from tests.harness.airflow_process import Airflow
from tests.harness.processes import wait_until
from tests.harness.receiver import Answer, Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.harness.docker_registry import DockerRegistry

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(900)]

EXAMPLES = Path(__file__).resolve().parents[2] / "example_dags"
EXAMPLES_HERE = (
    "deploy_each_image",
    "deploy_on_push",
    "registry_event_many_repositories",
    "registry_event_two_rules",
    "registry_push_to_webhook",
)

SCHEDULED = """
    from datetime import datetime, timedelta

    from airflow.sdk import DAG

    from airflow_registry_triggers import RegistryPushSensor, TriggerMatchOperator, WebhookDeliverOperator

    with DAG(
        "scheduled",
        schedule=timedelta(seconds=3),
        start_date=datetime(2026, 1, 1),
        catchup=False,
        max_active_runs=16,
    ):
        push = RegistryPushSensor(
            task_id="push", repository="scheduled/app", poke_interval=0.5, timeout=2, soft_fail=True
        )
        match = TriggerMatchOperator(task_id="match", trigger_name="prod", notifications=push.output)
        WebhookDeliverOperator.partial(
            task_id="deliver", webhook_conn_id="dead", retries=3, retry_policy=None, retry_delay=600
        ).expand(notifications=match.output)
"""

DEFERRED = """
    from datetime import datetime

    from airflow.sdk import DAG

    from airflow_registry_triggers import RegistryPushSensor, TriggerMatchOperator, WebhookDeliverOperator

    with DAG("deferred", schedule=None, start_date=datetime(2026, 1, 1)):
        push = RegistryPushSensor(
            task_id="push", repository="deferred/app", deferrable=True, poke_interval=0.5, timeout=180, soft_fail=True
        )
        match = TriggerMatchOperator(task_id="match", trigger_name="prod", notifications=push.output)
        WebhookDeliverOperator(task_id="deliver", notifications=match.output, webhook_conn_id="slow_start")
"""

BAD = """
    from airflow.sdk import DAG

    from airflow_registry_triggers import TriggerMatchOperator

    with DAG("bad", schedule=None):
        TriggerMatchOperator(task_id="match", tag_regex="(?=x)")
"""


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def to_receiver(receiver: Receiver, path: str) -> dict[str, Any]:
    return {
        "conn_type": "webhook",
        "schema": "http",
        "host": "127.0.0.1",
        "port": receiver.port,
        "extra": {"path": path},
    }


@pytest.fixture(scope="module")
def airflow(
    registry: DockerRegistry, receiver: Receiver, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Airflow]:
    for repository in ("team/app", "team/worker", "scheduled/app", "deferred/app"):
        images.put_image(registry, images.Image(f"first-{repository}"), repository, ["v0"])
    extra = {"scheme": "http", "poll_interval": 1}
    home = AirflowHome(
        tmp_path_factory.mktemp("airflow"),
        connections={
            "registry_default": {"conn_type": "oci_registry", "host": "127.0.0.1", "port": registry.port, "extra": extra},
            "webhook_default": to_receiver(receiver, "/hook"),
            "dead": to_receiver(receiver, "/dead"),
            "slow_start": to_receiver(receiver, "/slow-start"),
        },
        settings={("registry_triggers", "allowed_networks"): "127.0.0.0/8"},
    )  # fmt: skip
    for name in EXAMPLES_HERE:
        home.copy_dag(EXAMPLES / f"{name}.py")
    home.write_dag("scheduled.py", SCHEDULED)
    home.write_dag("deferred.py", DEFERRED)
    home.write_dag("bad.py", BAD)
    with Airflow(home) as running:
        yield running


def push(registry: DockerRegistry, repository: str, tag: str) -> str:
    return images.put_image(registry, images.Image(f"{repository}:{tag}:{time.time()}"), repository, [tag])


def tags_received(receiver: Receiver, path: str) -> list[str]:
    return [item.json()["push_data"]["tag"] for item in receiver.received(path)]


def planned_wait(at: float, decision: str) -> float:
    """Return the seconds from a time to the next try in a task's error, which names a clock of UTC."""
    found = re.search(r"next try about .*?(\d\d):(\d\d):(\d\d) UTC", decision)
    assert found, decision
    hours, minutes, seconds = map(int, found.groups())
    return (3600 * hours + 60 * minutes + seconds - at) % 86400


def wait_for_watermark(airflow: Airflow, repository: str) -> None:
    """Wait until the watcher has taken its baseline."""
    uri = f"oci://registry_default/{repository}"

    def has_head() -> bool:
        assets = airflow.rest.api("GET", "/assets", uri_pattern=uri)["assets"]
        found = [asset["id"] for asset in assets if asset["uri"] == uri]
        store = airflow.rest.api("GET", f"/assets/{found[0]}/state-store") if found else {}
        return "head" in str(store)

    wait_until(has_head, 180, f"the baseline of {repository}", interval=0.5)


def test_dag_files_with_a_bad_rule_give_an_import_error_for_it_only(airflow: Airflow) -> None:
    for dag_id in ("registry_push_to_webhook", "registry_event_prod", "registry_event_staging", "deferred"):
        airflow.rest.wait_for_dag(dag_id)
    errors = wait_until(airflow.rest.import_errors, 180, "the import error")
    assert set(errors) == {"bad.py"}
    assert "look-around" in errors["bad.py"]


def test_event_driven_dags_after_a_push_deliver_it(
    airflow: Airflow, registry: DockerRegistry, receiver: Receiver
) -> None:
    dags = (
        "deploy_on_push",
        "registry_event_prod",
        "registry_event_staging",
        "registry_event_many_repositories",
    )
    for dag_id in dags:
        airflow.rest.wait_for_dag(dag_id)
        airflow.rest.unpause(dag_id)
    wait_for_watermark(airflow, "team/app")
    wait_for_watermark(airflow, "team/worker")

    digest = push(registry, "team/app", "release-v1")
    receiver.wait_for(3, 180, path="/hook")
    push(registry, "team/worker", "release-v2")
    push(registry, "team/app", "main")
    receiver.wait_for(5, 180, path="/hook")
    time.sleep(3)  # for what must not come

    received = receiver.received("/hook")
    by_trigger: dict[str | None, list[str]] = {}
    for item in received:
        by_trigger.setdefault(item.header("X-Environment"), []).append(item.json()["push_data"]["tag"])
    assert by_trigger == {
        "prod": ["release-v1"],
        "staging": ["main"],
        None: ["release-v1", "release-v1", "release-v2"],
    }
    assert received[0].json()["push_data"]["digest"] == digest
    ids = [item.header("webhook-id") for item in received]
    assert len(set(ids)) == 5, "three triggers on one push, three deliveries"
    for dag_id in dags:
        airflow.rest.pause(dag_id)


def test_deploy_each_image_after_a_push_runs_a_task_for_it(
    airflow: Airflow, registry: DockerRegistry
) -> None:
    rest = airflow.rest
    rest.wait_for_dag("deploy_each_image")
    rest.unpause("deploy_each_image")
    wait_for_watermark(airflow, "team/app")
    # The watcher starts with the Dag; a push before that may belong to Dags of another test alone.
    digest = push(registry, "team/app", "release-v5")

    def deployed() -> list[dict[str, Any]]:
        found = []
        for run in rest.runs("deploy_each_image"):
            for item in rest.task_instances("deploy_each_image", run["dag_run_id"]):
                if item["task_id"] == "deploy" and item["state"] == "success":
                    values = rest.xcoms("deploy_each_image", run["dag_run_id"], "deploy", item["map_index"])
                    found.append(values["return_value"])
        return [value for value in found if value["tag"] == "release-v5"]

    (value,) = wait_until(deployed, 180, "the mapped task of the push")
    assert value["digest"] == digest
    assert value["image"] == f"127.0.0.1:{registry.port}/team/app@{digest}"
    rest.pause("deploy_each_image")


def test_deferred_chain_after_a_retry_and_a_redelivery_keeps_its_id(
    airflow: Airflow, registry: DockerRegistry, receiver: Receiver
) -> None:
    rest = airflow.rest
    receiver.script("/slow-start", Answer(503), Answer(200))
    rest.wait_for_dag("deferred")
    rest.unpause("deferred")
    run = rest.trigger("deferred")
    rest.wait_for_state("deferred", run, "push", ["deferred"])
    push(registry, "deferred/app", "a")
    assert rest.wait_for_run("deferred", run) == "success"
    first, second = receiver.received("/slow-start")
    assert first.header("webhook-id") == second.header("webhook-id")
    lines = rest.log("deferred", run, "deliver", 1)
    (decision,) = [line["reason"] for line in lines if line["event"] == "Retry policy decision"]
    assert 3 <= planned_wait(first.at, decision) < 10, "5 s, give or take 20 %, and the end of the first try"
    assert second.at - first.at >= 4
    assert first.header("webhook-timestamp") != second.header("webhook-timestamp")
    (record,) = rest.xcoms("deferred", run, "deliver")["access_log.200"]
    assert [attempt["status_code"] for attempt in record["attempts"]] == ["503"]
    assert rest.states("deferred", run) == {"push": "success", "match": "success", "deliver": "success"}

    # Redelivery: the cleared task sends again, under the same id.
    rest.clear("deferred", run, ["deliver"])
    receiver.wait_for(3, 180, path="/slow-start")
    assert rest.wait_for_run("deferred", run) == "success"
    assert {item.header("webhook-id") for item in receiver.received("/slow-start")} == {
        first.header("webhook-id")
    }

    # The whole chain, cleared, finds and passes on the same push, though nothing is new.
    rest.clear("deferred", run, ["push", "match", "deliver"])
    receiver.wait_for(4, 180, path="/slow-start")
    assert rest.wait_for_run("deferred", run) == "success"
    assert {item.header("webhook-id") for item in receiver.received("/slow-start")} == {
        first.header("webhook-id")
    }


def test_detection_with_a_failing_receiver_continues(
    airflow: Airflow, registry: DockerRegistry, receiver: Receiver
) -> None:
    rest = airflow.rest
    receiver.script("/dead", Answer(500))
    rest.wait_for_dag("scheduled")
    rest.unpause("scheduled")
    # The first run takes the baseline and is skipped.
    wait_until(lambda: any(run["state"] == "success" for run in rest.runs("scheduled")), 180, "a first run")
    for number in range(3):
        push(registry, "scheduled/app", f"t{number}")
        receiver.wait_for(number + 1, 180, path="/dead")
    rest.pause("scheduled")
    assert tags_received(receiver, "/dead") == ["t0", "t1", "t2"]

    def waiting() -> int:
        running = rest.api("GET", "/dags/scheduled/dagRuns", state="running", limit=100)["dag_runs"]
        return sum(
            item["task_id"] == "deliver" and item["state"] == "up_for_retry"
            for run in running
            for item in rest.task_instances("scheduled", run["dag_run_id"])
        )

    # The last task ends a moment after the receiver has answered it.
    wait_until(lambda: waiting() >= 3, 60, "the tasks to wait for their retry", interval=0.5)
    assert waiting() == 3
    assert tags_received(receiver, "/dead") == ["t0", "t1", "t2"]


def test_provider_commands_with_the_package_installed_show_it(airflow: Airflow) -> None:
    home = airflow.home
    assert "airflow-provider-registry-triggers" in home.run("providers", "list", "--output", "json")
    assert "oci_registry" in home.run("providers", "hooks", "--output", "json")
    shown = home.run("providers", "get", "airflow-provider-registry-triggers", "--output", "json", "--full")
    assert "allowed_networks" in shown
    assert "webhook" in home.run("connections", "get", "webhook_default", "--output", "json")
    types = airflow.rest.api("GET", "/providers", limit=200)["providers"]
    assert any(item["package_name"] == "airflow-provider-registry-triggers" for item in types)
