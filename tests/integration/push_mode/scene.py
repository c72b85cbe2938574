# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Steps that the tests of push mode share."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from tests.harness import images
from tests.harness.processes import wait_until

if TYPE_CHECKING:
    from tests.harness.airflow_process import Airflow
    from tests.harness.docker_registry import DockerRegistry
    from tests.harness.receiver import Receiver

SECONDS = 240
"""Until a delivery, on a busy machine; a poll is due only after an hour."""

EARLY = [f"early/app{number}" for number in range(5)]

_labels = itertools.count()


def push(registry: DockerRegistry, repository: str, *tags: str) -> str:
    return images.put_image(registry, images.Image(f"{repository}-{next(_labels)}"), repository, tags)


def stored(airflow: Airflow, repository: str, conn_id: str = "registry_default") -> list[str]:
    """Return the state of each asset of a repository as text."""
    assets = airflow.rest.api("GET", "/assets", limit=100)["assets"]
    found = [a["id"] for a in assets if a["uri"].partition("?")[0] == f"oci://{conn_id}/{repository}"]
    return [str(airflow.rest.api("GET", f"/assets/{asset}/state-store")) for asset in found]


def begin(airflow: Airflow, repository: str, *dag_ids: str, conn_id: str = "registry_default") -> None:
    """Unpause Dags and wait for the baseline of each of their assets."""
    for dag_id in dag_ids:
        airflow.rest.wait_for_dag(dag_id)
        airflow.rest.unpause(dag_id)

    def have_baselines() -> bool:
        return sum("head" in state for state in stored(airflow, repository, conn_id)) >= len(dag_ids)

    wait_until(have_baselines, SECONDS, f"the baseline of {repository}", interval=0.3)


def pushes(receiver: Receiver, path: str) -> list[tuple[str, str]]:
    bodies = [item.json()["push_data"] for item in receiver.received(f"/{path}")]
    return [(body["tag"], body["digest"]) for body in bodies]
