# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
The quick start, followed word by word: the wheel in a fresh virtual environment, and the printed commands.

Only ports differ from the page, and the registry is a program instead of a container.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness import images
from tests.harness.airflow_home import variable
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

    def records(self) -> list[dict[str, Any]]:
        printed = self.shell("airflow registry-triggers access-log --tag release-v1 --output json")
        return json.loads(printed[printed.index("[") :])


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[DockerRegistry]:
    with DockerRegistry(tmp_path / "registry") as running:
        images.put_image(running, images.Image("alpine"), "team/app", ["main"])
        yield running


def polls(registry: DockerRegistry) -> int:
    return sum("/tags/list" in request.path for request in registry.requests())


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


def test_quick_start_followed_word_by_word_leads_to_a_record_in_5_minutes(
    tmp_path: Path, registry: DockerRegistry
) -> None:
    port = int(registry.host.rpartition(":")[2])
    machine = Machine(tmp_path, {5000: port, 8000: free_port(), 8080: free_port()})
    wheel = downloaded_wheel(machine)
    began = time.monotonic()

    install = block_with("pip install").replace("airflow-provider-registry-triggers", str(wheel))
    machine.shell(install.replace("pip install", f"pip install --no-index --find-links {wheel.parent}"))
    installed = time.monotonic()

    (program,) = re.findall(
        r"<<'EOF'\n(.*?)^EOF", block_with("BaseHTTPRequestHandler"), re.DOTALL | re.MULTILINE
    )
    receiver = Process(
        "receiver", ["python3", "-c", machine.adapted(program)], tmp_path / "receiver.log", env=machine.env
    )
    (machine.home / "dags" / "deploy_on_push.py").write_text(dag_of_readme())
    exports, _, start = block_with("airflow standalone").strip().rpartition("\n")
    assert start == "airflow standalone"
    name, _, value = exports.removeprefix("export ").partition("=")
    machine.env[name] = value
    airflow = Process(
        "airflow standalone",
        [f"{tmp_path}/venv/bin/airflow", "standalone"],
        tmp_path / "airflow.log",
        env=machine.env,
        cwd=tmp_path,
    )
    with receiver, airflow:
        ready = "Airflow is ready"
        wait_until(lambda: ready in airflow.log.read_text(), 180, "Airflow to be ready", process=airflow)
        machine.shell(block_with("airflow connections add"))
        # The first poll ends before the second one begins.
        wait_until(lambda: polls(registry) > 1, 120, "the second poll", process=airflow)
        images.put_image(registry, images.Image("alpine"), "team/app", ["release-v1"])
        wait_until(lambda: "release-v1" in receiver.log.read_text(), 90, "the webhook", process=airflow)
        records = wait_until(
            lambda: [item for item in machine.records() if item["result"] == "delivered"],
            60, "the record", interval=1, process=airflow,
        )  # fmt: skip
    took = time.monotonic() - began
    print(
        f"\nfrom pip install to the record: {took:.0f} s, of which the installation {installed - began:.0f} s"
    )
    (record,) = records
    assert (record["repository"], record["tag"], record["status_code"]) == ("team/app", "release-v1", "204")
    assert took <= LIMIT
