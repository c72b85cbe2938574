# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Load of push mode: webhooks per second at the endpoint, and the processor time of the reader of hints."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import create_engine, text

from benchmarks.scale import use_of
from tests.harness import images
from tests.harness.airflow_home import AirflowHome
from tests.harness.airflow_process import COMPONENTS, Airflow
from tests.harness.docker_registry import DockerRegistry
from tests.harness.postgres import Postgres
from tests.harness.processes import wait_until
from tests.harness.push_mode import SECRET, distribution_body, send_webhook

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["print_load", "print_reader_cost"]

WEBHOOKS = 400
AT_ONCE = 16
ROUNDS = 3
GOAL_PER_SECOND = 150

REPOSITORIES = 10
"""More than 50 tags of one repository would become a hint for all tags."""

WINDOWS = 2
WINDOW_SECONDS = 60.0
GOAL_PERCENT = 2.0

DAG = """
    from airflow.sdk import DAG

    from airflow_registry_triggers import TriggerMatchOperator, repository_asset

    with DAG("watched", schedule=repository_asset("bench/watched")):
        TriggerMatchOperator(task_id="match")
"""


class Running(NamedTuple):
    """An Airflow on PostgreSQL with one watcher, and the database's URL."""

    airflow: Airflow
    url: str

    def scalar(self, statement: str) -> Any:
        """Execute a statement; return the value of its first row, None without rows."""
        engine = create_engine(self.url)
        try:
            with engine.begin() as connection:
                result = connection.execute(text(statement))
                return result.scalar() if result.returns_rows else None
        finally:
            engine.dispose()


@contextmanager
def one_watcher(extra: dict[str, object], components: Sequence[str] = COMPONENTS) -> Iterator[Running]:
    """Run an Airflow with one watcher that has recorded its baseline."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-push-mode-") as name,
        Postgres() as postgres,
        DockerRegistry(Path(name) / "registry") as registry,
    ):
        images.put_image(registry, images.Image("first"), "bench/watched", ["v1"])
        settings = {"scheme": "http", "poll_interval": 3600, **extra}
        connection = {
            "conn_type": "oci_registry",
            "host": "127.0.0.1",
            "port": registry.port,
            "extra": settings,
        }
        home = AirflowHome(
            Path(name) / "airflow",
            database=postgres.url,
            connections={"registry_default": connection},
            settings={
                ("core", "dags_are_paused_at_creation"): "False",
                ("dag_processor", "min_file_process_interval"): "600",
                ("scheduler", "scheduler_idle_sleep_time"): "1",
            },
        )
        home.env["PYTHONPATH"] = str(Path(__file__).resolve().parents[1])
        home.write_dag("watched.py", DAG)
        with Airflow(home, components) as airflow:
            wait_until(
                lambda: any("/tags/list" in line.path for line in registry.requests()), 120, "the baseline"
            )
            yield Running(airflow, postgres.url)


def print_load() -> None:
    """Print the webhooks per second of two workers, and the hints that were stored."""
    components = ("api-server --workers 2", *COMPONENTS[1:])
    with one_watcher({"webhook_secret": SECRET, "webhook_rate": 1_000_000}, components) as running:
        url = running.airflow.home.url
        ping = b'{"events": []}'
        # Each worker imports its modules with its first webhook.
        assert {_seconds(url, ping)[1] for _ in range(20)} == {202}
        time.sleep(20)
        rounds = [_load(running, number) for number in range(ROUNDS)]
    print(f"PostgreSQL, two workers of the api-server, {WEBHOOKS} webhooks, {AT_ONCE} at once\n")
    print("| round | per second | median | worst | hints stored | row |\n|---|---|---|---|---|---|")
    for number, cells in enumerate(rounds, 1):
        print(f"| {number} | {' | '.join(cells)} |")
    rates = [float(cells[0]) for cells in rounds]
    verdict = "met" if statistics.median(rates) >= GOAL_PER_SECOND else "missed"
    print(
        f"\nmedian {statistics.median(rates):.0f} per second; goal {GOAL_PER_SECOND}: {verdict}\n", flush=True
    )


def _load(running: Running, number: int) -> list[str]:
    running.scalar("DELETE FROM asset_state_store WHERE key = 'hints/webhooks'")
    wanted = {(f"round{number}/app{webhook % REPOSITORIES}", f"v{webhook}") for webhook in range(WEBHOOKS)}
    url = running.airflow.home.url
    with ThreadPoolExecutor(AT_ONCE) as pool:
        began = time.perf_counter()
        answers = list(pool.map(lambda item: _seconds(url, distribution_body(*item)), sorted(wanted)))
        lasted = time.perf_counter() - began
    assert {status for _, status in answers} == {202}
    row = running.scalar("SELECT value FROM asset_state_store WHERE key = 'hints/webhooks'")
    hints = json.loads(row)["hints"]
    stored = {(key.partition("|")[2], tag) for key, tags in hints.items() for tag in tags} & wanted
    seconds = [of for of, _ in answers]
    return [
        f"{WEBHOOKS / lasted:.0f}",
        f"{statistics.median(seconds) * 1000:.0f} ms",
        f"{max(seconds) * 1000:.0f} ms",
        f"{len(stored)} of {WEBHOOKS}",
        f"{len(row) / 1000:.0f} KB",
    ]


def _seconds(url: str, body: bytes) -> tuple[float, int]:
    began = time.perf_counter()
    status = send_webhook(url, body).status
    return time.perf_counter() - began, status


def print_reader_cost() -> None:
    """Print the processor time of the triggerer with and without push mode, and its reads of the state."""
    modes = {"without push mode": {}, "push mode": {"webhook_secret": SECRET}}
    print(f"PostgreSQL, one idle watcher, windows of {WINDOW_SECONDS:g} s\n")
    print(
        "| triggerer | CPU of each window, % of a core | index scans of the state per second |\n|---|---|---|"
    )
    means = {}
    for name, extra in modes.items():
        shares, scans = _idle_use(extra)
        means[name] = statistics.mean(shares)
        cells = ", ".join(f"{share:.1f}" for share in shares)
        print(f"| {name} | {cells} | {scans:.2f} |", flush=True)
    more = means["push mode"] - means["without push mode"]
    verdict = "met" if more <= GOAL_PERCENT else "missed"
    print(f"\nreader: {more:.1f} % of a core; goal at most {GOAL_PERCENT:g} %: {verdict}\n", flush=True)


def _idle_use(extra: dict[str, object]) -> tuple[list[float], float]:
    """Return the CPU in each window as a percentage, and the scans of the state table per second."""
    shares: list[float] = []
    with one_watcher(extra) as running:
        time.sleep(30)
        scans, began = _state_scans(running), time.monotonic()
        for _ in range(WINDOWS):
            before, start = use_of(running.airflow).cpu_seconds, time.monotonic()
            time.sleep(WINDOW_SECONDS)
            used = use_of(running.airflow).cpu_seconds - before
            shares.append(100 * used / (time.monotonic() - start))
        return shares, (_state_scans(running) - scans) / (time.monotonic() - began)


def _state_scans(running: Running) -> int:
    return int(
        running.scalar(
            "SELECT coalesce(seq_scan, 0) + coalesce(idx_scan, 0) FROM pg_stat_user_tables "
            "WHERE relname = 'asset_state_store'"
        )
    )
