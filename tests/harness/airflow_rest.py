# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A client of Airflow's REST API with what tests ask most."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from tests.harness.plain_http import Response, request
from tests.harness.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["AirflowRest", "RestError"]

_ENDED = {"success", "failed"}


class RestError(RuntimeError):
    """An answer of another kind than 2xx; ``status`` is its number."""

    def __init__(self, method: str, path: str, answer: Response) -> None:
        super().__init__(f"{method} {path}: {answer.status} {answer.body[:500].decode(errors='replace')}")
        self.status = answer.status


class AirflowRest:
    """
    The API as one user.

    :param url: base URL of Airflow
    :param user: name
    :param password: of the simple auth manager
    """

    def __init__(self, url: str, user: str, password: str) -> None:
        self.url = url
        self._login = {"username": user, "password": password}
        self._bearer: str | None = None

    def call(self, method: str, path: str, body: object = None, **query: object) -> Any:
        """
        Send a request and give the JSON of the answer, None for an empty one.

        :param method: HTTP method
        :param path: from the base URL on
        :param body: JSON to send
        :param query: of the URL; None is left out
        :raises RestError: the answer is no 2xx
        """
        asked = {name: value for name, value in query.items() if value is not None}
        target = path + (f"?{urlencode(asked, doseq=True)}" if asked else "")
        answer = self._send(method, target, body, {"Authorization": f"Bearer {self.token}"})
        return json.loads(answer.body) if answer.body else None

    def api(self, method: str, path: str, body: object = None, **query: object) -> Any:
        """Call what lies under /api/v2."""
        # On SQLite two writes can block each other, until Airflow drops one of them with 500.
        for _ in range(3 if method != "GET" else 0):
            try:
                return self.call(method, "/api/v2" + path, body, **query)
            except RestError as error:
                if error.status != 500:
                    raise
                time.sleep(1)
        return self.call(method, "/api/v2" + path, body, **query)

    def _send(self, method: str, target: str, body: object, headers: dict[str, str]) -> Response:
        sent = None if body is None else json.dumps(body).encode()
        if sent is not None:
            headers["Content-Type"] = "application/json"
        answer = request(
            method, self.url + target, body=sent, headers={**headers, "Accept": "application/json"}
        )
        if not 200 <= answer.status < 300:
            raise RestError(method, target, answer)
        return answer

    @property
    def token(self) -> str:
        """A JWT of the user, asked for once."""
        if self._bearer is None:
            self._bearer = str(self._send("POST", "/auth/token", self._login, {}).json()["access_token"])
        return self._bearer

    # Dags

    def health(self) -> dict[str, str | None]:
        """Give the status of each component, ``healthy`` or not."""
        answer = self.api("GET", "/monitor/health")
        return {name: (part or {}).get("status") for name, part in answer.items()}

    def import_errors(self) -> dict[str, str]:
        """Give the stack trace of each Dag file that cannot be imported, by its name."""
        errors = self.api("GET", "/importErrors", limit=100)["import_errors"]
        return {error["filename"].rsplit("/", 1)[-1]: error["stack_trace"] for error in errors}

    def wait_for_dag(self, dag_id: str, timeout: float = 180.0) -> dict[str, Any]:
        """
        Wait until a Dag is parsed, and give it; an import error ends the wait.

        :param dag_id: its id
        :param timeout: seconds
        """

        def parsed() -> dict[str, Any] | None:
            try:
                found: dict[str, Any] = self.api("GET", f"/dags/{dag_id}")
            except RestError as error:
                if error.status != 404:
                    raise
                errors = self.import_errors()
                if errors:
                    raise RuntimeError(f"Dag {dag_id} is not there: {errors}") from None
                return None
            return None if found["is_stale"] else found

        found = wait_until(parsed, timeout, f"Dag {dag_id} to be parsed", interval=0.3)
        assert found is not None
        return found

    def unpause(self, dag_id: str) -> None:
        """Let a Dag run."""
        self._set_paused(dag_id, paused=False)

    def pause(self, dag_id: str) -> None:
        """Keep a Dag from running."""
        self._set_paused(dag_id, paused=True)

    def _set_paused(self, dag_id: str, *, paused: bool) -> None:
        self.api("PATCH", f"/dags/{dag_id}", {"is_paused": paused})

    # Runs

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None, run_id: str | None = None) -> str:
        """
        Start a run by hand and give its id.

        :param dag_id: the Dag
        :param conf: of the run
        :param run_id: default one that Airflow makes
        """
        body = {"logical_date": None, "conf": dict(conf or {})}
        if run_id:
            body["dag_run_id"] = run_id
        return str(self.api("POST", f"/dags/{dag_id}/dagRuns", body)["dag_run_id"])

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """Give the runs of a Dag, oldest first, at most 100."""
        found: list[dict[str, Any]] = self.api(
            "GET", f"/dags/{dag_id}/dagRuns", limit=100, order_by="run_after"
        )["dag_runs"]
        return found

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """Give one run."""
        found: dict[str, Any] = self.api("GET", _run_path(dag_id, run_id))
        return found

    def wait_for_run(self, dag_id: str, run_id: str, timeout: float = 180.0) -> str:
        """
        Wait until a run has ended and give its state, ``success`` or ``failed``.

        :param dag_id: the Dag
        :param run_id: the run
        :param timeout: seconds
        """

        def ended() -> str:
            state = str(self.run(dag_id, run_id)["state"])
            return state if state in _ENDED else ""

        try:
            return wait_until(ended, timeout, f"run {run_id} of {dag_id} to end", interval=0.2)
        except TimeoutError as error:
            raise TimeoutError(f"{error}; task instances: {self.states(dag_id, run_id)}") from None

    # Task instances

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Give the task instances of a run, at most 100."""
        found: list[dict[str, Any]] = self.api(
            "GET", f"{_run_path(dag_id, run_id)}/taskInstances", limit=100
        )["task_instances"]
        return found

    def states(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        """Give the state of each task instance by task id, a mapped one by ``task_id[map_index]``."""
        return {
            ti["task_id"] + (f"[{ti['map_index']}]" if ti["map_index"] >= 0 else ""): ti["state"]
            for ti in self.task_instances(dag_id, run_id)
        }

    def wait_for_state(
        self, dag_id: str, run_id: str, task_id: str, states: Sequence[str], timeout: float = 180.0
    ) -> str:
        """
        Wait until a task instance is in one of the states, and give it.

        :param dag_id: the Dag
        :param run_id: the run
        :param task_id: the task; a mapped one as ``task_id[map_index]``
        :param states: such as deferred, up_for_retry, success
        :param timeout: seconds
        """

        def reached() -> str:
            state = self.states(dag_id, run_id).get(task_id)
            return state if state in states else ""

        return wait_until(reached, timeout, f"{dag_id}/{run_id}/{task_id} to be {' or '.join(states)}")

    def clear(
        self, dag_id: str, run_id: str, task_ids: Sequence[str | tuple[str, int]], **options: object
    ) -> None:
        """
        Clear task instances, whatever their state, so that they run again.

        :param dag_id: the Dag
        :param run_id: the run
        :param task_ids: ids, or pairs of id and map index
        :param options: further keys of the request, such as ``include_downstream=True``
        """
        body = {
            "dag_run_id": run_id,
            "task_ids": list(task_ids),
            "only_failed": False,
            "dry_run": False,
            **options,
        }
        self.api("POST", f"/dags/{dag_id}/clearTaskInstances", body)

    # XComs and logs

    def xcoms(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> dict[str, Any]:
        """
        Give the XComs of a task instance by key.

        :param dag_id: the Dag
        :param run_id: the run
        :param task_id: the task
        :param map_index: of a mapped one
        """
        base = f"{_run_path(dag_id, run_id)}/taskInstances/{task_id}/xcomEntries"
        listed = self.api("GET", base, map_index=map_index, limit=100)["xcom_entries"]
        return {
            entry["key"]: _decoded(
                self.api("GET", f"{base}/{quote(entry['key'])}", map_index=map_index)["value"]
            )
            for entry in listed
        }

    def log(
        self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, map_index: int = -1
    ) -> list[dict[str, Any]]:
        """
        Give the log of one try as its structured lines; ``event`` is the message.

        :param dag_id: the Dag
        :param run_id: the run
        :param task_id: the task
        :param try_number: counted from 1
        :param map_index: of a mapped one
        """
        path = f"{_run_path(dag_id, run_id)}/taskInstances/{task_id}/logs/{try_number}"
        content = self.api("GET", path, map_index=map_index, full_content="true")["content"]
        return [line for line in content if isinstance(line, dict)]

    def access_records(
        self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, map_index: int = -1
    ) -> list[dict[str, Any]]:
        """Give the access records in the log of one try, their fields without the prefix; as ``log``."""
        lines = self.log(dag_id, run_id, task_id, try_number, map_index)
        return [
            {
                name.removeprefix("access_"): value
                for name, value in line.items()
                if name.startswith("access_")
            }
            for line in lines
            if line.get("event") == "access"
        ]


def _run_path(dag_id: str, run_id: str) -> str:
    return f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='~')}"


def _decoded(value: object) -> Any:
    """XCom values come as the text that is stored."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
