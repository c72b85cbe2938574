# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The page "Access Log" in a real Chromium, on a real Airflow with real runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.harness.airflow_home import AirflowHome
from tests.harness.airflow_process import Airflow
from tests.harness.receiver import Answer, Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Locator

    from tests.browser.conftest import Browser, Tab

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
PAGE = "/plugin/access-log"

DAG = """
    from datetime import datetime

    from airflow.sdk import DAG

    from airflow_registry_triggers import TriggerMatchOperator, WebhookDeliverOperator

    for name, path in (("deploy", "/hook"), ("flaky", "/flaky"), ("hostile", "/hostile")):
        with DAG(name, schedule=None, start_date=datetime(2026, 1, 1), is_paused_upon_creation=False) as dag:
            match = TriggerMatchOperator(
                task_id="match", trigger_name=name, tag_regex="release-v.*|.*!.*"
            )
            WebhookDeliverOperator(
                task_id="deliver", notifications=match.output, webhook_conn_id=f"to_{name}"
            )
        globals()[name] = dag
"""

BIDI = "\u202e"
SCRIPT = "<script>globalThis.__ran = 1</script><img src=x onerror='globalThis.__ran=1'>"
ANSI = "\x1b[31mred\x1b[0m"
HOSTILE = Answer(
    status=200,
    headers={"X-Evil": SCRIPT, "X-Ansi": "a[31mb"},
    body=(SCRIPT + ANSI + "\u202e" * 1365).encode(),
)


def notification(tag: str, repository: str = "team/app") -> dict[str, Any]:
    namespace, _, name = repository.partition("/")
    return {
        "push_data": {"digest": "sha256:" + "c0ffee" * 10 + "beef", "pushed_at": "2026-01-01 00:00:00", "tag": tag},
        "repository": {"name": name, "namespace": namespace, "repo_full_name": repository},
        "event": {"id": (tag.encode().hex() + "0" * 32)[:32], "registry": "ghcr.io", "action": "new"},
    }  # fmt: skip


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        running.script("/flaky", Answer(503, body=b"busy"))
        running.script("/hostile", HOSTILE)
        yield running


def home_of(folder: Path, receiver: Receiver) -> AirflowHome:
    return AirflowHome(
        folder,
        users={"viewer": "viewer"},
        connections={
            f"to_{name}": {
                "conn_type": "webhook",
                "schema": "http",
                "host": "127.0.0.1",
                "port": receiver.port,
                "extra": {"path": path},
            }
            for name, path in (("deploy", "/hook"), ("flaky", "/flaky"), ("hostile", "/hostile"))
        },
        settings={("registry_triggers", "allowed_networks"): "127.0.0.0/8"},
    )


@pytest.fixture(scope="module")
def airflow(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    home = home_of(tmp_path_factory.mktemp("airflow"), receiver)
    home.write_dag("chains.py", DAG)
    with Airflow(home) as running:
        for name in ("deploy", "flaky", "hostile"):
            running.rest.wait_for_dag(name)
        yield running


@pytest.fixture(scope="module")
def runs(airflow: Airflow) -> dict[str, str]:
    """Runs whose tasks have written their records."""
    rest = airflow.rest
    evil = "release-v!" + BIDI + SCRIPT
    started = {
        "delivered": (
            "deploy",
            [notification("release-v1"), notification("release-v2"), notification("main")],
        ),
        "untriggered": ("deploy", notification("nightly", "team/worker")),
        "hostile": ("hostile", notification(evil)),
        "flaky": ("flaky", notification("release-v3")),
    }
    found = {}
    for name, (dag_id, conf) in started.items():
        found[name] = rest.trigger(dag_id, {"notification": conf})
    for name in ("delivered", "untriggered", "hostile"):
        assert rest.wait_for_run(started[name][0], found[name], 90) == "success"
    rest.wait_for_state("flaky", found["flaky"], "deliver", ["up_for_retry"], 60)
    return found


@pytest.fixture
def tab(browser: Browser, airflow: Airflow, runs: dict[str, str]) -> Iterator[Tab]:
    opened = browser.tab(airflow)
    yield opened
    assert opened.trouble == []


def entries(tab: Tab) -> Locator:
    return tab.page.get_by_test_id("access-log-entry")


def entry_of(tab: Tab, text: str, result: str) -> Locator:
    return entries(tab).filter(has_text=text).filter(has=tab.page.locator(f"[data-result={result}]"))


def opened(tab: Tab, text: str, result: str) -> Locator:
    """Open an entry and give the page's part that shows it."""
    entry_of(tab, text, result).get_by_role("button", expanded=False).click()
    expect(tab.page.get_by_role("button", name="Test")).to_be_visible()
    return tab.page.get_by_test_id("access-log")


def test_shot(tab: Tab) -> None:
    tab.open(PAGE)
    try:
        expect(entries(tab).first).to_be_visible()
    finally:
        tab.page.screenshot(path="/tmp/ui/list.png")
        print(tab.trouble)
    opened(tab, "release-v1", "delivered")
    tab.page.wait_for_timeout(500)
    tab.page.screenshot(path="/tmp/ui/open.png")
