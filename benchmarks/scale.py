# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
What a thousand watched repositories cost one triggerer, and what a hundred Dags on one repository ask.

    python -m benchmarks.scale [--repositories 1000] [--seconds 180]

PostgreSQL, a real registry, every tag asked about in every poll, a poll each 60 s. Prints Markdown.
"""

from __future__ import annotations

import argparse
import itertools
import re
import shutil
import statistics
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tests.harness import images
from tests.harness.airflow_home import AirflowHome
from tests.harness.airflow_process import COMPONENTS, Airflow
from tests.harness.docker_registry import DockerRegistry
from tests.harness.postgres import Postgres

if TYPE_CHECKING:
    from collections.abc import Iterator

TAGS = 10
ASSETS_OF_A_DAG = 50
POLL_INTERVAL = 60

DAG = """
    from airflow.sdk import DAG, AssetAny

    from airflow_registry_triggers import TriggerMatchOperator, repository_asset

    with DAG("{name}", schedule=AssetAny(*[{assets}])):
        TriggerMatchOperator(task_id="match")
"""

LOOP_DELAY = """
    from airflow.sdk import DAG, Asset, AssetWatcher

    from benchmarks.loop_delay import LoopDelayTrigger

    trigger = LoopDelayTrigger(path={path!r})
    with DAG("loop_delay", schedule=Asset("loop_delay", watchers=[AssetWatcher(name="w", trigger=trigger)])):
        pass
"""

_LISTING = re.compile(r'\[([^]]+)\] "GET /v2/(\S+)/tags/list')


@dataclass(frozen=True)
class Use:
    """What the triggerer's processes have used of the machine."""

    cpu_seconds: float
    pss: float
    pss_of_runner: float


def use_of(airflow: Airflow) -> Use:
    """Add up the processes of the triggerer; the one that runs the triggers is its only own child."""
    seconds, pss, of_runner = 0.0, 0.0, 0.0
    for process in airflow.processes["triggerer"].members():
        times, memory = process.cpu_times(), process.memory_full_info()
        seconds += times.user + times.system
        pss += memory.pss / 1e6
        command, parent = " ".join(process.cmdline()), process.parent()
        if parent and "serve-logs" not in command and "triggerer" in " ".join(parent.cmdline()):
            of_runner = memory.pss / 1e6
    return Use(seconds, pss, of_runner)


@contextmanager
def airflow_on(
    registry: DockerRegistry, folder: Path, dags: dict[str, str], poll_interval: float
) -> Iterator[Airflow]:
    """Run an Airflow whose Dags are unpaused."""
    with Postgres() as postgres:
        extra = {"scheme": "http", "poll_interval": poll_interval}
        home = AirflowHome(
            folder / "airflow",
            database=postgres.url,
            connections={
                "registry_default": {
                    "conn_type": "oci_registry",
                    "host": "127.0.0.1",
                    "port": registry.port,
                    "extra": extra,
                }
            },
            settings={
                # Stock is 1,000, which leaves no room for what measures.
                ("triggerer", "capacity"): "1100",
                ("core", "dags_are_paused_at_creation"): "False",
                ("dag_processor", "min_file_process_interval"): "600",
            },
        )
        home.env["PYTHONPATH"] = str(Path(__file__).resolve().parents[1])
        for name, source in dags.items():
            home.write_dag(f"{name}.py", source)
        with Airflow(home, COMPONENTS) as airflow:
            yield airflow


def fill(registry: DockerRegistry, count: int) -> None:
    """Make repositories of TAGS tags: one by pushing, the others as copies of the files it left."""
    first = "scale/r0"
    images.put_image(registry, images.Image("scale"), first, [f"v{number}" for number in range(TAGS)])
    folder = registry.storage / "docker/registry/v2/repositories/scale"
    for number in range(1, count):
        shutil.copytree(folder / "r0", folder / f"r{number}")


def polls_of(registry: DockerRegistry) -> dict[str, list[float]]:
    """Give when each repository was listed, from the registry's log; its clock tells whole seconds."""
    polls: dict[str, list[float]] = defaultdict(list)
    for at, repository in _LISTING.findall((registry.folder / "registry.log").read_text(errors="replace")):
        polls[repository].append(datetime.strptime(at, "%d/%b/%Y:%H:%M:%S %z").timestamp())
    return polls


def wait_for_all(registry: DockerRegistry, count: int, timeout: float = 900) -> None:
    """Wait until each repository was polled twice: its baseline, and once after that."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        polls = polls_of(registry)
        if sum(len(times) >= 2 for times in polls.values()) >= count:
            return
        time.sleep(5)
    raise TimeoutError(f"{len(polls)} of {count} repositories are watched after {timeout:g} s")


def many_repositories(count: int, seconds: float) -> list[tuple[str, str]]:
    """Measure one triggerer with so many watched repositories."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-scale-")))
        registry = stack.enter_context(DockerRegistry(folder / "registry"))
        fill(registry, count)
        delays = folder / "delays"
        dags = {"loop_delay": LOOP_DELAY.format(path=str(delays))}
        for begin in range(0, count, ASSETS_OF_A_DAG):
            numbers = range(begin, min(begin + ASSETS_OF_A_DAG, count))
            assets = ", ".join(f"repository_asset('scale/r{number}')" for number in numbers)
            dags[f"scale_{begin}"] = DAG.format(name=f"scale_{begin}", assets=assets)
        airflow = stack.enter_context(airflow_on(registry, folder, dags, POLL_INTERVAL))
        wait_for_all(registry, count)
        registry.forget_requests()
        delays.write_text("")
        before, began = use_of(airflow), time.monotonic()
        time.sleep(seconds)
        after, lasted = use_of(airflow), time.monotonic() - began
        requests = len(registry.requests())
        late = [
            second - first - POLL_INTERVAL
            for times in polls_of(registry).values()
            # The first pause is drawn shorter, to spread them.
            for first, second in itertools.pairwise(times[1:])
        ]
        lags = sorted(float(line) for line in delays.read_text().split())
        blocked = airflow.processes["triggerer"].log.read_text(errors="replace").count("thread was blocked")
    cpu = (after.cpu_seconds - before.cpu_seconds) / lasted
    rate = requests / lasted
    return [
        ("repositories, tags of each", f"{count}, {TAGS}"),
        ("CPU of the triggerer", f"{cpu:.1%} of a core"),
        ("memory of the process that runs the watchers (PSS)", f"{after.pss_of_runner:.0f} MB"),
        ("memory of all of the triggerer's processes (PSS)", f"{after.pss:.0f} MB"),
        ("requests", f"{rate:.0f} per second, {rate * POLL_INTERVAL / count:.1f} per poll"),
        (
            "polls late by (whole seconds)",
            f"median {statistics.median(late):.0f}, worst {max(late):.0f}" if late else "-",
        ),
        ("loop delay (median, p99, worst)", ", ".join(f"{part * 1000:.0f} ms" for part in _spread(lags))),
        ("Airflow's warnings of a blocked loop, start included", str(blocked)),
    ]


def _spread(values: list[float]) -> tuple[float, float, float]:
    return statistics.median(values), values[len(values) * 99 // 100], values[-1]


def many_dags(assets: list[str], seconds: float = 40.0) -> tuple[float, float]:
    """Give requests per poll and polls per second of a repository that so many Dags are scheduled on."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-dags-")))
        registry = stack.enter_context(DockerRegistry(folder / "registry"))
        fill(registry, 1)
        dags = {
            f"dag_{number}": DAG.format(name=f"dag_{number}", assets=asset)
            for number, asset in enumerate(assets)
        }
        airflow = stack.enter_context(airflow_on(registry, folder, dags, 2))
        airflow.rest.wait_for_dag(f"dag_{len(assets) - 1}", timeout=300)
        wait_for_all(registry, 1)
        time.sleep(40)  # until all watchers have begun
        registry.forget_requests()
        time.sleep(seconds)
        lines = [line for line in registry.requests() if "/scale/r0/" in line.path]
        polls = sum("/tags/list" in line.path for line in lines)
        return len(lines) / polls, polls / seconds


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repositories", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--dags", type=int, default=100)
    args = parser.parse_args()
    print("| one triggerer, polls 60 s apart | one repository | many |\n|---|---|---|")
    one = many_repositories(1, args.seconds / 2)
    for (name, few), (_, many) in zip(one, many_repositories(args.repositories, args.seconds), strict=True):
        print(f"| {name} | {few} | {many} |", flush=True)
    plain = ["repository_asset('scale/r0')"]
    rules = [f"repository_asset('scale/r0', tag_regex='v.*|x{number}')" for number in range(args.dags)]
    print("\n| Dags on one repository of 10 tags | requests per poll | polls per second |\n|---|---|---|")
    for name, assets in (
        ("1", plain),
        (f"{args.dags}", plain * args.dags),
        (f"{args.dags}, each with a rule of its own on the asset", rules),
    ):
        of_a_poll, rate = many_dags(assets)
        print(f"| {name} | {of_a_poll:.1f} | {rate:.2f} |", flush=True)


if __name__ == "__main__":
    main()
