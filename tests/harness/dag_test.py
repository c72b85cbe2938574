# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
Runs a Dag within the test's own process, by ``dag.test()``.

About 6 s for the first run of a session (database, in-process API), then 0.2 s each; no scheduler, no workers.
Nothing of Airflow is imported before the first run.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import logging
import os
import re
import shutil
import tempfile
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness.airflow_home import AirflowHome

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow.sdk import DAG

__all__ = ["RunResult", "airflow_db", "isolate_airflow", "prepare_database", "run_dag"]

_HOME_PREFIX = "airflow-of-tests-"
_STARTING = re.compile(r"\[DAG TEST\] starting task_id=(?P<task>\S+) map_index=(?P<index>-?\d+)")


def isolate_airflow() -> Path:
    """
    Give this process an Airflow home of its own, removed when it ends; before airflow is imported.

    The settings and Connections of whoever started the tests are taken out of the environment.
    """
    folder = Path(tempfile.mkdtemp(prefix=_HOME_PREFIX))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    env = AirflowHome(folder).env
    for name in [name for name in os.environ if name.startswith(("AIRFLOW_", "_AIRFLOW_"))]:
        del os.environ[name]
    os.environ.update({name: value for name, value in env.items() if name.startswith("AIRFLOW_")})
    return folder


@functools.cache
def prepare_database() -> None:
    """Create the metadata database of this process, once."""
    if _HOME_PREFIX not in os.environ.get("AIRFLOW_HOME", ""):
        raise RuntimeError(
            "call isolate_airflow() before airflow is imported: this is somebody's own Airflow"
        )
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.utils.db import initdb

    initdb()
    DagBundlesManager().sync_bundles_to_db()


@pytest.fixture(scope="session")
def airflow_db() -> None:
    """A metadata database for this process; tests share it, so ids of Dags and assets must differ."""
    prepare_database()


@dataclass
class RunResult:
    """
    What a run left behind.

    Task instances are named by their task id, mapped ones ``task_id[map_index]``.

    :param run_id: the run
    :param state: ``success`` or ``failed``
    :param states: the state of each task instance
    :param xcoms: the XComs of each task instance by key
    :param lines: the log in order; each line has ``event``, ``level``, ``logger`` and ``task``
    """

    run_id: str
    state: str
    states: dict[str, str | None]
    xcoms: dict[str, dict[str, Any]]
    lines: list[dict[str, Any]] = field(repr=False)

    def log(self, task: str) -> list[dict[str, Any]]:
        """Give the lines of one task instance."""
        return [line for line in self.lines if line["task"] == task]

    def access_records(self, task: str | None = None) -> list[dict[str, Any]]:
        """
        Give the access records in the log, their fields without the prefix.

        :param task: only those of this task instance
        """
        return [
            {
                name.removeprefix("access_"): value
                for name, value in line.items()
                if name.startswith("access_")
            }
            for line in self.lines
            if line["event"] == "access" and task in (None, line["task"])
        ]


def run_dag(dag: DAG, conf: Mapping[str, Any] | None = None, **options: Any) -> RunResult:
    """
    Run a Dag that may have been made inside a test.

    A task that is up for retry is waited for: give ``retries=0`` where no retry is wanted.

    :param dag: the Dag
    :param conf: of the run
    :param options: further ones of ``dag.test()``
    """
    prepare_database()
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

    bag = DagBag(dag_folder=os.devnull)
    bag.bag_dag(dag)
    sync_bag_to_db(bag, "dags-folder", None)
    with _captured_log() as lines:
        run = dag.test(run_conf=dict(conf or {}), **options)
    return RunResult(
        run_id=run.run_id,
        state=str(run.state),
        states={_name(ti): ti.state and str(ti.state) for ti in run.get_task_instances()},
        xcoms=_xcoms(dag.dag_id, run.run_id),
        lines=lines,
    )


def _name(row: Any) -> str:
    return f"{row.task_id}[{row.map_index}]" if row.map_index >= 0 else str(row.task_id)


def _xcoms(dag_id: str, run_id: str) -> dict[str, dict[str, Any]]:
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    found: dict[str, dict[str, Any]] = {}
    with create_session() as session:
        wanted = (XComModel.dag_id == dag_id, XComModel.run_id == run_id)
        for row in session.scalars(select(XComModel).where(*wanted)):
            found.setdefault(_name(row), {})[row.key] = XComModel.deserialize_value(row)
    return found


class _Capture(logging.Handler):
    """Keeps the lines of structlog (as a processor) and of the standard library (as a handler)."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[dict[str, Any]] = []
        self._task = ""

    def __call__(self, _logger: Any, _method: str, event: Any) -> Any:
        # The API that stands in for the server logs here too; a task's log has none of that.
        if not str(event.get("logger", "")).startswith("airflow.api_fastapi."):
            exception = {"exception": traceback.format_exc()} if event.get("exc_info") else {}
            self.lines.append({**event, **exception, "task": self._task})
        return event

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if starting := _STARTING.match(text):
            index = int(starting["index"])
            self._task = starting["task"] + (f"[{index}]" if index >= 0 else "")
        self.lines.append(
            {"event": text, "level": record.levelname.lower(), "logger": record.name, "task": self._task}
        )


@contextlib.contextmanager
def _captured_log() -> Iterator[list[dict[str, Any]]]:
    import structlog

    # Loggers that are bound already share this list, so that it is changed in place; the last one renders.
    processors = structlog.get_config()["processors"]
    capture = _Capture()
    processors.insert(len(processors) - 1, capture)
    logging.getLogger().addHandler(capture)
    try:
        yield capture.lines
    finally:
        logging.getLogger().removeHandler(capture)
        processors.remove(capture)
