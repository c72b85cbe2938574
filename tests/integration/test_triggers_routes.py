# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The routes and the command of the page "Triggers" on a real api-server: who sees what, errors, secrets."""

from __future__ import annotations

import json
import subprocess
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from airflow.sdk import DAG

from airflow_registry_triggers import TriggerMatchOperator, WebhookDeliverOperator, repository_asset
from tests.harness.airflow_home import AirflowHome
from tests.harness.airflow_process import Airflow
from tests.harness.airflow_rest import RestError
from tests.harness.plain_http import request
from tests.harness.processes import wait_until
from tests.integration.trigger_rows import TriggerRows, status_row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.harness.airflow_rest import AirflowRest

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
LIST = "/registry-triggers/triggers"
MATCH = "/registry-triggers/triggers/match"
NAMES = ("open", "evil", "hidden_one", "no_xcoms_one", "no_logs_one")
EVIL = "\x1b[31mv1\n\u202eend"


def dag_of(name: str, **rule: Any) -> DAG:
    with DAG(name, schedule=repository_asset(f"team/{name}"), start_date=datetime(2026, 1, 1)) as dag:
        match = TriggerMatchOperator(task_id="match", **rule)
        WebhookDeliverOperator(task_id="deliver", notifications=match.output, webhook_conn_id="deploy")
    return dag


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, airflow_db: None) -> AirflowHome:
    made = AirflowHome(
        tmp_path_factory.mktemp("airflow"),
        users={"viewer": "viewer", "user": "user"},
        settings={("core", "auth_manager"): "tests.integration.access_log_auth.HidingAuthManager"},
    )
    made.env["PYTHONPATH"] = str(ROOT)
    made.run("db", "migrate")
    return made


def report(rows: TriggerRows) -> None:
    """Let every watcher have polled a few seconds ago."""
    names = (*NAMES, "templated")
    rows.set_statuses({repository_asset(f"team/{name}").name: status_row() for name in names})


@pytest.fixture(scope="module")
def rows(home: AirflowHome) -> TriggerRows:
    made = TriggerRows(home)
    made.add_dags(
        *(dag_of(name, tag_regex="v.*") for name in NAMES), dag_of("templated", tag_regex="{{ ds }}")
    )
    made.add_triggerer()
    report(made)
    made.add_run("open", "triggered", delivered="200", tag="v1", trigger_url="https://h.example/x?token=***")
    made.add_run("evil", "untriggered", tag=EVIL, reason=EVIL)
    for name in NAMES[2:]:
        made.add_run(name, "triggered", delivered="503", tag="secret", state="failed")
    return made


@pytest.fixture(scope="module")
def airflow(home: AirflowHome, rows: TriggerRows) -> Iterator[Airflow]:
    with Airflow(home, ["api-server"]) as running:
        yield running


@pytest.fixture(scope="module")
def viewer(airflow: Airflow) -> AirflowRest:
    return airflow.rest_as("viewer")


def page(rest: AirflowRest, **query: Any) -> dict[str, Any]:
    return rest.call("GET", LIST, **query)


def refused(rest: AirflowRest, path: str, **query: Any) -> tuple[int, str]:
    with pytest.raises(RestError) as caught:
        rest.call("GET", path, **query)
    return caught.value.status, str(caught.value)


@pytest.fixture(autouse=True)
def reported(rows: TriggerRows) -> None:
    """Let the watchers and the triggerer be alive, however long the tests take."""
    rows.history.execute("UPDATE job SET latest_heartbeat = :now", now=datetime.now().astimezone())
    report(rows)


def test_get_triggers_of_an_admin_has_the_documented_fields(airflow):
    found = page(airflow.rest)
    assert found["next_cursor"] is None
    assert {row["dag_id"] for row in found["triggers"]} >= {
        "open",
        "hidden_one",
        "no_xcoms_one",
        "no_logs_one",
    }
    (row,) = page(airflow.rest, dag_id="open")["triggers"]
    assert row["last_match"]["status"] == "triggered"
    assert row["last_push"]["tag"] == "v1"
    assert row["last_delivery"]["status"] == "200"
    assert row["runs_24h"] == {"delivered": 1, "failed": 0, "untriggered": 0}
    wanted = {
        "dag_id", "task_id", "trigger_name", "trigger_type", "trigger_tag", "repositories", "receiver", "paused",
        "state", "problem", "why", "last_push", "last_match", "last_delivery", "next_attempt_at", "runs_24h", "watchers",
    }  # fmt: skip
    assert wanted <= row.keys()
    assert (row["trigger_name"], row["trigger_type"], row["trigger_tag"]) == (
        "open.match",
        "TAG_REG_EXP",
        "v.*",
    )
    assert (row["repositories"], row["receiver"], row["state"]) == (["team/open"], "deploy", "ok")
    assert row["watchers"][0]["repository"] == "team/open"


def test_get_triggers_with_empty_or_several_filters_is_understood(airflow):
    names = [row["dag_id"] for row in page(airflow.rest)["triggers"]]
    found = page(airflow.rest, state="", dag_id="", repository="", cursor="", limit=50)
    assert [row["dag_id"] for row in found["triggers"]] == names
    states = {row["state"] for row in page(airflow.rest, state="ok,untriggered")["triggers"]}
    assert states == {"ok", "untriggered"}
    assert {row["state"] for row in page(airflow.rest, state=["ok", "delivery"])["triggers"]} == {
        "ok",
        "delivery",
    }


def test_get_triggers_of_a_viewer_has_no_row_and_no_count_of_other_dags(viewer):
    for query in ({}, {"limit": 200}, {"problems": "true"}, {"state": "delivery"}, {"dag_id": "hidden_one"}):
        try:
            found = page(viewer, **query)
        except RestError as error:
            assert error.status == 403
            continue
        assert {row["dag_id"] for row in found["triggers"]} <= {"open", "evil", "templated"}
        assert sum(found["counts"].values()) <= 3
        assert "secret" not in json.dumps(found)


def test_get_triggers_of_a_viewer_pages_without_other_dags(viewer):
    names, cursor = [], None
    while True:
        found = page(viewer, limit=1, cursor=cursor)
        names += [row["dag_id"] for row in found["triggers"]]
        cursor = found["next_cursor"]
        if cursor is None:
            break
    assert sorted(names) == ["evil", "open", "templated"]


@pytest.mark.parametrize("dag_id", ["hidden_one", "no_xcoms_one", "no_logs_one"])
def test_get_match_of_another_users_dag_gives_no_answer(viewer, dag_id):
    status, text = refused(viewer, MATCH, dag_id=dag_id, task_id="match", tag="v1")
    assert status in (403, 404)
    assert "v.*" not in text


def test_get_match_answers_with_status_and_reason(viewer):
    yes = viewer.call("GET", MATCH, dag_id="open", task_id="match", tag="v1.2")
    assert yes == {"triggered": True, "kind": "regex_match", "reason": "'v1.2' matches v.*"}
    no = viewer.call("GET", MATCH, dag_id="open", task_id="match", tag="latest", repository="team/open")
    assert (no["triggered"], no["kind"]) == (False, "regex_mismatch")
    other = viewer.call("GET", MATCH, dag_id="open", task_id="match", tag="v1.2", repository="team/x")
    assert other["kind"] == "not_watched"


def test_get_match_of_an_unknown_task_a_template_or_a_bad_tag_is_an_error(viewer):
    assert refused(viewer, MATCH, dag_id="open", task_id="nothing", tag="v1")[0] == 404
    assert refused(viewer, MATCH, dag_id="open", task_id="deliver", tag="v1")[0] == 404
    assert refused(viewer, MATCH, dag_id="nothing", task_id="match", tag="v1")[0] in (403, 404)
    status, text = refused(viewer, MATCH, dag_id="templated", task_id="match", tag="v1")
    assert (status, "The rule is a template, known only in a run." in text) == (409, True)
    status, text = refused(viewer, MATCH, dag_id="open", task_id="match", tag="no tag")
    assert (status, "is not a valid tag" in text) == (400, True)


@pytest.mark.parametrize(
    ("query", "status"),
    [({"state": "nine"}, 400), ({"cursor": "x"}, 400), ({"limit": 0}, 422), ({"limit": 201}, 422), ({"dag_id": "a\x00"}, 422)],
)  # fmt: skip
def test_get_triggers_with_a_bad_filter_is_an_error(airflow, query, status):
    assert refused(airflow.rest, LIST, **query)[0] == status


def test_get_triggers_without_a_login_is_refused(airflow):
    for path in (LIST, f"{MATCH}?dag_id=open&task_id=match&tag=v1"):
        assert request("GET", airflow.home.url + path).status == 401


def test_get_triggers_is_not_cached_and_in_the_openapi(airflow):
    token = {"Authorization": f"Bearer {airflow.rest.token}"}
    for path in (LIST, f"{MATCH}?dag_id=open&task_id=match&tag=v1"):
        answer = request("GET", airflow.home.url + path, headers=token)
        assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")
    paths = request("GET", f"{airflow.home.url}/openapi.json", headers=token).json()["paths"]
    assert LIST in paths
    assert MATCH in paths


def test_get_triggers_deletes_status_values_of_dead_processes(airflow, rows):
    rows.set_statuses({}, key="watchers/zombie-9/0", age=4000)
    page(airflow.rest)
    wait_until(lambda: rows.status_keys() == ["watchers/host-1/0"], 60, "the dead value to be deleted")


def test_get_triggers_says_who_may_test(airflow, viewer):
    assert [row["may_test"] for row in page(viewer, dag_id="open")["triggers"]] == [False]
    assert [row["may_test"] for row in page(airflow.rest, dag_id="open")["triggers"]] == [True]


def status(home, *arguments):
    done = subprocess.run(
        [str(home.program), "registry-triggers", "status", *arguments],
        env=home.env, capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    return done.returncode, done.stdout


def test_status_command_prints_the_rows_of_the_route(home, rows, airflow):
    code, out = status(home, "-o", "json")
    assert code == 0
    assert [row["dag_id"] for row in json.loads(out)] == [
        row["dag_id"] for row in page(airflow.rest)["triggers"]
    ]
    code, out = status(home, "-o", "yaml", "--dag-id", "open")
    (row,) = yaml.safe_load(out)
    assert (code, row["state"]) == (0, "ok")


def test_status_command_with_problems_exits_with_1_if_there_is_one(home, rows):
    code, out = status(home, "--problems", "-o", "json")
    assert code == 1
    assert {row["state"] for row in json.loads(out)} == {"delivery"}
    assert status(home, "--problems", "--dag-id", "open") == (0, "no triggers\n")
    assert status(home, "--state", "nine")[0] == 2


def test_status_command_as_a_table_escapes_control_characters(home, rows):
    code, out = status(home, "--state", "untriggered", "--state", "ok")
    assert code == 0
    assert len(out.splitlines()) == 3
    assert "\x1b" not in out
    assert "\u202e" not in out


def test_get_triggers_while_the_watchers_stopped_shows_them_not_watched(airflow, rows):
    rows.history.execute(
        "UPDATE job SET latest_heartbeat = :at", at=datetime.fromtimestamp(time.time() - 240).astimezone()
    )
    (row,) = page(airflow.rest, dag_id="open")["triggers"]
    assert (row["state"], row["why"]) == (
        "not_watched",
        "No triggerer is alive; the last heartbeat was 4 min ago.",
    )
