# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
A page of 50 of 1,000 triggers with 100,000 records, by a real api-server, on SQLite and on PostgreSQL.

Times are of the whole answer as a client on the same machine sees it. ``TRIGGERS`` and ``ENTRIES`` set sizes.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from tests.browser.history_rows import Task, record
from tests.harness.airflow_home import AirflowHome
from tests.harness.airflow_process import Airflow
from tests.harness.dag_test import isolate_airflow
from tests.harness.postgres import Postgres

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import DAG

    from tests.harness.airflow_rest import AirflowRest
    from tests.integration.trigger_rows import TriggerRows

TRIGGERS = int(os.environ.get("TRIGGERS", "1000"))
ENTRIES = int(os.environ.get("ENTRIES", "100000"))
DAGS_WITH_RECORDS = 20
PER_RUN = 10
ROUNDS = 20
LIMIT_MS = 500
LIST = "/registry-triggers/triggers"

QUESTIONS = {
    "first page": {},
    "200 rows": {"limit": 200},
    "one state": {"state": "delivery"},
    "one repository": {"repository": "team/app-0017"},
    "one Dag": {"dag_id": "trigger_0007"},
}


def dags() -> Iterator[DAG]:
    """Give event-driven Dags and, one of ten, Dags with a sensor."""
    from airflow.sdk import DAG

    from airflow_registry_triggers import (
        RegistryPushSensor,
        TriggerMatchOperator,
        WebhookDeliverOperator,
        repository_asset,
    )

    for number in range(TRIGGERS):
        is_sensor = number % 10 == 9
        repository = f"team/app-{number:04}"
        schedule = "*/5 * * * *" if is_sensor else repository_asset(repository)
        with DAG(
            f"trigger_{number:04}", schedule=schedule, start_date=datetime(2026, 1, 1), catchup=False
        ) as dag:
            found = RegistryPushSensor(task_id="push", repository=repository).output if is_sensor else None
            match = TriggerMatchOperator(task_id="match", notifications=found, tag_regex="v.*")
            WebhookDeliverOperator(task_id="deliver", notifications=match.output, webhook_conn_id="deploy")
        yield dag


def runs(first: int, count: int) -> Iterator[Task]:
    """Give runs of the last two days; every 50th delivery failed."""
    total = ENTRIES // PER_RUN
    for number in range(first, first + count):
        at = datetime.now(UTC) - timedelta(seconds=172_800 * (total - number) / total)
        dag_id = f"trigger_{number % DAGS_WITH_RECORDS:04}"
        yield Task(dag_id, number, [record(number, status="triggered")], task_id="match", at=at)
        for index in range(PER_RUN - 1):
            status = "200" if (number * PER_RUN + index) % 50 else "503"
            state = "success" if status == "200" else "failed"
            yield Task(dag_id, number, [record(index, status=status)], map_index=index, at=at, state=state)


def fill(rows: TriggerRows) -> None:
    """Write Dags, statuses and records."""
    from airflow_registry_triggers.registry.asset_uri import asset_name
    from tests.integration.trigger_rows import status_row

    rows.add_dags(*dags())
    rows.add_triggerer()
    names = [asset_name(f"team/app-{number:04}", "registry_default") for number in range(TRIGGERS)]
    for part in range(0, TRIGGERS, 340):
        watchers = {name: status_row(next_in_s=3600.0) for name in names[part : part + 340]}
        rows.set_statuses(watchers, key=f"watchers/host-1/{part // 340}")
    for first in range(1, ENTRIES // PER_RUN + 1, 500):
        rows.history.add(runs(first, min(500, ENTRIES // PER_RUN + 1 - first)))


def time_ms(rest: AirflowRest, **query: object) -> float:
    """Ask once and give the time."""
    began = time.perf_counter()
    answer = rest.call("GET", LIST, **query)
    assert answer["triggers"], query
    return 1000 * (time.perf_counter() - began)


def queries_of_a_page(rows: TriggerRows) -> int:
    """Count the queries of the first page, without the two for the permissions of a request."""
    from airflow_registry_triggers.overview.reader import Filters, read_page

    with rows.session() as session:
        rows.queries.clear()
        read_page(session, Filters(), limit=50)
    return len(rows.queries)


def measured(home: AirflowHome) -> dict[str, float]:
    """Give the median of each question, and the first answer of a new process."""
    from tests.integration.trigger_rows import TriggerRows

    home.run("db", "migrate")
    rows = TriggerRows(home)
    fill(rows)
    if home.database.startswith("postgresql"):
        rows.history.execute("ANALYZE")
    print(
        f"{TRIGGERS:,} triggers, {home.database.partition(':')[0]}: {queries_of_a_page(rows)} queries",
        flush=True,
    )
    with Airflow(home, ["api-server"]) as running:
        rest = running.rest
        rest.api("GET", "/dags", limit=1)
        found = {"first answer of a new api-server": time_ms(rest)}
        for name, query in QUESTIONS.items():
            found[name] = statistics.median(time_ms(rest, **query) for _ in range(ROUNDS))
        rest.call(
            "GET", "/registry-triggers/triggers/match", dag_id="trigger_0007", task_id="match", tag="v1"
        )
        return found


def home_of(folder: Path, database: str | None = None) -> AirflowHome:
    """Give a home in which a triggerer without heartbeats counts as alive."""
    alive = {("triggerer", "triggerer_health_check_threshold"): "100000"}
    home = AirflowHome(folder, database=database, settings=alive)
    home.env["PYTHONPATH"] = str(Path(__file__).resolve().parents[1])
    return home


def main() -> int:
    """Measure on both databases and print a table."""
    isolate_airflow()
    os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "WARNING"
    results = {}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        results["SQLite"] = measured(home_of(Path(folder) / "sqlite"))
        postgres = stack.enter_context(Postgres())
        results["PostgreSQL"] = measured(home_of(Path(folder) / "postgres", postgres.url))
    title = f"{TRIGGERS:,} triggers, {ENTRIES:,} records, median of {ROUNDS}, ms"
    print(f"| {title} | {' | '.join(results)} |\n|---|{'---|' * len(results)}")
    for name in next(iter(results.values())):
        print(f"| {name} | {' | '.join(f'{found[name]:.0f}' for found in results.values())} |")
    slowest = max(max(found.values()) for found in results.values())
    print(f"\nslowest {slowest:.0f} ms; the limit is {LIMIT_MS} ms")
    return 0 if slowest <= LIMIT_MS else 1


if __name__ == "__main__":
    sys.exit(main())
