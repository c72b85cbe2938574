# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The commands for trigger files: output, errors and exit codes."""

from __future__ import annotations

import argparse
import json

import pytest
import yaml
from airflow.sdk import Connection

from airflow_registry_triggers.cli import get_cli_commands
from airflow_registry_triggers.hooks.registry import RegistryHook
from tests.unit.trigger_file.test_loader import GOOD

BROKEN = "triggers:\n  nightly:\n    repository: team/app\n    tag-regex: n.*\n    request_timeout: 600\n    webhook: w\n"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run a subcommand in a folder with two files; return its output, errors and exit code."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "broken.yaml").write_text(BROKEN)
    (group,) = get_cli_commands()
    commands = {command.name: command for command in group.subcommands}

    def call(name, *arguments):
        parser = argparse.ArgumentParser()
        for argument in commands[name].args:
            argument.add_to_parser(parser)
        code = 0
        try:
            commands[name].func(parser.parse_args(arguments))
        except SystemExit as ended:
            code = ended.code
        output = capsys.readouterr()
        return output.out, output.err, code

    call.folder = tmp_path
    return call


def test_check_of_good_files_prints_nothing_and_counts_them(run):
    assert run("check", "good.yaml") == ("", "1 file, 3 triggers, no problems\n", 0)


def test_check_of_a_broken_file_prints_the_problem_lines_only(run):
    out, err, code = run("check", "good.yaml", "broken.yaml")
    assert out.splitlines() == [
        "broken.yaml:4:5: triggers.nightly.tag-regex: no such field; did you mean 'tag_regex'?",
        "broken.yaml:5:22: triggers.nightly.request_timeout: 600 is outside 1 to 60",
    ]
    assert (err, code) == ("2 problems in 1 of 2 files\n", 1)


def test_check_of_two_files_with_one_name_reports_the_later_key(run):
    (run.folder / "b.yaml").write_text("triggers:\n  prod: {repository: a, webhook: w}\n")
    out, err, code = run("check", "good.yaml", "b.yaml")
    assert out == "b.yaml:2:3: triggers.prod: also declared in good.yaml:6\n"
    assert (err, code) == ("1 problem in 1 of 2 files\n", 1)


def test_check_of_a_file_that_is_not_yaml_prints_its_only_problem(run):
    (run.folder / "b.yaml").write_text("triggers: ]\n")
    out, _, code = run("check", "b.yaml")
    assert (out, code) == ("b.yaml:1:11: while parsing a block node: did not find expected node content\n", 1)


@pytest.mark.parametrize(
    "command", [("check", "none.yaml"), ("list", "none.yaml"), ("test", "--tag", "a", "none.yaml")]
)
def test_command_with_a_file_that_cannot_be_opened_exits_with_2(run, command):
    assert run(*command) == ("", "none.yaml: No such file or directory\n", 2)


def test_list_prints_a_table(run):
    out, _, code = run("list", "good.yaml", "broken.yaml")
    assert code == 0
    assert out.split()[:7] == [
        "trigger", "dag_id", "state", "rule", "repositories", "receiver", "declared_in",
    ]  # fmt: skip
    assert len(out.splitlines()) == 5


@pytest.mark.parametrize(("output", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_list_prints_objects(run, output, read):
    rows = read(run("list", "-o", output, "good.yaml", "broken.yaml")[0])
    assert rows[0] == {
        "trigger": "prod",
        "dag_id": "trigger.prod",
        "state": "enabled",
        "rule": ">=1.2 <2 not .*-debug",
        "repositories": "team/app",
        "receiver": "deploy_prod",
        "declared_in": "good.yaml:6",
    }
    assert [(row["trigger"], row["state"], row["rule"]) for row in rows[1:]] == [
        ("staging", "enabled", "latest,main,1.10"),
        ("old", "disabled", "every push"),
        ("nightly", "held", ""),
    ]


def test_list_masks_the_secret_in_a_url_and_escapes_a_table(run):
    secret = "T0123456789abcdefABCDEF0123456789"
    (run.folder / "b.yaml").write_text(
        f'triggers:\n  a: {{repository: a, url: "https://h.example/services/{secret}"}}\n  "b\\x1b[2J": {{}}\n'
    )
    out, _, _ = run("list", "b.yaml")
    assert secret not in out
    assert "\x1b" not in out


def test_test_of_a_tag_prints_a_row_for_each_trigger(run):
    out, _, code = run("test", "--tag", "1.5.0", "-o", "json", "good.yaml")
    assert code == 0
    assert json.loads(out) == [
        {"trigger": "prod", "status": "triggered", "reason": "'1.5.0' is in >=1.2 <2"},
        {
            "trigger": "staging",
            "status": "untriggered",
            "reason": "'1.5.0' is not among the tags latest, main, 1.10",
        },
        {"trigger": "old", "status": "triggered", "reason": "every push triggers"},
    ]


def test_test_of_a_held_trigger_shows_its_first_problem(run):
    out, _, code = run("test", "--tag", "1.5.0", "-o", "json", "broken.yaml")
    assert code == 1
    assert json.loads(out) == [
        {
            "trigger": "nightly",
            "status": "held",
            "reason": "broken.yaml:4:5: triggers.nightly.tag-regex: no such field; did you mean 'tag_regex'?",
        }
    ]


def test_test_with_options_shows_only_these_triggers(run):
    out, _, code = run("test", "--tag", "9.9.9", "--trigger", "prod", "good.yaml")
    assert code == 1
    assert [line.split()[0] for line in out.splitlines()] == ["trigger", "prod"]
    out, _, _ = run("test", "--tag", "latest", "--repository", "team/worker", "good.yaml")
    assert [line.split()[0] for line in out.splitlines()] == ["trigger", "staging"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--tag", "a", "--trigger", "none"], "good.yaml has no trigger 'none'."),
        (["--tag", "a", "--repository", "team/none"], "good.yaml: no trigger watches team/none."),
        (["--tag", "a", "--repository", "A"], "repository='A'"),
        (["--tag", "a b"], "tag 'a b' is not a valid tag."),
        ([], "Set either --tag or --registry."),
        (["--tag", "a", "--registry"], "Set either --tag or --registry."),
        (["--registry"], "--registry needs --trigger."),
    ],
)
def test_test_with_wrong_usage_exits_with_2(run, arguments, error):
    out, err, code = run("test", *arguments, "good.yaml")
    assert (out, code) == ("", 2)
    assert err.startswith(error)


@pytest.fixture
def tags(monkeypatch):
    found = ["1.2.0", "1.10.0", "1.9.0", "latest"]

    def list_tags(hook, repository):
        if repository == "team/none":
            raise RuntimeError("no such repository")
        return list(found)

    monkeypatch.setattr(RegistryHook, "list_tags", list_tags)
    monkeypatch.setattr(RegistryHook, "get_connection", lambda conn_id: Connection(conn_id=conn_id))


def test_test_of_the_registry_prints_a_row_for_each_tag(run, tags):
    out, _, code = run("test", "--registry", "--trigger", "prod", "-o", "json", "good.yaml")
    assert code == 0
    assert [(row["tag"], row["status"]) for row in json.loads(out)] == [
        ("1.10.0", "triggered"), ("1.2.0", "triggered"), ("1.9.0", "triggered"), ("latest", "untriggered"),
    ]  # fmt: skip


def test_test_of_the_registry_with_newest_marks_the_greatest_tag(run, tags):
    (run.folder / "n.yaml").write_text(
        "triggers:\n  n: {repository: [team/app, team/b], webhook: w, newest: version}\n"
    )
    out, _, _ = run(
        "test", "--registry", "--trigger", "n", "--repository", "team/app", "-o", "json", "n.yaml"
    )
    assert [row["tag"] for row in json.loads(out) if row["status"] == "newest"] == ["1.10.0"]
    out, _, _ = run("test", "--registry", "--trigger", "n", "-o", "json", "n.yaml")
    assert [row["tag"] for row in json.loads(out) if row["status"] == "newest"] == [
        "team/app:1.10.0",
        "team/b:1.10.0",
    ]


def test_test_of_the_registry_that_fails_exits_with_2(run, tags):
    (run.folder / "n.yaml").write_text("triggers:\n  n: {repository: team/none, webhook: w}\n")
    assert run("test", "--registry", "--trigger", "n", "n.yaml") == (
        "",
        "RuntimeError: no such repository\n",
        2,
    )


def test_schema_prints_json(run):
    assert json.loads(run("schema")[0])["$schema"] == "https://json-schema.org/draft/2020-12/schema"
