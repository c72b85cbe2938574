# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Push mode with a paused Dag on a real Airflow: its pushes wait for the first poll after the pause."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

import pytest

from tests.harness.processes import wait_until
from tests.harness.push_mode import distribution_body, send_webhook
from tests.integration.push_mode.scene import SECONDS, begin, push, pushes, stored

if TYPE_CHECKING:
    from tests.harness.airflow_process import Airflow
    from tests.harness.docker_registry import DockerRegistry
    from tests.harness.receiver import Receiver

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(1200)]

PAUSED = "paused/app"


def requests_of(registry: DockerRegistry, text: str) -> list[str]:
    """Return the watcher's requests of the paused repository: those that change nothing."""
    lines = registry.requests()
    return [
        line.path for line in lines if line.method in ("GET", "HEAD") and f"/{PAUSED}/{text}" in line.path
    ]


def wait_until_nobody_watches(airflow: Airflow, registry: DockerRegistry) -> None:
    """Wait until Airflow has detached the watcher, and a hint for a tag that does not exist causes no request."""
    wait_until(
        lambda: any("outbox.detached" in state for state in stored(airflow, PAUSED)),
        SECONDS,
        "the detachment",
    )
    numbers = itertools.count()

    def is_ignored() -> bool:
        tag = f"probe{next(numbers)}"
        assert send_webhook(airflow.home.url, distribution_body(PAUSED, tag)).status == 202
        time.sleep(3)
        return not requests_of(registry, f"manifests/{tag}")

    wait_until(is_ignored, SECONDS, "the watcher of the paused Dag to end")


def test_push_to_a_paused_dag_is_delivered_once_by_the_first_poll_after_the_pause(
    airflow: Airflow, registry: DockerRegistry, receiver: Receiver
) -> None:
    begin(airflow, PAUSED, "paused")
    first = push(registry, PAUSED, "before")
    receiver.wait_for(1, SECONDS, path="/paused")
    airflow.rest.pause("paused")
    wait_until_nobody_watches(airflow, registry)
    registry.forget_requests()
    second = push(registry, PAUSED, "while-paused")
    time.sleep(6)  # longer than a hint and its repeats take
    assert requests_of(registry, "manifests/") == requests_of(registry, "tags/list") == []
    assert pushes(receiver, "paused") == [("before", first)]
    airflow.rest.unpause("paused")
    receiver.wait_for(2, SECONDS, path="/paused")
    time.sleep(6)  # for what must not come
    assert pushes(receiver, "paused") == [("before", first), ("while-paused", second)]
    assert requests_of(registry, "tags/list"), "a full poll found the push"
