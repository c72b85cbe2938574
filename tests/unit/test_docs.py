# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The docs show code that the tests run, and name parameters, fields, numbers and tests that exist."""

from __future__ import annotations

import importlib
import inspect
import json
import re
from dataclasses import fields
from pathlib import Path

import pytest

import airflow_registry_triggers
from airflow_registry_triggers import (
    RegistryPushSensor,
    TriggerMatchOperator,
    WebhookDeliverOperator,
    repository_asset,
)
from airflow_registry_triggers.access_record import AccessRecord
from airflow_registry_triggers.addresses import metadata_names
from airflow_registry_triggers.addresses import table as addresses
from airflow_registry_triggers.get_provider_info import get_provider_info
from airflow_registry_triggers.notification import Notification
from airflow_registry_triggers.registry.errors import KINDS
from airflow_registry_triggers.webhook import headers, retry_schedule, url
from airflow_registry_triggers.webhook.body import build_body, check_body

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
ROOT_FILES = [ROOT / "README.md", ROOT / "SECURITY.md", ROOT / "CONTRIBUTING.md"]
REPOSITORY = "https://github.com/airflow-registry-triggers/airflow-provider-registry-triggers"
IMAGES = (
    "https://raw.githubusercontent.com/airflow-registry-triggers/airflow-provider-registry-triggers/main/"
)
SITE = "https://airflow-registry-triggers.github.io/airflow-provider-registry-triggers/"

MARKED = re.compile(r"# \[START (\w+)\]\n(.*?)\n# \[END \1\]", re.DOTALL)
INCLUDED = re.compile(
    r"```\{literalinclude\} \S*?/example_dags/(\w+\.py)\n.*?\[START (\w+)\].*?\[END \2\]", re.DOTALL
)
SNIPPETS = {
    (path.name, match[1]): match[2]
    for path in (ROOT / "example_dags").glob("*.py")
    for match in MARKED.finditer(path.read_text())
}


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def python_blocks(path: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)\n```", path.read_text(), re.DOTALL | re.MULTILINE)


def test_docs_with_all_examples_include_each() -> None:
    assert {name for name, _ in SNIPPETS} == {path.name for path in (ROOT / "example_dags").glob("*.py")}
    included = {match.groups() for path in PAGES for match in INCLUDED.finditer(path.read_text())}
    assert included == set(SNIPPETS)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_page_with_python_code_shows_examples_only(path: Path) -> None:
    assert python_blocks(path) == []


def test_readme_with_python_code_shows_an_example() -> None:
    assert python_blocks(ROOT / "README.md") == [SNIPPETS["deploy_on_push.py", "deploy_on_push"]]


@pytest.mark.parametrize("path", ROOT_FILES, ids=lambda path: path.name)
def test_root_file_with_links_uses_absolute_urls(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        assert target.startswith("https://"), target
        if target.startswith(SITE):
            name = target.removeprefix(SITE) or "index.html"
            assert (ROOT / "docs" / name).with_suffix(".md").exists(), target
        elif target.startswith(IMAGES):
            assert (ROOT / target.removeprefix(IMAGES)).exists(), target
        elif target.startswith(f"{REPOSITORY}/blob/main/"):
            assert (ROOT / target.removeprefix(f"{REPOSITORY}/blob/main/")).exists(), target


def test_project_urls_in_pyproject_equal_those_of_the_readme() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    assert f'Source = "{REPOSITORY}"' in project
    assert f'Documentation = "{SITE}"' in project


def test_template_from_the_docs_renders_the_documented_json() -> None:
    docker_hub, harbor = re.findall(r"```jinja\n(.*?)\n```", page("how_to/send_another_body.md"), re.DOTALL)
    push = Notification.from_dict(
        {
            "push_data": {"digest": "sha256:d", "pushed_at": "2026-01-01 00:00:00", "tag": 'v"1'},
            "repository": {
                "name": "app",
                "namespace": "team",
                "repo_full_name": "team/app",
                "repo_type": "PUBLIC",
            },
            "event": {"registry": "r.example"},
        }
    )

    def rendered(template: str) -> dict:
        check_body(body_template=template)
        return json.loads(build_body(push, body_template=template, webhook_id="msg_1").content)

    assert rendered(docker_hub)["repository"]["is_private"] is False
    assert rendered(docker_hub)["push_data"]["tag"] == 'v"1'
    (resource,) = rendered(harbor)["event_data"]["resources"]
    assert resource == {"digest": "sha256:d", "tag": 'v"1', "resource_url": 'r.example/team/app:v"1'}


@pytest.mark.parametrize("name", ["rules_and_tests.md", "testing.md"])
def test_contributing_page_names_tests_that_exist(name: str) -> None:
    named = set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page(f"contributing/{name}")))
    assert len(named) > 10
    missing = [
        f"{file}::{test}"
        for file, test in sorted(named)
        if not (ROOT / file).exists()
        or not re.search(
            rf"^(?:async )?(?:def|class) {test}\b", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE
        )
    ]
    assert missing == []


def test_rules_page_has_a_row_for_each_delivery_rule() -> None:
    table = page("contributing/rules_and_tests.md").partition("## Delivery")[2]
    assert [int(number) for number in re.findall(r"^\| (\d+) ", table, re.MULTILINE)] == list(range(1, 17))


def test_delivery_page_has_the_numbers_of_the_code() -> None:
    text = page("reference/delivery.md")
    for port in url.HTTP_PORTS:
        assert re.search(rf"\b{port}\b", text)
    for name in metadata_names.METADATA_NAMES | {name.title() for name in headers.FRAMING if name != "te"}:
        assert name in text
    for cidrs in (cidrs for label, cidrs in addresses._CLASSES if label == "cloud metadata"):
        assert [cidr for cidr in cidrs.split() if cidr.rpartition("/")[0] not in text] == []
    units = {"s": 1, "min": 60, "h": 3600}
    row = re.search(r"^\| wait, ±20 % \|(.*)\|$", text, re.MULTILINE)
    assert row is not None
    waits = [int(n) * units[unit] for n, unit in re.findall(r"(\d+) (s|min|h)", row[1])]
    assert waits == list(retry_schedule.RETRY_WAITS)


@pytest.mark.parametrize(
    ("public", "name"),
    [
        (repository_asset, "assets.md"),
        (RegistryPushSensor.__init__, "sensor.md"),
        (TriggerMatchOperator.__init__, "operators.md"),
        (WebhookDeliverOperator.__init__, "operators.md"),
    ],
    ids=lambda value: getattr(value, "__qualname__", value),
)
def test_reference_page_names_every_parameter(public: object, name: str) -> None:
    listed = set(
        re.findall(
            r"`(\w+)`", "\n".join(re.findall(r"^\| (`.*?) \|", page(f"reference/{name}"), re.MULTILINE))
        )
    )
    own = set(inspect.signature(public).parameters) - {
        "self",
        "kwargs",
        "map_index_template",
        "max_active_tis_per_dag",
    }
    assert own - listed == set()


def test_connections_page_names_every_field() -> None:
    text = page("reference/connections.md")
    for connection in get_provider_info()["connection-types"]:
        section = text.partition(f"## `{connection['connection-type']}`")[2].partition("\n## ")[0]
        assert [name for name in connection["conn-fields"] if f"`{name}`" not in section] == []


def test_access_log_page_names_every_field() -> None:
    section = page("reference/access_log.md").partition("## Fields")[2].partition("\n## ")[0]
    assert {field.name for field in fields(AccessRecord)} == set(re.findall(r"`(\w+)`(?=[^|]*\| )", section))


@pytest.mark.parametrize("name", ["reference/polling.md", "why_did_my_trigger_not_fire.md"])
def test_page_on_errors_names_every_kind(name: str) -> None:
    listed = set(re.findall(r"`(\w+)`", "\n".join(re.findall(r"^\| (`.*?) \|", page(name), re.MULTILINE))))
    assert set(KINDS) - listed == set()


def test_api_reference_covers_every_public_name() -> None:
    modules = {
        module
        for path in PAGES
        for module in re.findall(r"^\.\. automodule:: (\S+)", path.read_text(), re.MULTILINE)
    }
    for module in modules:
        assert importlib.import_module(module).__doc__, module
    defined = {
        getattr(airflow_registry_triggers, name).__module__
        for name in airflow_registry_triggers.__all__
        if name != "__version__"
    }
    assert defined - modules == set()


def test_files_name_no_machine_and_no_package_index() -> None:
    words = re.compile(
        r"/work/|/root/|/home/\w|pypi\.org|files\.pythonhosted|registry\.npmjs|deb\.debian\.org"
    )
    listed = [
        path
        for pattern in (
            "*.md",
            "docs/**/*.md",
            "docs/*.py",
            "Makefile",
            ".ci/*",
            "*.toml",
            "*.json",
            "constraints.txt",
        )
        for path in ROOT.glob(pattern)
    ]
    code = [
        path
        for folder in ("airflow_registry_triggers", "tests", "benchmarks", "demo", "example_dags")
        for path in (ROOT / folder).rglob("*.py")
    ]
    found = [
        str(path.relative_to(ROOT))
        for path in (*listed, *code)
        if path != Path(__file__) and path.is_file() and words.search(path.read_text())
    ]
    assert found == []


@pytest.mark.parametrize("path", sorted((ROOT / "example_dags").glob("*.py")), ids=lambda path: path.stem)
def test_example_dags_say_what_they_deploy_and_link_their_entries(path: Path) -> None:
    made = ("registry_triggers.py", "trigger_in_python.py")  # the loader writes their texts
    if path.name in made:
        pytest.skip("the Dag is made from a trigger")
    text = path.read_text()
    dag_ids = re.findall(r'DAG\(\s*f?"([\w{}]+)"', text)
    texts = re.findall(r'doc_md = f?"""(.*?)"""', text, re.DOTALL)
    assert texts
    for documented in texts:
        assert "**Rule:**" in documented
        assert "**Receiver:**" in documented
        (linked,) = re.findall(r"\(plugin/access-log\?dag_id=([\w{}]+)\)", documented)
        assert linked in dag_ids
