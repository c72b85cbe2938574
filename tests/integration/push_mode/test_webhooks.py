# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Push mode on a real Airflow: docker-registry's own webhooks, and polls only once an hour."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.harness import images
from tests.harness.processes import wait_until
from tests.harness.push_mode import SECRET, distribution_body, send_webhook
from tests.integration.push_mode.scene import EARLY, SECONDS, begin, push, pushes

if TYPE_CHECKING:
    from tests.harness.airflow_process import Airflow
    from tests.harness.docker_registry import DockerRegistry
    from tests.harness.receiver import Receiver

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(1200)]


def test_push_with_the_registrys_own_webhook_is_delivered_long_before_a_poll(
    airflow: Airflow, registry: DockerRegistry, receiver: Receiver
) -> None:
    begin(airflow, "push/app", "push")
    before = len(pushes(receiver, "push"))
    for number in range(2):
        digest = push(registry, "push/app", f"v{number}")
        receiver.wait_for(before + number + 1, SECONDS, path="/push")
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
    count = len(pushes(receiver, "push"))
    digest = push(registry, "push/app", "deleted")
    receiver.wait_for(count + 1, SECONDS, path="/push")
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
    receiver.wait_for(150, 600, path="/early")
    time.sleep(5)  # for what must not come
    received = [item.json() for item in receiver.received("/early")]
    found = [(body["repository"]["repo_full_name"], body["push_data"]["tag"]) for body in received]
    assert sorted(found) == sorted(wanted)


def test_airflow_after_all_of_this_has_no_secret_in_its_logs(airflow: Airflow) -> None:
    for path in airflow.home.folder.rglob("*.log"):
        assert SECRET not in path.read_text(errors="replace"), path
