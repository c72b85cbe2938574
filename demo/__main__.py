# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
Run the demo: ``python -m demo``, or ``make demo``.

Exits 0 only if every webhook and every line of the access log was as it must be. KEEP=1 in the
environment leaves Airflow, the registry and the receiver up until Ctrl-C.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from demo import trigger_file
from demo.chain import DAG_ID, REPOSITORY, Chain, connect, make_home
from demo.deployer import Deployer
from demo.push_mode import PushMode
from demo.report import Report
from tests.harness import images
from tests.harness.airflow_home import ADMIN
from tests.harness.airflow_process import Airflow
from tests.harness.docker_registry import DockerRegistry
from tests.harness.push_mode import notifications

if TYPE_CHECKING:
    from types import FrameType


def main() -> int:
    """Run the demo and give its exit code."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    report = Report()
    folder = Path(tempfile.mkdtemp(prefix="registry-triggers-demo-"))
    code = 0
    try:
        with ExitStack() as stack:
            _demo(folder, report, stack)
            if _keep():
                threading.Event().wait()
            report.step("ending what was started")
    except KeyboardInterrupt:
        code = 0 if report.passed else 130
    except Exception as error:
        code = 1
        report.fail(f"{type(error).__name__}: {error}\nlogs are kept in {folder}")
    finally:
        if code != 1:
            shutil.rmtree(folder, ignore_errors=True)
    if code == 0:
        report.step("the demo passed, and what it started is ended")
    return code


def _keep() -> bool:
    return os.environ.get("KEEP", "") not in {"", "0"}


def _end(number: int, _frame: FrameType | None) -> None:
    # As an exception it passes through every ``with``, and so ends what was started.
    sys.exit(128 + number)


def _demo(folder: Path, report: Report, stack: ExitStack) -> None:
    report.step("starting a registry")
    home = make_home(folder / "airflow")
    # The registry sends a webhook for each push; Airflow takes them as soon as it is up.
    settings = notifications(home.url, "demo_push_mode")
    registry = stack.enter_context(DockerRegistry(folder / "registry", settings=settings))
    report.step(f"the registry is up at {registry.url}")
    images.push(registry, images.Image("old"), REPOSITORY, "release-v0.9")
    images.push(registry, images.Image("old-worker"), trigger_file.REPOSITORY, "1.2.0")
    report.step(f"pushed {REPOSITORY}:release-v0.9, which is there before anyone watches: never announced")
    deployer = stack.enter_context(Deployer(registry, folder))
    report.step(f"a receiver listens at {deployer.receiver.url}")
    report.step("starting airflow standalone on SQLite (about 20 s)")
    connect(home, registry, deployer)
    airflow = stack.enter_context(Airflow(home))
    report.step(f"Airflow is up at {airflow.home.url}")

    chain = Chain(registry, airflow, deployer, report)
    chain.wait_for_dag()
    report.step("1 of 5: a new tag that matches release-v.*")
    chain.triggers("release-v1.0", "first", "new")
    report.step("2 of 5: a tag that does not match")
    chain.does_not_trigger("pre-release-v1.1", "second")
    report.step("3 of 5: the same tag points at another image")
    chain.triggers("release-v1.0", "third", "updated")
    report.step("4 of 5: a trigger declared in a reviewed file")
    trigger_file.run(registry, airflow, deployer, report)
    report.step("5 of 5: push mode, with the registry's own webhook, beside a poll")
    PushMode(registry, airflow, deployer, report).compare()
    report.passed = True
    if _keep():
        _say_how_to_go_on(report, airflow, registry)


def _say_how_to_go_on(report: Report, airflow: Airflow, registry: DockerRegistry) -> None:
    password = airflow.home.passwords[ADMIN]
    report.step("all is as it must be, and stays up until Ctrl-C")
    report.detail(f"UI        {airflow.home.url}/dags/{DAG_ID}")
    report.detail(f"log in    user {ADMIN}, password {password}")
    report.detail(f"registry  {registry.url}, repository {REPOSITORY}")
    report.detail(f"Trigger {DAG_ID} in the UI, then push a tag of your own:")
    report.detail(
        "skopeo copy --dest-tls-verify=false "
        f"--src-tls-verify=false docker://{registry.host}/{REPOSITORY}:release-v0.9 "
        f"docker://{registry.host}/{REPOSITORY}:release-v2.0"
    )


if __name__ == "__main__":
    sys.exit(main())
