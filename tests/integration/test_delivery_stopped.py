# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Delivery tasks of a real Airflow that are stopped while they send, and one without a state store."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import time
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.harness.airflow_home import AirflowHome
from tests.harness.airflow_process import Airflow
from tests.harness.processes import wait_until
from tests.harness.receiver import Answer, Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(900)]

TOTAL = 200
QUICK = 40
"""Webhooks of a task, and those that are answered at once."""

DAGS = """
    from datetime import timedelta

    from airflow.sdk import DAG

    from airflow_registry_triggers import WebhookDeliverOperator

    def pushes(number):
        return [
            {
                "push_data": {"digest": f"sha256:{n:064x}", "pushed_at": "2026-01-01 00:00:00", "tag": f"t{n}"},
                "repository": {"repo_full_name": "team/app", "name": "app", "namespace": "team"},
                "event": {"id": f"{n:032x}", "registry": "r.example", "action": "new"},
            }
            for n in range(number)
        ]

    def dag_of(name, number, **options):
        with DAG(name, schedule=None):
            WebhookDeliverOperator(
                task_id="deliver",
                notifications=pushes(number),
                webhook_conn_id=f"webhook_{name}",
                request_timeout=60,
                retry_policy=None,
                retry_delay=timedelta(seconds=1),
                **{"retries": 1, **options},
            )

    dag_of("sigterm", 200)
    dag_of("marked", 200)
    dag_of("cut", 200, execution_timeout=timedelta(seconds=10))
    dag_of("store", 600, retries=0)
"""
NAMES = ("sigterm", "marked", "cut", "store")


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture(scope="module")
def airflow(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    home = AirflowHome(
        tmp_path_factory.mktemp("airflow"),
        connections={
            f"webhook_{name}": {
                "conn_type": "webhook",
                "schema": "http",
                "host": "127.0.0.1",
                "port": receiver.port,
                "extra": {"path": f"/{name}"},
            }
            for name in NAMES
        },
        settings={
            ("registry_triggers", "allowed_networks"): "127.0.0.0/8",
            # Airflow retries a call for half a minute, and the journal's own retries come after that. Fewer
            # attempts are too few for the first call to an api-server on a busy machine.
            ("workers", "execution_api_retries"): "5",
            ("workers", "execution_api_retry_wait_min"): "0.2",
            ("workers", "execution_api_retry_wait_max"): "0.5",
        },
    )
    home.write_dag("stopped.py", DAGS)
    with Airflow(home) as running:
        for name in NAMES:
            running.rest.wait_for_dag(name)
            running.rest.unpause(name)
        yield running


def begin(
    airflow: Airflow, receiver: Receiver, name: str, ending: int = 0, held: threading.Event | None = None
) -> str:
    """Start a delivery, and wait until 16 attempts are under way: some end after an event, the others hang."""
    slow = [Answer(held=held)] * ending + [Answer(delay=50)] * (16 - ending)
    receiver.script(f"/{name}", *[Answer(delay=0.02)] * QUICK, *slow, Answer())
    run = airflow.rest.trigger(name)
    airflow.rest.wait_for_state(name, run, "deliver", ["running"])
    receiver.wait_for(QUICK + 16, 60, path=f"/{name}")
    return run


def received_ids(receiver: Receiver, name: str) -> Counter[str]:
    return Counter(str(item.header("webhook-id")) for item in receiver.received(f"/{name}"))


def check_first_try(airflow: Airflow, name: str, run: str, cut: int) -> None:
    """Check that the first try has a log line for each request, which is ambiguous for those that were cut."""
    logged = airflow.rest.access_records(name, run, "deliver", 1)
    assert Counter(bool(record["ambiguous"]) for record in logged) == {False: QUICK + 16 - cut, True: cut}


def check_retried(airflow: Airflow, receiver: Receiver, name: str, run: str, cut: int) -> None:
    """Check that each request has a record, and that only the cut attempts were sent once more."""
    assert airflow.rest.wait_for_run(name, run) == "success"
    check_first_try(airflow, name, run, cut)
    records = airflow.rest.xcoms(name, run, "deliver")["access_log.200"]
    recorded = {record["trigger_log_id"].partition("/")[0]: 1 + len(record["attempts"]) for record in records}
    assert len(recorded) == TOTAL
    assert recorded == dict(received_ids(receiver, name))
    repeated = [record for record in records if record["attempts"]]
    assert len(repeated) == cut
    assert all(record["attempts"][0]["ambiguous"] and not record["ambiguous"] for record in repeated)


def task_process(airflow: Airflow, run: str, name: str) -> int:
    (row,) = airflow.rest.task_instances(name, run)
    return int(row["pid"])


def test_delivery_ended_by_sigterm_records_cut_attempts_and_repeats_only_these(
    airflow: Airflow, receiver: Receiver
) -> None:
    answered = threading.Event()
    run = begin(airflow, receiver, "sigterm", ending=8, held=answered)
    os.kill(task_process(airflow, run, "sigterm"), signal.SIGTERM)
    time.sleep(0.3)  # the task stops before it sees an answer, and gives its attempts 2 s
    answered.set()
    check_retried(airflow, receiver, "sigterm", run, cut=8)


def test_delivery_ended_by_execution_timeout_records_cut_attempts_and_repeats_only_these(
    airflow: Airflow, receiver: Receiver
) -> None:
    run = begin(airflow, receiver, "cut")
    check_retried(airflow, receiver, "cut", run, cut=16)


def test_delivery_marked_as_failed_has_a_record_of_each_request(airflow: Airflow, receiver: Receiver) -> None:
    run = begin(airflow, receiver, "marked")
    pid = task_process(airflow, run, "marked")
    path = f"/dags/marked/dagRuns/{run}/taskInstances/deliver"
    airflow.rest.api("PATCH", path, {"new_state": "failed"})
    wait_until(lambda: not psutil.pid_exists(pid), 180, "the task to end")
    assert airflow.rest.wait_for_run("marked", run) == "failed"
    check_first_try(airflow, "marked", run, cut=16)
    assert sum(received_ids(receiver, "marked").values()) == QUICK + 16


def test_delivery_whose_state_store_refuses_writes_pauses_and_resumes(
    airflow: Airflow, receiver: Receiver
) -> None:
    rest = airflow.rest
    receiver.script("/store", Answer(delay=0.1))

    def execute(*statements: str) -> None:
        with closing(sqlite3.connect(airflow.home.database_file, timeout=60)) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    def refusals(run: str) -> int:
        lines = rest.log("store", run, "deliver")
        return sum("sending pauses" in str(line["event"]) for line in lines)

    for change in ("INSERT", "UPDATE"):
        execute(
            f"CREATE TRIGGER refuse_{change} BEFORE {change} ON task_state_store "
            "BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )
    try:
        run = rest.trigger("store")
        receiver.wait_for(1, 120, path="/store")
        wait_until(lambda: refusals(run) >= 1, 180, "the first refused write")
        paused_at = wait_until(lambda: len(receiver.received("/store")), 10, "the first webhooks")
        wait_until(lambda: refusals(run) >= 3, 90, "two more refused writes")
        assert len(receiver.received("/store")) <= paused_at + 16, "attempts under way end, no other begins"
        assert paused_at < 600
    finally:
        execute("DROP TRIGGER refuse_INSERT", "DROP TRIGGER refuse_UPDATE")
    assert rest.wait_for_run("store", run) == "success"
    assert any("sending resumes" in str(line["event"]) for line in rest.log("store", run, "deliver"))
    assert sorted(received_ids(receiver, "store").values()) == [1] * 600
