# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""One Airflow for all tests of push mode: docker-registry's own webhooks, and polls only once an hour."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness import images
from tests.harness.airflow_home import AirflowHome
from tests.harness.airflow_process import Airflow
from tests.harness.docker_registry import DockerRegistry
from tests.harness.push_mode import SECRET, notifications
from tests.harness.receiver import Receiver
from tests.integration.push_mode.scene import EARLY

if TYPE_CHECKING:
    from collections.abc import Iterator

EVENT_DRIVEN = """
    from airflow.sdk import DAG

    from airflow_registry_triggers import TriggerMatchOperator, WebhookDeliverOperator, repository_asset

    def event_driven(dag_id, asset, path):
        with DAG(dag_id, schedule=asset):
            match = TriggerMatchOperator(task_id="match")
            WebhookDeliverOperator(task_id="deliver", notifications=match.output, webhook_conn_id=path)

    event_driven("push", repository_asset("push/app"), "push")
    event_driven("paused", repository_asset("paused/app"), "paused")
    event_driven("releases", repository_asset("rules/app", tag_regex="v.*"), "releases")
    event_driven("stable", repository_asset("rules/app", tags=["v1", "stable"]), "stable")
    first, *others = [repository_asset(f"early/app{number}", "registry_early") for number in range(5)]
    for other in others:
        first = first | other
    event_driven("early", first, "early")
"""

DEFERRED = """
    from airflow.sdk import DAG

    from airflow_registry_triggers import RegistryPushSensor, TriggerMatchOperator, WebhookDeliverOperator

    with DAG("deferred", schedule=None):
        push = RegistryPushSensor(
            task_id="push", repository="deferred/app", deferrable=True, poke_interval=3600, timeout=7200
        )
        match = TriggerMatchOperator(task_id="match", notifications=push.output)
        WebhookDeliverOperator(task_id="deliver", notifications=match.output, webhook_conn_id="deferred")
"""

PATHS = ("push", "paused", "releases", "stable", "early", "deferred", "webhook_default")
QUEUE_DAGS = Path(__file__).resolve().parents[3] / "example_dags" / "registry_queue.py"


@pytest.fixture(scope="package")
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def to_receiver(receiver: Receiver, path: str) -> dict[str, Any]:
    return {
        "conn_type": "webhook",
        "schema": "http",
        "host": "127.0.0.1",
        "port": receiver.port,
        "extra": {"path": f"/{path}"},
    }


@pytest.fixture(scope="package")
def home(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> AirflowHome:
    return AirflowHome(
        tmp_path_factory.mktemp("airflow"),
        connections={path: to_receiver(receiver, path) for path in PATHS},
        settings={("registry_triggers", "allowed_networks"): "127.0.0.0/8"},
    )


@pytest.fixture(scope="package")
def registry(home: AirflowHome, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    """A registry that sends its webhooks to this Airflow."""
    folder = tmp_path_factory.mktemp("registry")
    with DockerRegistry(folder, settings=notifications(home.url)) as running:
        yield running


@pytest.fixture(scope="package")
def airflow(home: AirflowHome, registry: DockerRegistry) -> Iterator[Airflow]:
    extra = {
        "scheme": "http",
        "poll_interval": 3600,
        "flap_limit": 0,
        "webhook_secret": SECRET,
        "queue_hints": True,
    }
    for conn_id in ("registry_default", "registry_early"):
        home.connect(
            conn_id, {"conn_type": "oci_registry", "host": "127.0.0.1", "port": registry.port, "extra": extra}
        )
    for repository in ("push/app", "paused/app", "rules/app", "deferred/app", *EARLY):
        images.put_image(registry, images.Image(f"first-{repository}"), repository, ["v0"])
    home.write_dag("event_driven.py", EVENT_DRIVEN)
    home.copy_dag(QUEUE_DAGS)
    home.write_dag("deferred.py", DEFERRED)
    with Airflow(home) as running:
        yield running
