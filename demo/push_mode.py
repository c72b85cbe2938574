# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Push mode in the demo: a push that a poll finds, and one that the registry's own webhook names."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from demo.report import Report, check
from tests.harness import images
from tests.harness.processes import wait_until

if TYPE_CHECKING:
    from demo.deployer import Deployer
    from tests.harness.airflow_process import Airflow
    from tests.harness.docker_registry import DockerRegistry

__all__ = ["POLLED", "POLL_INTERVAL", "PUSHED", "SAFETY_POLL", "PushMode"]

POLLED, PUSHED = "team/polled", "team/pushed"
POLL_INTERVAL = 1
"""Seconds between two polls of the repository that is only polled."""
SAFETY_POLL = 300
"""Seconds between two full polls in push mode."""

_DAGS = {POLLED: "registry_poll_demo", PUSHED: "registry_push_mode_demo"}
_CONNECTIONS = {POLLED: "demo_registry", PUSHED: "demo_push_mode"}


class PushMode:
    """
    Pushes to both repositories and compares how long the webhooks take.

    :param registry: it sends its own webhooks to Airflow
    :param airflow: where the Dags run
    :param deployer: where webhooks arrive
    :param report: where to say what happens
    """

    def __init__(
        self, registry: DockerRegistry, airflow: Airflow, deployer: Deployer, report: Report
    ) -> None:
        self._registry = registry
        self._rest = airflow.rest
        self._deployer = deployer
        self._report = report

    def compare(self) -> None:
        """Push once to each repository, and print the two latencies side by side."""
        for repository, dag_id in _DAGS.items():
            images.put_image(self._registry, images.Image(f"old-{repository}"), repository, ["release-v0.9"])
            self._rest.wait_for_dag(dag_id)
            self._rest.unpause(dag_id)
        for repository in _DAGS:
            wait_until(lambda name=repository: self._has_baseline(name), 90, f"the baseline of {repository}")
        polled, pushed = self._latency(POLLED), self._latency(PUSHED)
        self._report.step("from the push to the webhook at the receiver:")
        self._report.detail(f"poll every {POLL_INTERVAL} s                           {polled:5.1f} s")
        self._report.detail(f"the registry's own webhook (poll {SAFETY_POLL} s)  {pushed:5.1f} s")
        check(pushed < SAFETY_POLL / 10, f"push mode took {pushed:.1f} s: its webhook did not start a poll")

    def _has_baseline(self, repository: str) -> bool:
        uri = f"oci://{_CONNECTIONS[repository]}/{repository}"
        assets: list[dict[str, Any]] = self._rest.api("GET", "/assets", uri_pattern=uri)["assets"]
        return any("head" in str(self._rest.api("GET", f"/assets/{a['id']}/state-store")) for a in assets)

    def _latency(self, repository: str) -> float:
        before, image = self._deployer.count(), images.Image(f"new-{repository}")
        images.put_image(self._registry, image, repository, ["release-v1.0"])
        began = time.time()
        self._report.step(f"pushed {repository}:release-v1.0")
        request, pulled = self._deployer.wait_for(before + 1)
        check(pulled == image.digest, f"pulled {pulled}, but {image.digest} was pushed")
        return max(0.0, request.at - began)
