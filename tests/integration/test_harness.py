# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The ground the other tests stand on does what it says."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import psycopg2
import pytest
import redis
import trustme

from tests.harness import images, processes
from tests.harness.airflow_home import AirflowHome
from tests.harness.airflow_process import COMPONENTS, Airflow
from tests.harness.airflow_rest import AirflowRest, RestError
from tests.harness.dag_test import run_dag
from tests.harness.docker_registry import DockerRegistry
from tests.harness.postgres import Postgres
from tests.harness.processes import Process, ProcessFailed, find_program, free_port, wait_until
from tests.harness.receiver import Answer, Receiver
from tests.harness.redis import CELERY_COMPONENTS, Redis, celery_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

FAMILY = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with DockerRegistry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def post(receiver: Receiver, path: str, body: bytes = b"") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(receiver.host, receiver.port, timeout=5)
    try:
        connection.request("POST", path, body=body, headers={"X-Case": "kept As-is"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


class TestProcess:
    def test_stop_ends_what_ignores_sigterm_and_its_children(self, tmp_path: Path) -> None:
        log = tmp_path / "family.log"
        process = Process("family", [sys.executable, "-c", FAMILY], log).start()
        child = int(wait_until(lambda: log.read_text().strip(), 10, "the child's id", process=process))
        assert os.getsid(child) == process.pid
        process.stop(timeout=0.3)
        assert not process.alive
        assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE

    def test_stop_is_gentle_first(self, tmp_path: Path) -> None:
        log = tmp_path / "gentle.log"
        script = (
            "import signal, sys, time\n"
            "signal.signal(15, lambda *_: (print('bye', flush=True), sys.exit()))\n"
            "print('up', flush=True)\ntime.sleep(60)"
        )
        process = Process("gentle", [sys.executable, "-c", script], log).start()
        wait_until(lambda: "up" in log.read_text(), 10, "the process", process=process)
        process.stop()
        assert "bye" in log.read_text()

    def test_starts_again_and_keeps_its_log(self, tmp_path: Path) -> None:
        process = Process("twice", [sys.executable, "-c", "print('here')"], tmp_path / "log")
        for count in (1, 2):
            process.start()
            wait_until(lambda: not process.alive, 10, "its end")
            assert process.log.read_text().count("here") == count
        process.stop()

    def test_waiting_ends_when_the_process_does(self, tmp_path: Path) -> None:
        process = Process("short", [sys.executable, "-c", "print('the reason')"], tmp_path / "log").start()
        with pytest.raises(ProcessFailed, match=r"(?s)short ended while waiting for spring.*the reason"):
            wait_until(lambda: False, 10, "spring", process=process)

    def test_waiting_has_an_end(self, tmp_path: Path) -> None:
        with pytest.raises(TimeoutError, match="waited 0.2 s for nothing"):
            wait_until(lambda: False, 0.2, "nothing")

    def test_ports_differ(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(processes, "_PORTS", range(29_900, 29_940))
        assert len({free_port() for _ in range(20)}) == 20

    def test_a_missing_program_says_what_to_do(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NO_SUCH", "no-such-program")
        with pytest.raises(
            FileNotFoundError, match="no-such-program was not found: run .ci/setup all, or set NO_SUCH"
        ):
            find_program("skopeo", "NO_SUCH")


class TestDockerRegistry:
    def test_pushed_is_what_is_pulled(self, registry: DockerRegistry, tmp_path: Path) -> None:
        digest = images.push(registry, images.Image("pushed"), "team/app", "v1")
        assert images.pull(registry, "team/app", digest, tmp_path / "pulled") == digest
        tagged = registry.request("HEAD", "/v2/team/app/manifests/v1", headers={"Accept": images.MANIFEST})
        assert tagged.headers["docker-content-digest"] == digest

    def test_labels_give_digests(self) -> None:
        assert images.Image("a").digest == images.Image("a").digest != images.Image("b").digest

    def test_plain_requests_push_what_skopeo_pulls(self, registry: DockerRegistry, tmp_path: Path) -> None:
        digest = images.put_image(registry, images.Image("plain"), "team/plain", ["one", "two"])
        images.put_tag(registry, "team/plain", "three", digest)
        assert images.pull(registry, "team/plain", digest, tmp_path / "pulled") == digest
        assert set(registry.request("GET", "/v2/team/plain/tags/list").json()["tags"]) == {
            "one",
            "two",
            "three",
        }

    def test_tags_go_alone_or_with_their_manifest(self, registry: DockerRegistry) -> None:
        digest = images.put_image(registry, images.Image("going"), "team/going", ["one", "two", "three"])
        registry.remove_tag("team/going", "one")
        assert set(registry.request("GET", "/v2/team/going/tags/list").json()["tags"]) == {"two", "three"}
        images.remove_manifest(registry, "team/going", digest)
        assert registry.request("HEAD", "/v2/team/going/manifests/two").status == 404

    def test_counts_requests(self, registry: DockerRegistry) -> None:
        registry.forget_requests()
        registry.request("GET", "/v2/")
        registry.request("GET", "/v2/no/such/tags/list?n=5")
        wait_until(lambda: len(registry.requests()) >= 2, 5, "the log")
        assert [(line.method, line.path, line.status) for line in registry.requests()] == [
            ("GET", "/v2/", 200),
            ("GET", "/v2/no/such/tags/list?n=5", 404),
        ]

    def test_restart_keeps_port_and_tags(self, tmp_path: Path) -> None:
        registry = DockerRegistry(tmp_path)
        with registry:
            images.put_image(registry, images.Image("kept"), "team/app", ["v1"])
        with pytest.raises(OSError, match="refused"):
            registry.request("GET", "/v2/")
        with registry:
            assert registry.request("GET", "/v2/team/app/tags/list").json()["tags"] == ["v1"]
            registry.empty()
            assert registry.request("GET", "/v2/team/app/tags/list").status == 404

    def test_wants_a_password(self, tmp_path: Path) -> None:
        with DockerRegistry(tmp_path, protected=True) as registry:
            digest = images.push(registry, images.Image("guarded"), "team/app", "v1")
            assert images.pull(registry, "team/app", digest, tmp_path / "pulled") == digest
            with pytest.raises(urllib.error.HTTPError, match="401"):
                urllib.request.urlopen(registry.url + "/v2/", timeout=5)

    def test_speaks_tls(self, tmp_path: Path) -> None:
        ca = trustme.CA()
        with DockerRegistry(tmp_path, ca=ca) as registry:
            digest = images.push(registry, images.Image("tls"), "team/app", "v1")
            assert images.pull(registry, "team/app", digest, tmp_path / "pulled") == digest
            trusting = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
            with urllib.request.urlopen(registry.url + "/v2/", timeout=5, context=trusting) as answer:
                assert answer.status == 200
            with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
                urllib.request.urlopen(registry.url + "/v2/", timeout=5)


class TestReceiver:
    def test_keeps_all_of_a_request(self, receiver: Receiver) -> None:
        before = time.time()
        post(receiver, "/hook?q=1", b'{"b": 1, "a": 2}')
        (item,) = receiver.wait_for(1, path="/hook")
        assert (item.method, item.path, item.body) == ("POST", "/hook?q=1", b'{"b": 1, "a": 2}')
        assert ("X-Case", "kept As-is") in item.headers
        assert item.header("x-case") == "kept As-is"
        assert list(item.json()) == ["b", "a"]
        assert before <= item.at <= time.time()

    def test_answers_by_script_and_path(self, receiver: Receiver) -> None:
        receiver.script("/hook", 500, Answer(status=429, headers={"Retry-After": "7"}, body=b"later"), 204)
        assert [post(receiver, "/hook")[0] for _ in range(4)] == [500, 429, 204, 204]
        assert post(receiver, "/other")[0] == 200
        assert [item.status for item in receiver.received("/hook")] == [500, 429, 204, 204]

    def test_closes_resets_and_delays(self, receiver: Receiver) -> None:
        receiver.script("/close", Answer(close=True))
        receiver.script("/reset", Answer(reset=True))
        receiver.script("/slow", Answer(delay=0.3))
        with pytest.raises(http.client.RemoteDisconnected):
            post(receiver, "/close")
        with pytest.raises(ConnectionResetError) as caught:
            post(receiver, "/reset")
        assert caught.type is ConnectionResetError, "a RST is not the same as a close"
        start = time.monotonic()
        assert post(receiver, "/slow")[0] == 200
        assert time.monotonic() - start >= 0.3

    def test_reads_chunks(self, receiver: Receiver) -> None:
        connection = http.client.HTTPConnection(receiver.host, receiver.port, timeout=5)
        connection.request(
            "POST",
            "/",
            body=iter([b"ab", b"c"]),
            encode_chunked=True,
            headers={"Transfer-Encoding": "chunked"},
        )
        assert connection.getresponse().status == 200
        connection.close()
        assert receiver.received()[0].body == b"abc"

    def test_stops_and_starts_on_the_same_port(self, receiver: Receiver) -> None:
        receiver.stop()
        with pytest.raises(ConnectionRefusedError):
            post(receiver, "/")
        receiver.start()
        assert post(receiver, "/")[0] == 200

    def test_says_how_many_came(self, receiver: Receiver) -> None:
        post(receiver, "/")
        with pytest.raises(TimeoutError, match="2 requests at .*; 1 came"):
            receiver.wait_for(2, timeout=0.2)

    def test_speaks_tls(self) -> None:
        ca = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert("127.0.0.1").configure_cert(context)
        trusting = ssl.create_default_context()
        ca.configure_trust(trusting)
        with Receiver(context=context) as receiver:
            with urllib.request.urlopen(
                receiver.url, data=json.dumps({}).encode(), context=trusting
            ) as answer:
                assert answer.status == 200
            assert receiver.received()[0].body == b"{}"


@pytest.mark.airflow
@pytest.mark.usefixtures("airflow_db")
class TestDagTest:
    def test_states_xcoms_and_log(self) -> None:
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

    def test_second_run_is_quick_and_its_own(self) -> None:
        from airflow.sdk import DAG, task

        with DAG("harness_in_process_again", schedule=None) as dag:

            @task
            def give() -> str:
                return "here"

            give()

        first, second = run_dag(dag), run_dag(dag)
        assert first.run_id != second.run_id
        assert first.xcoms == second.xcoms == {"give": {"return_value": "here"}}

    def test_home_is_of_the_tests_alone(self) -> None:
        from airflow.configuration import conf

        assert tempfile.gettempdir() in conf.get("database", "sql_alchemy_conn")
        assert "airflow-of-tests-" in os.environ["AIRFLOW_HOME"]


def test_airflow_is_not_imported_for_those_who_do_not_use_it() -> None:
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
    def test_a_run_from_start_to_end(self, airflow: Airflow) -> None:
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

    def test_new_files_and_import_errors_are_seen(self, airflow: Airflow) -> None:
        airflow.home.write_dag("broken.py", "raise RuntimeError('rule 17')  # airflow DAG")
        errors = wait_until(airflow.rest.import_errors, 30, "the import error")
        assert "rule 17" in errors["broken.py"]
        with pytest.raises(RuntimeError, match="rule 17"):
            airflow.rest.wait_for_dag("no_such")
        (airflow.home.dags_folder / "broken.py").unlink()
        wait_until(lambda: not airflow.rest.import_errors(), 30, "the import error to go")

    def test_users_have_roles_and_passwords(self, airflow: Airflow) -> None:
        looker = airflow.rest_as("looker")
        assert looker.health()["metadatabase"] == "healthy"
        with pytest.raises(RestError, match="403"):
            looker.pause("harness")
        with pytest.raises(RestError, match="401"):
            AirflowRest(airflow.home.url, "admin", "wrong").import_errors()

    def test_commands(self, airflow: Airflow) -> None:
        assert airflow.home.run("version").strip().startswith("3.")
        with pytest.raises(RuntimeError, match="exit code"):
            airflow.home.run("dags", "details", "no_such_dag")


@pytest.mark.airflow
def test_components_each_as_a_process(tmp_path: Path) -> None:
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
    def test_postgres_keeps_what_is_in_it_and_drops_clients(self, postgres: Postgres) -> None:
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

    def test_postgres_wants_its_password_and_leaves_nothing(self) -> None:
        with Postgres() as postgres:
            folder = postgres.folder
            with pytest.raises(psycopg2.OperationalError, match="password"):
                psycopg2.connect(f"postgresql://airflow:wrong@127.0.0.1:{postgres.port}/airflow")
        assert not folder.exists()
        assert not [
            p for p in psutil.process_iter(["cmdline"]) if str(folder) in " ".join(p.info["cmdline"] or [])
        ]

    def test_redis_answers(self, tmp_path: Path) -> None:
        with Redis(tmp_path) as server:
            assert redis.Redis.from_url(server.url).ping()
        with pytest.raises(redis.ConnectionError):
            redis.Redis.from_url(server.url).ping()

    def test_airflow_on_celery_survives_killed_components(self, postgres: Postgres, tmp_path: Path) -> None:
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
