# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
The quick start, followed word by word: the wheel in a fresh virtual environment, and the printed commands.

Only ports differ from the page, and the registry is a program instead of a container.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.harness import images
from tests.harness.airflow_home import ADMIN, variable
from tests.harness.airflow_rest import AirflowRest
from tests.harness.docker_registry import DockerRegistry
from tests.harness.processes import Process, free_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

pytestmark = [pytest.mark.quick_start, pytest.mark.timeout(0)]

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "quick_start.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


LIMIT = 300
"""Seconds from ``pip install`` to the first record, downloads aside."""


def console_blocks() -> list[str]:
    return re.findall(r"^```console\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def block_with(words: str) -> str:
    (found,) = [block for block in console_blocks() if words in block]
    return found


def dag_of_readme() -> str:
    (found,) = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    return found


class Machine:
    """
    The machine of a new user: a folder with a fresh virtual environment and an Airflow home.

    :param folder: for everything
    :param ports: number in the page to number here
    """

    def __init__(self, folder: Path, ports: Mapping[int, int]) -> None:
        self.folder = folder
        self.ports = ports
        self.home = folder / "airflow"
        (self.home / "dags").mkdir(parents=True)
        api, base = ports[8080], f"http://127.0.0.1:{ports[8080]}"
        places = {
            variable("api", "port"): str(api),
            variable("api", "base_url"): base,
            variable("core", "execution_api_server_url"): f"{base}/execution/",
            variable("logging", "worker_log_server_port"): str(free_port()),
            variable("logging", "trigger_log_server_port"): str(free_port()),
        }
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHON"))
        }
        path = f"{folder / 'venv' / 'bin'}{os.pathsep}{kept.get('PATH', os.defpath)}"
        self.env = {**kept, **places, "AIRFLOW_HOME": str(self.home), "PATH": path}

    def shell(self, commands: str, timeout: float = 600) -> str:
        """Run commands of the page, with the ports of this machine."""
        done = subprocess.run(
            ["bash", "-euc", self.adapted(commands)],
            env=self.env, cwd=self.folder, capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{commands}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def adapted(self, commands: str) -> str:
        for printed, port in self.ports.items():
            commands = re.sub(rf"(?<!\d){printed}(?!\d)", str(port), commands)
        return commands

    def rest(self) -> AirflowRest:
        """Log in as the page says."""
        passwords = json.loads((self.home / "simple_auth_manager_passwords.json.generated").read_text())
        return AirflowRest(f"http://127.0.0.1:{self.ports[8080]}", ADMIN, passwords[ADMIN])


class Stopwatch:
    """Seconds of each part."""

    def __init__(self) -> None:
        self._marks = [("", time.monotonic())]

    def ended(self, part: str) -> None:
        self._marks.append((part, time.monotonic()))

    @property
    def total(self) -> float:
        return self._marks[-1][1] - self._marks[0][1]

    def __str__(self) -> str:
        pairs = itertools.pairwise(self._marks)
        return ", ".join(f"{part} {end - start:.0f} s" for (_, start), (part, end) in pairs)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[DockerRegistry]:
    with DockerRegistry(tmp_path / "registry") as running:
        images.put_image(running, images.Image("alpine"), "team/app", ["main"])
        yield running


def downloaded_wheel(machine: Machine) -> Path:
    """Build the wheel and download what it needs, so that the time of the downloads is not counted."""
    wheels = machine.folder / "wheels"
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(wheels), str(ROOT)],
        check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = wheels.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", str(machine.folder / "venv")], check=True)
    machine.shell(f"pip download --quiet --dest {wheels} {wheel}", timeout=1800)
    return wheel


def receiver_of(machine: Machine) -> Process:
    (program,) = re.findall(
        r"<<'EOF'\n(.*?)^EOF", block_with("BaseHTTPRequestHandler"), re.DOTALL | re.MULTILINE
    )
    command = ["python3", "-c", machine.adapted(program)]
    return Process("receiver", command, machine.folder / "receiver.log", env=machine.env)


def airflow_of(machine: Machine) -> Process:
    *exports, start = block_with("airflow standalone").splitlines()
    assert start == "airflow standalone"
    for line in exports:
        name, _, value = line.removeprefix("export ").partition("=")
        machine.env[name] = value
    command = [f"{machine.folder}/venv/bin/airflow", "standalone"]
    log = machine.folder / "airflow.log"
    # A terminal shows each line at once; a file would get them in blocks.
    env = {**machine.env, "PYTHONUNBUFFERED": "1"}
    return Process("airflow standalone", command, log, env=env, cwd=machine.folder)


def test_quick_start_followed_word_by_word_leads_to_a_record_in_5_minutes(
    tmp_path: Path, registry: DockerRegistry
) -> None:
    port = int(registry.host.rpartition(":")[2])
    machine = Machine(tmp_path, {5000: port, 8000: free_port(), 8080: free_port()})
    wheel = downloaded_wheel(machine)
    watch = Stopwatch()

    install = block_with("pip install").replace("airflow-provider-registry-triggers", str(wheel))
    machine.shell(install.replace("pip install", f"pip install --no-index --find-links {wheel.parent}"))
    watch.ended("installation")
    (machine.home / "dags" / "deploy_on_push.py").write_text(dag_of_readme())
    machine.shell(block_with("airflow connections add"))
    watch.ended("database and Connections")
    with receiver_of(machine) as receiver, airflow_of(machine) as airflow:
        ready = "Airflow is ready"
        wait_until(lambda: ready in airflow.log.read_text(), 120, "Airflow to be ready", process=airflow)
        watch.ended("start")
        status = block_with("registry-triggers status")
        wait_until(lambda: "1 tag recorded" in machine.shell(status), 90, "the baseline", process=airflow)
        watch.ended("baseline")
        images.put_image(registry, images.Image("alpine"), "team/app", ["release-v1"])
        wait_until(lambda: "release-v1" in receiver.log.read_text(), 30, "the webhook", process=airflow)
        watch.ended("push to webhook")
        rest = machine.rest()
        found = {"tag": "release-v1", "result": "delivered"}
        (record,) = wait_until(
            lambda: rest.call("GET", "/registry-triggers/access-log", **found)["entries"],
            30, "the record", process=airflow,
        )  # fmt: skip
        watch.ended("record")
    print(f"\nfrom pip install to the record: {watch.total:.0f} s: {watch}")
    assert (record["repository"], record["tag"], record["status_code"]) == ("team/app", "release-v1", "204")
    assert watch.total <= LIMIT
