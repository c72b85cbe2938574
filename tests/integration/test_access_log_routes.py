# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The routes of the access log on a real api-server: who sees what, filters, pages, backends."""

from __future__ import annotations

import base64
import itertools
import json
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from airflow_registry_triggers.access_log.query import Query
from airflow_registry_triggers.access_log.reader import read_page
from airflow_registry_triggers.access_log.statements import keys_statement
from airflow_registry_triggers.plugins.script import fingerprint, script
from tests.browser.history_rows import HistoryRows, Task, record
from tests.harness.airflow_home import AirflowHome
from tests.harness.airflow_process import Airflow
from tests.harness.airflow_rest import AirflowRest, RestError
from tests.harness.plain_http import Response, request

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
LIST = "/registry-triggers/access-log"
_run_numbers = itertools.count(1)

BACKEND = """
    import json
    from pathlib import Path

    from airflow.sdk.bases.xcom import BaseXCom

    class OnDisk(BaseXCom):
        @staticmethod
        def deserialize_value(result):
            value = result.value
            if isinstance(value, str) and value.startswith("file:"):
                return json.loads(Path(value[5:]).read_text())
            return BaseXCom.deserialize_value(result)
"""


def task(dag_id: str, *records: dict[str, Any], **values: Any) -> Task:
    return Task(dag_id, next(_run_numbers), list(records), **values)


def history(folder: Path) -> list[Task]:
    now = datetime.now(UTC)
    (folder / "stored.json").write_text(json.dumps([record(70, tag="on-disk")]))
    return [
        task("old", record(1, status="200"), at=now - timedelta(days=3)),
        task("old", record(2, status="503"), state="up_for_retry", at=now - timedelta(hours=3)),
        *(task("hidden_dag", record(n, tag="secret")) for n in (90, 91)),
        task("no_xcoms", record(92, tag="secret")),
        task("no_logs", record(93, tag="secret")),
        task("statuses", *(record(n, status=s) for n, s in enumerate(("200", "404", "timeout", "blocked"), 10)), state="failed"),
        task("statuses", *(record(n, status=s) for n, s in enumerate(("triggered", "untriggered", "duplicate"), 20)), task_id="match"),
        task("statuses", record(24, status="409"), state="success"),
        task("search", record(30, repository="team/app", tag="v1", trigger_name="prod")),
        task("search", record(31, repository="team/app", tag="v10", trigger_name="prod-eu")),
        task("search", record(32, repository="other/App2", tag="v2", trigger_name="staging")),
        task("mapped", record(40), map_index=0),
        task("mapped", record(41), map_index=7),
        task("backend", xcoms={"access_log.200": f"file:{folder / 'stored.json'}", "access_log.500": "file:/nowhere"}),
        task("junk", xcoms={
            "access_log.200": [1, None, {"status_code": 5, "attempts": [3, {"try_number": "x"}], "duration_ms": "soon"}],
            "access_log.201": {"no": "list"}, "access_log.nonsense": [record(1)], "return_value": [record(1)],
        }),
        *(made for n in range(300, 306) for made in (task("gaps", record(n)), task("gaps", xcoms={"access_log.200": {"no": n}}))),
        task("repeats", *(record(80, status=s, reason=s) for s in ("triggered", "duplicate")), task_id="match"),
        task("surrogates", record(81, tag="v\ud800", trigger_url="\udfff", request_headers={"x-\ud801": "\ud802"}, attempts=[{"reason": "\ud803", "status_code": "\ud804"}])),
        task("by_hand", record(82, status="503"), record(83, status="timeout"), record(84, status="409"), state="success"),
        *(task("pages", *(record(100 + 3 * n + m) for m in range(3))) for n in range(20)),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> AirflowHome:
    folder = tmp_path_factory.mktemp("airflow")
    home = AirflowHome(
        folder,
        users={"viewer": "viewer", "user": "user"},
        settings={
            ("core", "auth_manager"): "tests.integration.access_log_auth.HidingAuthManager",
            ("core", "xcom_backend"): "test_backend.OnDisk",
        },
    )
    home.env["PYTHONPATH"] = f"{ROOT}:{folder}"
    (folder / "test_backend.py").write_text(textwrap.dedent(BACKEND))
    home.run("db", "migrate")
    return home


@pytest.fixture(scope="module")
def rows(home: AirflowHome) -> HistoryRows:
    made = HistoryRows(home)
    made.add(history(home.folder))
    return made


@pytest.fixture(scope="module")
def airflow(home: AirflowHome, rows: HistoryRows) -> Iterator[Airflow]:
    with Airflow(home, ["api-server"]) as running:
        yield running


@pytest.fixture(scope="module")
def admin(airflow: Airflow) -> AirflowRest:
    return airflow.rest


@pytest.fixture(scope="module")
def viewer(airflow: Airflow) -> AirflowRest:
    return airflow.rest_as("viewer")


def page(rest: AirflowRest, **query: Any) -> dict[str, Any]:
    return rest.call("GET", LIST, **query)


def tags(rest: AirflowRest, **query: Any) -> list[str]:
    return [entry["tag"] for entry in page(rest, limit=200, **query)["entries"]]


def codes(rest: AirflowRest, **query: Any) -> set[str]:
    return {entry["status_code"] for entry in page(rest, limit=200, dag_id="statuses", **query)["entries"]}


def refusal(rest: AirflowRest, path: str = LIST, **query: Any) -> RestError:
    with pytest.raises(RestError) as refused:
        rest.call("GET", path, **query)
    return refused.value


# Who sees what


def our_paths(rest: AirflowRest) -> list[str]:
    described = rest.call("GET", "/openapi.json")["paths"]
    return [path for path in described if path.startswith("/registry-triggers")]


def test_access_log_routes_without_a_valid_login_are_refused(airflow: Airflow, admin: AirflowRest) -> None:
    entry = {"dag_id": "old", "run_id": "r", "task_id": "t", "trigger_log_id": "x"}
    paths = [*our_paths(admin), "/registry-triggers/access_log.js"]
    assert len(paths) == 5
    for path in paths:
        for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Cookie": "_token=nonsense"}):
            answer = request("GET", f"{airflow.home.url}{path}?{urlencode(entry)}", headers=headers)
            assert answer.status == (403 if headers else 401), path
            assert b"v1" not in answer.body


def test_access_log_routes_with_another_path_or_method_are_refused(airflow: Airflow) -> None:
    for path in ("/docs", "/redoc", "/openapi.json", "/access-log/"):
        answer = request("GET", f"{airflow.home.url}/registry-triggers{path}", headers={})
        assert answer.status in {307, 401, 404}, path
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert request(method, airflow.home.url + LIST, headers={}).status == 405


def test_access_log_route_without_permission_for_a_dag_hides_its_entries(
    admin: AirflowRest, viewer: AirflowRest
) -> None:
    assert tags(admin, tag="secret") == ["secret"] * 4
    assert tags(viewer, tag="secret") == []
    everything = page(viewer, limit=200)
    assert {entry["dag_id"] for entry in everything["entries"]}.isdisjoint(
        {"hidden_dag", "no_xcoms", "no_logs"}
    )
    assert everything["next_cursor"] is None


def test_access_log_route_with_a_filter_for_a_hidden_dag_returns_403_or_nothing(
    admin: AirflowRest, viewer: AirflowRest
) -> None:
    for dag_id in ("hidden_dag", "no_xcoms", "no_logs"):
        (entry, *_) = page(admin, dag_id=dag_id)["entries"]
        assert refusal(viewer, dag_id=dag_id).status == 403
        asked = {name: entry[name] for name in ("dag_id", "run_id", "task_id", "trigger_log_id")}
        assert admin.call("GET", f"{LIST}/entry", **asked)["entry"]["tag"] == "secret"
        assert refusal(viewer, f"{LIST}/entry", **asked).status == 403
    # Airflow reads ~ as any Dag where it checks, which must not open one here.
    assert tags(viewer, dag_id="~") == []
    assert tags(viewer, run_id=page(admin, dag_id="hidden_dag")["entries"][0]["run_id"]) == []


def test_entry_route_for_a_viewer_denies_redeliver_and_test(airflow: Airflow, viewer: AirflowRest) -> None:
    (entry,) = page(viewer, dag_id="search", tag="=v1")["entries"]
    asked = {name: entry[name] for name in ("dag_id", "run_id", "task_id", "trigger_log_id")}
    for rest, allowed in ((viewer, False), (airflow.rest_as("user"), True)):
        details = rest.call("GET", f"{LIST}/entry", **asked)
        assert (details["may_redeliver"], details["may_test"]) == (allowed, allowed)
        assert details["deliveries"] == 1


# What is asked


@pytest.mark.parametrize(
    ("status", "found"),
    [
        (["200"], {"200"}),
        (["timeout", "blocked"], {"timeout", "blocked"}),
        (["4xx"], {"404", "409"}),
        (["error"], {"timeout"}),
        (["verdict"], {"triggered", "untriggered", "duplicate"}),
        ([], {"200", "404", "409", "timeout", "blocked", "triggered", "untriggered", "duplicate"}),
    ],
)
def test_access_log_route_with_a_status_filter_returns_its_entries(
    admin: AirflowRest, status: list[str], found: set[str]
) -> None:
    assert codes(admin, status=status) == found


def test_access_log_route_with_any_task_state_returns_the_result(admin: AirflowRest) -> None:
    entries = page(admin, dag_id="statuses")["entries"]
    assert {entry["status_code"]: entry["result"] for entry in entries} == {
        "200": "delivered",
        "404": "failed",
        "timeout": "failed",
        "blocked": "blocked",
        "triggered": "triggered",
        "untriggered": "untriggered",
        "duplicate": "duplicate",
        "409": "delivered",
    }
    # Nothing but a person ends such a task well.
    by_hand = page(admin, dag_id="by_hand")["entries"]
    assert {entry["status_code"]: entry["result"] for entry in by_hand} == {
        "503": "failed",
        "timeout": "failed",
        "409": "delivered",
    }
    (pending,) = page(admin, dag_id="old", status="503")["entries"]
    assert (pending["result"], pending["task_state"]) == ("retrying", "up_for_retry")


@pytest.mark.parametrize(
    ("result", "found"),
    [
        ("failed", {"404", "timeout"}),
        ("delivered", {"200", "409"}),
        ("blocked", {"blocked"}),
        ("untriggered", {"untriggered"}),
        ("retrying", set()),
    ],
)
def test_access_log_route_with_a_result_filter_returns_its_entries(
    admin: AirflowRest, result: str, found: set[str]
) -> None:
    assert codes(admin, result=result) == found


def test_access_log_route_with_a_push_or_digest_returns_all_its_entries(admin: AirflowRest) -> None:
    push = page(admin, dag_id="repeats", notification_id=f"{80:032x}")["entries"]
    assert {item["status_code"] for item in push} == {"triggered", "duplicate"}
    assert tags(admin, digest=f"sha256:{31:064x}") == ["v10"]
    assert tags(admin, dag_id="search", tests="only") == []
    assert len(tags(admin, dag_id="search", tests="hide")) == 3


def test_access_log_route_with_a_text_filter_matches_a_part_or_the_whole(admin: AirflowRest) -> None:
    assert tags(admin, dag_id="search", tag="V1") == ["v10", "v1"]
    assert tags(admin, dag_id="search", tag="=v1") == ["v1"]
    assert tags(admin, dag_id="search", repository="app") == ["v2", "v10", "v1"]
    assert tags(admin, dag_id="search", repository="=team/app", trigger="eu") == ["v10"]
    assert tags(admin, dag_id="search", trigger="100%") == []


def test_access_log_route_with_a_time_filter_returns_that_period(admin: AirflowRest) -> None:
    assert tags(admin, dag_id="old", since="4h") == ["v2"]
    assert tags(admin, dag_id="old", until=(datetime.now(UTC) - timedelta(days=1)).isoformat()) == ["v1"]
    assert tags(admin, dag_id="old", since="2d", until="1d") == []


def test_access_log_route_with_a_task_instance_filter_returns_its_entries(admin: AirflowRest) -> None:
    assert tags(admin, dag_id="mapped", map_index=7) == ["v41"]
    assert sorted(tags(admin, dag_id="statuses", task_id="match")) == ["v20", "v21", "v22"]
    (entry,) = page(admin, dag_id="mapped", map_index=0)["entries"]
    assert tags(admin, dag_id="mapped", run_id=entry["run_id"]) == ["v40"]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"status": "2000"}, "status='2000'"),
        ({"status": "access_log.200"}, "verdict"),
        ({"since": "yesterday"}, "since='yesterday'"),
        ({"result": "broken"}, "result='broken'"),
        ({"tests": "maybe"}, "tests='maybe'"),
        ({"until": "99999999d"}, "until"),
        ({"cursor": "AAAA"}, "Leave it out"),
        ({"cursor": "WzEsMSwxLDFd"}, "Leave it out"),
        ({"cursor": base64.urlsafe_b64encode(b'[1,"a\\u0000",-1,"b"]').decode()}, "Leave it out"),
        ({"cursor": base64.urlsafe_b64encode(b'[1,"a",-1,"\\ud800"]').decode()}, "Leave it out"),
    ],
)
def test_access_log_route_with_a_bad_filter_returns_400(
    admin: AirflowRest, query: dict[str, str], told: str
) -> None:
    error = refusal(admin, **query)
    assert error.status == 400
    assert told in str(error)


def test_access_log_route_with_a_filter_out_of_bounds_returns_422(admin: AirflowRest) -> None:
    for query in (
        {"run_id": "a\0"},
        {"limit": 0},
        {"limit": 201},
        {"map_index": -2},
        {"map_index": 2**31},
        {"tag": "x" * 501},
    ):
        assert refusal(admin, **query).status == 422


# Pages


def test_access_log_route_with_cursors_returns_each_entry_once_newest_first(admin: AirflowRest) -> None:
    found, cursor, pages = [], None, 0
    while True:
        answer = page(admin, dag_id="pages", limit=7, cursor=cursor)
        found += [entry["tag"] for entry in answer["entries"]]
        pages += 1
        cursor = answer["next_cursor"]
        if cursor is None:
            break
        assert len(answer["entries"]) == 7
    assert pages == 9
    assert len(found) == 60
    assert set(found) == {f"v{n}" for n in range(100, 160)}
    runs = [(int(tag[1:]) - 100) // 3 for tag in found]
    assert runs == sorted(runs, reverse=True)


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_access_log_route_with_rows_without_records_continues_paging(admin: AirflowRest, limit: int) -> None:
    found, cursor = [], None
    while True:
        answer = page(admin, dag_id="gaps", limit=limit, cursor=cursor)
        found += [entry["tag"] for entry in answer["entries"]]
        cursor = answer["next_cursor"]
        if cursor is None:
            break
        assert answer["searched_all"] is (len(answer["entries"]) >= limit)
    assert found == [f"v{n}" for n in range(305, 299, -1)]


def test_keys_statement_with_any_filter_uses_the_primary_key(home: AirflowHome, rows: HistoryRows) -> None:
    """Any other index of SQLite leads to a sort of the whole history."""
    with Session(create_engine(home.database)) as session:
        for query in (
            Query(),
            Query(statuses=("503",)),
            Query(since=datetime.now(UTC)),
            Query(dag_id="pages"),
            Query(dag_id="pages", task_id="deliver"),
        ):
            statement = keys_statement(session, query, 51, None, {"old", "pages", "search"}, {"hidden_dag"})
            compiled = statement.compile(session.get_bind(), compile_kwargs={"literal_binds": True})
            plan = [row.detail for row in session.execute(text(f"EXPLAIN QUERY PLAN {compiled}"))]
            inner = " ".join(step for step in plan if " xcom" in step)
            assert "idx_xcom" not in inner, plan
            assert "sqlite_autoindex_xcom_1" in inner, plan


def test_read_page_of_lists_of_the_largest_size_keeps_memory_flat(
    home: AirflowHome, rows: HistoryRows
) -> None:
    """A page of 50 over 60 lists of 1 MiB each; all of them at once would take 60 MiB and more."""
    import tracemalloc

    body = "b" * 4000
    lists = [[record(n, request_body=body) for n in range(230)] for _ in range(60)]
    rows.add(
        [Task("largest", run=900000 + n, xcoms={"access_log.200": values}) for n, values in enumerate(lists)]
    )
    del lists
    with Session(create_engine(home.database)) as session:
        query = Query(dag_id="largest", tag="=none")
        tracemalloc.start()
        try:
            newest = read_page(session, Query(dag_id="largest"), limit=50)
            searched = read_page(session, query, limit=50)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert len(newest.entries) == 50
    assert (searched.entries, searched.next_cursor) == ([], None)
    assert peak < 50 * 1024 * 1024


def test_access_log_route_with_a_new_entry_keeps_older_pages_unchanged(
    rows: HistoryRows, admin: AirflowRest
) -> None:
    first = page(admin, dag_id="pages", limit=9)
    before = page(admin, dag_id="pages", limit=9, cursor=first["next_cursor"])
    rows.add([task("pages", record(999))])
    try:
        assert page(admin, dag_id="pages", limit=9, cursor=first["next_cursor"]) == before
        assert page(admin, dag_id="pages", limit=9)["entries"][0]["tag"] == "v999"
    finally:
        rows.execute("DELETE FROM xcom WHERE dag_id = 'pages' AND value LIKE '%v999%'")


def test_access_log_route_with_a_long_search_stops_after_2000_rows(
    rows: HistoryRows, admin: AirflowRest
) -> None:
    rows.add([task("many", record(n, tag="needle" if n == 0 else "hay")) for n in range(2100)])
    first = page(admin, dag_id="many", tag="needle")
    assert (first["entries"], first["searched_all"]) == ([], False)
    second = page(admin, dag_id="many", tag="needle", cursor=first["next_cursor"])
    assert [entry["tag"] for entry in second["entries"]] == ["needle"]
    assert (second["searched_all"], second["next_cursor"]) == (True, None)


# What is stored


def test_access_log_route_with_an_xcom_backend_reads_values_through_it(admin: AirflowRest) -> None:
    entries = page(admin, dag_id="backend")["entries"]
    assert {entry["status_code"]: entry["tag"] for entry in entries} == {"200": "on-disk", "500": ""}
    (lost,) = [entry for entry in entries if entry["status_code"] == "500"]
    assert lost["reason"] == "the record cannot be read from the XCom backend: FileNotFoundError"


def test_access_log_route_with_malformed_records_ignores_them(admin: AirflowRest) -> None:
    (entry,) = page(admin, dag_id="junk")["entries"]
    assert (entry["status_code"], entry["duration_ms"], entry["try_number"]) == ("200", None, 1)
    assert [attempt["try_number"] for attempt in entry["attempts"]] == [None]


def test_access_log_route_with_bodies_returns_headers_and_bodies(admin: AirflowRest) -> None:
    (short,) = page(admin, dag_id="search", tag="=v1")["entries"]
    assert short["request_body"] is None
    (long,) = page(admin, dag_id="search", tag="=v1", bodies=True)["entries"]
    assert long["request_body"].startswith('{"push_data"')
    assert long["response_headers"]["x-response-0"]


def test_access_log_route_with_lone_surrogates_replaces_them(admin: AirflowRest) -> None:
    (entry,) = page(admin, dag_id="surrogates", bodies=True)["entries"]
    assert (entry["tag"], entry["trigger_url"], entry["request_headers"]) == ("v?", "?", {"x-?": "?"})
    assert (entry["attempts"][0]["reason"], entry["attempts"][0]["status_code"]) == ("?", "?")


# One entry


def opened(rest: AirflowRest, entry: dict[str, Any], **asked: Any) -> dict[str, Any]:
    names = ("dag_id", "run_id", "task_id", "trigger_log_id", "status_code")
    details: dict[str, Any] = rest.call(
        "GET", f"{LIST}/entry", **{**{name: entry[name] for name in names}, **asked}
    )
    return details


def test_entry_route_with_two_verdicts_of_a_push_returns_the_requested_one(admin: AirflowRest) -> None:
    entries = page(admin, dag_id="repeats")["entries"]
    assert len({entry["trigger_log_id"] for entry in entries}) == 1
    for entry in entries:
        assert opened(admin, entry)["entry"]["reason"] == entry["status_code"]


def test_entry_route_with_the_id_of_an_earlier_attempt_returns_the_delivery(admin: AirflowRest) -> None:
    (entry,) = page(admin, dag_id="search", tag="=v1")["entries"]
    earlier = entry["trigger_log_id"].replace("/1", "/0")
    found = opened(admin, entry, trigger_log_id=earlier, status_code="503")["entry"]
    assert (found["trigger_log_id"], found["status_code"]) == (entry["trigger_log_id"], "200")


def test_entry_route_with_asset_permission_returns_the_asset_event(
    rows: HistoryRows, admin: AirflowRest, viewer: AirflowRest
) -> None:
    pushes = [{"event": {"id": f"{n:032x}"}} for n in (400, 401)]
    seen, hidden = (task("events", record(n, registry="ghcr.io", repository="team/app")) for n in (400, 401))
    rows.add([seen, hidden])
    ids = [
        rows.add_asset_event(made, {"from_trigger": True, "payload": push})
        for made, push in zip((seen, hidden), pushes, strict=True)
    ]
    assert ids == [1, 2]
    entries = {entry["tag"]: entry for entry in page(admin, dag_id="events")["entries"]}
    assert opened(admin, entries["v400"])["asset_uri"] == f"x-test://asset-of-{seen.run}"
    assert opened(admin, entries["v400"])["image_page"] == "https://ghcr.io/team/app"
    assert opened(admin, entries["v401"])["asset_id"] == 2
    assert opened(viewer, entries["v400"])["asset_id"] == 1
    assert opened(viewer, entries["v401"])["asset_id"] is None
    assert opened(viewer, entries["v401"])["asset_event_id"] is None


def test_entry_route_with_a_missing_entry_returns_404(admin: AirflowRest) -> None:
    error = refusal(admin, f"{LIST}/entry", dag_id="old", run_id="none", task_id="t", trigger_log_id="m/1")
    assert error.status == 404
    assert "cleaned" in str(error)


# What Airflow shows of it


def test_openapi_with_the_plugin_describes_each_route(admin: AirflowRest) -> None:
    described = admin.call("GET", "/openapi.json")
    assert "/api/v2/dags/{dag_id}" in described["paths"]
    operation = described["paths"][LIST]["get"]
    names = {parameter["name"] for parameter in operation["parameters"]}
    assert {"status", "dag_id", "since", "until", "trigger", "repository", "tag", "cursor", "limit"} <= names
    assert operation["security"]
    reference = operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
    assert reference.rsplit("/", 1)[-1] in described["components"]["schemas"]
    triggers = "/registry-triggers/triggers"
    assert set(our_paths(admin)) == {LIST, f"{LIST}/entry", triggers, f"{triggers}/match"}


def test_api_server_with_the_plugin_lists_a_page_for_each_place(admin: AirflowRest) -> None:
    plugins = admin.api("GET", "/plugins")["plugins"]
    (plugin,) = [item for item in plugins if item["name"] == "registry_triggers"]
    apps = plugin["react_apps"]
    assert {item["destination"] for item in apps} == {"nav", "dag", "dag_run"}
    assert {item["name"] for item in apps} == {"Registry Triggers", "Pushes"}
    assert len({item["url_route"] for item in apps}) == 3
    assert not any(item["bundle_url"].startswith("/") or "://" in item["bundle_url"] for item in apps)
    assert admin.api("GET", "/plugins/importErrors")["import_errors"] == []


def test_script_route_with_a_login_returns_the_script_of_its_fingerprint(
    airflow: Airflow, admin: AirflowRest
) -> None:
    answer: Response = request(
        "GET",
        f"{airflow.home.url}/registry-triggers/access_log.js",
        headers={"Authorization": f"Bearer {admin.token}"},
    )
    assert answer.status == 200
    assert answer.body == script()
    assert fingerprint() in json.dumps(admin.api("GET", "/plugins"))
