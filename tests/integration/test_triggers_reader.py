# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The states of triggers from a real metadata database, on SQLite and PostgreSQL; and the number of queries."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from airflow.sdk import DAG

from airflow_registry_triggers import (
    RegistryPushSensor,
    TriggerMatchOperator,
    WebhookDeliverOperator,
    repository_asset,
)
from airflow_registry_triggers.access_log.query import InvalidFilter
from airflow_registry_triggers.overview import queries
from airflow_registry_triggers.overview.match import would_match
from airflow_registry_triggers.overview.queries import delete_dead_values
from airflow_registry_triggers.overview.reader import Filters, match_of, read_page, states_of, trigger_of
from airflow_registry_triggers.overview.serialized import TemplatedRule
from tests.harness.airflow_home import AirflowHome
from tests.harness.postgres import Postgres
from tests.integration.trigger_rows import TriggerRows, status_row

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]

TODAY = datetime(2026, 1, 1)
CLOCK = r"(\d{4}-\d\d-\d\d )?\d\d:\d\d"


def event_dag(name: str, repository: str = "", **rule: object) -> DAG:
    asset = repository_asset(repository or f"team/{name}")
    with DAG(name, schedule=asset, start_date=TODAY) as dag:
        match = TriggerMatchOperator(task_id="match", **(rule or {"tag_regex": r"\d.*"}))
        WebhookDeliverOperator(task_id="deliver", notifications=match.output, webhook_conn_id="deploy")
    return dag


def asset_of(name: str) -> str:
    return repository_asset(f"team/{name}").name


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def rows(request, tmp_path_factory, airflow_db) -> Iterator[TriggerRows]:
    folder = tmp_path_factory.mktemp("airflow")
    if request.param == "sqlite":
        home = AirflowHome(folder)
        home.run("db", "migrate")
        yield TriggerRows(home)
        return
    with Postgres() as postgres:
        home = AirflowHome(folder, database=postgres.url)
        home.run("db", "migrate")
        made = TriggerRows(home)
        yield made
        made.engine.dispose()
        made.history._engine.dispose()


def test_read_page_without_any_trigger_is_empty_with_one_query(rows):
    with rows.session() as session:
        rows.queries.clear()
        page = read_page(session, Filters())
    assert (page.rows, page.next_cursor, page.counts) == ([], None, {})
    assert len(rows.queries) <= 2


def the_row(rows, dag_id, **options):
    with rows.session() as session:
        (row,) = read_page(session, Filters(dag_id=dag_id), **options).rows
    return row


def shown(rows, dag_id):
    row = the_row(rows, dag_id)
    assert row["problem"] == (
        row["state"] in {"broken", "not_watched", "registry_error", "storm", "delivery"}
    )
    return row["state"], row["why"]


def test_state_while_no_triggerer_has_ever_run_is_not_watched(rows):
    rows.add_dags(event_dag("first"))
    assert shown(rows, "first") == ("not_watched", "No triggerer has ever run. Start one: airflow triggerer.")


def test_state_follows_each_condition_in_order(rows):
    """The conditions become false one after the other, from the last state to the first."""
    rows.add_dags(event_dag("order"))
    rows.add_triggerer()
    asset = asset_of("order")
    rows.set_statuses({asset: status_row()})
    assert shown(rows, "order") == ("baseline", "214 tags recorded; no push since.")

    rows.add_run("order", "triggered", delivered="204", age=300, tag="1.5.0")
    assert shown(rows, "order") == ("ok", "1.5.0 was delivered 5 min ago (204).")

    rows.add_run("order", "untriggered", age=200, tag="1.4.0-rc.1", reason="it is a pre-release")
    assert shown(rows, "order") == ("untriggered", "1.4.0-rc.1 does not match: it is a pre-release")

    rows.add_run("order", "triggered", delivered="404", state="failed", age=100, tag="1.6.0")
    assert shown(rows, "order") == ("delivery", "404: rejected. Fix the receiver, then clear the task.")
    rows.add_run("order", "untriggered", age=90, tag="nightly")
    assert shown(rows, "order")[0] == "delivery", (
        "an open delivery of 24 hours hides a push that does not match"
    )
    rows.add_run("order", "triggered", delivered="503", age=80, tag="1.6.1")
    rows.retry_in("order", 600)
    state, why = shown(rows, "order")
    assert state == "delivery"
    assert re.fullmatch(rf"503; the next attempt is at {CLOCK}\.", why)
    row = the_row(rows, "order")
    due = datetime.fromisoformat(row["next_attempt_at"])
    assert abs((due - datetime.now(UTC)).total_seconds() - 520) < 60

    rows.set_statuses(
        {
            asset: status_row(
                error_kind="storm", failures=2, note="812 pushes are held, more than storm_limit 500."
            )
        }
    )
    assert shown(rows, "order") == (
        "storm", "812 pushes are held, more than storm_limit 500. Raise storm_limit to send them.",
    )  # fmt: skip

    failing = {
        "error_kind": "credentials",
        "failures": 7,
        "failing_since": time.time() - 600,
        "note": "401: rejected",
    }
    rows.set_statuses({asset: status_row(next_in_s=300.0, **failing)})
    state, why = shown(rows, "order")
    assert state == "registry_error"
    assert re.fullmatch(
        rf"credentials: 401 for team/order since {CLOCK}\. 7 attempts; the next one is at {CLOCK}\.", why
    )

    rows.set_statuses({asset: status_row(polled_at=time.time() - 3 * 60 - 61, **failing)})
    state, why = shown(rows, "order")
    assert state == "not_watched"
    assert re.fullmatch(rf"The watcher of team/order polled at {CLOCK} and has not reported since\.", why)

    rows.update_dags(["order"], is_paused=True)
    assert shown(rows, "order") == ("paused", "Paused. Airflow queues no asset events for a paused Dag.")

    rows.update_dags(["order"], is_stale=True)
    assert shown(rows, "order") == ("broken", "The Dag is no longer in its file.")
    rows.update_dags(["order"], has_import_errors=True)
    assert re.fullmatch(rf"The Dag file has an import error since {CLOCK}\.", shown(rows, "order")[1])


def test_state_with_a_dead_triggerer_is_not_watched(rows):
    rows.add_dags(event_dag("dead"))
    rows.set_statuses({asset_of("dead"): status_row()})
    rows.history.execute("DELETE FROM job")
    rows.add_triggerer(age=250)
    assert shown(rows, "dead") == ("not_watched", "No triggerer is alive; the last heartbeat was 4 min ago.")
    rows.add_triggerer(age=10, state="success")
    assert shown(rows, "dead")[0] == "not_watched"
    rows.history.execute("DELETE FROM job")
    rows.add_triggerer()
    assert shown(rows, "dead")[0] == "baseline"


def test_state_with_a_push_that_matched_and_one_that_did_not_in_a_run_is_ok(rows):
    rows.add_dags(event_dag("both"))
    rows.add_triggerer()
    rows.set_statuses({asset_of("both"): status_row()})
    rows.add_run("both", "triggered", "untriggered", delivered="200", tag="1.0.0")
    assert shown(rows, "both")[0] == "ok"


def test_state_with_duplicates_and_dry_runs_only_shows_the_push_before_them(rows):
    rows.add_dags(event_dag("repeats"))
    rows.add_triggerer()
    rows.set_statuses({asset_of("repeats"): status_row()})
    rows.add_run("repeats", "dry_run", delivered="dry_run", tag="9")
    assert shown(rows, "repeats")[0] == "baseline"
    rows.add_run("repeats", "triggered", delivered="200", age=50, tag="1.0.0")
    rows.add_run("repeats", "duplicate", age=40, tag="1.0.0")
    rows.add_run("repeats", "dry_run", delivered="dry_run", age=30, tag="9")
    for conf in ('{"dry_run": true}', '{"dry_run": true, "notification": [1]}'):
        run = rows.add_run("repeats", "untriggered", delivered="blocked", state="failed", age=20, tag="9")
        rows.history.execute("UPDATE dag_run SET conf = :conf WHERE id = :run", conf=conf, run=run)
    for conf in (
        '{"dry_run": "abc"}',
        '{"dry_run": {"a": [1]}}',
        "[1]",
        '"text"',
        "null",
        '{"dry_run": false}',
    ):
        run = rows.add_run("repeats", "duplicate", age=10, tag="1.0.0")
        rows.history.execute("UPDATE dag_run SET conf = :conf WHERE id = :run", conf=conf, run=run)
    row = the_row(rows, "repeats")
    assert (row["state"], row["last_push"]["tag"], row["last_delivery"]["status"]) == ("ok", "1.0.0", "200")
    assert row["runs_24h"] == {"delivered": 1, "failed": 0, "untriggered": 0}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"at": "x", "watchers": {}}',
        '{"at": 1, "watchers": {"a": [1]}}',
        '"' + "[" * 5000,
    ],
)
def test_state_with_an_unreadable_status_value_says_so(rows, text):
    rows.add_dags(event_dag("unreadable"))
    rows.add_triggerer()
    rows.age_watchers(10)
    rows.set_value("watchers/host-1/0", text)
    assert shown(rows, "unreadable")[0] == "baseline", "a new watcher has time for its first report"
    rows.age_watchers(1000)
    assert shown(rows, "unreadable") == (
        "not_watched", "The watcher of team/unreadable has not reported yet. A stored status cannot be read.",
    )  # fmt: skip
    with rows.session() as session:
        assert read_page(session, Filters()).unreadable == 1


def test_read_page_with_values_of_two_processes_shows_the_newest_poll_and_deletes_the_dead(rows):
    rows.add_dags(event_dag("twice"))
    rows.add_triggerer()
    asset = asset_of("twice")
    rows.set_statuses({asset: status_row(tags=5)})
    rows.set_statuses({asset: status_row(at=time.time() - 7000, tags=3)}, key="watchers/zombie-9/0", age=7000)
    with rows.session() as session:
        page = read_page(session, Filters(dag_id="twice"))
        assert page.rows[0]["watchers"][0]["tags"] == 5
        assert page.dead_keys == ["watchers/zombie-9/0"]
        delete_dead_values(session, page.dead_keys, datetime.now(UTC))
        session.commit()
    assert rows.status_keys() == ["watchers/host-1/0"]
    rows.set_statuses({asset: status_row(at=time.time() - 7000)}, age=7000)
    (watcher,) = the_row(rows, "twice")["watchers"]
    assert watcher["is_dead"]
    assert watcher["text"].startswith("1 h ago, by a process that is dead: polled 1 h ago, 214 tags")


def test_delete_dead_values_keeps_a_value_that_was_written_meanwhile(rows):
    rows.set_statuses({}, key="watchers/back-1/0", age=1)
    with rows.session() as session:
        delete_dead_values(session, ["watchers/back-1/0", "other"], datetime.now(UTC))
        session.commit()
    assert "watchers/back-1/0" in rows.status_keys()


def test_state_of_a_dag_of_a_trigger_file_follows_its_tags(rows):
    held, disabled = event_dag("held_dag"), event_dag("disabled_dag")
    held.tags, disabled.tags = {"registry-trigger", "held"}, {"registry-trigger", "disabled", "team"}
    held.description = "Held: registry_triggers.yaml:12 has 2 problems."
    disabled.get_task("match").doc_json = '{"declared_in": "registry_triggers.yaml:31"}'
    only_a_label = event_dag("labelled")
    only_a_label.tags = {"held", "disabled"}
    rows.add_dags(held, disabled, only_a_label)
    assert shown(rows, "held_dag") == ("broken", "Held: registry_triggers.yaml:12 has 2 problems.")
    assert shown(rows, "disabled_dag") == ("paused", "Disabled in registry_triggers.yaml:31.")
    assert shown(rows, "labelled")[0] not in ("broken", "paused")


def sensor_dag(name: str, *, with_match: bool) -> DAG:
    with DAG(name, schedule="*/5 * * * *", start_date=TODAY, catchup=False) as dag:
        push = RegistryPushSensor(task_id="push", repository="team/sensed", tags=["latest"])
        found = push.output
        if with_match:
            found = TriggerMatchOperator(task_id="match", notifications=found, tag_regex="l.*").output
        WebhookDeliverOperator(
            task_id="deliver", notifications=found, url="https://h.example/x?token=hunter2"
        )
    return dag


@pytest.mark.parametrize("with_match", [True, False])
def test_state_of_a_sensor_follows_its_runs(rows, with_match):
    name = f"sensor_{with_match}"
    rows.add_dags(sensor_dag(name, with_match=with_match))
    now = datetime.now(UTC)
    rows.update_dags([name], next_dagrun_create_after=now + timedelta(seconds=200))
    assert shown(rows, name) == ("baseline", "No push yet.")
    rows.update_dags([name], next_dagrun_create_after=now - timedelta(seconds=500))
    assert re.fullmatch(rf"The first run was due at {CLOCK}\. Is a scheduler alive\?", shown(rows, name)[1])

    rows.add_sensor_run(name, "push", "failed", age=100)
    rows.update_dags([name], next_dagrun_create_after=now + timedelta(seconds=200))
    state, why = shown(rows, name)
    assert state == "registry_error"
    assert re.fullmatch(rf"The sensor push failed at {CLOCK}\. Its task log has the reason\.", why)

    rows.add_sensor_run(name, "push", "success", age=50)
    row = the_row(rows, name)
    assert row["task_id"] == ("match" if with_match else "push")
    assert row["repositories"] == ["team/sensed"]
    assert row["watchers"][0]["text"].startswith("sensor push: success")
    assert "hunter2" not in str(row)
    assert row["receiver"].startswith("https://")

    rows.update_dags([name], next_dagrun_create_after=now - timedelta(seconds=20))
    rows.history.execute(
        "UPDATE dag_run SET run_after = :at WHERE dag_id = :dag", at=now - timedelta(seconds=320), dag=name
    )
    assert shown(rows, name)[0] == "baseline"
    with rows.session() as session:
        later = now + timedelta(seconds=900)
        (row,) = read_page(session, Filters(dag_id=name), now=later).rows
    assert row["state"] == "not_watched"
    assert "more than 3 schedule intervals ago" in row["why"]


def test_would_match_answers_from_the_serialized_rule(rows):
    with DAG("rules", schedule=repository_asset("team/rules", tag_regex="v.*"), start_date=TODAY) as dag:
        TriggerMatchOperator(task_id="plain", tags=["v1", "latest"])
        TriggerMatchOperator(task_id="every")
        TriggerMatchOperator(task_id="templated", tag_regex="{{ var.value.rule }}")
        TriggerMatchOperator.partial(task_id="mapped", notifications=[]).expand(tag_regex=["a", "b"])
    rows.add_dags(dag)
    with rows.session() as session:

        def answer(task_id, tag, repository=""):
            return would_match(trigger_of(session, "rules", task_id), tag, repository)

        assert answer("plain", "v1") == {"triggered": True, "kind": "listed", "reason": "'v1' is listed"}
        assert answer("plain", "v2")["kind"] == "not_listed"
        assert answer("plain", "latest") == {
            "triggered": False,
            "kind": "not_watched",
            "reason": "the watcher of team/rules ignores it: 'latest' does not match v.* (the whole tag must match)",
        }
        assert answer("every", "v1", "team/rules")["triggered"]
        assert answer("every", "v1", "team/other") == {
            "triggered": False, "kind": "not_watched", "reason": "'team/other' is not watched; team/rules is",
        }  # fmt: skip
        for task_id in ("templated", "mapped"):
            with pytest.raises(TemplatedRule, match=r"The rule is a template, known only in a run\."):
                answer(task_id, "v1")
        assert trigger_of(session, "rules", "nothing") is None
    row = next(row for row in all_rows(rows) if row["task_id"] == "plain")
    assert (row["trigger_type"], row["trigger_tag"], row["receiver"]) == ("TAG_LIST", "v1,latest", None)


def test_match_of_a_delivery_is_the_one_with_the_name_in_its_record(rows):
    with DAG("two_rules", schedule=None, start_date=TODAY) as dag:
        first = TriggerMatchOperator(task_id="first", trigger_name="releases")
        second = TriggerMatchOperator(task_id="second")
        of_first = WebhookDeliverOperator(task_id="of_first", notifications=first.output, webhook_conn_id="c")
        of_both = WebhookDeliverOperator(task_id="of_both", notifications=first.output, webhook_conn_id="c")
        [first, second] >> of_both
        of_first >> WebhookDeliverOperator(task_id="last", notifications=[], webhook_conn_id="c")
        WebhookDeliverOperator(task_id="alone", notifications=[], webhook_conn_id="c")
    rows.add_dags(dag)
    with rows.session() as session:

        def found(task_id, name):
            return match_of(session, "two_rules", task_id, name)

        assert found("first", "another") == "first"
        assert found("of_first", "two_rules.of_first") == found("last", "releases") == "first"
        assert (found("of_both", "releases"), found("of_both", "two_rules.second")) == ("first", "second")
        assert found("of_both", "another") == found("alone", "releases") == found("gone", "releases") == ""


def all_rows(rows, **filters):
    with rows.session() as session:
        return read_page(session, Filters(**filters)).rows


def test_read_page_with_a_limit_gives_each_trigger_once_in_order(rows):
    rows.add_dags(*(event_dag(f"paged_{number}") for number in range(5)))
    whole = [(row["state"], row["dag_id"], row["task_id"]) for row in all_rows(rows)]
    assert len(whole) == len(set(whole)) >= 5
    paged, cursor = [], None
    while True:
        with rows.session() as session:
            page = read_page(session, Filters(), limit=2, cursor=cursor)
        paged += [(row["state"], row["dag_id"], row["task_id"]) for row in page.rows]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert paged == whole


def test_read_page_with_filters_shows_those_rows(rows):
    assert {row["state"] for row in all_rows(rows, states=states_of(iter(["broken"])))} == {"broken"}
    assert all(row["problem"] for row in all_rows(rows, problems=True))
    assert {row["dag_id"] for row in all_rows(rows, repository="SENS")} == {"sensor_True", "sensor_False"}
    assert all_rows(rows, repository="=team/sens") == []
    assert all_rows(rows, dag_id="nothing") == []
    with pytest.raises(InvalidFilter, match="state='nine' is not a state"):
        states_of(["nine"])
    for cursor in ("x", "W10=", "WyJhIiwiYiIsImMiXQ=="):
        with rows.session() as session, pytest.raises(InvalidFilter, match="cursor is not"):
            read_page(session, Filters(), cursor=cursor)


def test_read_page_for_a_user_without_the_right_has_no_row_and_no_count(rows):
    with rows.session() as session:
        page = read_page(
            session, Filters(), dag_ids={"order", "both"}, unreadable=lambda found: found & {"both"}
        )
    assert [row["dag_id"] for row in page.rows] == ["order"]
    assert sum(page.counts.values()) == 1


def test_read_page_of_300_triggers_needs_as_many_queries_as_of_one(rows):
    def count():
        queries._shapes.clear()
        with rows.session() as session:
            rows.queries.clear()
            page = read_page(session, Filters(), limit=50)
        return len(rows.queries), page

    rows.add_dags(event_dag("many"))
    before, _ = count()
    rows.add_dags(*(event_dag(f"many_{number:04}") for number in range(300)))
    after, page = count()
    assert len(page.rows) == 50
    assert before == after <= 8, "the permissions of a request need two more"
