# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
Push mode beside polls: latency, webhooks per second, and the cost of the reader.

    python -m benchmarks.push_mode [--parts latency load reader] [--databases sqlite postgresql]
        [--idle 1 0.1] [--count 20] [--slow-count 10]

In the latency part, docker-registry sends its own webhooks. The hint and the poll each second take turns,
one push at a time, at random moments. Prints Markdown.
"""

from __future__ import annotations

import argparse
import compileall
import random
import statistics
import tempfile
import time
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from benchmarks import push_mode_load
from tests.harness import images
from tests.harness.airflow_home import AirflowHome
from tests.harness.airflow_process import COMPONENTS, Airflow
from tests.harness.docker_registry import DockerRegistry
from tests.harness.postgres import Postgres
from tests.harness.processes import wait_until
from tests.harness.push_mode import SECRET, notifications
from tests.harness.receiver import Receiver

ROOT = Path(__file__).resolve().parents[1]

CONNECTIONS = {
    "hint": {"poll_interval": 3600, "webhook_secret": SECRET},
    "poll_1": {"poll_interval": 1},
    "poll_60": {"poll_interval": 60},
}
"""Extra of the registry Connection of each chain."""

NAMES = {"hint": "hint, safety poll 3,600 s", "poll_1": "poll every 1 s", "poll_60": "poll every 60 s"}

GOALS = {1.0: 3.0, 0.1: 2.0}
"""Seconds from a push to its webhook with a hint, by idle sleep."""

GOAL_RATIO = 1.1

DAG = """
    from airflow.sdk import DAG

    from airflow_registry_triggers import TriggerMatchOperator, WebhookDeliverOperator, repository_asset

    with DAG("{name}", schedule=repository_asset("bench/{name}", "{chain}")):
        match = TriggerMatchOperator(task_id="match", tag_regex="v.*")
        WebhookDeliverOperator(task_id="deliver", notifications=match.output, webhook_conn_id="to_{name}")
"""


class Sample(NamedTuple):
    """Seconds from a push to the start of the first task, and to the webhook at the receiver."""

    first_task: float
    webhook: float


class Bench:
    """
    One Airflow with a Dag for each fast chain, and several for the slow one.

    The polled repositories are in a registry of their own, which sends no webhooks.

    :param slow_count: number of pushes that wait for a poll every 60 s, each in a repository of its own
    """

    def __init__(self, stack: ExitStack, database: str, idle: float, slow_count: int) -> None:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-push-mode-")))
        url = stack.enter_context(Postgres()).url if database == "postgresql" else None
        self._receiver = stack.enter_context(Receiver())
        self._chains = {"hint": "hint", "poll_1": "poll_1"}
        self.slow = [f"poll_60_{number}" for number in range(slow_count)]
        self._chains |= dict.fromkeys(self.slow, "poll_60")
        home = self._home(folder, url, idle)
        polled = stack.enter_context(DockerRegistry(folder / "polled"))
        sending = DockerRegistry(folder / "sending", settings=notifications(home.url, "hint"))
        self._registries = {"hint": stack.enter_context(sending), "poll_1": polled, "poll_60": polled}
        for conn_id, extra in CONNECTIONS.items():
            home.connect(conn_id, _registry(self._registries[conn_id].port, extra))
        for name in self._chains:
            self._put(name, "first")
        self._rest = stack.enter_context(Airflow(home, COMPONENTS)).rest

    def _home(self, folder: Path, database: str | None, idle: float) -> AirflowHome:
        webhooks = {
            f"to_{name}": {
                "conn_type": "webhook",
                "schema": "http",
                "host": "127.0.0.1",
                "port": self._receiver.port,
                "extra": {"path": f"/{name}"},
            }
            for name in self._chains
        }
        home = AirflowHome(
            folder / "airflow",
            database=database,
            connections=webhooks,
            settings={
                ("registry_triggers", "allowed_networks"): "127.0.0.0/8",
                ("core", "dags_are_paused_at_creation"): "False",
                ("scheduler", "scheduler_idle_sleep_time"): str(idle),
                # The harness parses often; parsing takes the processor from the measured processes.
                ("dag_processor", "min_file_process_interval"): "30",
            },
        )
        home.env["PYTHONPATH"] = str(ROOT)
        for name, chain in self._chains.items():
            home.write_dag(f"{name}.py", DAG.format(name=name, chain=chain))
        return home

    def begin(self) -> None:
        """Wait for the baselines, and push once to each fast chain: the first push does not count."""
        wait_until(self._have_baselines, 180, "the baselines", interval=1)
        for name in ("hint", "poll_1"):
            self.fast_sample(name, "warm")

    def _have_baselines(self) -> bool:
        assets = self._rest.api("GET", "/assets", limit=100, uri_pattern="oci://")["assets"]
        stores = [str(self._rest.api("GET", f"/assets/{asset['id']}/state-store")) for asset in assets]
        return len(stores) == len(self._chains) and all("head" in store for store in stores)

    def _put(self, name: str, label: str) -> float:
        """Push an image whose blobs are there already; return the time of the push."""
        registry, image = self._registries[self._chains[name]], images.Image(f"{name}-{label}")
        images.put_image(registry, image, f"bench/{name}", [])
        at = time.time()
        images.put_image(registry, image, f"bench/{name}", ["v1"])
        return at

    def fast_sample(self, name: str, label: str) -> Sample:
        """Push to a chain, and wait until its run has ended."""
        before = len(self._receiver.received(f"/{name}"))
        return self._sample(name, self._put(name, label), before)

    def _sample(self, name: str, at: float, before: int) -> Sample:
        webhook = self._receiver.wait_for(before + 1, 100, path=f"/{name}")[before].at
        run = self._rest.runs(name)[-1]["dag_run_id"]
        self._rest.wait_for_run(name, run)
        starts = [row["start_date"] for row in self._rest.task_instances(name, run)]
        first = min(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() for text in starts)
        return Sample(first - at, webhook - at)

    def slow_samples(self) -> list[Sample]:
        """Push at random moments of a poll interval, each to another repository."""
        begin, pushed = time.monotonic(), {}
        for name, moment in zip(self.slow, sorted(random.uniform(0, 60) for _ in self.slow), strict=True):
            time.sleep(max(0.0, begin + moment - time.monotonic()))
            pushed[name] = self._put(name, "new")
        return [self._sample(name, at, 0) for name, at in pushed.items()]


def _registry(port: int, extra: dict[str, object]) -> dict[str, object]:
    extra = {"scheme": "http", "flap_limit": 0, **extra}
    return {"conn_type": "oci_registry", "host": "127.0.0.1", "port": port, "extra": extra}


def measured(database: str, idle: float, count: int, slow_count: int) -> dict[str, list[Sample]]:
    """Return the samples of each chain on one Airflow."""
    with ExitStack() as stack:
        bench = Bench(stack, database, idle, slow_count)
        bench.begin()
        found: dict[str, list[Sample]] = {"hint": [], "poll_1": []}
        for number in range(count):
            for name, samples in found.items():
                time.sleep(random.uniform(1, 2))
                samples.append(bench.fast_sample(name, str(number)))
        if bench.slow:
            found["poll_60"] = bench.slow_samples()
        return found


def spread(values: list[float]) -> str:
    """Return median, minimum and maximum as a text."""
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def print_latencies(database: str, idle: float, found: dict[str, list[Sample]]) -> None:
    """Print a table, and the comparison with the goals."""
    stock = " (stock)" if idle == 1 else ""
    print(f"| {database}, idle sleep {idle:g}{stock} | pushes | push to first task | push to webhook |")
    print("|---|---|---|---|")
    for name, samples in found.items():
        cells = spread([sample.first_task for sample in samples]), spread([of.webhook for of in samples])
        print(f"| {NAMES[name]} | {len(samples)} | {' | '.join(cells)} |")
    medians = {name: statistics.median(sample.webhook for sample in found[name]) for name in found}
    ratio = medians["hint"] / medians["poll_1"]
    met = medians["hint"] <= GOALS.get(idle, 3.0) and ratio <= GOAL_RATIO
    print(
        f"\nhint / poll every 1 s: {ratio:.2f}; goal at most {GOALS.get(idle, 3.0):g} s and {GOAL_RATIO:g}: "
        f"{'met' if met else 'missed'}\n",
        flush=True,
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", default=["latency", "load", "reader"])
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--idle", nargs="+", type=float, default=[1.0, 0.1])
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--slow-count", type=int, default=10)
    args = parser.parse_args()
    # As an installer does; where Python writes no bytecode, each task would compile this package alone anew.
    compileall.compile_dir(ROOT / "airflow_registry_triggers", quiet=1)
    if "latency" in args.parts:
        print("LocalExecutor; seconds, median (min-max)\n")
        for database in args.databases:
            for idle in args.idle:
                print_latencies(database, idle, measured(database, idle, args.count, args.slow_count))
    if "load" in args.parts:
        push_mode_load.print_load()
    if "reader" in args.parts:
        push_mode_load.print_reader_cost()


if __name__ == "__main__":
    main()
