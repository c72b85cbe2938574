# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A real Airflow: ``airflow standalone``, or its components each as a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.harness.airflow_home import ADMIN, AirflowHome
from tests.harness.airflow_rest import AirflowRest, RestError
from tests.harness.processes import Process, wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["COMPONENTS", "Airflow"]

COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")
_HEALTH = {"scheduler": "scheduler", "dag-processor": "dag_processor", "triggerer": "triggerer"}


class Airflow:
    """
    One Airflow from start to end; all of its processes end with it.

    :param home: its folder and settings
    :param components: commands to run as processes of their own, such as COMPONENTS; default ``standalone``
    """

    def __init__(self, home: AirflowHome, components: Sequence[str] | None = None) -> None:
        self.home = home
        self._split = components is not None
        names = tuple(components) if components is not None else ("standalone",)
        self.processes = {name: self._process(name) for name in names}
        self.rest = self.rest_as(ADMIN)

    def _process(self, name: str) -> Process:
        command = [str(self.home.program), *name.split()]
        log = self.home.folder / f"{name.replace(' ', '-')}.log"
        return Process(f"airflow {name}", command, log, env=self.home.env, cwd=self.home.folder)

    def rest_as(self, user: str) -> AirflowRest:
        """
        Give a client of the REST API.

        :param user: ADMIN or another of the home's users
        """
        return AirflowRest(self.home.url, user, self.home.passwords[user])

    def __enter__(self) -> Airflow:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, timeout: float = 240.0) -> Airflow:
        """
        Start it and wait until every component is well.

        :param timeout: seconds, from the start of the processes
        """
        if self._split:
            self.home.run("db", "migrate")
        for process in self.processes.values():
            process.start()
        self.wait_until_healthy(timeout)
        return self

    def stop(self) -> None:
        """End all of its processes."""
        started = [process for process in self.processes.values() if process.started]
        for process in started:
            process.terminate()
        for process in started:
            process.stop(timeout=5)

    def wait_until_healthy(self, timeout: float = 240.0) -> None:
        """
        Wait until the REST API answers and every component that was started is well.

        :param timeout: seconds
        """
        first = next(iter(self.processes.values()))
        wait_until(self._is_healthy, timeout, "Airflow to be healthy", interval=0.3, process=first)

    def _is_healthy(self) -> bool:
        try:
            health = self.rest.health()
        except (OSError, RestError):
            return False
        wanted = _HEALTH.values() if not self._split else [_HEALTH[n] for n in self.processes if n in _HEALTH]
        return health.get("metadatabase") == "healthy" and all(
            health.get(name) == "healthy" for name in wanted
        )
