# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A trigger file in a real Airflow: a bad entry stops no good trigger, and loses no push."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness import images
from tests.harness.airflow_home import AirflowHome
from tests.harness.airflow_process import Airflow
from tests.harness.processes import wait_until
from tests.harness.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.harness.docker_registry import DockerRegistry

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(1200)]

GOOD = tuple(f"good{number}" for number in range(5))

DAG_FILE = """
    from airflow_registry_triggers import trigger_dags_from

    trigger_dags_from("registry_triggers.yaml")
"""


def file_of(**changes: str) -> str:
    """Return a trigger file; a change replaces the fields of one trigger."""
    lines = ["defaults:", "  webhook: webhook_default", "triggers:"]
    names = (*GOOD, "patient", "sleeping")
    for name in names:
        extra = changes.get(name, "")
        fields = f"repository: {name}/app, headers: {{X-Trigger: {name}}}{', ' if extra else ''}{extra}"
        lines.append(f"  {name}: {{{fields}}}")
    return "\n".join([*lines, ""])


BAD = {"patient": "tag-regex: v.*, request_timeout: 600"}
ASLEEP = {"sleeping": "enabled: false"}


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture(scope="module")
def airflow(
    registry: DockerRegistry, receiver: Receiver, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Airflow]:
    for name in (*GOOD, "patient", "sleeping"):
        images.put_image(registry, images.Image(f"first-{name}"), f"{name}/app", ["v0"])
    extra = {"scheme": "http", "poll_interval": 1}
    home = AirflowHome(
        tmp_path_factory.mktemp("airflow"),
        connections={
            "registry_default": {"conn_type": "oci_registry", "host": "127.0.0.1", "port": registry.port, "extra": extra},
            "webhook_default": {"conn_type": "webhook", "schema": "http", "host": "127.0.0.1", "port": receiver.port, "extra": {"path": "/hook"}},
        },
        settings={("registry_triggers", "allowed_networks"): "127.0.0.0/8"},
    )  # fmt: skip
    (home.dags_folder / "registry_triggers.yaml").write_text(file_of())
    home.write_dag("registry_triggers.py", DAG_FILE)
    with Airflow(home) as running:
        yield running


def write(airflow: Airflow, text: str) -> None:
    airflow.home.write_dag("registry_triggers.yaml", text)


def push(registry: DockerRegistry, name: str, tag: str) -> None:
    images.put_image(registry, images.Image(f"{name}:{tag}:{time.time()}"), f"{name}/app", [tag])


def delivered(receiver: Receiver) -> set[tuple[str | None, str]]:
    return {
        (item.header("X-Trigger"), item.json()["push_data"]["tag"]) for item in receiver.received("/hook")
    }


def tags_of(airflow: Airflow, dag_id: str) -> set[str]:
    found: dict[str, Any] = airflow.rest.api("GET", f"/dags/{dag_id}")
    return {tag["name"] for tag in found["tags"]}


def state_of(airflow: Airflow, name: str) -> Any:
    """Return the stored state of a trigger's repository."""
    uri = f"oci://registry_default/{name}/app"
    assets = airflow.rest.api("GET", "/assets", uri_pattern=uri)["assets"]
    found = [asset["id"] for asset in assets if asset["uri"] == uri]
    return airflow.rest.api("GET", f"/assets/{found[0]}/state-store") if found else {}


def test_bad_entry_among_good_ones_stops_none_and_loses_no_push(
    airflow: Airflow, registry: DockerRegistry, receiver: Receiver
) -> None:
    everyone = (*GOOD, "patient", "sleeping")
    for name in everyone:
        airflow.rest.wait_for_dag(f"trigger.{name}", timeout=180)
    for name in everyone:
        wait_until(lambda name=name: "head" in str(state_of(airflow, name)), 180, f"the baseline of {name}")
    for name in everyone:
        push(registry, name, "v1")
    expected = {(name, "v1") for name in everyone}
    wait_until(lambda: delivered(receiver) == expected, 180, "the first push of each trigger", interval=0.5)

    write(airflow, file_of(**BAD, **ASLEEP))
    wait_until(
        lambda: tags_of(airflow, "trigger.patient") == {"registry-trigger", "held"}, 180, "the held Dag"
    )
    wait_until(lambda: "disabled" in tags_of(airflow, "trigger.sleeping"), 180, "the disabled Dag")
    # A watcher that Airflow has not detached yet would emit its push to a Dag that no longer listens.
    for name in ("patient", "sleeping"):
        wait_until(
            lambda name=name: "outbox.detached" in str(state_of(airflow, name)), 180, f"{name} to be detached"
        )
    # Airflow would delete the state of an asset that no Dag names about a minute after that.
    held_since = time.monotonic()
    for name in everyone:
        push(registry, name, "v2")
    expected |= {(name, "v2") for name in GOOD}
    wait_until(
        lambda: delivered(receiver) >= expected, 180, "the second push of each good trigger", interval=0.5
    )
    assert airflow.rest.import_errors() == {}
    for name in GOOD:
        assert tags_of(airflow, f"trigger.{name}") == {"registry-trigger"}

    run = airflow.rest.trigger("trigger.patient")
    assert airflow.rest.wait_for_run("trigger.patient", run) == "failed"
    log = str(airflow.rest.log("trigger.patient", run, "held", 1))
    assert "is held: registry_triggers.yaml:9 has 2 problems. Fix them in the file." in log
    assert "did you mean 'tag_regex'?" in log
    wait_until(lambda: time.monotonic() - held_since > 100, 120, "the scheduler's clean-up of unused assets")
    assert delivered(receiver) == expected, "neither the held nor the disabled trigger delivers"

    write(airflow, file_of())
    expected |= {("patient", "v2"), ("sleeping", "v2")}
    wait_until(
        lambda: delivered(receiver) == expected,
        180,
        "the pushes of the held and the disabled trigger",
        interval=0.5,
    )
    assert tags_of(airflow, "trigger.patient") == {"registry-trigger"}
    ids = [item.header("webhook-id") for item in receiver.received("/hook")]
    assert len(ids) == len(set(ids)) == len(expected)
