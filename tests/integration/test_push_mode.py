# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Push mode on a real Airflow: docker-registry's own webhooks, and polls only once an hour."""

from __future__ import annotations

import itertools
import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness import images
from tests.harness.airflow_home import AirflowHome
from tests.harness.airflow_process import Airflow
from tests.harness.docker_registry import DockerRegistry
from tests.harness.processes import wait_until
from tests.harness.push_mode import SECRET, distribution_body, notifications, send_webhook
from tests.harness.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(300)]

SECONDS = 100
"""Until a delivery, on a busy machine; a poll is due only after an hour."""

EARLY = [f"early/app{number}" for number in range(5)]

EVENT_DRIVEN = """
    from airflow.sdk import DAG

    from airflow_registry_triggers import TriggerMatchOperator, WebhookDeliverOperator, repository_asset

    def event_driven(dag_id, asset, path):
        with DAG(dag_id, schedule=asset):
            match = TriggerMatchOperator(task_id="match")
            WebhookDeliverOperator(task_id="deliver", notifications=match.output, webhook_conn_id=path)

    event_driven("push", repository_asset("push/app"), "push")
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

PATHS = ("push", "releases", "stable", "early", "deferred", "webhook_default")
QUEUE_DAGS = Path(__file__).resolve().parents[2] / "example_dags" / "registry_queue.py"
_labels = itertools.count()


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
        "extra": {"path": f"/{path}"},
    }


@pytest.fixture(scope="module")
def home(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> AirflowHome:
    return AirflowHome(
        tmp_path_factory.mktemp("airflow"),
        connections={path: to_receiver(receiver, path) for path in PATHS},
        settings={("registry_triggers", "allowed_networks"): "127.0.0.0/8"},
    )


@pytest.fixture(scope="module")
def registry(home: AirflowHome, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    """A registry that sends its webhooks to this Airflow."""
    folder = tmp_path_factory.mktemp("registry")
    with DockerRegistry(folder, settings=notifications(home.url)) as running:
        yield running


@pytest.fixture(scope="module")
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
    for repository in ("push/app", "rules/app", "deferred/app", *EARLY):
        images.put_image(registry, images.Image(f"first-{repository}"), repository, ["v0"])
    home.write_dag("event_driven.py", EVENT_DRIVEN)
    home.copy_dag(QUEUE_DAGS)
    home.write_dag("deferred.py", DEFERRED)
    running = Airflow(home)
    try:
        yield running.start(timeout=240)
    finally:
        running.stop()


def push(registry: DockerRegistry, repository: str, *tags: str) -> str:
    return images.put_image(registry, images.Image(f"{repository}-{next(_labels)}"), repository, tags)


def begin(airflow: Airflow, repository: str, *dag_ids: str, conn_id: str = "registry_default") -> None:
    """Unpause Dags and wait for the baseline of each of their assets."""
    for dag_id in dag_ids:
        airflow.rest.wait_for_dag(dag_id)
        airflow.rest.unpause(dag_id)

    def have_baselines() -> bool:
        assets = airflow.rest.api("GET", "/assets", limit=100)["assets"]
        found = [a["id"] for a in assets if a["uri"].partition("?")[0] == f"oci://{conn_id}/{repository}"]
        stores = [airflow.rest.api("GET", f"/assets/{asset}/state-store") for asset in found]
        return sum("head" in str(store) for store in stores) >= len(dag_ids)

    wait_until(have_baselines, SECONDS, f"the baseline of {repository}", interval=0.3)


def pushes(receiver: Receiver, path: str) -> list[tuple[str, str]]:
    bodies = [item.json()["push_data"] for item in receiver.received(f"/{path}")]
    return [(body["tag"], body["digest"]) for body in bodies]


def test_push_with_the_registrys_own_webhook_is_delivered_long_before_a_poll(
    airflow: Airflow, registry: DockerRegistry, receiver: Receiver
) -> None:
    begin(airflow, "push/app", "push")
    for number in range(2):
        digest = push(registry, "push/app", f"v{number}")
        receiver.wait_for(number + 1, SECONDS, path="/push")
        assert pushes(receiver, "push")[-1] == (f"v{number}", digest)


def test_push_of_two_tags_of_one_digest_is_two_notifications(
    airflow: Airflow, registry: DockerRegistry, receiver: Receiver
) -> None:
    before = len(pushes(receiver, "push"))
    digest = push(registry, "push/app", "one", "two")
    receiver.wait_for(before + 2, SECONDS, path="/push")
    assert sorted(pushes(receiver, "push")[before:]) == [("one", digest), ("two", digest)]


def test_push_from_a_to_b_to_a_has_three_ids(
    airflow: Airflow, registry: DockerRegistry, receiver: Receiver
) -> None:
    before = len(pushes(receiver, "push"))
    first, second = images.Image("a"), images.Image("b")
    for number, image in enumerate((first, second, first), 1):
        images.put_image(registry, image, "push/app", ["moving"])
        receiver.wait_for(before + number, SECONDS, path="/push")
    received = receiver.received("/push")[before:]
    assert [item.json()["push_data"]["digest"] for item in received] == [
        first.digest,
        second.digest,
        first.digest,
    ]
    assert len({item.header("webhook-id") for item in received}) == 3


def test_webhooks_that_are_forged_replayed_or_of_deleted_tags_deliver_nothing(
    airflow: Airflow, registry: DockerRegistry, receiver: Receiver
) -> None:
    digest = push(registry, "push/app", "deleted")
    receiver.wait_for(len(pushes(receiver, "push")) + 1, SECONDS, path="/push")
    before = pushes(receiver, "push")
    registry.remove_tag("push/app", "deleted")
    registry.forget_requests()
    for body in (
        distribution_body("push/app", "v1", "invented", digest="sha256:" + "f" * 64),
        distribution_body("push/app", "v0", "v1", "moving"),
        distribution_body("push/app", "deleted", digest=digest),
        distribution_body("other/app", "v1"),
    ):
        for _ in range(2):
            assert send_webhook(airflow.home.url, body).status == 202
    wait_until(
        lambda: any("manifests/deleted" in line.path for line in registry.requests()),
        SECONDS,
        "the request of the hint",
    )
    time.sleep(6)  # for what must not come
    assert pushes(receiver, "push") == before


def test_two_rules_on_one_repository_both_get_the_push(
    airflow: Airflow, registry: DockerRegistry, receiver: Receiver
) -> None:
    begin(airflow, "rules/app", "releases", "stable")
    digest = push(registry, "rules/app", "v1", "main")
    receiver.wait_for(1, SECONDS, path="/releases")
    receiver.wait_for(1, SECONDS, path="/stable")
    assert pushes(receiver, "releases") == pushes(receiver, "stable") == [("v1", digest)]


def test_deferred_sensor_with_a_hint_returns_long_before_a_poll(
    airflow: Airflow, registry: DockerRegistry, receiver: Receiver
) -> None:
    airflow.rest.wait_for_dag("deferred")
    airflow.rest.unpause("deferred")
    run = airflow.rest.trigger("deferred")
    airflow.rest.wait_for_state("deferred", run, "push", ["deferred"], timeout=SECONDS)
    time.sleep(2)  # until its Airflow trigger runs
    digest = push(registry, "deferred/app", "v1")
    receiver.wait_for(1, SECONDS, path="/deferred")
    assert pushes(receiver, "deferred") == [("v1", digest)]


def test_150_webhooks_that_arrive_before_their_tags_lose_none(
    airflow: Airflow, registry: DockerRegistry, receiver: Receiver
) -> None:
    for repository in EARLY:
        begin(airflow, repository, "early", conn_id="registry_early")
    wanted = [(repository, f"t{number}") for number in range(30) for repository in EARLY]
    labels = {item: images.Image("/".join(item)) for item in wanted}
    for (repository, _), image in labels.items():
        for digest, blob in image.blobs.items():
            images._put_blob(registry, repository, digest, blob)

    def push_late(item: tuple[str, str]) -> None:
        repository, tag = item
        body = distribution_body(repository, tag)
        assert send_webhook(airflow.home.url, body, conn_id="registry_early").status == 202
        time.sleep(random.uniform(0, 0.1))
        images._put_manifest(registry, repository, tag, labels[item].manifest)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(push_late, wanted))
    receiver.wait_for(150, 200, path="/early")
    time.sleep(5)  # for what must not come
    received = [item.json() for item in receiver.received("/early")]
    found = [(body["repository"]["repo_full_name"], body["push_data"]["tag"]) for body in received]
    assert sorted(found) == sorted(wanted)


def store_event(airflow: Airflow, asset: str, body: bytes) -> None:
    """Store an asset event as the Airflow trigger of SQS does."""
    found = airflow.rest.api("GET", "/assets", name_pattern=asset)["assets"]
    (asset_id,) = [item["id"] for item in found if item["name"] == asset]
    extra = {"status": "success", "message_batch": [{"Body": body.decode(), "MessageId": "m-1"}]}
    airflow.rest.api("POST", "/assets/events", {"asset_id": asset_id, "extra": {"payload": extra}})


def test_message_of_a_queue_as_a_hint_is_delivered_by_the_watcher(
    airflow: Airflow, registry: DockerRegistry, receiver: Receiver
) -> None:
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


def test_airflow_after_all_of_this_has_no_secret_in_its_logs(airflow: Airflow) -> None:
    for path in airflow.home.folder.rglob("*.log"):
        assert SECRET not in path.read_text(errors="replace"), path
