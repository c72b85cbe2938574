# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The access log in a real Chromium, on a real Airflow with real runs."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
from playwright.sync_api import expect

from tests.browser.history_rows import HistoryRows, Task, record
from tests.browser.looks import LOOKS, violations
from tests.harness.airflow_home import AirflowHome
from tests.harness.airflow_process import Airflow
from tests.harness.airflow_rest import AirflowRest, RestError
from tests.harness.postgres import Postgres
from tests.harness.processes import wait_until
from tests.harness.receiver import Answer, Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Locator

    from tests.browser.conftest import Browser, Tab

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

PAGE = "/plugin/access-log"

DAG = """
    from datetime import datetime

    from airflow.sdk import DAG

    from airflow_registry_triggers import TriggerMatchOperator, WebhookDeliverOperator

    for name in ("deploy", "flaky", "hostile", "rejecting"):
        with DAG(name, schedule=None, start_date=datetime(2026, 1, 1), is_paused_upon_creation=False) as dag:
            match = TriggerMatchOperator(
                task_id="match", trigger_name=name, tag_regex="release-v.*|.*!.*",
                # A run with a notification in its conf is a test, and a test is not retried.
                notifications=[FLAKY] if name == "flaky" else None,
            )
            WebhookDeliverOperator(
                task_id="deliver", notifications=match.output, webhook_conn_id=f"to_{name}"
            )
        globals()[name] = dag

    with DAG("repeated", schedule=None, start_date=datetime(2026, 1, 1), is_paused_upon_creation=False):
        TriggerMatchOperator(task_id="match", notifications=[PUSH, PUSH])
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
        running.script("/rejecting", Answer(422, body='{"error": "Gültigkeit: 部署"}'.encode()))
        yield running


class UnderPath(AirflowHome):
    """An Airflow whose base URL has a path."""

    @property
    def url(self) -> str:
        return f"{super().url}/team/airflow"


def home_of(
    folder: Path, receiver: Receiver, kind: type[AirflowHome] = AirflowHome, database: str | None = None
) -> AirflowHome:
    return kind(
        folder,
        database=database,
        users={"viewer": "viewer"},
        connections={
            f"to_{name}": {
                "conn_type": "webhook",
                "schema": "http",
                "host": "127.0.0.1",
                "port": receiver.port,
                "extra": {"path": path},
            }
            for name, path in (
                ("deploy", "/hook"),
                ("flaky", "/flaky"),
                ("hostile", "/hostile"),
                ("rejecting", "/rejecting"),
            )
        },
        settings={("registry_triggers", "allowed_networks"): "127.0.0.0/8"},
    )


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with Postgres() as running:
        yield running


@pytest.fixture(scope="module")
def airflow(
    receiver: Receiver, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Airflow]:
    # On SQLite two windows that clear a task at once block each other in Airflow.
    home = home_of(tmp_path_factory.mktemp("airflow"), receiver, database=postgres.url)
    texts = {"PUSH": notification("release-v5"), "FLAKY": notification("release-v3")}
    source = DAG
    for name, value in texts.items():
        source = source.replace(name, repr(value))
    home.write_dag("chains.py", source)
    with Airflow(home) as running:
        for name in ("deploy", "flaky", "hostile", "rejecting", "repeated"):
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
        "hostile": ("hostile", [notification("release-v4"), notification(evil)]),
    }
    found = {}
    for name, (dag_id, conf) in started.items():
        found[name] = rest.trigger(dag_id, {"notification": conf})
    found["flaky"] = rest.trigger("flaky", {})
    found["repeated"] = rest.trigger("repeated", {})
    for name in ("delivered", "untriggered", "hostile"):
        assert rest.wait_for_run(started[name][0], found[name]) == "success"
    assert rest.wait_for_run("repeated", found["repeated"]) == "success"
    wait_until(lambda: earlier_attempts(rest, found["flaky"]), 180, "a second attempt")
    rest.wait_for_state("flaky", found["flaky"], "deliver", ["up_for_retry"])
    # Airflow starts no try of a paused Dag. A try takes the entry away for a moment, in whatever test that is.
    rest.pause("flaky")
    rest.wait_for_state("flaky", found["flaky"], "deliver", ["up_for_retry"])
    return found


def earlier_attempts(rest: AirflowRest, run_id: str) -> int:
    try:
        found = rest.xcoms("flaky", run_id, "deliver").get("access_log.503")
    except RestError as error:
        # A try that begins has just deleted them.
        if error.status != 404:
            raise
        return 0
    return len(found[0]["attempts"]) if found else 0


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


def first_name(tab: Tab) -> str | None:
    """Return image and status of the first entry."""
    return entries(tab).first.get_by_role("button").first.get_attribute("aria-label")


def shown_text(tab: Tab, label: str) -> str:
    return tab.page.get_by_role("region", name=label).inner_text()


# The list


def test_list_opened_from_the_navigation_shows_entries_newest_first(tab: Tab) -> None:
    tab.open("/")
    tab.page.get_by_role("button", name="Browse").click()
    tab.page.get_by_role("menuitem", name="Registry Triggers").click()
    expect(tab.page.get_by_role("heading", name="Registry Triggers")).to_be_visible()
    tab.open(PAGE)
    row = entry_of(tab, "release-v1", "delivered")
    for text in ("Delivered · 200", "Test", "deploy", "team/app:release-v1", "c0ffeec0ffee", "→ 127.0.0.1:"):
        expect(row).to_contain_text(text)
    expect(entry_of(tab, "team/worker:nightly", "untriggered")).to_contain_text("does not match")
    expect(entry_of(tab, "release-v3", "retrying")).to_contain_text("503")
    expect(entry_of(tab, "release-v3", "retrying").get_by_test_id("test-badge")).to_have_count(0)
    expect(tab.page.get_by_role("button", name="1 delivery is being retried")).to_be_visible()
    times = entries(tab).locator("time").evaluate_all("all => all.map(one => one.dateTime)")
    assert times == sorted(times, reverse=True)


def test_filters_when_set_are_kept_in_the_url(tab: Tab) -> None:
    tab.open(PAGE)
    expect(entry_of(tab, "release-v1", "delivered")).to_be_visible()
    tab.page.get_by_label("Repository").fill("worker")
    expect(entries(tab)).to_have_count(1)
    tab.page.get_by_label("Result").select_option("Not triggered")
    expect(tab.page).to_have_url(re.compile("repository=worker.*result=untriggered"))
    address = tab.page.url
    tab.page.get_by_label("Result").select_option("2xx")
    expect(tab.page.get_by_text("Nothing matches the filters")).to_be_visible()
    tab.page.get_by_role("button", name="Clear the filters").click()
    expect(entry_of(tab, "release-v1", "delivered")).to_be_visible()
    expect(tab.page.get_by_label("Repository")).to_have_value("")

    tab.page.goto(address)
    expect(tab.page.get_by_label("Result")).to_have_value("result:untriggered")
    expect(entries(tab)).to_have_count(1)
    expect(entries(tab)).to_contain_text("team/worker:nightly")


def test_filters_with_a_dag_and_a_time_reduce_the_list(tab: Tab) -> None:
    tab.open(PAGE)
    tab.page.get_by_role("textbox", name="Dag", exact=True).fill("hostile")
    expect(entry_of(tab, "release-v4", "delivered")).to_be_visible()
    expect(entries(tab).filter(has_text="release-v1")).to_have_count(0)
    tab.page.get_by_label("Time").select_option("Between …")
    tab.page.get_by_label("To", exact=True).fill("2026-01-01T00:00")
    expect(tab.page.get_by_text("Nothing matches the filters")).to_be_visible()
    expect(tab.page).to_have_url(re.compile("until=2026-01-01T00%3A00%3A00"))


def test_time_filter_with_a_time_zone_converts_to_utc(tab: Tab) -> None:
    tab.page.add_init_script('localStorage.setItem("timezone", JSON.stringify("America/New_York"))')
    tab.open(f"{PAGE}?dag_id=deploy&since=2026-01-01T05:00:00Z")
    since = tab.page.get_by_label("From", exact=True)
    expect(since).to_have_value("2026-01-01T00:00")
    since.fill("2026-07-01T00:00")
    expect(tab.page).to_have_url(re.compile("since=2026-07-01T04%3A00%3A00"))
    since.fill("2026-03-08T03:30")  # half an hour after the clocks were put forward
    expect(tab.page).to_have_url(re.compile("since=2026-03-08T07%3A30%3A00"))
    expect(since).to_have_value("2026-03-08T03:30")


def test_filters_with_commas_split_only_the_status(tab: Tab) -> None:
    asked_for = re.compile(r"registry-triggers/access-log\?")
    with tab.page.expect_request(asked_for) as asking:
        tab.open(f"{PAGE}?trigger=to+prod,+eu&run_id=a,b&status=200,404")
    asked = parse_qs(urlsplit(asking.value.url).query)
    assert (asked["trigger"], asked["run_id"], asked["status"]) == (["to prod, eu"], ["a,b"], ["200", "404"])


HIDDEN = """
    globalThis.isHidden = true;
    Object.defineProperty(document, "hidden", { get: () => globalThis.isHidden });
"""


def test_list_in_a_hidden_tab_reloads_only_when_it_is_visible(tab: Tab) -> None:
    asked = []
    tab.page.on("request", lambda made: asked.append(made.url) if "access-log?" in made.url else None)
    tab.page.add_init_script(HIDDEN)
    tab.open(PAGE)
    expect(entry_of(tab, "release-v1", "delivered")).to_be_visible()
    count = len(asked)
    tab.page.wait_for_timeout(3500)
    assert len(asked) == count
    with tab.page.expect_request(re.compile(r"access-log\?")):
        tab.page.evaluate("isHidden = false; document.dispatchEvent(new Event('visibilitychange'))")


def test_pager_with_more_entries_shows_older_and_newest(tab: Tab) -> None:
    def shorter(route: Any) -> None:
        route.continue_(url=route.request.url.replace("limit=50", "limit=2"))

    tab.page.route("**/registry-triggers/access-log?*", shorter)
    tab.open(PAGE)
    expect(entries(tab).first).to_be_visible()
    newest = first_name(tab)
    tab.page.get_by_role("button", name="Older").click()
    expect(tab.page).to_have_url(re.compile("cursor="))
    expect(tab.page.get_by_role("button", name="Newest")).to_be_visible()
    wait_until(lambda: first_name(tab) != newest, 60, "an older page")
    tab.page.get_by_role("button", name="Newest").click()
    expect(tab.page).not_to_have_url(re.compile("cursor="))
    wait_until(lambda: first_name(tab) == newest, 60, "the newest page")


def test_search_that_stopped_continues_on_click(tab: Tab) -> None:
    answers = [
        {"entries": [], "next_cursor": "abc", "searched_all": False},
        {"entries": [], "next_cursor": None, "searched_all": True},
    ]
    asked = []

    def answer(route: Any) -> None:
        asked.append(route.request.url)
        route.fulfill(json=answers["cursor=" in route.request.url])

    tab.page.route("**/registry-triggers/access-log?*", answer)
    tab.open(f"{PAGE}?tag=needle")
    expect(tab.page.get_by_role("button", name="Search on")).to_be_visible()
    tab.page.wait_for_timeout(3500)
    assert len(asked) == 1, "a search is not repeated every three seconds"
    tab.page.get_by_role("button", name="Search on").click()
    expect(tab.page.get_by_text("Nothing matches the filters")).to_be_visible()


@pytest.mark.parametrize(
    ("path", "found", "others"),
    [
        ("/dags/deploy/plugin/access-log", "release-v1", "release-v3"),
        ("/dags/deploy/runs/{delivered}/plugin/access-log-of-run", "release-v2", "nightly"),
    ],
)
def test_tab_of_a_dag_or_run_shows_its_entries_only(
    tab: Tab, runs: dict[str, str], path: str, found: str, others: str
) -> None:
    tab.open(path.format(**runs).replace("+", "%2B"))
    expect(entries(tab).filter(has_text=found).first).to_be_visible()
    expect(entries(tab).filter(has_text=others)).to_have_count(0)
    expect(tab.page.get_by_role("link", name="Pushes")).to_be_visible()
    expect(tab.page.get_by_role("heading", name="Registry Triggers")).to_have_count(0)


def test_task_link_when_clicked_shows_the_entries_of_the_task(tab: Tab, runs: dict[str, str]) -> None:
    tab.open(f"/dags/deploy/runs/{runs['delivered']}/tasks/deliver/details".replace("+", "%2B"))
    tab.page.locator("a[href*='/plugin/access-log?']").click()
    expect(tab.page).to_have_url(re.compile("/plugin/access-log\\?dag_id=deploy"))
    expect(entries(tab)).to_have_count(2)
    tab.page.get_by_role("button", name="Remove the filter task_id").click()
    expect(entries(tab)).to_have_count(5)


# An entry


def test_entry_when_opened_shows_request_response_attempts_and_links(tab: Tab, runs: dict[str, str]) -> None:
    tab.open(f"{PAGE}?dag_id=deploy")
    page = opened(tab, "release-v1", "delivered")
    assert "webhook-id: msg_" in shown_text(tab, "Request: headers")
    assert '"tag": "release-v1"' in shown_text(tab, "Request: body")
    assert "Server: " in shown_text(tab, "Response: headers")
    expect(page.get_by_text("the receiver answered 200").first).to_be_visible()
    expect(page.get_by_role("link", name="team/app:release-v1")).to_have_attribute(
        "href", "https://ghcr.io/team/app"
    )
    page.get_by_role("link", name="deliver, try 1").click()
    expect(tab.page).to_have_url(re.compile("/dags/deploy/runs/.*/tasks/deliver\\?try_number=1"))
    expect(tab.page.get_by_text("the receiver answered 200").first).to_be_visible()


def test_entry_with_two_verdicts_of_a_push_opens_the_clicked_one(tab: Tab) -> None:
    tab.open(f"{PAGE}?dag_id=repeated")
    expect(entries(tab)).to_have_count(2)
    for result, reason in (("duplicate", "twice"), ("triggered", "every push")):
        entry_of(tab, "release-v5", result).get_by_role("button", expanded=False).click()
        expect(tab.page.locator("dd").first).to_contain_text(reason)
        entry_of(tab, "release-v5", result).get_by_role("button", expanded=True).click()


def test_entry_when_its_task_is_retried_stays_open(tab: Tab) -> None:
    def attempt(number: int) -> dict[str, Any]:
        made = record(1, status="503", trigger_log_id=f"msg_1/{number}", try_number=number)
        place = {"dag_id": "deploy", "run_id": "r", "task_id": "deliver", "map_index": -1}
        return {**made, **place, "result": "retrying", "task_state": "up_for_retry"}

    def answer(route: Any) -> None:
        route.fulfill(json={"entries": shown, "next_cursor": None, "searched_all": True})

    def answer_entry(route: Any) -> None:
        more = {"deliveries": 1, "may_redeliver": True, "may_test": True, "asset_id": None}
        gone = {"status": 404, "json": {"detail": "under way again"}}
        route.fulfill(**({"json": {"entry": shown[0], **more}} if shown else gone))

    def look() -> None:
        with tab.page.expect_response(re.compile(r"access-log\?")):
            tab.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    shown = [attempt(1)]
    tab.page.route("**/registry-triggers/access-log?*", answer)
    tab.page.route("**/access-log/entry?*", answer_entry)
    tab.open(PAGE)
    opened(tab, "v1", "retrying")
    tab.page.get_by_role("button", name="Redeliver").click()
    dialog = tab.page.get_by_role("alertdialog")
    dialog.evaluate("node => { node.dataset.same = 'yes'; }")
    shown = []
    look()
    expect(tab.page.get_by_text("under way again")).to_be_visible()
    shown = [attempt(2)]
    look()
    expect(tab.page.get_by_text("msg_1/2")).to_be_visible()
    expect(tab.page.get_by_text("under way again")).to_be_hidden()
    expect(dialog).to_have_attribute("data-same", "yes")
    expect(entries(tab)).to_have_count(1)
    dialog.get_by_role("button", name="Cancel").click()
    expect(entries(tab).get_by_role("button", expanded=True)).to_have_count(1)
    tab.trouble = [said for said in tab.trouble if "404" not in said]


def test_entry_with_earlier_attempts_links_their_logs(tab: Tab) -> None:
    tab.open(f"{PAGE}?dag_id=flaky&status=503")
    page = opened(tab, "release-v3", "retrying")
    expect(page.get_by_role("link", name="Try 1", exact=True)).to_have_attribute(
        "href", re.compile("try_number=1$")
    )
    expect(page.get_by_role("link", name="Try 2", exact=True)).to_be_visible()


def test_entry_with_a_hostile_tag_and_receiver_shows_them_as_text(tab: Tab) -> None:
    tab.open(f"{PAGE}?dag_id=hostile")
    expect(entry_of(tab, SCRIPT[:40], "untriggered")).to_contain_text("\\u202e")
    opened(tab, "release-v4", "delivered")
    body = shown_text(tab, "Response: body")
    assert body.startswith(SCRIPT)
    assert "\\u202e" in body
    assert SCRIPT in shown_text(tab, "Response: headers")
    whole = tab.page.content()
    assert "\x1b" not in whole
    assert BIDI not in whole
    assert tab.page.evaluate("globalThis.__ran") is None
    assert tab.page.get_by_test_id("access-log").locator("script, img, iframe").count() == 0
    wide = tab.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    assert not wide


def test_test_dialog_with_a_hostile_entry_escapes_invisible_characters(tab: Tab) -> None:
    tab.open(f"{PAGE}?dag_id=hostile&status=untriggered")
    opened(tab, SCRIPT[:40], "untriggered")
    with tab.page.expect_response(re.compile(r"/triggers/match\?")) as checking:
        tab.page.get_by_role("button", name="Test").click()
    assert checking.value.status == 400, "no registry has such a tag"
    tab.page.get_by_role("button", name="Notification (JSON)").click()
    sample = tab.page.get_by_label("Notification", exact=True).input_value()
    assert BIDI not in sample
    assert json.loads(sample)["push_data"]["tag"] == "release-v!" + BIDI + SCRIPT
    tab.trouble = [said for said in tab.trouble if not ("400" in said and "/triggers/match?" in said)]


def test_entry_that_is_missing_shows_an_error(tab: Tab) -> None:
    gone = {"status": 404, "json": {"detail": "no such entry"}}
    tab.page.route("**/access-log/entry*", lambda route: route.fulfill(**gone))
    tab.open(PAGE)
    entry_of(tab, "release-v1", "delivered").get_by_role("button", expanded=False).click()
    expect(tab.page.get_by_role("alert")).to_contain_text("no such entry")
    tab.trouble = [said for said in tab.trouble if "404" not in said]


# What can be done


def forgive_missing_entry(tab: Tab) -> None:
    """Drop the errors about an opened entry whose task runs: its records are away until the task ends."""
    tab.trouble = [said for said in tab.trouble if not ("404" in said and "/access-log/entry?" in said)]


def test_redeliver_after_confirmation_sends_the_same_ids(
    tab: Tab, airflow: Airflow, runs: dict[str, str], receiver: Receiver
) -> None:
    before = {item.header("webhook-id") for item in receiver.received("/hook")}
    count = len(receiver.received("/hook"))
    tab.open(f"{PAGE}?dag_id=deploy")
    opened(tab, "release-v2", "delivered")
    tab.page.get_by_role("button", name="Redeliver").click()
    dialog = tab.page.get_by_role("alertdialog")
    expect(dialog).to_contain_text("Send 2 webhooks again?")
    expect(dialog).to_contain_text("This clears task 'deliver' of the run of ")
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_be_hidden()
    assert len(receiver.received("/hook")) == count
    tab.page.get_by_role("button", name="Redeliver").click()
    tab.page.get_by_role("alertdialog").get_by_role("button", name="Send again").click()
    expect(tab.page.get_by_role("alertdialog")).to_be_hidden()
    receiver.wait_for(count + 2, 180, path="/hook")
    assert {item.header("webhook-id") for item in receiver.received("/hook")} == before
    expect(entry_of(tab, "release-v2", "delivered").get_by_role("cell").last).to_have_text(
        "2", timeout=180_000
    )
    assert airflow.rest.wait_for_run("deploy", runs["delivered"]) == "success"
    forgive_missing_entry(tab)


NOTE_DELIVERED = """
    text => {
        const isShown = () => [...document.querySelectorAll("[data-testid=access-log-entry]")].some(
            row => row.textContent.includes(text) && row.querySelector("[data-result=delivered]")
        );
        globalThis.deliveredAt = 0;
        new MutationObserver(() => {
            if (!deliveredAt && isShown()) deliveredAt = Date.now() / 1000;
        }).observe(document.body, { attributes: true, characterData: true, childList: true, subtree: true });
    }
"""
"""Notes when the page shows an entry; this test would see it up to a second later."""


def test_test_dialog_when_started_shows_its_delivery_within_5_s(
    tab: Tab, airflow: Airflow, receiver: Receiver
) -> None:
    count = len(receiver.received("/hook"))
    tab.open(f"{PAGE}?dag_id=deploy")
    opened(tab, "release-v1", "delivered")
    tab.page.get_by_role("button", name="Test").click()
    dialog = tab.page.get_by_role("alertdialog")
    expect(dialog).to_contain_text("Test trigger deploy")
    expect(dialog).to_contain_text("'release-v1' matches release-v.*|.*!.*")
    dialog.get_by_label("Tag of the test").fill("nightly")
    expect(dialog).to_contain_text("'nightly' does not match release-v.*|.*!.* (the whole tag must match)")
    dialog.get_by_label("Tag of the test").fill("release-v9")
    dialog.get_by_role("button", name="Notification (JSON)").click()
    sample = dialog.get_by_label("Notification", exact=True)
    sample.fill("{no json")
    dialog.get_by_role("radio", name=re.compile("^Send")).check()
    dialog.get_by_role("button", name="Send").click()
    expect(dialog).to_contain_text("The notification is not JSON")
    sample.fill(json.dumps(notification("release-v8")))
    tab.page.evaluate(NOTE_DELIVERED, "release-v9")
    dialog.get_by_role("button", name="Send").click()
    expect(dialog.get_by_role("link", name="See the run")).to_be_visible()
    expect(dialog.get_by_role("link", name="See its entries")).to_be_visible()
    dialog.get_by_role("button", name="Close").click()
    received = receiver.wait_for(count + 1, 180, path="/hook")[-1]
    assert received.json()["push_data"]["tag"] == "release-v9"
    expect(entry_of(tab, "release-v9", "delivered")).to_be_visible()
    assert 0 < tab.page.evaluate("globalThis.deliveredAt") - received.at <= 5


def test_test_dialog_as_a_dry_run_sends_nothing_and_shows_its_entry(tab: Tab, receiver: Receiver) -> None:
    # Of this Dag's path only: the webhook of another Dag is retried at any time.
    count = len(receiver.received("/hook"))
    tab.open(f"{PAGE}?dag_id=deploy")
    opened(tab, "release-v1", "delivered")
    tab.page.get_by_role("button", name="Test").click()
    dialog = tab.page.get_by_role("alertdialog")
    expect(dialog.get_by_label("Dry run")).to_be_checked()
    dialog.get_by_label("Tag of the test").fill("release-v10")
    dialog.get_by_role("button", name="Start the dry run").click()
    dialog.get_by_role("link", name="See its entries").click()
    row = entry_of(tab, "release-v10", "dry_run")
    expect(row).to_be_visible(timeout=180_000)
    expect(row.get_by_test_id("test-badge")).to_be_visible()
    page = opened(tab, "release-v10", "dry_run")
    expect(page.get_by_text("Nothing was sent.")).to_be_visible()
    assert "webhook-signature" not in shown_text(tab, "Request: headers")
    assert '"tag": "release-v10"' in shown_text(tab, "Request: body")
    assert len(receiver.received("/hook")) == count
    assert not [item for item in receiver.received() if b"release-v10" in item.body]


def test_send_failed_again_with_3_of_5_failed_clears_these_three(
    tab: Tab, airflow: Airflow, receiver: Receiver
) -> None:
    rest = airflow.rest
    started = [("rejecting", number) for number in range(3)] + [("deploy", number) for number in (3, 4)]
    runs_of = [
        (dag_id, rest.trigger(dag_id, {"notification": notification(f"release-v5{number}", "team/five")}))
        for dag_id, number in started
    ]
    ends = [rest.wait_for_run(dag_id, run_id) for dag_id, run_id in runs_of]
    assert ends == ["failed"] * 3 + ["success"] * 2
    receiver.script("/rejecting", Answer(200))
    rejected, delivered = len(receiver.received("/rejecting")), len(receiver.received("/hook"))
    tab.open(f"{PAGE}?repository=team/five")
    expect(entries(tab)).to_have_count(10)
    tab.page.get_by_role("button", name="Send failed again").click()
    dialog = tab.page.get_by_role("alertdialog")
    expect(dialog).to_contain_text("3 webhooks of 3 tasks failed")
    dialog.get_by_role("button", name="Clear 3 tasks").click()
    expect(dialog).to_contain_text("3 tasks cleared")
    dialog.get_by_role("button", name="Close").click()
    receiver.wait_for(rejected + 3, 180, path="/rejecting")
    assert len(receiver.received("/hook")) == delivered
    expect(tab.page.locator("[data-result=delivered]")).to_have_count(5, timeout=180_000)


def test_entry_of_an_answer_with_utf8_json_shows_it_indented(
    tab: Tab, airflow: Airflow, receiver: Receiver
) -> None:
    receiver.script("/rejecting", Answer(422, body='{"error": "Gültigkeit: 部署"}'.encode()))
    run = airflow.rest.trigger("rejecting", {"notification": notification("release-v60", "team/utf8")})
    assert airflow.rest.wait_for_run("rejecting", run) == "failed"
    tab.open(f"{PAGE}?repository=team/utf8")
    opened(tab, "release-v60", "failed")
    assert shown_text(tab, "Response: body") == '{\n  "error": "Gültigkeit: 部署"\n}'


def test_two_windows_that_redeliver_the_same_entry_both_end_well(
    tab: Tab, browser: Browser, airflow: Airflow, runs: dict[str, str]
) -> None:
    other = browser.tab(airflow)
    for window in (tab, other):
        window.open(f"{PAGE}?dag_id=deploy&result=delivered")
        opened(window, "release-v2", "delivered")
        window.page.get_by_role("button", name="Redeliver").click()
        expect(window.page.get_by_role("alertdialog")).to_be_visible()
    for window in (tab, other):
        window.page.get_by_role("alertdialog").get_by_role("button", name="Send again").click()
    # The clear that comes second, of whatever window, clears the task again or is refused while it runs.
    dialogs = [window.page.get_by_role("alertdialog") for window in (tab, other)]
    for dialog in dialogs:
        alert = dialog.get_by_role("alert")
        wait_until(
            lambda shown=dialog, alert=alert: not shown.is_visible() or alert.is_visible(), 90, "an end"
        )
    assert not all(dialog.is_visible() for dialog in dialogs)
    # The tests that follow open entries of this run.
    assert airflow.rest.wait_for_run("deploy", runs["delivered"]) == "success"
    for window in (tab, other):
        window.trouble = [said for said in window.trouble if "409" not in said]
        forgive_missing_entry(window)
    assert other.trouble == []


def test_entry_for_a_viewer_has_redeliver_and_test_disabled(
    browser: Browser, airflow: Airflow, runs: dict[str, str]
) -> None:
    tab = browser.tab(airflow, "viewer")
    tab.open(f"{PAGE}?dag_id=deploy")
    opened(tab, "release-v1", "delivered")
    expect(tab.page.get_by_role("button", name="Redeliver")).to_be_disabled()
    expect(tab.page.get_by_role("button", name="Test")).to_be_disabled()
    assert tab.trouble == []


# States and looks


def test_list_after_a_loading_error_loads_on_try_again(tab: Tab) -> None:
    broken = [True]

    def answer(route: Any) -> None:
        if broken[0]:
            route.fulfill(status=503, json={"detail": "the database is away"})
        else:
            route.continue_()

    tab.page.route("**/registry-triggers/access-log?*", answer)
    tab.open(PAGE)
    expect(tab.page.get_by_role("alert")).to_contain_text("the database is away")
    broken[0] = False
    tab.page.get_by_role("button", name="Try again").click()
    expect(entry_of(tab, "release-v1", "delivered")).to_be_visible()
    expect(tab.page.get_by_role("alert")).to_be_hidden()
    tab.trouble = [said for said in tab.trouble if "503" not in said]


def test_list_without_entries_shows_a_hint(tab: Tab) -> None:
    empty = {"entries": [], "next_cursor": None, "searched_all": True}
    tab.page.route("**/registry-triggers/access-log?*", lambda route: route.fulfill(json=empty))
    tab.open(PAGE)
    expect(tab.page.get_by_text("No entries yet")).to_be_visible()


@pytest.mark.parametrize("look", LOOKS)
def test_page_in_each_look_has_no_serious_accessibility_violation(
    browser: Browser, airflow: Airflow, runs: dict[str, str], look: str
) -> None:
    tab = browser.tab(airflow, **LOOKS[look])
    tab.open(f"{PAGE}?dag_id=deploy")
    expect(entry_of(tab, "release-v1", "delivered")).to_be_visible()
    box = entries(tab).first.bounding_box()
    assert box
    assert box["y"] < 400, "the filters leave room for entries on the first screen"
    opened(tab, "release-v1", "delivered")
    expect(tab.page.get_by_role("region", name="Response: headers")).to_be_visible()
    assert violations(tab) == []
    tab.page.get_by_role("button", name="Redeliver").click()
    expect(tab.page.get_by_role("alertdialog")).to_be_visible()
    tab.page.wait_for_timeout(500)  # the dialog fades in, and half of its contrast is none
    assert violations(tab, "[role=alertdialog]") == []
    if look == "narrow":
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= 400
    assert tab.trouble == []


def test_page_under_a_base_path_keeps_the_path_in_its_links(
    browser: Browser,
    receiver: Receiver,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from airflow.sdk.types import TaskInstanceKey

    from airflow_registry_triggers.links.access_log import AccessLogLink

    home = home_of(tmp_path_factory.mktemp("under-a-path"), receiver, UnderPath)
    with Airflow(home, ["api-server"]) as airflow:
        HistoryRows(home).add([Task("deploy", 1, [record(1)])])
        tab = browser.tab(airflow)
        tab.open(PAGE)
        expect(entries(tab)).to_have_count(1)
        opened(tab, "v1", "delivered")
        run = tab.page.get_by_role("link", name="manual__000001")
        expect(run).to_have_attribute("href", re.compile("^/team/airflow/dags/deploy/runs/"))
        tab.page.route("**/clearTaskInstances", lambda route: route.fulfill(json={}))
        tab.page.get_by_role("button", name="Redeliver").click()
        with tab.page.expect_request("**/clearTaskInstances") as asking:
            tab.page.get_by_role("alertdialog").get_by_role("button", name="Send again").click()
        assert asking.value.url == f"{home.url}/api/v2/dags/deploy/clearTaskInstances"
        monkeypatch.setenv("AIRFLOW__API__BASE_URL", home.url)
        key = TaskInstanceKey(dag_id="deploy", task_id="deliver", run_id="manual__000001", try_number=1)
        link = AccessLogLink().get_link(None, ti_key=key)  # type: ignore[arg-type]
        tab.page.goto(urljoin(home.url, link))
        expect(entries(tab)).to_have_count(1)
        expect(tab.page.get_by_role("button", name="Remove the filter task_id")).to_be_visible()
        assert tab.trouble == []
