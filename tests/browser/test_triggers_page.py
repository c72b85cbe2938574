# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The view "Triggers" and the strip in the tab of a Dag, in a real Chromium."""

from __future__ import annotations

import json
import re
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG
from playwright.sync_api import expect

from airflow_registry_triggers import (
    RegistryPushSensor,
    TriggerMatchOperator,
    WebhookDeliverOperator,
    repository_asset,
)
from tests.browser.looks import picture, violations
from tests.browser.test_access_log_page import UnderPath
from tests.harness.airflow_home import AirflowHome
from tests.harness.airflow_process import Airflow
from tests.harness.dag_test import prepare_database
from tests.integration.trigger_rows import TriggerRows, status_row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Locator

    from tests.browser.conftest import Browser, Tab

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

PAGE = "/plugin/registry-triggers"
PART = "[data-testid=triggers]"
ROOT = Path(__file__).resolve().parents[2]
LONG = "a-trigger-with-a-name-of-eighty-four-characters-that-must-not-make-each-row-five-lines"
EVIL = "\u202e<script>globalThis.__ran = 1</script>{0}"
NAMES = (
    "releases",
    "wrong_password",
    "missing_conn",
    "held_back",
    "fresh",
    "nightly",
    "flaky",
    "rejected",
    "idle",
)


def tag_field(panel: Locator) -> Locator:
    return panel.get_by_role("textbox", name="Tag", exact=True)


def dag_of(name: str, **rule: Any) -> DAG:
    with DAG(
        name, schedule=repository_asset(f"team/{name}", "registry_good"), start_date=datetime(2026, 1, 1)
    ) as dag:
        match = TriggerMatchOperator(task_id="match", **({"tag_regex": r"\d.*"} | rule))
        WebhookDeliverOperator(task_id="deliver", notifications=match.output, webhook_conn_id="deploy_prod")
    return dag


def plain_dag() -> DAG:
    from airflow.sdk import task

    with DAG("plain", schedule=None, start_date=datetime(2026, 1, 1)) as dag:

        @task
        def nothing() -> None: ...

        nothing()
    return dag


def sensor_dag() -> DAG:
    with DAG("by_sensor", schedule="@daily", start_date=datetime(2026, 1, 1), catchup=False) as dag:
        push = RegistryPushSensor(task_id="push", repository="team/sensed", registry_conn_id="registry_good")
        WebhookDeliverOperator(task_id="deliver", notifications=push.output, webhook_conn_id="deploy_prod")
    return dag


def fill(rows: TriggerRows) -> None:
    """All nine states, and rows that are hard to show."""
    rows.add_dags(
        *(dag_of(name) for name in NAMES),
        dag_of("lost"),
        dag_of("hidden_one"),
        dag_of("long", trigger_name=LONG),
        dag_of("templated", tag_regex="{{ var.value.rule }}"),
        sensor_dag(),
        plain_dag(),
    )
    rows.add_triggerer()

    def asset(name: str) -> str:
        return repository_asset(f"team/{name}", "registry_good").name

    failing = {"failing_since": time.time() - 600, "next_in_s": 3600.0, "tags": None}
    note = "401: http://127.0.0.1:22696: answered 401, the login was rejected. Check login and password."
    statuses = {
        asset(name): status_row(next_in_s=3600.0) for name in (*NAMES, "hidden_one", "long", "templated")
    }
    statuses[asset("wrong_password")] = status_row(**failing, error_kind="credentials", failures=7, note=note)
    statuses[asset("missing_conn")] = status_row(
        **failing,
        error_kind="no_such_connection",
        failures=2,
        note="The conn_id `registry_good` isn't defined",
    )
    storm = "812 pushes are held, more than storm_limit 500."
    statuses[asset("held_back")] = status_row(next_in_s=3600.0, error_kind="storm", failures=1, note=storm)
    rows.set_statuses(statuses)
    rows.age_watchers(100_000)
    rows.update_dags(["idle"], is_paused=True)
    rows.add_run(
        "releases", "triggered", delivered="204", tag="1.5.0", age=5 * 3600, repository="team/releases"
    )
    rows.add_run("nightly", "untriggered", tag="1.4.0-rc.1", reason=EVIL)
    rows.add_run(
        "rejected",
        "triggered",
        delivered="404",
        state="failed",
        tag="1.0.0",
        trigger_url="https://h.example/x",
    )
    rows.add_run("flaky", "triggered", delivered="503", tag="2.0.0", age=10)
    rows.retry_in("flaky", 3600)


def home_of(folder: Path, kind: type[AirflowHome] = AirflowHome, **options: Any) -> AirflowHome:
    home = kind(
        folder,
        users={"viewer": "viewer"},
        settings={
            ("core", "auth_manager"): "tests.integration.access_log_auth.HidingAuthManager",
            ("triggerer", "triggerer_health_check_threshold"): "100000",
        },
        **options,
    )
    home.env["PYTHONPATH"] = str(ROOT)
    return home


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> TriggerRows:
    prepare_database()
    home = home_of(tmp_path_factory.mktemp("airflow"))
    home.run("db", "migrate")
    made = TriggerRows(home)
    made.home = home  # type: ignore[attr-defined]
    fill(made)
    return made


@pytest.fixture(scope="module")
def airflow(rows: TriggerRows) -> Iterator[Airflow]:
    with Airflow(rows.home, ["api-server"]) as running:  # type: ignore[attr-defined]
        yield running


@pytest.fixture
def tab(browser: Browser, airflow: Airflow) -> Iterator[Tab]:
    opened = browser.tab(airflow)
    yield opened
    assert opened.trouble == []


def triggers(tab: Tab) -> Locator:
    return tab.page.get_by_test_id("trigger")


def trigger_of(tab: Tab, name: str) -> Locator:
    return triggers(tab).filter(has=tab.page.get_by_role("link", name=name, exact=True))


def opened(tab: Tab, name: str) -> Locator:
    trigger_of(tab, name).get_by_role("button", expanded=False).click()
    return tab.page.get_by_role("region", name=re.compile(f"^Trigger {name}"))


def states(tab: Tab) -> list[str]:
    return triggers(tab).evaluate_all("all => all.map(one => one.dataset.state)")


# The list


def test_view_opened_from_the_navigation_shows_every_state_in_order(tab: Tab) -> None:
    tab.open("/")
    tab.page.get_by_role("button", name="Browse").click()
    tab.page.get_by_role("menuitem", name="Registry Triggers").click()
    expect(tab.page.get_by_role("link", name="Triggers", exact=True)).to_have_attribute(
        "aria-current", "page"
    )
    expect(triggers(tab)).to_have_count(14)
    order = [
        "broken",
        "paused",
        "not_watched",
        "registry_error",
        "storm",
        "baseline",
        "untriggered",
        "delivery",
        "ok",
    ]
    shown = states(tab)
    assert shown == sorted(shown, key=order.index)
    assert set(shown) == set(order) - {"broken"}
    page = tab.page.get_by_test_id("triggers")
    for text in (
        "Login refused",
        "No such Connection",
        "Storm held",
        "Ready, 214 tags",
        "812 pushes are held, more than storm_limit 500. Raise storm_limit to send them.",
        "1.5.0 was delivered 5 h ago (204).",
        "404: rejected. Fix the receiver, then clear the task.",
        "Paused. Airflow queues no asset events for a paused Dag.",
    ):
        expect(page).to_contain_text(text)
    expect(page).to_contain_text(
        re.compile(r"credentials: 401 for team/wrong_password since .*\d\d:\d\d\. 7 attempts")
    )
    expect(trigger_of(tab, "releases.match")).to_contain_text("team/releases @ registry_good")
    expect(trigger_of(tab, "releases.match")).to_contain_text("deploy_prod")
    picture(tab, "triggers-light", 900)


def test_view_with_hostile_text_shows_it_as_text(tab: Tab) -> None:
    tab.open(f"{PAGE}?state=untriggered")
    expect(tab.page.get_by_text("1.4.0-rc.1 does not match: \\u202e<script>")).to_contain_text("{0}")
    assert tab.page.evaluate("globalThis.__ran") is None


def test_view_in_another_time_zone_shows_the_times_in_it(tab: Tab, airflow: Airflow) -> None:
    (row,) = airflow.rest.call("GET", "/registry-triggers/triggers", dag_id="wrong_password")["triggers"]
    tab.page.add_init_script('localStorage.setItem("timezone", JSON.stringify("Asia/Tokyo"))')
    tab.open(f"{PAGE}?dag_id=wrong_password")
    since = datetime.fromisoformat(row["why_times"][0])
    tokyo = tab.page.evaluate(
        "at => new Intl.DateTimeFormat('sv-SE', {timeZone: 'Asia/Tokyo', timeStyle: 'short'}).format(new Date(at))",
        since.isoformat(),
    )
    expect(triggers(tab)).to_have_count(1)
    expect(tab.page.get_by_test_id("triggers")).to_contain_text(f"{tokyo}. 7 attempts")


def test_state_filter_as_the_first_action_shows_those_triggers(tab: Tab) -> None:
    tab.open(PAGE)
    expect(triggers(tab)).to_have_count(14)
    tab.page.get_by_label("State").select_option("delivery")
    expect(triggers(tab)).to_have_count(2)
    expect(tab.page).to_have_url(re.compile("state=delivery"))
    tab.page.get_by_label("State").select_option("problems")
    expect(triggers(tab)).to_have_count(7)
    assert set(states(tab)) == {"not_watched", "registry_error", "storm", "delivery"}
    tab.page.reload()
    expect(tab.page.get_by_label("State")).to_have_value("problems")


def test_repository_filter_as_the_first_action_keeps_the_focus(tab: Tab) -> None:
    tab.open(PAGE)
    field = tab.page.get_by_label("Repository")
    field.click()
    tab.page.keyboard.type("team/rel", delay=150)
    expect(field).to_have_value("team/rel")
    expect(field).to_be_focused()
    expect(triggers(tab)).to_have_count(1)
    field.fill("nothing")
    expect(tab.page.get_by_text("No trigger matches the filters")).to_be_visible()
    tab.page.get_by_role("button", name="Clear the filters").click()
    expect(triggers(tab)).to_have_count(14)


def test_problems_button_shows_the_problems(tab: Tab) -> None:
    tab.open(PAGE)
    tab.page.get_by_role("button", name="problems").click()
    expect(tab.page).to_have_url(re.compile("state=problems"))


def test_bad_filter_in_the_address_can_be_cleared(tab: Tab) -> None:
    tab.open(f"{PAGE}?state=nine")
    expect(tab.page.get_by_text("This filter is not understood")).to_be_visible()
    tab.page.get_by_role("button", name="Clear the filters").click()
    expect(triggers(tab)).to_have_count(14)
    tab.trouble.clear()  # Chromium reports the 400


def test_pager_with_more_triggers_shows_the_next_and_the_first(tab: Tab) -> None:
    tab.page.route(
        "**/registry-triggers/triggers?*",
        lambda route: route.continue_(url=route.request.url.replace("limit=50", "limit=10")),
    )
    tab.open(PAGE)
    expect(triggers(tab)).to_have_count(10)
    tab.page.get_by_role("button", name="Next").click()
    expect(triggers(tab)).to_have_count(4)
    tab.page.get_by_role("button", name="First").click()
    expect(triggers(tab)).to_have_count(10)


# A trigger


def test_would_it_match_answers_without_a_run(tab: Tab, airflow: Airflow) -> None:
    tab.open(f"{PAGE}?dag_id=releases")
    panel = opened(tab, "releases.match")
    tag_field(panel).fill("1.6.0")
    tab.page.keyboard.press("Enter")
    expect(panel.get_by_text("'1.6.0' matches \\d.*")).to_be_visible()
    expect(panel.locator("[data-triggered=true]")).to_have_text("Matches")
    tag_field(panel).fill("nightly")
    panel.get_by_role("button", name="Check").click()
    expect(panel.locator("[data-triggered=false]")).to_have_text("Does not match")
    assert violations(tab, PART) == []
    assert len(airflow.rest.runs("releases")) == 1


def test_would_it_match_of_a_template_says_so(tab: Tab) -> None:
    tab.open(f"{PAGE}?dag_id=templated")
    panel = opened(tab, "templated.match")
    tag_field(panel).fill("1.6.0")
    panel.get_by_role("button", name="Check").click()
    expect(panel.get_by_text("The rule is a template, known only in a run.")).to_be_visible()
    tab.trouble.clear()  # Chromium reports the 409


def test_dry_run_starts_a_run_whose_conf_sends_nothing(tab: Tab, airflow: Airflow) -> None:
    tab.open(f"{PAGE}?dag_id=flaky")
    opened(tab, "flaky.match").get_by_role("button", name="Dry run").click()
    dialog = tab.page.get_by_role("alertdialog")
    expect(dialog.get_by_label("Dry run (send nothing)")).to_be_checked()
    tab.page.wait_for_function(
        "document.querySelector('[role=alertdialog]').contains(document.activeElement)"
    )
    dialog.get_by_label("Tag of the test").fill("3.0.0")
    with tab.page.expect_request("**/dagRuns") as asking:
        dialog.get_by_role("button", name="Start the dry run").click()
    sent = json.loads(asking.value.post_data or "")
    assert sent["conf"]["dry_run"] is True
    assert sent["conf"]["notification"]["push_data"]["tag"] == "3.0.0"
    assert sent["conf"]["notification"]["repository"]["repo_full_name"] == "team/app"
    expect(dialog.get_by_role("link", name="See the run")).to_be_visible()
    tab.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_test_of_a_trigger_shows_the_verdict_and_preselects_the_dry_run(tab: Tab) -> None:
    tab.open(f"{PAGE}?dag_id=releases")
    opened(tab, "releases.match").get_by_role("button", name="Test", exact=True).click()
    dialog = tab.page.get_by_role("alertdialog")
    expect(dialog).to_contain_text("'1.5.0' matches")
    expect(dialog.get_by_label("Dry run (send nothing)")).to_be_checked()
    dialog.get_by_role("button", name="Cancel").click()


def test_trigger_links_to_its_entries_its_dag_and_the_failed_task(tab: Tab) -> None:
    tab.open(f"{PAGE}?dag_id=rejected")
    panel = opened(tab, "rejected.match")
    link = panel.get_by_role("link", name="Failed task, to clear it")
    expect(link).to_have_attribute("href", re.compile("/dags/rejected/runs/manual__000003/tasks/deliver"))
    trigger_of(tab, "rejected.match").get_by_role("link", name="rejected.match").click()
    expect(tab.page).to_have_url(re.compile("/plugin/access-log\\?dag_id=rejected&trigger=%3Drejected.match"))


def test_viewer_sees_no_other_dags_and_cannot_start_a_run(browser: Browser, airflow: Airflow) -> None:
    tab = browser.tab(airflow, "viewer")
    tab.open(PAGE)
    expect(triggers(tab)).to_have_count(13)
    expect(tab.page.get_by_test_id("triggers")).not_to_contain_text("hidden_one")
    tab.open(f"{PAGE}?dag_id=releases")
    button = opened(tab, "releases.match").get_by_role("button", name="Dry run")
    expect(button).to_be_disabled()
    expect(button).to_have_attribute("title", "Your role may not start a run")


# The tab of a Dag


@pytest.mark.parametrize(
    ("dag_id", "texts"),
    [
        ("wrong_password", ["Watching team/wrong_password failed at", "Login refused (Connection registry_good): http://127.0.0.1:22696: answered 401", "Next check at"]),
        ("missing_conn", ["Watching team/missing_conn failed at", "No such Connection (Connection registry_good)"]),
        ("fresh", ["No push yet.", "team/fresh @ registry_good was last checked", "it has 214 tags. A push shows up here, also one that does not match."]),
        ("lost", ["Not watched: lost.match", "has not reported yet"]),
        ("plain", ["This Dag has no registry trigger."]),
        ("idle", ["Paused. Airflow queues no asset events for a paused Dag."]),
    ],
)  # fmt: skip
def test_tab_of_a_dag_without_entries_says_why(tab: Tab, dag_id: str, texts: list[str]) -> None:
    tab.open(f"/dags/{dag_id}/plugin/access-log")
    for text in texts:
        expect(tab.page.get_by_test_id("access-log")).to_contain_text(text)
    if dag_id == "wrong_password":
        link = tab.page.get_by_role("link", name="Open the Connection")
        expect(link).to_have_attribute("href", re.compile("/connections\\?.*registry_good"))
        picture(tab, "triggers-tab-empty", 500)
        assert violations(tab) == []


def test_tab_of_a_dag_has_a_strip_with_the_state_of_its_triggers(tab: Tab) -> None:
    tab.open("/dags/rejected/plugin/access-log")
    strip = tab.page.get_by_test_id("trigger-strip")
    expect(strip).to_have_count(1)
    expect(strip).to_contain_text("404: rejected. Fix the receiver, then clear the task.")
    tab.open("/dags/plain/plugin/access-log")
    expect(tab.page.get_by_text("This Dag has no registry trigger.")).to_be_visible()
    expect(strip).to_have_count(0)


# Looks


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("triggers-dark", {"color_scheme": "dark"}),
        ("triggers-narrow", {"viewport": {"width": 400, "height": 900}}),
        ("", {"viewport": {"width": 1920, "height": 900}}),
    ],
)
def test_view_in_each_look_has_no_violation_and_no_sideways_scroll(
    browser: Browser, airflow: Airflow, name: str, options: dict[str, Any]
) -> None:
    tab = browser.tab(airflow, **options)
    tab.open(PAGE)
    expect(triggers(tab)).to_have_count(14)
    box = tab.page.get_by_test_id("triggers")
    assert box.evaluate("box => box.scrollWidth <= box.clientWidth")
    assert tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if name:
        picture(tab, name, 900)
    assert violations(tab, PART) == []
    opened(tab, "releases.match")
    assert violations(tab, PART) == []
    assert tab.trouble == []


def test_view_at_1280_pixels_keeps_a_long_name_on_one_line(tab: Tab) -> None:
    tab.open(PAGE)
    expect(triggers(tab)).to_have_count(14)
    assert violations(tab, PART) == []
    link = tab.page.get_by_role("link", name=LONG)
    expect(link).to_have_attribute("title", LONG)
    box = link.bounding_box()
    assert box
    assert box["height"] < 30


def test_view_under_a_base_path_asks_and_links_below_it(
    browser: Browser, rows: TriggerRows, tmp_path: Path
) -> None:
    home = home_of(tmp_path, UnderPath, database=rows.home.database)  # type: ignore[attr-defined]
    with Airflow(home, ["api-server"]) as running:
        tab = browser.tab(running)
        tab.open(f"{PAGE}?dag_id=releases")
        tag_field(opened(tab, "releases.match")).fill("1.6.0")
        tab.page.keyboard.press("Enter")
        expect(tab.page.get_by_text("'1.6.0' matches \\d.*")).to_be_visible()
        link = tab.page.get_by_role("link", name="Access log").last
        expect(link).to_have_attribute("href", re.compile("^/team/airflow/plugin/access-log"))
        assert tab.trouble == []


def test_view_of_an_empty_installation_says_what_makes_a_trigger(browser: Browser, tmp_path: Path) -> None:
    with Airflow(home_of(tmp_path), ["api-server"]) as running:
        tab = browser.tab(running)
        tab.open(PAGE)
        expect(tab.page.get_by_text("No trigger yet")).to_be_visible()
        assert violations(tab, PART) == []
        assert tab.trouble == []
