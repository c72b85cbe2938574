# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A whole installation: registry, PostgreSQL, Redis, Airflow on Celery, and the receiver of webhooks."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from tests.harness.airflow_home import AirflowHome
from tests.harness.airflow_process import Airflow
from tests.harness.docker_registry import DockerRegistry
from tests.harness.postgres import Postgres
from tests.harness.processes import wait_until
from tests.harness.push_mode import SECRET, notifications
from tests.harness.receiver import Receiver
from tests.harness.redis import CELERY_COMPONENTS, Redis, celery_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["DAG_ID", "REPOSITORY", "Cluster", "cluster", "event_dag"]

DAG_ID = "chaos"
REPOSITORY = "team/app"

SETTINGS = {
    ("triggerer", "triggerer_health_check_threshold"): "5",
    ("triggerer", "job_heartbeat_sec"): "1",
    ("scheduler", "scheduler_health_check_threshold"): "10",
    ("scheduler", "task_instance_heartbeat_timeout"): "20",
    ("scheduler", "scheduler_idle_sleep_time"): "0.1",
    # What a killed scheduler or worker had taken and not begun is looked for after 5 and 10 minutes by
    # default; a test waits less.
    ("scheduler", "orphaned_tasks_check_interval"): "10",
    ("scheduler", "task_queued_timeout"): "30",
    ("scheduler", "task_queued_timeout_check_interval"): "5",
    ("registry_triggers", "allowed_networks"): "127.0.0.0/8",
}


def event_dag(
    dag_id: str,
    asset: str = f"repository_asset({REPOSITORY!r})",
    path: str = "/hook",
    *,
    max_active_runs: int = 16,
) -> str:
    """
    Give the source of an event-driven Dag.

    :param dag_id: its id
    :param asset: expression of what it is scheduled on
    :param path: what its receiver's path is
    :param max_active_runs: 16 is Airflow's default
    """
    return f"""
        from datetime import timedelta

        from airflow.sdk import DAG

        from airflow_registry_triggers import TriggerMatchOperator, WebhookDeliverOperator, repository_asset

        with DAG({dag_id!r}, schedule={asset}, max_active_runs={max_active_runs}):
            match = TriggerMatchOperator(
                task_id="match", trigger_name={dag_id!r}, retry_delay=timedelta(seconds=2)
            )
            WebhookDeliverOperator(
                task_id="deliver",
                notifications=match.output,
                webhook_conn_id="webhook_{path.strip("/")}",
                retry_delay=timedelta(seconds=2),
            )
    """


class Cluster:
    """
    What runs, and what a test asks of it.

    :param airflow: with each component as a process of its own
    """

    def __init__(
        self, airflow: Airflow, registry: DockerRegistry, receiver: Receiver, postgres: Postgres
    ) -> None:
        self.airflow = airflow
        self.rest = airflow.rest
        self.registry = registry
        self.receiver = receiver
        self.postgres = postgres

    def kill(self, component: str) -> float:
        """
        Kill a component's processes with SIGKILL and start it again at once.

        :param component: name of its process
        :return: when (``time.time()``)
        """
        process = self.airflow.processes[component]
        process.kill()
        at = time.time()
        process.start()
        return at

    def begin(self, dag_id: str = DAG_ID) -> None:
        """Wait for a Dag and let it run."""
        self.rest.wait_for_dag(dag_id)
        self.rest.unpause(dag_id)

    def watermark(self, repository: str = REPOSITORY, conn_id: str = "registry_default") -> dict[str, Any]:
        """Give what the repository's asset has in its state store, by key."""
        uri = f"oci://{conn_id}/{repository}"
        assets = self.rest.api("GET", "/assets", uri_pattern=uri)["assets"]
        found = [asset["id"] for asset in assets if asset["uri"] == uri]
        if not found:
            return {}
        store = self.rest.api("GET", f"/assets/{found[0]}/state-store")
        entries = next(value for value in store.values() if isinstance(value, list))
        return {entry["key"]: entry.get("value") for entry in entries}

    def wait_for_baseline(self, repository: str = REPOSITORY, timeout: float = 180.0) -> None:
        """Wait until the watcher of a repository has stored what was there when it began."""
        wait_until(lambda: "head" in self.watermark(repository), timeout, f"the baseline of {repository}")

    def active_runs(self, dag_id: str = DAG_ID) -> int:
        """Count the runs of a Dag that have not ended."""
        found = self.rest.api("GET", f"/dags/{dag_id}/dagRuns", state=["queued", "running"], limit=1)
        return int(found["total_entries"])

    def run_ids(self, dag_id: str = DAG_ID, **query: Any) -> list[str]:
        """Give the ids of all runs of a Dag."""
        ids: list[str] = []
        while True:
            page = self.rest.api(
                "GET", f"/dags/{dag_id}/dagRuns", limit=100, offset=len(ids), order_by="run_after", **query
            )["dag_runs"]
            ids += [run["dag_run_id"] for run in page]
            if len(page) < 100:
                return ids

    def verdicts(self, status: str, dag_id: str = DAG_ID) -> list[dict[str, Any]]:
        """Give the records of one status of all runs' match tasks."""
        records: list[dict[str, Any]] = []
        for run_id in self.run_ids(dag_id):
            found = self.rest.xcoms(dag_id, run_id, "match").get(f"access_log.{status}")
            records += found or []
        return records

    def pushed_and_received(self, path: str = "/hook") -> list[tuple[str, str]]:
        """Give tag and digest of what the receiver got, in order."""
        bodies = [item.json()["push_data"] for item in self.receiver.received(path)]
        return [(body["tag"], body["digest"]) for body in bodies]

    def triggerer_log(self) -> str:
        """Give what the triggerer has said."""
        return self.airflow.processes["triggerer"].log.read_text(errors="replace")


def _webhook(receiver: Receiver, path: str) -> dict[str, Any]:
    return {
        "conn_type": "webhook",
        "schema": "http",
        "host": "127.0.0.1",
        "port": receiver.port,
        "extra": {"path": path},
    }


def _registry(registry: DockerRegistry, extra: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "conn_type": "oci_registry",
        "host": "127.0.0.1",
        "port": registry.port,
        "extra": {"scheme": "http", "poll_interval": 1, "flap_limit": 0, **extra},
    }


@contextlib.contextmanager
def cluster(
    folder: Path,
    dags: Mapping[str, str],
    *,
    settings: Mapping[tuple[str, str], str] | None = None,
    extra: Mapping[str, Any] | None = None,
    paths: tuple[str, ...] = ("/hook",),
    push_mode: bool = False,
) -> Iterator[Cluster]:
    """
    Run a whole installation.

    :param folder: for logs and the registry's storage
    :param dags: file name to source
    :param settings: (section, option) to value, over those of this module
    :param extra: of the registry's Connection, over a poll interval of 1 s
    :param paths: of the receiver; ``/hook`` is behind the Connection ``webhook_hook``
    :param push_mode: the registry sends its webhooks to the api-server
    """
    with Postgres() as postgres, Redis(folder) as redis, Receiver() as receiver:
        home = AirflowHome(
            folder / "airflow",
            database=postgres.url,
            executor="CeleryExecutor",
            connections={f"webhook_{path.strip('/')}": _webhook(receiver, path) for path in paths},
            settings={**SETTINGS, **celery_settings(redis, postgres, concurrency=4), **(settings or {})},
        )
        for name, source in dags.items():
            home.write_dag(name, source)
        webhooks = notifications(home.url) if push_mode else {}
        with DockerRegistry(folder / "registry", settings=webhooks) as registry:
            home.connect(
                "registry_default",
                _registry(registry, {**({"webhook_secret": SECRET} if push_mode else {}), **(extra or {})}),
            )
            with Airflow(home, CELERY_COMPONENTS) as airflow:
                yield Cluster(airflow, registry, receiver, postgres)
