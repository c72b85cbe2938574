# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A Redis server of its own, in memory only, and the settings that let Celery use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.harness.processes import Process, find_program, free_port, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.harness.postgres import Postgres

__all__ = ["CELERY_COMPONENTS", "Redis", "celery_settings"]

CELERY_COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer", "celery worker")
"""What an Airflow with CeleryExecutor consists of."""


class Redis:
    """
    A server on 127.0.0.1.

    :param folder: for its log
    """

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        command = [
            find_program("redis-server", "REDIS_SERVER"),
            "--bind",
            "127.0.0.1",
            "--port",
            str(self.port),
        ]
        # Nothing is written: neither snapshots nor an append-only file.
        command += ["--save", "", "--appendonly", "no", "--dir", str(folder)]
        self.process = Process("redis", command, folder / "redis.log")

    @property
    def url(self) -> str:
        """URL of its first database."""
        return f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Redis:
        self.process.start()
        ready = "Ready to accept connections"
        wait_until(lambda: ready in self.process.log.read_text(), 60, "Redis", process=self.process)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stop()


def celery_settings(redis: Redis, postgres: Postgres, concurrency: int = 8) -> dict[tuple[str, str], str]:
    """
    Give the settings of an AirflowHome with ``executor="CeleryExecutor"``.

    :param redis: the broker
    :param postgres: where results are kept
    :param concurrency: tasks a worker runs at once
    """
    return {
        ("celery", "broker_url"): redis.url,
        ("celery", "result_backend"): postgres.celery_url,
        ("celery", "worker_concurrency"): str(concurrency),
    }
