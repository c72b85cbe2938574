# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""What the documents show is what is run in the tests, and what they point at is there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from airflow_registry_triggers.notification import Notification
from airflow_registry_triggers.webhook.body import build_body, check_body

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "SECURITY.md",
    ROOT / "CONTRIBUTING.md",
]

SNIPPETS = {
    match[2]
    for path in (ROOT / "example_dags").glob("*.py")
    for match in re.finditer(r"# \[START (\w+)\]\n(.*?)\n# \[END \1\]", path.read_text(), re.DOTALL)
}


def test_every_example_has_a_snippet_and_every_snippet_is_shown_somewhere():
    assert len(SNIPPETS) == len(list((ROOT / "example_dags").glob("*.py")))
    shown = "\n".join(path.read_text() for path in DOCUMENTS)
    assert [snippet[:200] for snippet in SNIPPETS if snippet not in shown] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_a_dag_in_a_document_is_an_example(path):
    blocks = re.findall(r"```python\n(.*?)\n```", path.read_text(), re.DOTALL)
    assert [block for block in blocks if "with DAG" in block and block not in SNIPPETS] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_what_a_document_links_to_is_there(path):
    text = path.read_text()
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        linked = (path.parent / name) if name else path
        assert linked.exists(), target
        if anchor:
            headings = {
                re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
                for heading in re.findall(r"^#+ (.*)$", linked.read_text(), re.MULTILINE)
            }
            assert anchor in headings, target


def test_the_templates_of_the_documents_give_the_json_they_promise():
    text = (ROOT / "docs" / "bodies.md").read_text()
    slack, docker_hub, harbor = re.findall(r"```jinja\n(.*?)\n```", text, re.DOTALL)
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

    def rendered(template):
        check_body(template)
        return json.loads(build_body(push, template, webhook_id="msg_1").content)

    assert rendered(slack) == {"text": 'team/app:v"1 was pushed, sha256:d'}
    assert rendered(docker_hub)["repository"]["is_private"] is False
    assert rendered(docker_hub)["push_data"]["tag"] == 'v"1'
    (resource,) = rendered(harbor)["event_data"]["resources"]
    assert resource == {"digest": "sha256:d", "tag": 'v"1', "resource_url": 'r.example/team/app:v"1'}


def test_nothing_names_a_machine_or_a_package_index():
    words = re.compile(
        r"/work/|/root/|/home/\w|pypi\.org|files\.pythonhosted|registry\.npmjs|deb\.debian\.org"
    )
    listed = [
        path
        for pattern in ("*.md", "docs/*.md", "Makefile", ".ci/*", "*.toml", "constraints.txt")
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
