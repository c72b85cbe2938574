# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Logins of a cloud in a real Airflow: watcher, sensor, hook and connection test, with tokens of 12 s."""

from __future__ import annotations

import base64
import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness import images
from tests.harness.airflow_home import AirflowHome
from tests.harness.airflow_process import Airflow
from tests.harness.moto import EcrGate, EcrShim, Moto, error
from tests.harness.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.harness.docker_registry import DockerRegistry

pytestmark = [pytest.mark.airflow, pytest.mark.cloud, pytest.mark.timeout(1200)]

SECRET_KEY = "planted-secret-access-key-0123456789"
DENIED_KEY = "planted-denied-access-key-0123456789"
LIFETIME = 12.0
"""Seconds; a token is renewed 2.4 s before its end, which is longer than a request takes on a busy machine."""

DAGS = """
    from airflow.sdk import DAG, task

    from airflow_registry_triggers import RegistryPushSensor
    from airflow_registry_triggers.assets.oci import repository_asset
    from airflow_registry_triggers.hooks.registry import RegistryHook

    with DAG("watched", schedule=[repository_asset("team/watched", registry_conn_id="ecr")]):

        @task
        def seen():
            return "seen"

        seen()

    with DAG("polled", schedule=None):
        common = {"repository": "team/app", "registry_conn_id": "ecr", "poke_interval": 0.5, "timeout": 600}
        RegistryPushSensor(task_id="poke", first_run="notify", **common)
        RegistryPushSensor(task_id="deferred", deferrable=True, **common)

        @task
        def read():
            return RegistryHook("ecr").list_tags("team/app")

        @task
        async def read_in_a_coroutine():
            return await RegistryHook("ecr").aget_digest("team/app", "v0")

        read()
        read_in_a_coroutine()

    with DAG("refused", schedule=None, default_args={"retries": 0}):
        RegistryPushSensor(task_id="denied", repository="team/app", registry_conn_id="denied", timeout=240)
        RegistryPushSensor(task_id="missing", repository="team/app", registry_conn_id="missing", timeout=240)
        RegistryPushSensor(
            task_id="evil", repository="evil.example.com/team/app", registry_conn_id="aws_default", timeout=240
        )
"""


@pytest.fixture(scope="module")
def shims(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EcrShim, EcrShim]]:
    with Moto(tmp_path_factory.mktemp("moto")) as moto, EcrShim(moto, LIFETIME) as good, EcrShim(moto) as bad:
        bad.fault = lambda: error("AccessDeniedException", f"{DENIED_KEY} is not authorized")
        yield good, bad


@pytest.fixture(scope="module")
def gate(shims: tuple[EcrShim, EcrShim], registry: DockerRegistry) -> Iterator[EcrGate]:
    with EcrGate(shims[0], registry.url) as running:
        yield running


def to_aws(shim: EcrShim, key: str) -> dict[str, Any]:
    extra = {"endpoint_url": shim.url, "region_name": "eu-central-1"}
    return {"conn_type": "aws", "login": "AKIAPLANTED", "password": key, "extra": extra}


def to_gate(gate: EcrGate, conn_id: str) -> dict[str, Any]:
    extra = {"scheme": "http", "credentials_conn_id": conn_id, "poll_interval": 2}
    return {"conn_type": "oci_registry", "host": "127.0.0.1", "port": gate.port, "extra": extra}


@pytest.fixture(scope="module")
def airflow(
    gate: EcrGate,
    shims: tuple[EcrShim, EcrShim],
    registry: DockerRegistry,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Airflow]:
    for repository in ("team/app", "team/watched"):
        images.put_image(registry, images.Image(f"cloud-{repository}"), repository, ["v0"])
    home = AirflowHome(
        tmp_path_factory.mktemp("airflow"),
        connections={
            "aws_default": to_aws(shims[0], SECRET_KEY),
            "aws_denied": to_aws(shims[1], DENIED_KEY),
            "ecr": to_gate(gate, "aws_default"),
            "denied": to_gate(gate, "aws_denied"),
            "missing": to_gate(gate, "nope"),
        },
        settings={("core", "test_connection"): "Enabled", ("logging", "logging_level"): "DEBUG"},
    )
    home.write_dag("clouds.py", DAGS)
    with Airflow(home) as running:
        yield running


def kept_by(airflow: Airflow, *answers: Any) -> dict[str, bytes]:
    """Return all that Airflow stores, and some answers of its API."""
    folder: Path = airflow.home.folder
    files = {}
    for path in folder.rglob("*"):
        # A temporary file may be gone by now.
        with contextlib.suppress(FileNotFoundError):
            if path.is_file():
                files[str(path.relative_to(folder))] = path.read_bytes()
    return files | {f"answer {number}": json.dumps(answer).encode() for number, answer in enumerate(answers)}


def test_cloud_login_in_watcher_sensor_and_hook_needs_no_401_and_leaves_no_secret(
    airflow: Airflow, gate: EcrGate, shims: tuple[EcrShim, EcrShim], registry: DockerRegistry
) -> None:
    rest, shim = airflow.rest, shims[0]
    for dag_id in ("watched", "polled", "refused"):
        rest.wait_for_dag(dag_id)
        rest.unpause(dag_id)
    wait_until(lambda: gate.count("HEAD") > 0, 180, "the baseline of the watcher")
    run = rest.trigger("polled")
    refused = rest.trigger("refused")
    rest.wait_for_state("polled", run, "deferred", ["deferred"])
    issued = len(shim.issued)
    wait_until(lambda: len(shim.issued) >= issued + 3, 180, "three renewals of the token")

    images.put_image(registry, images.Image(f"cloud-{time.time()}"), "team/app", ["v1"])
    assert rest.wait_for_run("polled", run) == "success"
    images.put_image(registry, images.Image(f"watched-{time.time()}"), "team/watched", ["v1"])
    wait_until(lambda: rest.runs("watched"), 180, "the run that the push starts", interval=0.2)
    assert rest.wait_for_run("refused", refused, timeout=300) == "failed"

    assert gate.rejected_logins() == 0
    assert "v0" in rest.xcoms("polled", run, "read")["return_value"]
    assert str(rest.xcoms("polled", run, "read_in_a_coroutine")["return_value"]).startswith("sha256:")
    logs = {task: json.dumps(rest.log("refused", refused, task)) for task in ("denied", "missing", "evil")}
    assert (
        "Connection 'aws_denied' was rejected (AccessDeniedException: *** is not authorized)"
        in logs["denied"]
    )
    assert "Connection 'missing': credentials_conn_id='nope' does not exist" in logs["missing"]
    assert "'evil.example.com' is not a host of Amazon ECR" in logs["evil"]
    answers = [
        logs,
        *(rest.log("polled", run, task) for task in ("poke", "deferred", "read", "read_in_a_coroutine")),
        *(rest.xcoms("polled", run, task) for task in ("poke", "deferred", "read")),
        rest.task_instances("polled", run),
        rest.api("GET", "/assets", uri_pattern="%"),
        form_test(airflow, gate),
    ]
    keys = (SECRET_KEY, DENIED_KEY)
    secrets = [*shim.secrets(), *keys, *(base64.b64encode(key.encode()).decode() for key in keys)]
    assert len(shim.issued) > 5
    kept = kept_by(airflow, *answers)
    assert any(name.endswith(".db") for name in kept)
    assert [(name, form) for name, text in kept.items() for form in secrets if form.encode() in text] == []


def form_test(airflow: Airflow, gate: EcrGate) -> Any:
    """Test the Connection as the form does, and return the answer."""
    given = to_gate(gate, "aws_default")
    body = {"connection_id": "tested", **given, "extra": json.dumps(given["extra"])}
    answer = airflow.rest.api("POST", "/connections/test", body)
    assert answer["status"], answer
    assert "signed in with Connection 'aws_default'" in answer["message"]
    return answer
