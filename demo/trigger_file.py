# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The step of the demo with a trigger file: a reviewed YAML file becomes a Dag that a push starts."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from demo.report import Report, check, check_body
from tests.harness import images
from tests.harness.processes import wait_until

if TYPE_CHECKING:
    from demo.deployer import Deployer
    from tests.harness.airflow_home import AirflowHome
    from tests.harness.airflow_process import Airflow
    from tests.harness.docker_registry import DockerRegistry

__all__ = ["REPOSITORY", "copy_files", "run"]

REPOSITORY = "team/worker"
DAG_ID = "trigger.workers"
_FOLDER = Path(__file__).parent / "dags"
_FILES = ("registry_triggers.yaml", "registry_triggers.py")


def copy_files(home: AirflowHome) -> None:
    """
    Copy the trigger file and its Dag file to the Dags folder.

    :param home: of the Airflow
    """
    for name in _FILES:
        shutil.copy(_FOLDER / name, home.dags_folder / name)


def run(registry: DockerRegistry, airflow: Airflow, deployer: Deployer, report: Report) -> None:
    """
    Show the file, check it, and push a version that its rule matches with three other tags of the image.

    :param registry: where to push
    :param airflow: where the Dag runs
    :param deployer: where webhooks arrive
    :param report: where to say what happens
    """
    file = airflow.home.dags_folder / _FILES[0]
    report.step("the trigger file:")
    report.detail(file.read_text())
    airflow.home.run("registry-triggers", "check", str(file))
    report.step("airflow registry-triggers check: no problems")
    report.detail(airflow.home.run("registry-triggers", "list", str(file)))
    airflow.rest.wait_for_dag(DAG_ID)
    wait_until(lambda: _has_baseline(airflow), 90, "the watcher's baseline", interval=0.5)
    report.step(f"Dag {DAG_ID} is parsed, and its watcher recorded the tags of {REPOSITORY}")

    before = deployer.count()
    image = images.Image("worker")
    digest = images.put_image(registry, image, REPOSITORY, ["1.2.3", "1.2", "1", "latest"])
    report.step(f"pushed {REPOSITORY} as 1.2.3, 1.2, 1 and latest, {digest}")
    request, pulled = deployer.wait_for(before + 1)
    report.webhook(request, pulled)
    check_body(request.body)
    tag = request.json()["push_data"]["tag"]
    check(tag == "1.2.3", f"the webhook names tag {tag}, wanted the version 1.2.3")
    check(pulled == digest, f"pulled {pulled}, but {digest} was pushed")
    check(deployer.count() == before + 1, "more than one webhook arrived for one image")


def _has_baseline(airflow: Airflow) -> bool:
    assets = airflow.rest.api("GET", "/assets", uri_pattern=REPOSITORY)["assets"]
    if not assets:
        return False
    return "head" in str(airflow.rest.api("GET", f"/assets/{assets[0]['id']}/state-store"))
