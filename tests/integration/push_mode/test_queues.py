# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Messages of queues on a real Airflow: as hints for the watcher, and as notifications."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.harness.processes import wait_until
from tests.harness.push_mode import distribution_body
from tests.integration.push_mode.scene import SECONDS, begin, push, pushes

if TYPE_CHECKING:
    from tests.harness.airflow_process import Airflow
    from tests.harness.docker_registry import DockerRegistry
    from tests.harness.receiver import Receiver

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(1200)]


def store_event(airflow: Airflow, asset: str, body: bytes) -> None:
    """Store an asset event as the Airflow trigger of SQS does."""
    found = airflow.rest.api("GET", "/assets", name_pattern=asset)["assets"]
    (asset_id,) = [item["id"] for item in found if item["name"] == asset]
    extra = {"status": "success", "message_batch": [{"Body": body.decode(), "MessageId": "m-1"}]}
    airflow.rest.api("POST", "/assets/events", {"asset_id": asset_id, "extra": {"payload": extra}})


def test_message_of_a_queue_as_a_hint_is_delivered_by_the_watcher(
    airflow: Airflow, registry: DockerRegistry, receiver: Receiver
) -> None:
    begin(airflow, "push/app", "push")
    airflow.rest.wait_for_dag("registry_queue_hints")
    airflow.rest.unpause("registry_queue_hints")
    before = len(pushes(receiver, "push"))
    digest = push(registry, "push/app", "queued")
    receiver.wait_for(before + 1, SECONDS, path="/push")
    registry.forget_requests()
    store_event(airflow, "registry_messages", distribution_body("push/app", "queued", "never"))
    wait_until(lambda: airflow.rest.runs("registry_queue_hints"), SECONDS, "a run of the queue's Dag")
    run = airflow.rest.runs("registry_queue_hints")[0]["dag_run_id"]
    assert airflow.rest.wait_for_run("registry_queue_hints", run, timeout=SECONDS) == "success"
    stored = airflow.rest.xcoms("registry_queue_hints", run, "hint")["return_value"]
    assert stored == [{"repository": "push/app", "tag": tag} for tag in ("never", "queued")]
    wait_until(
        lambda: any("manifests/never" in line.path for line in registry.requests()),
        SECONDS,
        "the request of the hint",
    )
    assert pushes(receiver, "push")[before:] == [("queued", digest)]


def test_message_of_a_queue_as_a_notification_is_delivered_once(airflow: Airflow, receiver: Receiver) -> None:
    airflow.rest.wait_for_dag("registry_queue_match")
    airflow.rest.unpause("registry_queue_match")
    body = distribution_body("queue/app", "release-v1", "main", digest="sha256:" + "a" * 64)
    for number in (1, 2):
        store_event(airflow, "other_registry_messages", body)
        wait_until(
            lambda count=number: len(airflow.rest.runs("registry_queue_match")) >= count,
            SECONDS,
            "a run of the match",
        )
        run = airflow.rest.runs("registry_queue_match")[-1]["dag_run_id"]
        assert airflow.rest.wait_for_run("registry_queue_match", run, timeout=SECONDS) == "success"
    assert pushes(receiver, "webhook_default") == [("release-v1", "sha256:" + "a" * 64)]
