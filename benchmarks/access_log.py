# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
A page of 50 entries out of 100,000, by a real api-server, on SQLite and on PostgreSQL.

Times are those of the whole answer as a client on the same machine sees them, so that the server's are
shorter. ``ENTRIES`` sets the size of the history.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

from tests.browser.history_rows import HistoryRows, Task, record
from tests.harness.airflow_home import ADMIN, AirflowHome
from tests.harness.airflow_process import Airflow
from tests.harness.postgres import Postgres

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.harness.airflow_rest import AirflowRest

ENTRIES = int(os.environ.get("ENTRIES", "100000"))
DAGS = 20
PER_RUN = 10
ROUNDS = 20
LIMIT_MS = 300
LIST = "/registry-triggers/access-log"

QUESTIONS = {
    "newest page": {},
    "status that most have (200)": {"status": "200"},
    "status that few have (503)": {"status": "503"},
    "status that none has (404)": {"status": "404"},
    "any failure (4xx, 5xx, error)": {"status": ["4xx", "5xx", "error"]},
    "one Dag of 20": {"dag_id": "dag_7"},
    "written in the last 15 minutes: none": {"since": "15m"},
    "written long ago: none": {"until": "2000-01-01"},
    "written in the last 15 minutes, 503: none": {"since": "15m", "status": "503"},
    "a tag that none has: 2,000 rows searched": {"tag": "nowhere"},
}


def runs(first: int, count: int) -> Iterator[Task]:
    """Give runs with a mapped delivery each, every 50th of which failed."""
    for number in range(first, first + count):
        for index in range(PER_RUN):
            entry = number * PER_RUN + index
            status = "200" if entry % 50 else "503"
            yield Task(f"dag_{number % DAGS}", number, [record(entry, status=status)], map_index=index)


def fill(home: AirflowHome) -> None:
    """Write the history, and among it what other tasks leave in the same table."""
    rows = HistoryRows(home)
    total = ENTRIES // PER_RUN
    for first in range(1, total + 1, 500):
        count = min(500, total + 1 - first)
        rows.add(runs(first, count))
        rows.add(
            Task(f"dag_{n % DAGS}", n, task_id="extract", xcoms={"return_value": {"rows": n}})
            for n in range(first, first + count)
        )
    if home.database.startswith("postgresql"):
        rows.execute("ANALYZE")


class HalfHidden(SimpleAuthManager):
    """Lets others than the admin read the logs of every second Dag only, so that pages are read again."""

    def is_authorized_dag(self, *, method, user, access_entity=None, details=None):
        allowed = super().is_authorized_dag(
            method=method, user=user, access_entity=access_entity, details=details
        )
        is_odd = bool(details and details.id and int(details.id.rpartition("_")[2]) % 2)
        is_hidden = access_entity is DagAccessEntity.TASK_LOGS and is_odd
        return allowed and (user.get_name() == ADMIN or not is_hidden)


def median_ms(rest: AirflowRest, **query: object) -> float:
    """Ask, and give the median."""
    rest.call("GET", LIST, **query)
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        rest.call("GET", LIST, **query)
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times)


def measured(home: AirflowHome) -> dict[str, float]:
    """Give the median of each question."""
    home.run("db", "migrate")
    fill(home)
    with Airflow(home, ["api-server"]) as running:
        rest = running.rest
        found = {name: median_ms(rest, **query) for name, query in QUESTIONS.items()}
        cursor = None
        for _ in range(20):
            cursor = rest.call("GET", LIST, limit=200, cursor=cursor)["next_cursor"]
        found["page behind 4,000 entries"] = median_ms(rest, cursor=cursor)
        some = running.rest_as("viewer")
        for name in ("newest page", "status that few have (503)", "status that none has (404)"):
            found[f"{name}, of who may read half of the Dags"] = median_ms(some, **QUESTIONS[name])
    return found


def home_of(folder: Path, database: str | None = None) -> AirflowHome:
    """Give a home with a user who may not read all."""
    auth_manager = {("core", "auth_manager"): "benchmarks.access_log.HalfHidden"}
    home = AirflowHome(folder, database=database, users={"viewer": "viewer"}, settings=auth_manager)
    home.env["PYTHONPATH"] = str(Path(__file__).resolve().parents[1])
    return home


def main() -> int:
    """Measure on both databases and print a table."""
    results = {}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        results["SQLite"] = measured(home_of(Path(folder) / "sqlite"))
        postgres = stack.enter_context(Postgres())
        results["PostgreSQL"] = measured(home_of(Path(folder) / "postgres", postgres.url))
    print(f"| a page of 50 out of {ENTRIES:,}, median of {ROUNDS}, ms | {' | '.join(results)} |")
    print(f"|---|{'---|' * len(results)}")
    for name in next(iter(results.values())):
        print(f"| {name} | {' | '.join(f'{found[name]:.0f}' for found in results.values())} |")
    slowest = max(max(found.values()) for found in results.values())
    print(f"\nslowest {slowest:.0f} ms; the limit is {LIMIT_MS} ms")
    return 0 if slowest <= LIMIT_MS else 1


if __name__ == "__main__":
    sys.exit(main())
