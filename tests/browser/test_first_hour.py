# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The access log as a new user drives it: the first action after a load, the keyboard, shared links, sizes."""

from __future__ import annotations

import functools
import hashlib
import json
import re
import urllib.parse
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.browser.history_rows import HistoryRows, Task, record
from tests.browser.looks import LOOKS, picture, violations
from tests.harness.airflow_home import AirflowHome
from tests.harness.airflow_process import Airflow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Locator

    from tests.browser.conftest import Browser, Tab

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

PAGE = "/plugin/access-log"
LONG = "a-trigger-with-a-name-of-84-characters-which-nobody-should-have-to-read-in-five-line"
DAGS = """
    from datetime import datetime

    from airflow.sdk import DAG, task

    from airflow_registry_triggers import TriggerMatchOperator, WebhookDeliverOperator

    with DAG("idle", schedule=None, start_date=datetime(2026, 1, 1), is_paused_upon_creation=False):

        @task
        def nothing(): ...

        nothing()

    for name in ("deploy", "other"):
        with DAG(name, schedule=None, start_date=datetime(2026, 1, 1), is_paused_upon_creation=False):
            match = TriggerMatchOperator(task_id="match", trigger_name="releases", tag_regex="release-v.*")
            WebhookDeliverOperator(task_id="deliver", notifications=match.output, webhook_conn_id="deploy_prod")
"""
CONTROL = "".join(map(chr, (*range(1, 32), 127))) * 128


def digest_of(number: int) -> str:
    return f"sha256:{hashlib.sha256(str(number).encode()).hexdigest()}"


@functools.cache
def began() -> datetime:
    return datetime.now(UTC)


def time_of(number: int) -> datetime:
    # From one moment on: a push that matched later than it was delivered would count as not sent yet.
    return began() - timedelta(seconds=40 * number)


def exchange(number: int, at: datetime) -> dict[str, Any]:
    """Give a request and a response as they are in an installation, for the pictures of the documents."""
    named = {"name": "app", "namespace": "team", "repo_full_name": "team/app"}
    pushed = {"digest": digest_of(number), "pushed_at": f"{at:%F %T}", "tag": f"release-v{number}"}
    return {
        "request_headers": {
            "Content-Type": "application/json",
            "User-Agent": "airflow-provider-registry-triggers",
            "webhook-id": f"msg_{number:032x}",
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": "***",
        },
        "request_body": json.dumps({"push_data": pushed, "repository": named}),
        "response_headers": {"Content-Type": "application/json", "Server": "deploy/2.4"},
    }


def push(number: int, status: str, **values: Any) -> dict[str, Any]:
    at = time_of(number)
    known: dict[str, Any] = {
        "digest": digest_of(number),
        "trigger_name": "releases",
        "tag": f"release-v{number}",
        "request_time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "registry": "ghcr.io",
    }
    if status == "triggered":
        known["reason"] = f"'release-v{number}' matches release-v.*"
    if status == "untriggered":
        known |= {"tag": f"nightly-{number}", "trigger_name": "nightlies"}
        known["reason"] = f"'nightly-{number}' does not match release-v.* (the whole tag must match)"
    if status == "200":
        known["reason"] = "the receiver answered 200: delivered"
        known["response_body"] = '{"deployed": true}'
    if status.isdigit():
        known |= exchange(number, at)
    return record(number, status=status, **{**known, **values})


def history() -> list[Task]:
    due = (datetime.now(UTC) + timedelta(minutes=50)).isoformat(timespec="seconds").replace("+00:00", "Z")
    special = {
        2: Task("deploy", 99, [push(2, "503", reason="the receiver answered 503: busy; a retry is due at "
                f"{due[:19].replace('T', ' ')}Z, 6 of 8 left", next_try_at=due, retries_left=6,
                response_body='{"error": "busy"}')], state="up_for_retry"),
        5: Task("deploy", 96, [push(5, "422", reason="the receiver answered 422: rejected",
                response_body='{"error": "Gültigkeit: 部署"}')], state="failed"),
        8: Task("deploy", 93, [push(8, "blocked", trigger_url="http://10.1.2.3/x", duration_ms=None,
                request_headers={}, request_body="", response_headers={}, response_body="",
                reason="Nothing was sent: 10.1.2.3 is a private address. To allow it, the administrator adds its "
                "network to [registry_triggers] allowed_networks.")], state="failed"),
        11: Task("other", 90, [push(11, "200", trigger_name=LONG)]),
        12: Task("other", 89, [push(12, "200", is_test=True)]),
        13: Task("other", 88, [push(13, "200", response_body=CONTROL)]),
    }  # fmt: skip
    made = []
    for number in range(1, 60):
        run = 101 - number
        usual = (
            [push(number, "untriggered")]
            if number % 3 == 0
            else [push(number, "200"), push(number, "triggered")]
        )
        task = special.get(number) or Task("deploy" if number % 2 else "other", run, usual)
        made.append(replace(task, at=time_of(number)))
    return made


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    home = AirflowHome(tmp_path_factory.mktemp("first-hour"), users={"viewer": "viewer"})
    home.write_dag("dags.py", DAGS)
    with Airflow(home, ["api-server", "dag-processor", "scheduler"]) as running:
        for name in ("idle", "deploy", "other"):
            running.rest.wait_for_dag(name)
        HistoryRows(home, known=("deploy", "other")).add(history())
        yield running


@pytest.fixture
def tab(browser: Browser, airflow: Airflow) -> Iterator[Tab]:
    opened = browser.tab(airflow)
    yield opened
    assert opened.trouble == []


def entries(tab: Tab) -> Locator:
    return tab.page.get_by_test_id("access-log-entry")


def open_entry(tab: Tab, text: str, result: str = "delivered") -> Locator:
    rows = entries(tab).filter(has_text=text).filter(has=tab.page.locator(f"[data-result={result}]"))
    rows.first.get_by_role("button", expanded=False).click()
    expect(tab.page.get_by_role("button", name="Test")).to_be_visible()
    return tab.page.get_by_test_id("access-log")


def visible_rows(tab: Tab) -> int:
    """Return the number of rows that are wholly within the window."""
    height = tab.page.viewport_size
    assert height
    boxes = [row.bounding_box() for row in entries(tab).all()]
    return sum(bool(box) and box["y"] + box["height"] <= height["height"] for box in boxes)  # type: ignore[index]


# The first action after a load


FIRST_ACTIONS = [
    ("Result", "Failed", "result=failed"),
    ("Time", "Last 7 days", "since=7d"),
    ("Tests", "Only tests", "tests=only"),
]


@pytest.mark.parametrize(("label", "choice", "address"), FIRST_ACTIONS)
def test_choice_as_the_first_action_is_kept(tab: Tab, label: str, choice: str, address: str) -> None:
    tab.open(PAGE)
    tab.page.get_by_label(label, exact=True).select_option(choice)
    expect(tab.page).to_have_url(re.compile(address))
    expect(tab.page.get_by_label(label, exact=True).locator("option:checked")).to_have_text(choice)


@pytest.mark.parametrize("where", [PAGE, f"{PAGE}?since=7d", "/dags/deploy/plugin/access-log"])
def test_between_as_the_first_action_shows_and_keeps_its_fields(tab: Tab, where: str) -> None:
    tab.open(where)
    tab.page.get_by_label("Time", exact=True).select_option("Between …")
    tab.page.wait_for_timeout(1000)
    expect(tab.page.get_by_label("From", exact=True)).to_be_visible()
    tab.page.get_by_label("From", exact=True).fill("2026-01-01T00:00")
    expect(tab.page).to_have_url(re.compile("since=2026"))
    expect(tab.page.get_by_label("From", exact=True)).to_have_value("2026-01-01T00:00")


@pytest.mark.parametrize("label", ["Tag", "Trigger", "Repository", "Dag"])
def test_typing_slowly_as_the_first_action_keeps_focus_and_text(tab: Tab, label: str) -> None:
    tab.open(PAGE)
    field = tab.page.get_by_role("textbox", name=label, exact=True)
    field.focus()
    tab.page.keyboard.type("release", delay=150)
    tab.page.wait_for_timeout(600)
    tab.page.keyboard.type("-v1", delay=150)
    expect(field).to_have_value("release-v1")
    expect(field).to_be_focused()
    expect(tab.page).to_have_url(re.compile("=release-v1"))


def test_entry_opened_as_the_first_action_stays_open_over_a_refresh(tab: Tab) -> None:
    tab.open(f"{PAGE}?dag_id=deploy")
    open_entry(tab, "release-v1")
    expect(entries(tab).get_by_role("button", expanded=True)).to_have_count(1)
    tab.page.wait_for_timeout(4000)
    expect(entries(tab).get_by_role("button", expanded=True)).to_have_count(1)


# Dialogs and the keyboard


def in_dialog(tab: Tab) -> bool:
    return bool(
        tab.page.evaluate("document.querySelector('[role=alertdialog]').contains(document.activeElement)")
    )


@pytest.mark.parametrize("button", ["Redeliver", "Test"])
def test_dialog_takes_and_keeps_the_focus_and_returns_it(tab: Tab, button: str) -> None:
    tab.open(f"{PAGE}?dag_id=deploy")
    open_entry(tab, "release-v1")
    opener = tab.page.get_by_role("button", name=button, exact=True)
    opener.focus()
    tab.page.keyboard.press("Enter")
    dialog = tab.page.get_by_role("alertdialog")
    expect(dialog).to_be_visible()
    tab.page.wait_for_function(
        "document.querySelector('[role=alertdialog]').contains(document.activeElement)"
    )
    for _ in range(12):
        tab.page.keyboard.press("Tab")
        assert in_dialog(tab)
    tab.page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(opener).to_be_focused()


def test_enter_on_the_focus_of_the_redeliver_dialog_cancels(tab: Tab) -> None:
    asked: list[str] = []
    tab.page.on("request", lambda made: asked.append(made.url) if made.method == "POST" else None)
    tab.open(f"{PAGE}?dag_id=deploy")
    open_entry(tab, "release-v1")
    tab.page.get_by_role("button", name="Redeliver").click()
    expect(tab.page.get_by_role("button", name="Cancel")).to_be_focused()
    tab.page.keyboard.press("Enter")
    expect(tab.page.get_by_role("alertdialog")).to_be_hidden()
    assert asked == []


def test_send_failed_dialog_holds_the_focus_and_counts_before(tab: Tab) -> None:
    tab.open(f"{PAGE}?dag_id=deploy")
    tab.page.get_by_role("button", name="Send failed again").click()
    dialog = tab.page.get_by_role("alertdialog")
    dialog.get_by_label("Since").select_option("the last 30 days")
    expect(dialog).to_contain_text("1 webhook of 1 task failed.")
    assert in_dialog(tab)
    dialog.get_by_role("button", name="Cancel").click()


def test_send_failed_dialog_with_more_than_100_tasks_offers_the_newest_100(tab: Tab) -> None:
    def answer(route: Any) -> None:
        made = [
            {
                **push(number, "422"),
                "dag_id": "deploy",
                "run_id": f"r{number}",
                "task_id": "deliver",
                "map_index": -1,
            }
            for number in range(120)
        ]
        found = [{**item, "result": "failed", "task_state": "failed"} for item in made]
        route.fulfill(json={"entries": found, "next_cursor": None, "searched_all": True})

    tab.page.route("**/registry-triggers/access-log?*result=failed*", answer)
    tab.open(PAGE)
    tab.page.get_by_role("button", name="Send failed again").click()
    dialog = tab.page.get_by_role("alertdialog")
    expect(dialog).to_contain_text(
        "100 webhooks of 100 tasks failed. More failed; this sends those of the newest 100"
    )
    expect(dialog.get_by_role("button", name="Clear 100 tasks")).to_be_visible()
    dialog.get_by_role("button", name="Cancel").click()


# Sizes

RESULTS = ["All", "Failed or retrying", "Failed", "Retrying", "Delivered", "Blocked", "Triggered"]
RESULTS += ["Not triggered", "Duplicate", "Malformed", "Dry run"]


def test_page_at_1280_x_800_shows_at_least_12_entries(tab: Tab) -> None:
    tab.open(PAGE)
    expect(entries(tab)).to_have_count(50)
    shown = visible_rows(tab)
    print(f"\nrecords visible at 1280 x 800, page: {shown}")
    assert shown >= 12
    expect(entries(tab).first.get_by_text("deploy", exact=True)).to_have_attribute("title", "deploy")
    for name in ("Duration", "Tries"):
        expect(tab.page.get_by_role("columnheader", name=name)).to_have_css("text-align", "end")
    heads = tab.page.get_by_role("columnheader").all()
    assert {head.evaluate("head => head.scrollWidth <= head.clientWidth") for head in heads[1:]} == {True}
    assert max(head.bounding_box()["height"] for head in heads) < 40, "no name of a column is broken"
    choices = tab.page.get_by_label("Result", exact=True).locator("> option").all_inner_texts()
    assert choices == RESULTS
    picture(tab, "access-log-list-light", 800)


def test_dag_tab_at_1280_x_800_shows_at_least_9_entries_in_a_table(tab: Tab) -> None:
    tab.open("/dags/deploy/plugin/access-log")
    expect(entries(tab).first).to_be_visible()
    expect(tab.page.get_by_role("columnheader", name="Reason")).to_be_visible()
    strip = tab.page.get_by_test_id("trigger-strip")
    expect(strip).to_have_text(re.compile(r"^OK ?releases ?release-v1 was delivered .* ago \(200\)\.$"))
    shown = visible_rows(tab)
    print(f"\nrecords visible at 1280 x 800, tab of a Dag: {shown}")
    assert shown >= 9
    picture(tab, "access-log-dag-tab", 800)


def test_tab_bar_of_a_task_of_another_dag_has_no_tab_of_ours(tab: Tab, airflow: Airflow) -> None:
    run = airflow.rest.trigger("idle", {})
    tab.open(f"/dags/idle/runs/{urllib.parse.quote(run)}/tasks/nothing")
    expect(tab.page.get_by_role("link", name="Details")).to_be_visible()
    expect(tab.page.get_by_role("link", name="Pushes")).to_have_count(0)


def test_long_trigger_name_stays_on_one_line_with_its_text_as_title(tab: Tab) -> None:
    tab.open(f"{PAGE}?trigger={LONG[:20]}")
    expect(entries(tab)).to_have_count(1)
    box = entries(tab).first.bounding_box()
    assert box
    assert box["height"] <= 50
    expect(entries(tab).first.locator(f"[title='{LONG}']").first).to_be_visible()


# An opened entry


def test_link_to_an_opened_entry_opens_it_for_another_reader(
    tab: Tab, browser: Browser, airflow: Airflow
) -> None:
    tab.open(f"{PAGE}?dag_id=deploy")
    open_entry(tab, "release-v5", "failed")
    expect(tab.page).to_have_url(re.compile("entry="))
    other = browser.tab(airflow, "viewer")
    other.page.goto(tab.page.url)
    expect(other.page.get_by_role("button", expanded=True, name="release-v5")).to_be_visible()
    expect(other.page.get_by_role("region", name="Response: body")).to_be_visible()
    # The same link with a filter that leaves the entry out of the list.
    entry = urllib.parse.parse_qs(urllib.parse.urlsplit(tab.page.url).query)["entry"][0]
    other.open(f"{PAGE}?dag_id=other&entry={urllib.parse.quote(entry)}")
    expect(
        other.page.get_by_test_id("shared-entry").get_by_role("region", name="Response: body")
    ).to_be_visible()
    assert other.trouble == []


def test_all_entries_of_a_push_are_one_click_away(tab: Tab) -> None:
    tab.open(f"{PAGE}?dag_id=deploy")
    open_entry(tab, "release-v1")
    tab.page.get_by_role("link", name="All entries of this push").click()
    expect(tab.page).to_have_url(re.compile("notification_id="))
    expect(entries(tab)).to_have_count(2)
    expect(entries(tab).filter(has_text="release-v1")).to_have_count(2)


def test_digest_of_an_entry_filters_by_it(tab: Tab) -> None:
    tab.open(f"{PAGE}?dag_id=deploy")
    open_entry(tab, "release-v1").get_by_role("link", name="sha256:").click()
    expect(tab.page).to_have_url(re.compile("digest=sha256"))
    expect(entries(tab)).to_have_count(2)
    tab.page.get_by_role("button", name="Remove the filter digest").click()
    expect(entries(tab)).to_have_count(50)


def test_copy_buttons_copy_image_id_body_and_curl(tab: Tab) -> None:
    tab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    tab.open(f"{PAGE}?dag_id=deploy")
    open_entry(tab, "release-v1")
    copied: dict[str, str] = {}
    for name in ("image with its digest", "webhook-id", "request body", "request as a curl command"):
        before = list(copied.values())[-1] if copied else ""
        tab.page.get_by_role("button", name=f"Copy the {name}").click()
        tab.page.wait_for_function(
            "before => navigator.clipboard.readText().then(text => text !== '' && text !== before)",
            arg=before,
        )
        copied[name] = tab.page.evaluate("navigator.clipboard.readText()")
    assert copied["image with its digest"] == f"team/app@{digest_of(1)}"
    assert copied["webhook-id"] == f"msg_{1:032x}"
    assert json.loads(copied["request body"])["push_data"]["tag"] == "release-v1"
    assert copied["request as a curl command"].startswith("curl -X POST 'https://deploy.example.com/hook'")


def test_retrying_entry_shows_the_moment_of_the_next_try(tab: Tab) -> None:
    tab.open(PAGE)
    expect(entries(tab).filter(has_text="release-v2").first).to_contain_text("answered 503 · next try ")
    tab.page.get_by_role("button", name="1 delivery is being retried").click()
    expect(tab.page).to_have_url(re.compile("result=retrying"))
    expect(entries(tab)).to_have_count(1)
    page = open_entry(tab, "release-v2", "retrying")
    expect(page.get_by_text(re.compile(r"in \d+ min\) · 6 of 8 left"))).to_be_visible()
    picture(tab, "access-log-entry", 1260)


def test_blocked_entry_says_once_that_nothing_was_sent(tab: Tab) -> None:
    tab.open(f"{PAGE}?result=blocked")
    page = open_entry(tab, "release-v8", "blocked")
    expect(page.get_by_text("Nothing was sent.", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name="Attempts")).to_have_count(0)
    expect(page.get_by_role("heading", name="Request")).to_have_count(0)
    expect(page.get_by_text("Sent to", exact=True)).to_have_count(0)
    expect(page.locator("dt", has_text="URL")).to_be_visible()


def test_utf8_answer_is_shown_as_indented_json(tab: Tab) -> None:
    tab.open(f"{PAGE}?result=failed")
    open_entry(tab, "release-v5", "failed")
    body = tab.page.get_by_role("region", name="Response: body").inner_text()
    assert body == '{\n  "error": "Gültigkeit: 部署"\n}'


def test_body_of_4_kib_of_control_characters_is_shown_by_their_numbers(tab: Tab) -> None:
    tab.open(f"{PAGE}?tag=release-v13")
    open_entry(tab, "release-v13")
    tab.page.get_by_role("button", name=re.compile("^Body ")).last.click()
    shown = tab.page.get_by_role("region", name="Response: body").inner_text()
    assert "\\u0001" in shown
    assert "\\u007f" in shown
    assert "\x01" not in tab.page.content()


def test_bad_filter_in_the_address_offers_to_clear_the_filters(tab: Tab) -> None:
    tab.open(f"{PAGE}?since=yesterday")
    expect(tab.page.get_by_role("alert")).to_contain_text("This filter is not understood")
    tab.page.get_by_role("button", name="Clear the filters").click()
    expect(entries(tab)).to_have_count(50)
    tab.trouble = [said for said in tab.trouble if "400" not in said]


def test_entry_of_a_deleted_dag_is_gone_and_says_so(tab: Tab) -> None:
    key = json.dumps(["no-such-dag", "run", "deliver", -1, "msg_1", "", 0])
    tab.open(f"{PAGE}?entry={urllib.parse.quote(key)}")
    expect(tab.page.get_by_test_id("shared-entry").get_by_role("alert")).to_be_visible()
    expect(entries(tab)).to_have_count(50)
    tab.trouble = [said for said in tab.trouble if "404" not in said and "403" not in said]


def test_user_who_may_not_clear_sees_the_reason_in_the_dialog(browser: Browser, airflow: Airflow) -> None:
    tab = browser.tab(airflow, "viewer")
    tab.open(f"{PAGE}?dag_id=deploy")
    tab.page.get_by_role("button", name="Send failed again").click()
    dialog = tab.page.get_by_role("alertdialog")
    dialog.get_by_label("Since").select_option("the last 30 days")
    dialog.get_by_role("button", name="Clear 1 task").click()
    expect(dialog).to_contain_text("0 tasks cleared")
    expect(dialog).to_contain_text("Your role does not allow this")
    assert [said for said in tab.trouble if "403" not in said] == []


def test_pages_count_their_entries_and_lead_back_to_the_newer(tab: Tab) -> None:
    tab.open(PAGE)
    expect(tab.page.get_by_text(re.compile("^50 entries, "))).to_be_visible()
    tab.page.get_by_role("button", name="Older").click()
    expect(tab.page).to_have_url(re.compile("cursor="))
    tab.page.get_by_role("button", name="Newer").click()
    expect(tab.page).not_to_have_url(re.compile("cursor="))


def test_times_are_relative_in_the_title_and_in_the_zone_of_airflow(tab: Tab) -> None:
    tab.page.add_init_script('localStorage.setItem("timezone", JSON.stringify("Asia/Tokyo"))')
    tab.open(PAGE)
    first = entries(tab).first.locator("time")
    expect(first).to_have_attribute("title", re.compile(r" UTC, \d+ (s|min) ago$"))
    utc = datetime.fromisoformat(first.get_attribute("datetime") or "")
    assert f"{utc + timedelta(hours=9):%H:%M:%S}" in first.inner_text()


@pytest.mark.parametrize("look", LOOKS)
def test_every_dialog_and_entry_in_each_look_is_accessible(
    browser: Browser, airflow: Airflow, look: str
) -> None:
    tab = browser.tab(airflow, **LOOKS[look])
    for path, text, result in (
        (f"{PAGE}?dag_id=deploy", "release-v1", "delivered"),
        ("/dags/deploy/plugin/access-log", "release-v2", "retrying"),
    ):
        tab.open(path)
        expect(entries(tab).first).to_be_visible()
        if look != "light" and path.startswith(PAGE):
            picture(tab, f"access-log-list-{look}")
        open_entry(tab, text, result)
        expect(tab.page.get_by_role("region", name="Response: headers")).to_be_visible()
        assert violations(tab) == []
        for button in ("Redeliver", "Test", "Send failed again"):
            tab.page.get_by_role("button", name=button).click()
            expect(tab.page.get_by_role("alertdialog")).to_be_visible()
            if button == "Test":
                expect(tab.page.get_by_role("alertdialog")).to_contain_text(f"'{text}' matches release-v.*")
            tab.page.wait_for_timeout(500)  # the dialog fades in, and half of its contrast is none
            assert violations(tab, "[role=alertdialog]") == []
            if look == "light" and path.startswith(PAGE):
                picture(tab, f"access-log-{button.lower().replace(' ', '-')}")
            tab.page.keyboard.press("Escape")
            expect(tab.page.get_by_role("alertdialog")).to_be_hidden()
        if look == "narrow" and path.startswith(PAGE):
            assert tab.page.evaluate("document.documentElement.scrollWidth") <= 400
    assert tab.trouble == []
