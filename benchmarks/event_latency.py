# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
From a push to its webhook: this package beside what would be put together from the HTTP provider.

    python -m benchmarks.event_latency [--pushes 20] [--databases sqlite postgresql] [--idle 1 0.1]

Each contender has a Dag file, a repository of one tag and a path of the receiver of its own. Two that do the
same job are up at once and take turns, one push at a time. Polls are 1 s apart. Prints Markdown.
"""

from __future__ import annotations

import argparse
import compileall
import random
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from tests.harness import images
from tests.harness.airflow_home import AirflowHome
from tests.harness.airflow_process import COMPONENTS, Airflow
from tests.harness.docker_registry import DockerRegistry
from tests.harness.postgres import Postgres
from tests.harness.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterable

CONTENDERS = {
    "our_event": "this package, event-driven",
    "http_event": "`HttpEventTrigger`, Variable, short circuit, `HttpOperator`",
    "our_sensor": "this package, sensor in poke mode",
    "http_sensor": "`HttpSensor` in poke mode, Variable, short circuit, `HttpOperator`",
}

GROUPS = (("our_event", "http_event"), ("our_sensor", "http_sensor"))
"""Those that are up at the same time and take turns."""

CONTINUOUS = "schedule='@continuous', start_date=datetime(2026, 1, 1), max_active_runs=1"

OURS = """
    from datetime import datetime

    from airflow.sdk import DAG

    from airflow_registry_triggers import {names}

    with DAG("{name}", {schedule}):
        {push}
        match = TriggerMatchOperator(task_id="match", tag_regex="v.*"{notifications})
        WebhookDeliverOperator(task_id="deliver", notifications=match.output, webhook_conn_id="{name}")
"""

THEIRS = """
    from datetime import datetime

    from airflow.providers.http.operators.http import HttpOperator
    from airflow.sdk import DAG, Asset, AssetWatcher, task
    {imports}

    ACCEPT = {{"Accept": "application/vnd.oci.image.manifest.v1+json"}}
    ENDPOINT = "/v2/bench/{name}/manifests/v1"
    WHERE = {{"http_conn_id": "registry_http", "endpoint": ENDPOINT, "headers": ACCEPT}}

    {watch}

    with DAG("{name}", {schedule}):
        {push}

        @task.short_circuit
        def match():
            import re

            return bool(re.fullmatch("v.*", "v1"))

        matched = match()
        {order}
        matched >> HttpOperator(
            task_id="deliver", http_conn_id="receiver", endpoint="/{name}", data="{{}}",
            headers={{"Content-Type": "application/json"}},
        )
"""

DAGS = {
    "our_event": OURS.format(
        name="our_event",
        names="TriggerMatchOperator, WebhookDeliverOperator, repository_asset",
        schedule='schedule=repository_asset("bench/our_event")',
        push="",
        notifications="",
    ),
    "our_sensor": OURS.format(
        name="our_sensor",
        names="RegistryPushSensor, TriggerMatchOperator, WebhookDeliverOperator",
        schedule=CONTINUOUS,
        push='push = RegistryPushSensor(task_id="push", repository="bench/our_sensor", poke_interval=1)',
        notifications=", notifications=push.output",
    ),
    "http_event": THEIRS.format(
        name="http_event",
        imports="from airflow.providers.http.triggers.http import HttpEventTrigger",
        watch='watcher = AssetWatcher(name="w", trigger=HttpEventTrigger('
        'response_check_path="benchmarks.latency_checks.event_check", poll_interval=1, **WHERE))',
        schedule='schedule=Asset("bench_http_event", watchers=[watcher])',
        push="",
        order="",
    ),
    "http_sensor": THEIRS.format(
        name="http_sensor",
        imports="from airflow.providers.http.sensors.http import HttpSensor\n"
        "    from benchmarks.latency_checks import sensor_check",
        watch="",
        schedule=CONTINUOUS,
        push='push = HttpSensor(task_id="push", poke_interval=1, response_check=sensor_check, **WHERE)',
        order="push >> matched",
    ),
}


def home_of(
    folder: Path, registry: DockerRegistry, receiver: Receiver, database: str | None, idle: float
) -> AirflowHome:
    """Give an Airflow with the Connections of all contenders."""
    http = {"conn_type": "http", "schema": "http", "host": "127.0.0.1"}
    webhooks = {
        name: {**http, "conn_type": "webhook", "port": receiver.port, "extra": {"path": f"/{name}"}}
        for name in CONTENDERS
    }
    extra = {"scheme": "http", "poll_interval": 1, "flap_limit": 0}
    home = AirflowHome(
        folder / "airflow",
        database=database,
        connections={
            "registry_default": {
                "conn_type": "oci_registry", "host": "127.0.0.1", "port": registry.port, "extra": extra
            },
            "registry_http": {**http, "port": registry.port},
            "receiver": {**http, "port": receiver.port},
            **webhooks,
        },
        settings={
            ("registry_triggers", "allowed_networks"): "127.0.0.0/8",
            ("scheduler", "scheduler_idle_sleep_time"): str(idle),
            # The harness parses often; parsing takes the processor from what is measured.
            ("dag_processor", "min_file_process_interval"): "30",
        },
    )  # fmt: skip
    home.env["PYTHONPATH"] = str(Path(__file__).resolve().parents[1])
    for name, source in DAGS.items():
        home.write_dag(f"{name}.py", source)
    return home


class Bench:
    """One Airflow with all contenders."""

    def __init__(self, airflow: Airflow, registry: DockerRegistry, receiver: Receiver) -> None:
        self._airflow = airflow
        self._registry = registry
        self._receiver = receiver

    def begin(self, group: Iterable[str]) -> None:
        """Let contenders run, and push to each of them once: the first is not counted."""
        for name in group:
            self._airflow.rest.wait_for_dag(name)
            self._airflow.rest.unpause(name)
        # Watchers begin when a file has been parsed again.
        time.sleep(45)
        for name in group:
            self.seconds(name, "warm")

    def end(self, group: Iterable[str]) -> None:
        """Let contenders run no more."""
        for name in group:
            self._airflow.rest.pause(name)
            for run in self._airflow.rest.runs(name):
                if run["state"] == "running":
                    path = f"/dags/{name}/dagRuns/{run['dag_run_id']}"
                    self._airflow.rest.api("PATCH", path, {"state": "failed"})

    def put(self, name: str, label: str) -> float:
        """Push an image whose blobs are there already; give when."""
        repository, image = f"bench/{name}", images.Image(f"{name}-{label}")
        images.put_image(self._registry, image, repository, [])
        at = time.time()
        images.put_image(self._registry, image, repository, ["v1"])
        return at

    def seconds(self, name: str, label: str) -> float:
        """Push, and give the seconds until the receiver has it."""
        before = len(self._receiver.received(f"/{name}"))
        at = self.put(name, label)
        received = self._receiver.wait_for(before + 1, 60, path=f"/{name}")
        return received[before].at - at


def measured(database: str, idle: float, pushes: int) -> dict[str, list[float]]:
    """Measure all contenders on one Airflow."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-latency-")))
        registry = stack.enter_context(DockerRegistry(folder / "registry"))
        receiver = stack.enter_context(Receiver())
        url = stack.enter_context(Postgres()).url if database == "postgresql" else None
        home = home_of(folder, registry, receiver, url, idle)
        airflow = Airflow(home, COMPONENTS)
        bench = Bench(airflow, registry, receiver)
        for name in CONTENDERS:
            bench.put(name, "baseline")
        stack.enter_context(airflow)
        found: dict[str, list[float]] = {name: [] for name in CONTENDERS}
        for group in GROUPS:
            bench.begin(group)
            for number in range(pushes):
                for name in group:
                    time.sleep(random.uniform(1, 2))
                    found[name].append(bench.seconds(name, str(number)))
            bench.end(group)
    return found


def p95(values: list[float]) -> float:
    """Give the 95th percentile, None of it interpolated: of 20 values the second largest."""
    return sorted(values)[max(0, -(-len(values) * 95 // 100) - 1)]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pushes", type=int, default=20)
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--idle", nargs="+", type=float, default=[1.0, 0.1])
    args = parser.parse_args()
    # As an installer does; where Python writes no bytecode, each task would compile this package alone anew.
    compileall.compile_dir(Path(__file__).resolve().parents[1] / "airflow_registry_triggers", quiet=1)
    print(f"LocalExecutor, polls 1 s apart, {args.pushes} pushes to each in turn; seconds, median (p95)\n")
    columns = [(database, idle) for database in args.databases for idle in args.idle]
    results = [measured(database, idle, args.pushes) for database, idle in columns]
    names = [
        f"{database}, idle sleep {idle:g}{' (stock)' if idle == 1 else ''}" for database, idle in columns
    ]
    print(f"| chain | {' | '.join(names)} |\n|{'---|' * (len(names) + 1)}")
    for name, text in CONTENDERS.items():
        cells = [f"{statistics.median(result[name]):.1f} ({p95(result[name]):.1f})" for result in results]
        print(f"| {text} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
