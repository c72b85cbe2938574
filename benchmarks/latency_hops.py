# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
The time from a push to its asset event and to its webhook, hop by hop.

    python -m benchmarks.latency_hops [--pushes 20] [--databases sqlite postgresql] [--idle 0.1] [--status on]
        [--executor local]

One Dag on one repository of one tag; polls are 1 s apart, and pushes come at random moments. ``--status off``
writes no status of the watchers. ``--executor celery`` uses PostgreSQL and Redis, ``celery_imports`` also the
imports of :mod:`benchmarks.celery_imports`. Prints Markdown.
"""

from __future__ import annotations

import argparse
import compileall
import itertools
import json
import random
import statistics
import tempfile
import time
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.hop_producer import PATH, STATUS
from tests.harness import images
from tests.harness.airflow_home import AirflowHome
from tests.harness.airflow_process import COMPONENTS, Airflow
from tests.harness.docker_registry import DockerRegistry
from tests.harness.postgres import Postgres
from tests.harness.processes import wait_until
from tests.harness.receiver import Receiver
from tests.harness.redis import CELERY_COMPONENTS, Redis, celery_settings

ROOT = Path(__file__).resolve().parents[1]
REPOSITORY = "bench/hops"

EXECUTORS = {"local": "LocalExecutor", "celery": "CeleryExecutor", "celery_imports": "CeleryExecutor"}

DAG = """
    from airflow.sdk import DAG

    from airflow_registry_triggers import TriggerMatchOperator, WebhookDeliverOperator
    from benchmarks.hop_clock import timed_asset

    with DAG("hops", schedule=timed_asset("bench/hops")):
        match = TriggerMatchOperator(task_id="match", tag_regex="v.*")
        WebhookDeliverOperator(task_id="deliver", notifications=match.output, webhook_conn_id="receiver")
"""

HOPS = {
    "wait for the poll": ("push", "poll began"),
    "requests of the poll": ("poll began", "poll ended"),
    "check that the watermark is current": ("poll ended", "checked"),
    "write the outbox": ("checked", "emitted"),
    "wait for the triggerer's collection": ("emitted", "collected"),
    "store the asset event": ("collected", "event"),
    "**push → asset event**": ("push", "event"),
    "asset event → run queued": ("event", "queued"),
    "run queued → match starts": ("queued", "match starts"),
    "match": ("match starts", "match ends"),
    "match ends → deliver starts": ("match ends", "deliver starts"),
    "deliver starts → webhook": ("deliver starts", "webhook"),
    "**push → webhook**": ("push", "webhook"),
    "deliver, from start to end": ("deliver starts", "deliver ends"),
}
"""Name of the hop to the moments at its ends."""


def home_of(
    stack: ExitStack, folder: Path, connections: dict[str, Any], options: argparse.Namespace, database: str
) -> AirflowHome:
    """Give an Airflow with the Dag; its database and its broker end with the stack."""
    postgres = stack.enter_context(Postgres()) if database == "postgresql" else None
    settings = {
        ("registry_triggers", "allowed_networks"): "127.0.0.0/8",
        ("scheduler", "scheduler_idle_sleep_time"): str(options.idle),
        ("dag_processor", "min_file_process_interval"): "30",
    }
    if options.executor != "local" and postgres is not None:
        settings |= celery_settings(stack.enter_context(Redis(folder)), postgres)
    if options.executor == "celery_imports":
        settings["celery", "celery_config_options"] = "benchmarks.celery_imports.CELERY_CONFIG"
    home = AirflowHome(
        folder / "airflow",
        database=postgres.url if postgres else None,
        executor=EXECUTORS[options.executor],
        connections=connections,
        settings=settings,
    )
    home.env["PYTHONPATH"] = str(ROOT)
    home.env |= {PATH: str(folder / "moments"), STATUS: options.status}
    home.write_dag("hops.py", DAG)
    return home


def connections_to(registry: int, receiver: int) -> dict[str, Any]:
    """Give the Connections of the Dag, by id."""
    http = {"schema": "http", "host": "127.0.0.1"}
    extra = {"scheme": "http", "poll_interval": 1, "flap_limit": 0}
    return {
        "registry_default": {
            "conn_type": "oci_registry", "host": "127.0.0.1", "port": registry, "extra": extra
        },
        "receiver": {"conn_type": "webhook", **http, "port": receiver, "extra": {"path": "/hook"}},
    }  # fmt: skip


def marks(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def moments_of(push: float, lines: list[dict[str, Any]]) -> dict[str, float]:
    """Give the moments of the triggerer for one push."""
    found = {"push": push}
    later = [line for line in lines if line["at"] > push]
    found["poll ended"] = next(
        line["at"] for line in later if line["name"] == "poll ended" and line["pushes"]
    )
    found["poll began"] = max(
        line["at"] for line in lines if line["name"] == "poll began" and line["at"] < found["poll ended"]
    )
    for name in ("checked", "emitted"):
        found[name] = next(
            line["at"] for line in later if line["name"] == name and line["at"] > found["poll ended"]
        )
    found["collected"] = next(
        line["at"]
        for line in later
        if line["name"] == "collected" and line["events"] and line["at"] > found["emitted"]
    )
    return found


def at(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class Bench:
    """One Airflow with one Dag."""

    def __init__(self, airflow: Airflow, registry: DockerRegistry, receiver: Receiver) -> None:
        self._rest = airflow.rest
        self._moments = Path(airflow.home.env[PATH])
        self._registry = registry
        self._receiver = receiver

    def begin(self) -> None:
        self._rest.wait_for_dag("hops")
        self._rest.unpause("hops")
        wait_until(lambda: any(line["name"] == "poll ended" for line in marks(self._moments)), 120, "a poll")
        time.sleep(5)  # for the baseline
        self.push("warm")

    def push(self, label: str) -> dict[str, float]:
        """Push, and give all moments until the end of the run."""
        image = images.Image(f"hops-{label}")
        images.put_image(self._registry, image, REPOSITORY, [])
        number = len(self._receiver.received("/hook"))
        push = time.time()
        images.put_image(self._registry, image, REPOSITORY, ["v1"])
        webhook = self._receiver.wait_for(number + 1, 60)[number].at
        time.sleep(0.5)  # the delivery has the api-server to itself until it ends
        run = self._rest.runs("hops")[-1]["dag_run_id"]
        self._rest.wait_for_run("hops", run)
        found = moments_of(push, marks(self._moments))
        event = self._rest.api("GET", "/assets/events", order_by="-timestamp", limit=1)["asset_events"][0]
        found |= {"webhook": webhook, "event": at(event["timestamp"])}
        found["queued"] = at(self._rest.run("hops", run)["queued_at"])
        for row in self._rest.task_instances("hops", run):
            found[f"{row['task_id']} starts"] = at(row["start_date"])
            found[f"{row['task_id']} ends"] = at(row["end_date"])
        return found


def measured(database: str, options: argparse.Namespace) -> tuple[list[dict[str, float]], list[float]]:
    """Give the moments of each push, and the seconds between two collections."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-hops-")))
        registry = stack.enter_context(DockerRegistry(folder / "registry"))
        receiver = stack.enter_context(Receiver())
        images.put_image(registry, images.Image("hops-first"), REPOSITORY, ["v1"])
        connections = connections_to(registry.port, receiver.port)
        home = home_of(stack, folder, connections, options, database)
        components = COMPONENTS if options.executor == "local" else CELERY_COMPONENTS
        bench = Bench(stack.enter_context(Airflow(home, components)), registry, receiver)
        bench.begin()
        found = []
        for number in range(options.pushes):
            time.sleep(random.uniform(1, 2))
            found.append(bench.push(str(number)))
        times = [line["at"] for line in marks(folder / "moments") if line["name"] == "collected"]
    return found, [later - earlier for earlier, later in itertools.pairwise(times)]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pushes", type=int, default=20)
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--idle", type=float, default=0.1)
    parser.add_argument("--status", choices=("on", "off"), default="on")
    parser.add_argument("--executor", choices=tuple(EXECUTORS), default="local")
    args = parser.parse_args()
    if args.executor != "local":
        args.databases = ["postgresql"]
    compileall.compile_dir(ROOT / "airflow_registry_triggers", quiet=1)
    print(
        f"executor {args.executor}, polls 1 s apart, idle sleep {args.idle:g} s, status {args.status}, "
        f"{args.pushes} pushes; seconds, median\n"
    )
    for name in args.databases:
        found, periods = measured(name, args)
        print(f"| hop | {name} |\n|---|---|")
        for hop, (first, last) in HOPS.items():
            print(f"| {hop} | {statistics.median(push[last] - push[first] for push in found):.2f} |")
        print(f"\nseconds between two collections: median {statistics.median(periods):.3f}\n", flush=True)


if __name__ == "__main__":
    main()
