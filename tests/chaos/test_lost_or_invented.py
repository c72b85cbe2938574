# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
What else happens to an installation: nothing is lost, nothing invented, and what is wrong is said once.

Each push is of a tag of its own, so that all that is pushed must arrive, and once.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.chaos.cluster import Cluster, cluster, event_dag
from tests.harness import images
from tests.harness.airflow_rest import RestError
from tests.harness.docker_registry import PASSWORD, USER, DockerRegistry
from tests.harness.processes import Process, wait_until
from tests.harness.receiver import Answer

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

PLAIN = ("at_once", "steady", "pause", "busy", "again", "declared", "by_hand", "two", "outage")
PRIVATE = ("late", "secret", "down", "interval")


def asset_of(name: str) -> str:
    if name in PRIVATE:
        return f"repository_asset('scene/{name}', 'reg_{name}')"
    return f"repository_asset('scene/{name}')"


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    dags = {f"{name}.py": event_dag(name, asset_of(name), f"/{name}") for name in (*PLAIN, *PRIVATE)}
    # A second consumer of one of the assets.
    dags["other.py"] = event_dag("other", asset_of("busy"), "/other")
    paths = tuple(f"/{name}" for name in (*PLAIN, *PRIVATE, "other"))
    with cluster(tmp_path_factory.mktemp("installation"), dags, paths=paths) as running:
        yield running


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with DockerRegistry(tmp_path_factory.mktemp("private"), protected=True) as registry:
        yield registry


class Scene:
    """A repository, the Dag that it starts, and the receiver's path of that Dag."""

    def __init__(self, running: Cluster, name: str, registry: DockerRegistry | None = None) -> None:
        self.running = running
        self.name = name
        self.registry = registry or running.registry
        self.repository = f"scene/{name}"
        self.conn_id = f"reg_{name}" if name in PRIVATE else "registry_default"
        self.pushed: list[tuple[str, str]] = []

    def begin(self) -> None:
        """Let the watcher take its baseline."""
        self.put("v0")
        self.running.begin(self.name)
        self.wait_for_baseline()

    def wait_for_baseline(self, timeout: float = 60.0) -> None:
        def has_head() -> bool:
            return "head" in self.running.watermark(self.repository, self.conn_id)

        wait_until(has_head, timeout, f"the baseline of {self.repository}", interval=0.5)

    def put(self, *tags: str) -> str:
        """Push and expect nothing of it."""
        image = images.Image(f"{self.name}-{'-'.join(tags)}")
        return images.put_image(self.registry, image, self.repository, tags)

    def push(self, *tags: str) -> None:
        digest = self.put(*tags)
        self.pushed += [(tag, digest) for tag in tags]

    def received(self, path: str | None = None) -> list[tuple[str, str]]:
        return self.running.pushed_and_received(path or f"/{self.name}")

    def wait_for(self, timeout: float = 60.0) -> None:
        """Wait until all that was pushed has arrived, and a while for what must not."""
        wanted = set(self.pushed)
        with contextlib.suppress(TimeoutError):
            wait_until(lambda: wanted <= set(self.received()), timeout, "the deliveries", interval=0.5)

        def quiet() -> bool:
            return not self.running.active_runs(self.name)

        with contextlib.suppress(TimeoutError):
            wait_until(quiet, 30, "the runs to end", interval=0.5)
        time.sleep(3)

    def check(self, timeout: float = 60.0) -> None:
        self.wait_for(timeout)
        assert Counter(self.received()) == Counter(self.pushed)

    def said(self, text: str) -> int:
        """Count the lines in which the watcher said something of this repository."""
        lines = self.running.triggerer_log().splitlines()
        return sum(self.repository in line and text in line for line in lines)


def define(running: Cluster, conn_id: str, registry: DockerRegistry, **changes: Any) -> None:
    """Write a Connection into the metadata database, or write it anew."""
    extra = {"scheme": "http", "poll_interval": 1, **changes.pop("extra", {})}
    body = {
        "connection_id": conn_id,
        "conn_type": "oci_registry",
        "host": "127.0.0.1",
        "port": registry.port,
        "login": USER,
        "password": PASSWORD,
        **changes,
        "extra": json.dumps(extra),
    }
    with contextlib.suppress(RestError):
        running.rest.api("DELETE", f"/connections/{conn_id}")
    running.rest.api("POST", "/connections", body)


def test_watcher_with_many_tags_pushed_at_once_delivers_each_once(installation: Cluster) -> None:
    """Airflow 3.3 forgets events that come while a run is made; nothing comes later to bring them along."""
    scene = Scene(installation, "at_once")
    scene.begin()
    scene.push("a", "b", "c", "d", "e")
    scene.check()
    scene.push("f")
    scene.check()


def test_watcher_with_20_pushes_3_seconds_apart_delivers_each_once(installation: Cluster) -> None:
    scene = Scene(installation, "steady")
    scene.begin()
    for number in range(20):
        scene.push(f"n{number}")
        time.sleep(3)
    scene.check()


def test_delivery_to_a_receiver_that_fails_once_is_retried_with_the_same_id(installation: Cluster) -> None:
    scene = Scene(installation, "again")
    installation.receiver.script("/again", Answer(500), Answer(200))
    scene.begin()
    scene.push("a")
    scene.wait_for()
    first, second = installation.receiver.received("/again")
    assert first.header("webhook-id") == second.header("webhook-id")
    assert (first.status, second.status) == (500, 200)
    assert Counter(scene.received()) == Counter(2 * scene.pushed)


def test_watcher_with_its_only_consumer_paused_delivers_after_unpause(installation: Cluster) -> None:
    scene = Scene(installation, "pause")
    scene.begin()
    scene.push("before")
    scene.check()
    installation.rest.pause("pause")
    scene.push("at-once")  # the watcher still runs, and Airflow queues its event for nobody
    time.sleep(20)
    assert len(scene.received()) == 1
    installation.rest.unpause("pause")
    scene.check()
    installation.rest.pause("pause")
    time.sleep(20)
    scene.push("while-paused")
    time.sleep(5)
    installation.rest.unpause("pause")
    scene.check()
    scene.push("after")
    scene.check()


def test_watcher_with_one_of_two_consumers_paused_delivers_to_the_other(installation: Cluster) -> None:
    """It gets nothing meanwhile; what Airflow does with it at the next push is Airflow's: see docs."""
    scene = Scene(installation, "busy")
    scene.begin()
    installation.begin("other")
    time.sleep(8)  # both are consumers once the files were parsed again
    scene.push("both")
    scene.check()
    wait_until(lambda: scene.received("/other") == scene.pushed, 60, "the other Dag's delivery")
    installation.rest.pause("other")
    scene.push("paused")
    scene.check()
    installation.rest.unpause("other")
    time.sleep(15)
    assert [tag for tag, _ in scene.received("/other")] == ["both"]
    scene.push("again")
    scene.check()
    wait_until(lambda: scene.pushed[-1] in scene.received("/other"), 60, "the other Dag's delivery")
    print("the Dag that was paused got at the next push:", [tag for tag, _ in scene.received("/other")][1:])


def test_watcher_with_a_changed_poll_interval_delivers_each_push_once(
    installation: Cluster, private: DockerRegistry
) -> None:
    define(installation, "reg_interval", private)
    scene = Scene(installation, "interval", private)
    scene.begin()
    scene.push("a")
    scene.check()
    define(installation, "reg_interval", private, extra={"poll_interval": 4})
    for number in range(6):
        scene.push(f"n{number}")
        time.sleep(7)
    scene.check()


def test_watcher_with_a_redeclared_asset_delivers_each_push_once(installation: Cluster) -> None:
    scene = Scene(installation, "declared")
    scene.begin()
    scene.push("a")
    scene.check()
    home = installation.airflow.home
    # Another file declares it too, first the right way, then the wrong one: without its watcher.
    home.write_dag("also.py", event_dag("also", asset_of("declared"), "/other"))
    installation.rest.wait_for_dag("also")
    scene.push("b")
    scene.check()
    plain = "Asset('oci://registry_default/scene/declared')"
    home.write_dag(
        "also.py", f"from airflow.sdk import DAG, Asset\n\nwith DAG('also', schedule={plain}):\n    pass\n"
    )
    time.sleep(12)
    scene.push("c")
    time.sleep(6)
    (home.dags_folder / "also.py").unlink()
    scene.push("d")
    scene.check(timeout=90)
    # The Dag's file gets another name: for a moment nothing declares the asset.
    (home.dags_folder / "declared.py").unlink()
    scene.push("e")
    time.sleep(2)
    home.write_dag("declared_moved.py", event_dag("declared", asset_of("declared"), "/declared"))
    scene.check(timeout=90)
    scene.push("f")
    scene.check()


def test_watcher_with_a_manual_malformed_event_records_it(installation: Cluster) -> None:
    scene = Scene(installation, "by_hand")
    scene.begin()
    rest = installation.rest
    uri = f"oci://registry_default/{scene.repository}"
    (asset_id,) = (a["id"] for a in rest.api("GET", "/assets", uri_pattern=uri)["assets"] if a["uri"] == uri)
    rest.api("POST", "/assets/events", {"asset_id": asset_id, "extra": {"payload": {"nonsense": "x" * 300}}})
    scene.push("a")
    scene.check()
    records = installation.verdicts("malformed", "by_hand")
    assert records
    assert all("'push_data' is missing" in record["reason"] for record in records)
    assert "x" * 250 not in json.dumps(records)


def test_watcher_without_connection_or_repository_waits_and_warns_once_each(
    installation: Cluster, private: DockerRegistry
) -> None:
    scene = Scene(installation, "late", private)
    installation.begin("late")
    wait_until(lambda: scene.said("the watcher retries"), 60, "the complaint about the Connection")
    define(installation, "reg_late", private)
    wait_until(lambda: scene.said("does not exist"), 90, "the complaint about the repository")
    time.sleep(15)
    assert scene.said("does not exist") == 1
    assert scene.said("the watcher retries") == 2, "one for the Connection, one for the repository"
    scene.put("v0")
    scene.wait_for_baseline(120)
    assert scene.said("recovered") == 1
    scene.push("a")
    scene.check()


def test_watcher_with_a_wrong_password_warns_once_and_recovers(
    installation: Cluster, private: DockerRegistry
) -> None:
    scene = Scene(installation, "secret", private)
    define(installation, "reg_secret", private, password="not-this-one")
    scene.put("v0")
    installation.begin("secret")
    wait_until(lambda: scene.said("401"), 60, "the complaint about the password")
    time.sleep(10)
    assert scene.said("the watcher retries") == 1
    define(installation, "reg_secret", private)
    scene.wait_for_baseline(90)
    assert scene.said("recovered") == 1
    assert "not-this-one" not in installation.triggerer_log()
    scene.push("a")
    scene.check()


def test_watcher_with_a_registry_outage_delivers_later_pushes(
    installation: Cluster, private: DockerRegistry
) -> None:
    define(installation, "reg_down", private)
    scene = Scene(installation, "down", private)
    scene.begin()
    scene.push("a")
    scene.check()
    private.stop()
    wait_until(lambda: scene.said("the watcher retries"), 60, "the complaint")
    time.sleep(15)
    private.start()
    scene.push("b")
    scene.check(timeout=120)
    assert scene.said("the watcher retries") == 1
    assert scene.said("recovered") == 1


def test_watcher_with_two_triggerers_delivers_each_push_once(installation: Cluster) -> None:
    scene = Scene(installation, "two")
    scene.begin()
    home = installation.airflow.home
    log = home.folder / "triggerer-2.log"
    command = [str(home.program), "triggerer", "--skip-serve-logs"]
    with Process("airflow triggerer 2", command, log, env=home.env, cwd=home.folder):
        wait_until(
            lambda: log.exists() and "Starting the triggerer" in log.read_text(), 60, "the second triggerer"
        )
        for number in range(3):
            scene.push(f"both{number}")
            time.sleep(2)
        scene.check()
        first = installation.airflow.processes["triggerer"]
        first.kill()
        scene.push("one-is-gone")
        scene.check()
        first.start()
        scene.push("both-again")
        scene.check()
    scene.push("the-first-again")
    scene.check()


@contextlib.contextmanager
def kept_alive(running: Cluster) -> Iterator[Counter[str]]:
    """Start again what ends, as a service manager does; counts how often."""
    ended: Counter[str] = Counter()
    over = threading.Event()

    def look() -> None:
        while not over.wait(1.0):
            for name, process in running.airflow.processes.items():
                if not process.alive:
                    ended[name] += 1
                    process.kill()  # what it left behind
                    process.start()

    keeper = threading.Thread(target=look)
    keeper.start()
    try:
        yield ended
    finally:
        over.set()
        keeper.join()


def test_watcher_with_a_database_outage_delivers_each_push(installation: Cluster) -> None:
    scene = Scene(installation, "outage")
    scene.begin()
    with kept_alive(installation) as ended:
        scene.push("before")
        time.sleep(1)  # it may be anywhere between the registry and the receiver
        installation.postgres.stop()
        for number in range(6):
            scene.push(f"n{number}")
            time.sleep(10)
        installation.postgres.start()
        installation.airflow.wait_until_healthy(120)
        scene.push("after")
        scene.check(timeout=180)
    print("processes that ended meanwhile and were started again:", dict(ended))
