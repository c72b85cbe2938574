# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The nine states of triggers, reached in a real Airflow with a real registry and a receiver."""

from __future__ import annotations

import importlib.util
import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness import images
from tests.harness.airflow_home import AirflowHome
from tests.harness.airflow_process import COMPONENTS, Airflow
from tests.harness.processes import free_port, wait_until
from tests.harness.receiver import Answer, Received, Receiver
from tests.integration.test_real_airflow import to_receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.harness.docker_registry import DockerRegistry

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(1200)]

ROOT = Path(__file__).resolve().parents[2]
LIST = "/registry-triggers/triggers"
SECRET = "planted-password-7731"
CLOCK = r"(\d{4}-\d\d-\d\d )?\d\d:\d\d"

DAGS = """
    from datetime import datetime

    from airflow.sdk import DAG

    from airflow_registry_triggers import TriggerMatchOperator, WebhookDeliverOperator, repository_asset

    TRIGGERS = {
        "paused": ("registry_good", "ok"),
        "refused": ("registry_wrong", "ok"),
        "storming": ("registry_storm", "ok"),
        "waiting": ("registry_good", "ok"),
        "nightly": ("registry_good", "ok"),
        "rejected": ("registry_good", "no"),
        "retrying": ("registry_good", "busy"),
        "good": ("registry_good", "ok"),
    }
    for name, (conn_id, receiver) in TRIGGERS.items():
        asset = repository_asset(f"states/{name}", conn_id)
        with DAG(name, schedule=asset, start_date=datetime(2026, 1, 1), is_paused_upon_creation=False) as dag:
            match = TriggerMatchOperator(task_id="match", tag_regex="v.*")
            WebhookDeliverOperator(task_id="deliver", notifications=match.output, webhook_conn_id=receiver)
        globals()[name] = dag
"""

FAULTY = """
    from datetime import datetime

    from airflow.sdk import DAG

    from airflow_registry_triggers import TriggerMatchOperator, repository_asset

    with DAG("faulty", schedule=repository_asset("states/good", "registry_good"), start_date=datetime(2026, 1, 1)):
        TriggerMatchOperator(task_id="match")
"""

SENSOR = """
    from datetime import datetime

    from airflow.sdk import DAG

    from airflow_registry_triggers import RegistryPushSensor, WebhookDeliverOperator

    with DAG("sensing", schedule=None, start_date=datetime(2026, 1, 1), is_paused_upon_creation=False):
        push = RegistryPushSensor(task_id="push", repository="states/nowhere", registry_conn_id="registry_good", retries=0)
        WebhookDeliverOperator(task_id="deliver", notifications=push.output, webhook_conn_id="ok")
"""

FILE = """
triggers:
  held:
    repository: states/good
    registry: registry_good
    tag-regex: v.*
    webhook: ok
  disabled:
    repository: states/good
    registry: registry_good
    webhook: ok
    enabled: false
"""

FROM_FILE = """
    from airflow_registry_triggers import trigger_dags_from

    trigger_dags_from("registry_triggers.yaml")  # airflow dag
"""

REPOSITORIES = ("paused", "refused", "storming", "waiting", "nightly", "rejected", "retrying", "good")


def to_registry(port: int, **extra: Any) -> dict[str, Any]:
    return {
        "conn_type": "oci_registry",
        "host": "127.0.0.1",
        "port": port,
        "login": "robot",
        "password": SECRET,
        "extra": {"scheme": "http", "poll_interval": 2, **extra},
    }


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        running.script("/ok", Answer(204))
        running.script("/no", Answer(404))
        running.script("/busy", Answer(503))
        yield running


@pytest.fixture(scope="module")
def home(
    registry: DockerRegistry, receiver: Receiver, tmp_path_factory: pytest.TempPathFactory
) -> AirflowHome:
    for name in REPOSITORIES:
        push(registry, name, "v0")
    made = AirflowHome(
        tmp_path_factory.mktemp("airflow"),
        connections={
            "registry_good": to_registry(registry.port),
            "registry_storm": to_registry(registry.port, storm_limit=1),
            "registry_wrong": to_registry(free_port()),
            **{name: to_receiver(receiver, f"/{name}") for name in ("ok", "no", "busy")},
        },
        settings={("registry_triggers", "allowed_networks"): "127.0.0.0/8"},
    )
    made.env["PYTHONPATH"] = str(ROOT)
    made.write_dag("states.py", DAGS)
    made.write_dag("faulty.py", FAULTY)
    made.write_dag("sensing.py", SENSOR)
    if importlib.util.find_spec("airflow_registry_triggers.trigger_file"):
        (made.dags_folder / "registry_triggers.yaml").write_text(FILE)
        made.write_dag("registry_triggers.py", FROM_FILE)
    return made


@pytest.fixture(scope="module")
def airflow(home: AirflowHome) -> Iterator[Airflow]:
    with Airflow(home, COMPONENTS) as running:
        for name in (*REPOSITORIES, "faulty", "sensing"):
            running.rest.wait_for_dag(name)
        yield running


def push(registry: DockerRegistry, name: str, *tags: str) -> None:
    for tag in tags:
        images.put_image(registry, images.Image(f"{name}:{tag}:{time.time()}"), f"states/{name}", [tag])


def shown(airflow: Airflow) -> dict[str, dict[str, Any]]:
    return {row["dag_id"]: row for row in airflow.rest.call("GET", LIST, limit=200)["triggers"]}


def has_polled(airflow: Airflow, names: tuple[str, ...]) -> bool:
    rows = shown(airflow)
    return all(watcher["polled_at"] for name in names for watcher in rows[name]["watchers"])


def wait_for(
    airflow: Airflow, states: dict[str, str], *, waiting: str = "", timeout: float = 240
) -> dict[str, dict[str, Any]]:
    """Wait until triggers have these states at once, and one of them also waits for its next attempt."""

    def reached() -> bool:
        found.update(shown(airflow))
        # While a retry is under way, the trigger has no next attempt.
        return all(found.get(name, {}).get("state") == state for name, state in states.items()) and bool(
            not waiting or found[waiting]["next_attempt_at"]
        )

    found: dict[str, dict[str, Any]] = {}
    try:
        wait_until(reached, timeout, "the states", interval=1)
    except TimeoutError as error:
        seen = {name: (row["state"], row["why"]) for name, row in found.items()}
        raise AssertionError(f"{error}: {seen}") from None
    return found


def test_each_state_is_reached_in_a_real_airflow(
    airflow: Airflow, home: AirflowHome, registry: DockerRegistry
) -> None:
    rest = airflow.rest
    rest.pause("paused")
    home.write_dag("faulty.py", FAULTY + "\n    raise ValueError('a fault')\n")
    watched = ("waiting", "nightly", "rejected", "retrying", "good", "storming")
    wait_until(lambda: has_polled(airflow, watched), 240, "the first reports of the watchers", interval=1)
    rows = wait_for(airflow, dict.fromkeys(watched, "baseline"))
    assert rows["waiting"]["why"] == "1 tag recorded; no push since."
    assert rows["waiting"]["watchers"][0]["requests"] >= 1

    push(registry, "nightly", "nightly")
    push(registry, "rejected", "v1")
    push(registry, "retrying", "v1")
    push(registry, "good", "v1")
    push(registry, "storming", "v1", "v2", "v3", "v4", "v5", "v6")
    run_id = rest.trigger("sensing")
    rest.wait_for_run("sensing", run_id)
    expected = {
        "paused": "paused",
        "faulty": "broken",
        "refused": "registry_error",
        "sensing": "registry_error",
        "storming": "storm",
        "waiting": "baseline",
        "nightly": "untriggered",
        "rejected": "delivery",
        "retrying": "delivery",
        "good": "ok",
    }
    if importlib.util.find_spec("airflow_registry_triggers.trigger_file"):
        expected |= {"trigger.held": "broken", "trigger.disabled": "paused"}
    rows = wait_for(airflow, expected, waiting="retrying")
    sentences = {name: row["why"] for name, row in rows.items()}
    for name, wanted in {
        "paused": r"Paused\. Airflow queues no asset events for a paused Dag\.",
        "faulty": rf"The Dag file has an import error since {CLOCK}\.",
        "refused": rf"unavailable: no answer for states/refused since {CLOCK}\. \d+ attempts?; the next one is at {CLOCK}\.",
        "sensing": rf"The sensor push failed at {CLOCK}\. Its task log has the reason\.",
        "storming": r"\d pushes are held, more than storm_limit 1\. Raise storm_limit to send them\.",
        "nightly": r"nightly does not match: 'nightly' does not match v\.\* \(the whole tag must match\)",
        "rejected": r"404: rejected\. Fix the receiver, then clear the task\.",
        "retrying": rf"503; the next attempt is at {CLOCK}\.",
        "good": r"v1 was delivered \d+ (s|min) ago \(204\)\.",
        "trigger.held": r"Held: .*registry_triggers\.yaml:3 has 1 problem\.",
        "trigger.disabled": r"Disabled in .*registry_triggers\.yaml:8\.",
    }.items():
        if name in sentences:
            assert re.fullmatch(wanted, sentences[name]), (name, sentences[name])
    assert rows["retrying"]["next_attempt_at"]

    code = home_status(home)
    assert code == 1
    assert SECRET not in json.dumps(rows)

    airflow.processes["triggerer"].terminate()
    rows = wait_for(
        airflow, {"waiting": "not_watched", "good": "not_watched", "paused": "paused", "faulty": "broken"}
    )
    assert re.fullmatch(
        r"No triggerer is alive; the last heartbeat was \d+ (s|min) ago\.", rows["good"]["why"]
    )


def deliveries_of(receiver: Receiver, name: str) -> list[Received]:
    """Give the webhooks of one trigger; others may be sent again at any time."""
    return [item for item in receiver.received() if item.json()["repository"]["name"] == name]


def home_status(home: AirflowHome) -> int:
    import subprocess

    command = [str(home.program), "registry-triggers", "status", "--problems"]
    return subprocess.run(command, env=home.env, capture_output=True, timeout=240, check=False).returncode


def test_a_dry_run_sends_nothing_and_is_not_the_last_push(airflow: Airflow, receiver: Receiver) -> None:
    before = len(deliveries_of(receiver, "good"))
    push_data = {"tag": "v9", "digest": "sha256:" + "0" * 64, "pushed_at": "2026-01-01 00:00:00"}
    repository = {"name": "good", "namespace": "states", "repo_full_name": "states/good"}
    conf = {"notification": {"push_data": push_data, "repository": repository}, "dry_run": True}
    run_id = airflow.rest.trigger("good", conf)
    assert airflow.rest.wait_for_run("good", run_id) == "success"
    assert len(deliveries_of(receiver, "good")) == before
    row = shown(airflow)["good"]
    assert (row["last_push"]["tag"], row["last_delivery"]["status"]) == ("v1", "204")
