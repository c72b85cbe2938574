# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The chain of tasks, run by Airflow in this process, between a real registry and a real receiver."""

from __future__ import annotations

import json
import threading
from datetime import datetime
from itertools import count

import pytest
from airflow.models.taskinstance import TaskInstance
from airflow.sdk import DAG, task, task_group
from airflow.utils.session import create_session
from sqlalchemy import select

from airflow_registry_triggers import RegistryPushSensor, TriggerMatchOperator, WebhookDeliverOperator
from tests.harness.dag_test import run_dag
from tests.harness.processes import wait_until
from tests.harness.receiver import Answer

pytestmark = pytest.mark.airflow

_ids = count()

MODES = {
    "poke": {"mode": "poke"},
    "reschedule": {"mode": "reschedule"},
    "deferrable": {"deferrable": True},
}


def new_dag(**options):
    return DAG(f"chain_{next(_ids)}", schedule=None, start_date=datetime(2026, 1, 1), **options)


def sensor(chain, **options):
    defaults = {"task_id": "push", "repository": chain.repository, "poke_interval": 0.3, "timeout": 1.5}
    return RegistryPushSensor(**{**defaults, "retries": 0, "soft_fail": True, **options})


def whole_chain(chain, match=None, deliver=None, **push):
    with new_dag() as dag:
        found = sensor(chain, **push)
        matched = TriggerMatchOperator(
            task_id="match",
            trigger_name="prod",
            notifications=found.output,
            **{"tag_regex": "release-v.*", **(match or {})},
        )
        WebhookDeliverOperator(
            task_id="deliver",
            notifications=matched.output,
            **{"webhook_conn_id": "webhook_default", "retries": 0, **(deliver or {})},
        )
    return dag


def seeded(chain, dag):
    """Push something and let the first run take its baseline; by poking, as dag.test() ends no deferral."""
    chain.push("v0")
    push = dag.get_task("push")
    deferrable, push.deferrable = push.deferrable, False
    timeout, push.timeout = push.timeout, min(push.timeout, 1.5)
    first = run_dag(dag)
    push.deferrable, push.timeout = deferrable, timeout
    assert first.states["push"] == "skipped"
    assert chain.bodies() == []


def notification(tag="release-v1", **event):
    return {
        "push_data": {"digest": "sha256:" + "a" * 64, "pushed_at": "2026-01-01 00:00:00", "tag": tag},
        "repository": {"repo_full_name": "team/app", "name": "app", "namespace": "team"},
        **({"event": event} if event else {}),
    }


def test_sensor_deferred_until_a_push_returns_it(chain):
    with new_dag() as dag:
        sensor(chain, deferrable=True, timeout=180)
    seeded(chain, dag)
    digests = []
    listing = f"/v2/{chain.repository}/tags/list"

    def polls():
        return sum(line.path.partition("?")[0] == listing for line in chain.registry.requests())

    def push_after_the_deferral():
        # The first poll is the worker's own, the second is that of the Airflow trigger.
        wait_until(lambda: polls() >= 2, 120, "two polls")
        digests.append(chain.push("late"))

    chain.registry.forget_requests()
    pusher = threading.Thread(target=push_after_the_deferral)
    pusher.start()
    run = run_dag(dag)
    pusher.join()
    assert run.states == {"push": "success"}
    (found,) = run.xcoms["push"]["return_value"]
    assert [found["push_data"]["digest"]] == digests
    assert any(
        "deferral" in str(line["event"]).lower() or "defer" in str(line["event"]).lower()
        for line in run.lines
    )


@pytest.mark.parametrize("mode", MODES)
def test_chain_after_a_push_delivers_it(chain, mode):
    dag = whole_chain(chain, **MODES[mode])
    seeded(chain, dag)
    digest = chain.push("release-v1")
    chain.push("other")

    run = run_dag(dag)

    assert run.states == {"push": "success", "match": "success", "deliver": "success"}
    (received,) = chain.receiver.received("/hook")
    assert received.method == "POST"
    assert received.header("Content-Type") == "application/json"
    body = received.json()
    assert list(body) == ["push_data", "repository"]
    assert list(body["push_data"]) == ["digest", "pushed_at", "tag"]
    assert list(body["repository"]) == [
        "date_created", "name", "namespace", "region", "repo_authentication_type",
        "repo_full_name", "repo_origin_type", "repo_type",
    ]  # fmt: skip
    assert (body["push_data"]["tag"], body["push_data"]["digest"]) == ("release-v1", digest)
    assert body["repository"]["repo_full_name"] == chain.repository
    statuses = {record["tag"]: record["status_code"] for record in run.access_records("match")}
    assert statuses == {"release-v1": "triggered", "other": "untriggered"}
    (sent,) = run.access_records("deliver")
    assert sent["status_code"] == "200"
    assert sent["trigger_name"] == "prod"
    assert sent["trigger_tag"] == "release-v.*"
    assert sent["trigger_log_id"] == f"{received.header('webhook-id')}/1"
    (stored,) = run.xcoms["deliver"]["access_log.200"]
    assert stored["request_body"]
    assert run.xcoms["deliver"]["return_value"] == [
        {
            "id": stored["notification_id"],
            "repository": chain.repository,
            "tag": "release-v1",
            "digest": digest,
            "status_code": "200",
            "reason": stored["reason"],
        }
    ]
    assert run.xcoms["match"]["access_log.untriggered"][0]["tag"] == "other"


def test_sensor_in_three_modes_returns_the_same_pushes(chain):
    dags = {}
    for mode, options in MODES.items():
        with new_dag() as dags[mode]:
            sensor(chain, **options)
        seeded(chain, dags[mode])
    digests = {"a": chain.push("a"), "v0": chain.push("v0")}
    answers = {mode: run_dag(dag).xcoms["push"]["return_value"] for mode, dag in dags.items()}
    for found in answers.values():
        assert {item["push_data"]["tag"]: item["push_data"]["digest"] for item in found} == digests
        assert {item["push_data"]["tag"]: item["event"]["action"] for item in found} == {
            "a": "new",
            "v0": "updated",
        }


def test_chain_without_a_new_push_delivers_nothing_again(chain):
    dag = whole_chain(chain)
    seeded(chain, dag)
    chain.push("release-v1")
    run_dag(dag)
    assert run_dag(dag).states["push"] == "skipped"
    chain.push("release-v1")
    again = run_dag(dag)
    assert again.access_records("match")[0]["repo_event"] == "updated"
    ids = [item.header("webhook-id") for item in chain.receiver.received("/hook")]
    assert len(set(ids)) == len(ids) == 2


def test_chain_with_first_run_notify_delivers_existing_tags(chain):
    chain.push("release-v1", "release-v2")
    run_dag(whole_chain(chain, first_run="notify"))
    assert {body["push_data"]["tag"] for body in chain.bodies()} == {"release-v1", "release-v2"}


def test_match_without_a_match_skips_all_downstream_tasks(chain):
    dag = whole_chain(chain)
    with dag:

        @task(trigger_rule="all_done")
        def after():
            return 1

        dag.get_task("deliver") >> after()
    seeded(chain, dag)
    chain.push("pre-release-v1")
    run = run_dag(dag)
    assert run.states == {"push": "success", "match": "success", "deliver": "skipped", "after": "skipped"}
    assert run.xcoms["match"]["return_value"] == []
    assert chain.receiver.received() == []
    (record,) = run.access_records()
    assert record["status_code"] == "untriggered"
    assert "whole tag" in record["reason"]


def test_deliver_mapped_over_a_match_sends_one_each(chain):
    with new_dag() as dag:
        found = sensor(chain, first_run="notify")
        matched = TriggerMatchOperator(task_id="match", notifications=found.output)
        WebhookDeliverOperator.partial(
            task_id="deliver", webhook_conn_id="webhook_default", retries=0
        ).expand(notifications=matched.output)
    chain.push("a", "b")
    run = run_dag(dag)
    assert run.states["deliver[0]"] == run.states["deliver[1]"] == "success"
    assert {body["push_data"]["tag"] for body in chain.bodies()} == {"a", "b"}


@pytest.mark.parametrize("status", [200, 404, 500])
def test_deliver_mapped_names_its_instance_after_the_result(chain, status):
    chain.receiver.script("/hook", Answer(status))
    with new_dag() as dag:
        WebhookDeliverOperator.partial(
            task_id="deliver", webhook_conn_id="webhook_default", retries=0
        ).expand(notifications=[notification("a")])
    run = run_dag(dag)
    with create_session() as session:
        (named,) = session.scalars(
            select(TaskInstance.rendered_map_index).where(TaskInstance.run_id == run.run_id)
        )
    assert named == f"team/app:a → {status}"


def test_deliver_after_mapped_matches_flattens_their_lists(chain):
    with new_dag() as dag:
        matched = TriggerMatchOperator.partial(task_id="match", tags=["a"]).expand(
            notifications=[notification("a"), notification("b")]
        )
        WebhookDeliverOperator(
            task_id="deliver", notifications=matched.output, webhook_conn_id="webhook_default", retries=0
        )
    run = run_dag(dag)
    assert run.states == {"match[0]": "success", "match[1]": "success", "deliver": "success"}
    assert [body["push_data"]["tag"] for body in chain.bodies()] == ["a"]


def test_match_in_a_mapped_task_group_skips_only_its_instance(chain):
    with new_dag() as dag:

        @task_group
        def each(item):
            matched = TriggerMatchOperator(task_id="match", tags=["a"], notifications=item)
            WebhookDeliverOperator(
                task_id="deliver", notifications=matched.output, webhook_conn_id="webhook_default", retries=0
            )

        each.expand(item=[notification("a"), notification("b")])
    run = run_dag(dag)
    assert run.states == {
        "each.match[0]": "success",
        "each.deliver[0]": "success",
        "each.match[1]": "skipped",
        "each.deliver[1]": "skipped",
    }
    assert [body["push_data"]["tag"] for body in chain.bodies()] == ["a"]


def test_chain_with_a_notification_in_the_conf_tests_the_trigger(chain):
    dag = whole_chain(chain)
    seeded(chain, dag)
    run = run_dag(dag, conf={"notification": notification()})
    assert run.states == {"push": "success", "match": "success", "deliver": "success"}
    assert chain.bodies() == [
        {"push_data": notification()["push_data"],
         "repository": {"name": "app", "namespace": "team", "repo_full_name": "team/app"}}
    ]  # fmt: skip
    chain.push("release-v2")
    assert run_dag(dag).states["deliver"] == "success", "the watermark must not have moved"


def stored_states():
    """Return every row of Airflow's two state stores."""
    from airflow.utils.session import create_session
    from sqlalchemy import text

    with create_session() as session:
        return [
            session.execute(text(f"SELECT * FROM {table} ORDER BY 1, 2")).all()
            for table in ("asset_state_store", "task_state_store")
        ]


def test_dry_run_sends_nothing_changes_no_state_and_leaves_its_record(chain):
    dag = whole_chain(chain)
    seeded(chain, dag)
    before = stored_states()
    run = run_dag(dag, conf={"notification": notification(), "dry_run": True})
    assert run.states == {"push": "success", "match": "success", "deliver": "success"}
    (triggered,) = run.xcoms["match"]["access_log.triggered"]
    (checked,) = run.xcoms["deliver"]["access_log.dry_run"]
    assert triggered["is_test"] is checked["is_test"] is True
    assert checked["reason"].startswith("dry run: nothing was sent; 127.0.0.1 is 127.0.0.1")
    assert checked["request_headers"]["webhook-id"].startswith("msg_")
    assert '"release-v1"' in checked["request_body"]
    assert chain.receiver.received() == []
    assert stored_states() == before
    chain.push("release-v2")
    assert run_dag(dag).states["deliver"] == "success"


def test_dry_run_of_a_blocked_receiver_fails_without_a_retry(chain):
    dag = whole_chain(chain, deliver={"url": "{{ 'http://10.1.2.3/x' }}", "webhook_conn_id": None})
    run = run_dag(dag, conf={"notification": notification(), "dry_run": True})
    assert run.states == {"push": "success", "match": "success", "deliver": "failed"}
    (record,) = run.xcoms["deliver"]["access_log.blocked"]
    assert record["reason"].startswith("Nothing was sent: 10.1.2.3 is a private address.")
    (error,) = [line["exception"] for line in run.log("deliver") if "exception" in line]
    assert "1 of 1 webhooks failed: team/app:release-v1 → 10.1.2.3 blocked" in error


@pytest.mark.parametrize("value", ["true", 1])
def test_dry_run_that_is_not_a_boolean_fails_before_anything_is_sent(chain, value):
    run = run_dag(whole_chain(chain), conf={"notification": notification(), "dry_run": value})
    assert (run.states["match"], run.states["deliver"]) == ("failed", "upstream_failed")
    assert chain.receiver.received() == []


def test_test_of_a_receiver_that_is_down_is_not_retried(chain):
    chain.receiver.script("/hook", Answer(503))
    run = run_dag(whole_chain(chain, deliver={"retries": 8}), conf={"notification": notification()})
    assert run.states["deliver"] == "failed"
    (record,) = run.xcoms["deliver"]["access_log.503"]
    assert record["is_test"] is True
    assert "next_try_at" not in record
    assert len(chain.receiver.received()) == 1


def test_match_with_malformed_values_in_the_conf_records_them_and_delivers_the_others(chain):
    run = run_dag(whole_chain(chain), conf={"notification": [notification(), {"bad": "x" * 500}, "text"]})
    assert run.states == {"push": "success", "match": "success", "deliver": "success"}
    assert statuses(run) == ["triggered", "malformed", "malformed"]
    first, second = run.xcoms["match"]["access_log.malformed"]
    assert first["reason"].startswith("value 2: not a notification: 'push_data' is missing")
    assert "x" * 150 in first["reason"]
    assert "x" * 200 not in first["reason"]
    assert first["trigger_log_id"] != second["trigger_log_id"]
    (warning,) = [line for line in run.log("match") if line["level"] == "warning"]
    assert "2 of 3 values are not notifications" in str(warning["event"])
    assert [body["push_data"]["tag"] for body in chain.bodies()] == ["release-v1"]


def test_match_with_malformed_values_only_fails_without_a_retry(chain):
    run = run_dag(whole_chain(chain, match={"retries": 3}), conf={"notification": [{"bad": 1}, "text"]})
    assert run.states["match"] == "failed"
    assert run.states["deliver"] == "upstream_failed"
    (error,) = [line["exception"] for line in run.log("match") if "exception" in line]
    assert "got 2 values, and none of them is a notification" in error
    assert [record["status_code"] for record in run.xcoms["match"]["access_log.malformed"]] == [
        "malformed"
    ] * 2
    assert chain.receiver.received() == []


def test_deliver_after_a_failed_task_is_upstream_failed(chain):
    with new_dag() as dag:

        @task(retries=0)
        def approve():
            raise ValueError("no")

        deliver = WebhookDeliverOperator(
            task_id="deliver", notifications=[notification()], webhook_conn_id="webhook_default", retries=0
        )
        approve() >> deliver
    run = run_dag(dag)
    assert run.states == {"approve": "failed", "deliver": "upstream_failed"}
    assert chain.receiver.received() == []


def test_deliver_without_notifications_is_skipped(chain):
    with new_dag() as dag:
        TriggerMatchOperator(task_id="match")
        WebhookDeliverOperator(task_id="deliver", notifications=[], webhook_conn_id="webhook_default")
    assert run_dag(dag).states == {"match": "success", "deliver": "skipped"}


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (Answer(500), "500"),
        (Answer(404), "404"),
        (Answer(301, headers={"Location": "/elsewhere"}), "301"),
        (Answer(close=True), "connection_reset"),
        (Answer(reset=True), "connection_reset"),
    ],
)
def test_deliver_to_a_failing_receiver_records_the_status(chain, answer, status):
    chain.receiver.script("/hook", answer, Answer(200))
    with new_dag() as dag:
        WebhookDeliverOperator(
            task_id="deliver",
            notifications=[notification("a", id="1" * 32), notification("b", id="2" * 32)],
            webhook_conn_id="webhook_default",
            retries=0,
        )
    run = run_dag(dag)
    assert run.states == {"deliver": "failed"}
    assert {record["status_code"] for record in run.access_records()} == {status, "200"}
    assert len(chain.receiver.received("/hook")) == 2
    assert chain.receiver.received("/elsewhere") == []
    assert run.xcoms["deliver"][f"access_log.{status}"]


def test_deliver_in_a_retry_sends_only_pending_ones_with_the_same_ids(chain):
    chain.receiver.script("/hook", Answer(503), Answer(404), Answer(200))
    with new_dag() as dag:
        WebhookDeliverOperator(
            task_id="deliver",
            notifications=[notification(tag, id=tag * 32) for tag in "abc"],
            webhook_conn_id="webhook_default",
            retries=2,
            retry_policy=None,
            retry_delay=0.2,
        )
    run = run_dag(dag)
    ids = [item.header("webhook-id") for item in chain.receiver.received("/hook")]
    assert len(ids) == 4
    assert len(set(ids)) == 3
    assert run.states == {"deliver": "failed"}, "one was refused for good"
    records = {record["tag"]: record for record in run.xcoms["deliver"]["access_log.200"]}
    assert len(records) == 2
    assert len(run.xcoms["deliver"]["access_log.404"]) == 1
    retried = next(record for record in records.values() if record["try_number"] == 2)
    assert [attempt["status_code"] for attempt in retried["attempts"]] == ["503"]


def test_deliver_to_a_blocked_url_records_it_and_sends_nothing(chain, monkeypatch):
    monkeypatch.setenv("AIRFLOW_VAR_HOOK", "https://127.0.0.1:8443/x?key=planted")
    with new_dag() as dag:
        WebhookDeliverOperator(
            task_id="deliver", notifications=[notification()], url="{{ var.value.hook }}", retries=3
        )
    run = run_dag(dag)
    assert run.states == {"deliver": "failed"}
    (record,) = run.access_records()
    assert record["status_code"] == "blocked"
    assert "443" in record["reason"]
    assert "planted" not in json.dumps(run.xcoms)
    assert "planted" not in repr(run.lines)


def test_match_with_a_templated_bad_rule_fails_when_rendered(chain, monkeypatch):
    monkeypatch.setenv("AIRFLOW_VAR_RULE", "(?=x)")
    with new_dag() as dag:
        TriggerMatchOperator(
            task_id="match", tag_regex="{{ var.value.rule }}", notifications=[notification()], retries=3
        )
    run = run_dag(dag)
    assert run.states == {"match": "failed"}
    assert "look-around" in repr(run.lines)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: TriggerMatchOperator(task_id="t", tags=["a"], tag_regex="b"), "cannot be combined"),
        (lambda: TriggerMatchOperator(task_id="t", tags=list("abcdefghijk")), "at most 10"),
        (lambda: TriggerMatchOperator.partial(task_id="t", tag_regex="["), "missing ]"),
        (lambda: RegistryPushSensor(task_id="t", repository="Team/App"), "repository"),
        (lambda: RegistryPushSensor(task_id="t", repository="a/b", tag_regex="(?=x)"), "look-around"),
        (lambda: RegistryPushSensor(task_id="t", repository="a/b", first_run="all"), "first_run"),
        (lambda: RegistryPushSensor.partial(task_id="t", repository="a b"), "repository"),
        (lambda: WebhookDeliverOperator(task_id="t", notifications=[]), "receiver is missing"),
        (lambda: WebhookDeliverOperator(task_id="t", notifications=[], url="https://h:8443/"), "443"),
        (lambda: WebhookDeliverOperator(task_id="t", notifications=[], url="http://h:22/"), "22"),
        (lambda: WebhookDeliverOperator(task_id="t", notifications=[], url="ftp://h/"), "ftp"),
        (lambda: WebhookDeliverOperator(task_id="t", notifications=[], url="h/x"), "scheme"),
        (lambda: WebhookDeliverOperator(task_id="t", notifications=[], url="http://h:0/"), "0"),
        (lambda: WebhookDeliverOperator(task_id="t", notifications=[], url="http://h:70000/"), "70000"),
        (lambda: WebhookDeliverOperator(task_id="t", notifications=[], url="http://h/", request_timeout=90), "1 to 60"),
        (lambda: WebhookDeliverOperator(task_id="t", notifications=[], url="http://h/", success_statuses=[700]), "700"),
        (lambda: WebhookDeliverOperator(task_id="t", notifications=[], url="http://h/", headers={"Host": "x"}), "Host"),
        (lambda: WebhookDeliverOperator(task_id="t", notifications=[], url="http://h/", body_template="{{ x"), "body"),
        (lambda: WebhookDeliverOperator.partial(task_id="t", url="http://h:22/"), "22"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:.*was never mapped")
def test_operators_with_a_bad_literal_argument_raise_while_parsing(make, words):
    with pytest.raises(ValueError) as error:
        make()
    assert words in str(error.value)


def test_deliver_with_a_literal_query_warns():
    with pytest.warns(UserWarning, match="secret_query"):
        WebhookDeliverOperator(task_id="t", notifications=[], url="https://hooks.example.com/x?key=1")


def pushed(tag="a", push_id="1", generation=1):
    return notification(
        tag, id=push_id * 32, epoch="e", generation=generation, registry="r.example", action="new"
    )


def match_dag(**options):
    with new_dag() as dag:
        TriggerMatchOperator(task_id="match", retries=0, **options)
    return dag


def statuses(run, task="match"):
    return [record["status_code"] for record in run.access_records(task)]


def test_match_of_a_push_in_two_runs_is_a_duplicate_in_the_second():
    dag = match_dag(notifications=[pushed()])
    first = run_dag(dag)
    again = run_dag(dag)
    assert (statuses(first), statuses(again)) == (["triggered"], ["duplicate"])
    assert "an earlier run of this Dag processed this push at 20" in again.access_records()[0]["reason"]


def test_match_of_another_id_with_the_same_generation_triggers():
    dag_id = new_dag().dag_id
    seen = []
    for push_id in "12":
        with DAG(dag_id, schedule=None) as dag:
            TriggerMatchOperator(task_id="match", notifications=[pushed(push_id=push_id)])
        seen += statuses(run_dag(dag))
    assert seen == ["triggered", "triggered"]


def test_match_by_conf_is_not_a_duplicate_and_makes_none():
    dag_id = new_dag().dag_id
    with DAG(dag_id, schedule=None) as by_conf:
        TriggerMatchOperator(task_id="match")
    with DAG(dag_id, schedule=None) as real:
        TriggerMatchOperator(task_id="match", notifications=[pushed()])
    conf = {"notification": pushed()}
    assert statuses(run_dag(by_conf, conf=conf)) == ["triggered"]
    assert statuses(run_dag(real)) == ["triggered"]
    assert statuses(run_dag(by_conf, conf=conf)) == ["triggered"]
    assert statuses(run_dag(real)) == ["duplicate"]


def test_match_with_collapse_triggers_the_newest_and_never_the_older_later():
    older, newer = pushed(push_id="1", generation=1), pushed(push_id="2", generation=2)
    dag_id = new_dag().dag_id

    def run_with(*items):
        with DAG(dag_id, schedule=None) as dag:
            TriggerMatchOperator(task_id="match", notifications=list(items), collapse=True)
        return run_dag(dag)

    first = run_with(newer, older, pushed("b", "3"))
    assert statuses(first) == ["triggered", "untriggered", "triggered"]
    assert statuses(run_with(older)) == ["duplicate"]


def test_match_mapped_over_rules_applies_each(chain):
    with new_dag() as dag:
        TriggerMatchOperator.partial(task_id="match", notifications=[pushed("a")]).expand_kwargs(
            [{"trigger_name": "one", "tags": ["a"]}, {"trigger_name": "two", "tag_regex": "a.*"}]
        )
    run = run_dag(dag)
    assert statuses(run, "match[0]") == statuses(run, "match[1]") == ["triggered"]


def test_deliver_after_two_matches_needs_one(chain):
    with new_dag() as dag:
        none = TriggerMatchOperator(task_id="none", tags=["x"], notifications=[notification("a", id="1")])
        some = TriggerMatchOperator(task_id="some", tags=["a"], notifications=[notification("a", id="1")])
        WebhookDeliverOperator(
            task_id="deliver", notifications=[none.output, some.output], webhook_conn_id="webhook_default"
        )
    run = run_dag(dag)
    assert run.states == {"none": "success", "some": "success", "deliver": "success"}
    assert len(chain.bodies()) == 1


def test_deliver_outside_a_mapped_group_gets_the_pushes_of_any_instance(chain):
    with new_dag() as dag:

        @task_group
        def each(item):
            return TriggerMatchOperator(task_id="match", tags=["a"], notifications=item).output

        WebhookDeliverOperator(
            task_id="deliver",
            notifications=each.expand(item=[notification("a"), notification("b")]),
            webhook_conn_id="webhook_default",
        )
    run = run_dag(dag)
    assert run.states["deliver"] == "success"
    assert [body["push_data"]["tag"] for body in chain.bodies()] == ["a"]


def test_match_after_two_sensors_needs_one_push(chain):
    with new_dag() as dag:
        found = sensor(chain, task_id="found", first_run="notify")
        empty = sensor(chain, task_id="empty", timeout=0.2)
        TriggerMatchOperator(task_id="match", notifications=[found.output, empty.output])
    chain.push("a")
    run = run_dag(dag)
    assert run.states == {"found": "success", "empty": "skipped", "match": "success"}
    assert statuses(run) == ["triggered"]


def test_match_mapped_without_ids_gives_each_instance_its_own(chain):
    with new_dag() as dag:
        TriggerMatchOperator.partial(task_id="match").expand(
            notifications=[notification("a"), notification("b")]
        )
    run = run_dag(dag)
    ids = {record["notification_id"] for record in run.access_records()}
    assert len(ids) == 2


@pytest.mark.filterwarnings("ignore:.*was never mapped")
def test_deliver_with_literal_secrets_warns():
    with pytest.warns(UserWarning, match="secret_query or path"):
        WebhookDeliverOperator(
            task_id="t",
            notifications=[],
            url="https://hooks.example.com/services/T000/AbCdEfGhIjKlMnOpQrStUvWx",
        )
    with pytest.warns(UserWarning, match="Connection's headers"):
        WebhookDeliverOperator(
            task_id="t",
            notifications=[],
            url="https://hooks.example.com/x",
            headers={"Authorization": "Bearer x"},
        )
