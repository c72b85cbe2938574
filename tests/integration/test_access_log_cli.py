# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The access log in a terminal."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import yaml

from tests.browser.history_rows import HistoryRows, Task, record
from tests.harness.airflow_home import AirflowHome

pytestmark = pytest.mark.airflow

EVIL = "\x1b[31mv1\n\u202eend"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    made = AirflowHome(tmp_path_factory.mktemp("airflow"))
    made.run("db", "migrate")
    HistoryRows(made).add(
        [
            Task("deploy", 1, [record(1, status="triggered", tag=EVIL)], task_id="match"),
            Task("deploy", 2, [record(2), record(3, status="503")], state="failed"),
            Task("other", 3, [record(4, repository="team/other")]),
        ]
    )
    return made


def listed(home, *arguments):
    return json.loads(home.run("registry-triggers", "access-log", "--output", "json", *arguments))


def test_access_log_command_with_json_output_prints_the_filtered_entries(home):
    entries = listed(home)
    assert [entry["dag_id"] for entry in entries] == ["other", "deploy", "deploy", "deploy"]
    assert entries[-1]["tag"] == EVIL
    assert "request_body" not in entries[0]
    (failed,) = listed(
        home, "--dag-id", "deploy", "--status", "5xx", "--status", "error", "--since", "30d", "--bodies"
    )
    assert (failed["result"], failed["status_code"]) == ("failed", "503")
    assert failed["request_body"]


def test_access_log_command_with_yaml_and_a_limit_prints_the_next_cursor(home):
    done = subprocess.run(
        [str(home.program), "registry-triggers", "access-log", "-o", "yaml", "--limit", "1", "--tag", "=v4"],
        env=home.env,
        capture_output=True,
        text=True,
        check=True,
    )
    (entry,) = yaml.safe_load(done.stdout)
    assert entry["repository"] == "team/other"
    assert "More entries: --cursor" in done.stderr


def test_access_log_command_with_a_table_escapes_control_characters(home):
    table = home.run("registry-triggers", "access-log", "--status", "verdict")
    assert len(table.splitlines()) == 2
    assert "\x1b" not in table
    assert "\u202e" not in table
    assert "triggered" in table


def test_access_log_command_with_a_bad_filter_fails_with_its_name(home):
    with pytest.raises(RuntimeError, match="status='2000' is not a status"):
        home.run("registry-triggers", "access-log", "--status", "2000")


def test_get_cli_commands_without_a_call_loads_no_history_module():
    code = (
        "import sys; from airflow_registry_triggers.cli import get_cli_commands as g; g(); "
        "print([n for n in sys.modules if n.startswith('airflow_registry_triggers.history')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"
