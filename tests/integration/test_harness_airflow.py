# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The Airflow that other tests stand on does what it says, and ends."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import psycopg2
import pytest
import redis

from tests.harness.airflow_home import AirflowHome
from tests.harness.airflow_process import COMPONENTS, Airflow
from tests.harness.airflow_rest import AirflowRest, RestError
from tests.harness.dag_test import run_dag
from tests.harness.postgres import Postgres
from tests.harness.processes import wait_until
from tests.harness.redis import CELERY_COMPONENTS, Redis, celery_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(600)


@pytest.mark.airflow
@pytest.mark.usefixtures("airflow_db")
class TestDagTest:
    def test_run_dag_of_a_chain_returns_states_xcoms_and_log(self) -> None:
        import logging

        import structlog
        from airflow.sdk import DAG, task

        with DAG("harness_in_process", schedule=None) as dag:

            @task
            def give(dag_run: Any = None) -> list[int]:
                structlog.get_logger("some.operator").info(
                    "access", access_status_code="200", access_attempts=[1, 2]
                )
                logging.getLogger("some.library").warning("from %s", "afar")
                return [dag_run.conf["first"], 2]

            @task
            def take(value: int) -> int:
                if value == 2:
                    raise ValueError("two is too much")
                return value * 10

            take.expand(value=give())

        result = run_dag(dag, {"first": 1})
        assert (result.state, result.states) == (
            "failed",
            {"give": "success", "take[0]": "success", "take[1]": "failed"},
        )
        assert result.xcoms == {"give": {"return_value": [1, 2]}, "take[0]": {"return_value": 10}}
        assert result.access_records() == result.access_records("give")
        assert result.access_records() == [{"status_code": "200", "attempts": [1, 2]}]
        assert ("from afar", "warning") in [(line["event"], line["level"]) for line in result.log("give")]
        assert not result.access_records("take[0]")

    def test_run_dag_called_again_returns_its_own_values(self) -> None:
        from airflow.sdk import DAG, task

        with DAG("harness_in_process_again", schedule=None) as dag:

            @task
            def give() -> str:
                return "here"

            give()

        first, second = run_dag(dag), run_dag(dag)
        assert first.run_id != second.run_id
        assert first.xcoms == second.xcoms == {"give": {"return_value": "here"}}

    def test_airflow_home_in_a_test_is_a_temporary_folder(self) -> None:
        from airflow.configuration import conf

        assert tempfile.gettempdir() in conf.get("database", "sql_alchemy_conn")
        assert "airflow-of-tests-" in os.environ["AIRFLOW_HOME"]


def test_conftest_without_the_airflow_marker_imports_no_airflow() -> None:
    script = "import sys, tests.conftest; sys.exit('airflow' in sys.modules or 'sqlalchemy' in sys.modules)"
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", script], cwd=root, check=False).returncode == 0


HARNESS_DAG = """
    from airflow.sdk import DAG, BaseHook, task
    import structlog

    with DAG("harness", schedule=None, default_args={"retries": 1, "retry_delay": 0.1}) as dag:

        @task
        def give(dag_run=None, ti=None):
            structlog.get_logger("some.operator").info("access", access_status_code="200", access_attempts=[1, 2])
            return [dag_run.conf.get("value", 1), BaseHook.get_connection("some_thing").host]

        @task
        def refuse(values, ti=None):
            if ti.try_number == 1:
                raise ValueError("not at the first try")

        refuse(give())
"""


def harness_home(folder: Path, **options: Any) -> AirflowHome:
    connection = {"conn_type": "http", "host": "h.example"}
    home = AirflowHome(folder, connections={"some_thing": connection}, users={"looker": "viewer"}, **options)
    home.write_dag("harness_dag.py", HARNESS_DAG)
    return home


def run_harness_dag(airflow: Airflow) -> str:
    run_id = airflow.rest.trigger("harness", {"value": 7})
    assert airflow.rest.wait_for_run("harness", run_id) == "success"
    return run_id


@contextlib.contextmanager
def running(airflow: Airflow) -> Iterator[Airflow]:
    with airflow:
        airflow.rest.wait_for_dag("harness")
        airflow.rest.unpause("harness")
        yield airflow
        sessions = [process.pid for process in airflow.processes.values()]
    assert not [process for process in psutil.process_iter() if lives_in(process, sessions)]


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    with running(Airflow(harness_home(tmp_path_factory.mktemp("airflow")))) as standalone:
        yield standalone


def lives_in(process: psutil.Process, sessions: list[int]) -> bool:
    try:
        return os.getsid(process.pid) in sessions and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False


@pytest.mark.airflow
class TestAirflow:
    def test_airflow_with_a_dag_runs_it_to_success(self, airflow: Airflow) -> None:
        rest = airflow.rest
        run_id = run_harness_dag(airflow)
        assert rest.states("harness", run_id) == {"give": "success", "refuse": "success"}
        assert rest.xcoms("harness", run_id, "give") == {"return_value": [7, "h.example"]}
        assert rest.access_records("harness", run_id, "give") == [{"status_code": "200", "attempts": [1, 2]}]
        assert any("not at the first try" in str(line) for line in rest.log("harness", run_id, "refuse", 1))
        assert not any(
            "not at the first try" in str(line) for line in rest.log("harness", run_id, "refuse", 2)
        )

        rest.clear("harness", run_id, ["give"])
        assert rest.wait_for_run("harness", run_id) == "success"
        assert {ti["task_id"]: ti["try_number"] for ti in rest.task_instances("harness", run_id)} == {
            "give": 2,
            "refuse": 2,
        }

    def test_airflow_with_a_broken_file_reports_an_import_error(self, airflow: Airflow) -> None:
        airflow.home.write_dag("broken.py", "raise RuntimeError('rule 17')  # airflow DAG")
        errors = wait_until(airflow.rest.import_errors, 120, "the import error")
        assert "rule 17" in errors["broken.py"]
        with pytest.raises(RuntimeError, match="rule 17"):
            airflow.rest.wait_for_dag("no_such")
        (airflow.home.dags_folder / "broken.py").unlink()
        wait_until(lambda: not airflow.rest.import_errors(), 120, "the import error to go")

    def test_airflow_with_two_users_checks_roles_and_passwords(self, airflow: Airflow) -> None:
        looker = airflow.rest_as("looker")
        assert looker.health()["metadatabase"] == "healthy"
        with pytest.raises(RestError, match="403"):
            looker.pause("harness")
        with pytest.raises(RestError, match="401"):
            AirflowRest(airflow.home.url, "admin", "wrong").import_errors()

    def test_home_run_with_a_failing_command_raises(self, airflow: Airflow) -> None:
        assert airflow.home.run("version").strip().startswith("3.")
        with pytest.raises(RuntimeError, match="exit code"):
            airflow.home.run("dags", "details", "no_such_dag")


@pytest.mark.airflow
def test_airflow_with_separate_components_survives_a_killed_scheduler(tmp_path: Path) -> None:
    with running(Airflow(harness_home(tmp_path), COMPONENTS)) as airflow:
        run_harness_dag(airflow)
        scheduler = airflow.processes["scheduler"]
        killed = scheduler.pid
        scheduler.kill()
        scheduler.start()
        assert scheduler.pid != killed
        run_harness_dag(airflow)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with Postgres() as running:
        yield running


def query(postgres: Postgres, statement: str) -> list[tuple[Any, ...]]:
    with psycopg2.connect(postgres.url.replace("+psycopg2", "")) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


@pytest.mark.chaos
class TestChaosPieces:
    def test_postgres_after_a_restart_keeps_rows_and_drops_clients(self, postgres: Postgres) -> None:
        query(postgres, "CREATE TABLE kept (value int)")
        query(postgres, "INSERT INTO kept VALUES (7)")
        client = psycopg2.connect(postgres.url.replace("+psycopg2", ""))
        postgres.stop()
        with pytest.raises(psycopg2.OperationalError):
            query(postgres, "SELECT 1")
        postgres.start()
        assert query(postgres, "SELECT value FROM kept") == [(7,)]
        with pytest.raises(psycopg2.OperationalError):
            client.cursor().execute("SELECT 1")

    def test_postgres_after_its_end_leaves_no_folder_and_no_process(self) -> None:
        with Postgres() as postgres:
            folder = postgres.folder
            with pytest.raises(psycopg2.OperationalError, match="password"):
                psycopg2.connect(f"postgresql://airflow:wrong@127.0.0.1:{postgres.port}/airflow")
        assert not folder.exists()
        assert not [
            p for p in psutil.process_iter(["cmdline"]) if str(folder) in " ".join(p.info["cmdline"] or [])
        ]

    def test_redis_while_running_answers_a_ping(self, tmp_path: Path) -> None:
        with Redis(tmp_path) as server:
            assert redis.Redis.from_url(server.url).ping()
        with pytest.raises(redis.ConnectionError):
            redis.Redis.from_url(server.url).ping()

    def test_airflow_on_celery_with_killed_components_recovers(
        self, postgres: Postgres, tmp_path: Path
    ) -> None:
        with Redis(tmp_path) as broker:
            settings = celery_settings(broker, postgres, concurrency=2)
            home = harness_home(
                tmp_path / "airflow", database=postgres.url, executor="CeleryExecutor", settings=settings
            )
            with running(Airflow(home, CELERY_COMPONENTS)) as airflow:
                run_harness_dag(airflow)
                for name in ("scheduler", "celery worker", "triggerer"):
                    airflow.processes[name].kill()
                    assert not airflow.processes[name].members()
                    airflow.processes[name].start()
                run_harness_dag(airflow)
