# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
How often a push starts more than one run: never while nothing happens, and hardly when the triggerer restarts.

Each test has a repository and a Dag of its own.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.chaos.cluster import Cluster, cluster, event_dag
from tests.chaos.test_lost_or_invented import Scene
from tests.harness.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

NAMES = ("quiet", "five", "orderly", "restarted")

OUTBOX_SECONDS = 120.0
"""Seconds after a push in which a restart may send it once more."""


class CountedScene(Scene):
    """A scene that counts runs, duplicates and polls."""

    def run_count(self) -> int:
        return len(self.running.run_ids(self.name))

    def duplicates(self) -> int:
        return len(self.running.verdicts("duplicate", self.name))

    def wait_for_polls(self, number: int) -> None:
        """Wait until the watcher has polled so many times from now on."""
        before = self._polls()
        wait_until(lambda: self._polls() >= before + number, 90, f"{number} polls of {self.repository}")

    def _polls(self) -> int:
        listing = f"/v2/{self.repository}/tags/list"
        return sum(line.path.partition("?")[0] == listing for line in self.registry.requests())


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    dags = {f"{name}.py": event_dag(name, f"repository_asset('scene/{name}')", f"/{name}") for name in NAMES}
    paths = tuple(f"/{name}" for name in NAMES)
    with cluster(tmp_path_factory.mktemp("duplicates"), dags, paths=paths) as running:
        yield running


@pytest.fixture(scope="module")
def restarted(installation: Cluster) -> tuple[CountedScene, float]:
    """A repository with one push that the other tests let grow old; with the time of its delivery."""
    scene = CountedScene(installation, "restarted")
    scene.begin()
    scene.push("a")
    scene.check()
    return scene, time.monotonic()


def test_40_quiet_pushes_make_40_runs_and_no_duplicate(
    installation: Cluster, restarted: tuple[CountedScene, float]
) -> None:
    scene = CountedScene(installation, "quiet")
    scene.begin()
    for number in range(40):
        scene.push(f"n{number}")
        wait_until(lambda: len(scene.received()) == len(scene.pushed), 60, "the delivery")
        wait_until(lambda: not installation.active_runs("quiet"), 30, "the end of the run")
    scene.check()
    assert (scene.run_count(), len(scene.received()), scene.duplicates()) == (40, 40, 0)


def test_6_pushes_of_5_tags_make_no_duplicate(installation: Cluster) -> None:
    scene = CountedScene(installation, "five")
    scene.begin()
    for number in range(6):
        scene.push(*(f"n{number}-{tag}" for tag in "abcde"))
        wait_until(lambda: len(scene.received()) == len(scene.pushed), 60, "the deliveries")
    scene.check()
    print(f"6 pushes of 5 tags: {scene.run_count()} runs")
    assert len(installation.verdicts("triggered", "five")) == 30
    assert scene.duplicates() == 0


def test_triggerer_restarted_in_order_starts_no_run(installation: Cluster) -> None:
    scene = CountedScene(installation, "orderly")
    scene.begin()
    scene.push("a", "b")
    scene.check()
    runs = scene.run_count()
    triggerer = installation.airflow.processes["triggerer"]
    for _ in range(3):
        triggerer.stop(timeout=60)
        triggerer.start()
        scene.wait_for_polls(3)
    scene.check()
    assert (scene.run_count(), scene.duplicates()) == (runs, 0)
    scene.push("c")
    scene.check()


def test_triggerer_killed_3_times_without_a_recent_push_makes_at_most_1_duplicate(
    installation: Cluster, restarted: tuple[CountedScene, float]
) -> None:
    scene, delivered_at = restarted
    time.sleep(max(0.0, delivered_at + OUTBOX_SECONDS + 1 - time.monotonic()))
    for _ in range(3):
        installation.kill("triggerer")
        scene.wait_for_polls(3)
    scene.check()
    print(f"3 kills: {scene.run_count()} runs, {scene.duplicates()} duplicates")
    assert scene.duplicates() <= 1
