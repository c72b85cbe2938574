# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Delivery tasks in Airflow: bodies, signatures, many notifications, retries, and the notifier."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
from airflow.sdk import DAG, task
from airflow.sdk.definitions.retry_policy import RetryAction
from standardwebhooks import Webhook

from airflow_registry_triggers import WebhookDeliverOperator, WebhookNotifier, WebhookRetryPolicy
from airflow_registry_triggers.exceptions import DeliveryPending
from tests.harness.dag_test import run_dag
from tests.harness.receiver import Answer
from tests.integration.test_chain import new_dag, notification

pytestmark = pytest.mark.airflow

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLD_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


def deliver(items, **options):
    with new_dag() as dag:
        WebhookDeliverOperator(
            task_id="deliver",
            notifications=items,
            **{"webhook_conn_id": "webhook_default", "retries": 0, **options},
        )
    return dag


def many(count):
    return [notification(f"t{n}", id=f"{n:032x}", registry="r.example", action="new") for n in range(count)]


@pytest.fixture
def to_webhook(chain, connect):
    def define(**values):
        extra = {"path": "/hook", **values.pop("extra", {})}
        port = values.pop("port", chain.receiver.port)
        connect("webhook_default", conn_type="webhook", schema="http", host="127.0.0.1", port=port, extra=extra, **values)  # fmt: skip

    return define


def test_deliver_with_two_signing_secrets_signs_with_both(chain, to_webhook):
    to_webhook(password=SECRET, extra={"previous_signing_secret": OLD_SECRET})
    run_dag(deliver(many(1)))
    (received,) = chain.receiver.received("/hook")
    headers = {name.lower(): value for name, value in received.headers}
    for secret in (SECRET, OLD_SECRET):
        Webhook(secret).verify(received.body, headers)
    assert headers["webhook-signature"].count("v1,") == 2
    with pytest.raises(Exception, match="No matching signature"):
        Webhook(SECRET).verify(received.body + b" ", headers)


@pytest.mark.parametrize(
    ("body", "content_type", "check"),
    [
        ({"body_format": "cloudevents"}, "application/cloudevents+json", lambda sent: sent.json()["specversion"] == "1.0"),
        ({"body_format": "cloudevents-binary"}, "application/json", lambda sent: sent.header("ce-specversion") == "1.0"),
        ({"body_template": '{"text": {{ push_data.tag | tojson }}}'}, "application/json", lambda sent: sent.json() == {"text": "t0"}),
    ],
)  # fmt: skip
def test_deliver_with_a_body_option_sends_that_body(chain, body, content_type, check):
    run_dag(deliver(many(1), **body))
    (received,) = chain.receiver.received("/hook")
    assert received.header("Content-Type") == content_type
    assert check(received)


def test_deliver_with_a_template_that_renders_no_json_blocks_only_that_one(chain):
    items = many(2)
    items[0]["push_data"]["extra"] = "here"
    run = run_dag(
        deliver(items, body_template="{% if 'extra' in push_data %}no json{% else %}{}{% endif %}", retries=3)
    )
    assert run.states == {"deliver": "failed"}
    assert sorted(record["status_code"] for record in run.access_records()) == ["200", "blocked"]


def test_deliver_of_40_sends_16_at_a_time(chain):
    running, most, lock, are_16 = 0, 0, threading.Lock(), threading.Event()

    def count(_):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            if running == 16:
                are_16.set()
        are_16.wait(10)
        time.sleep(0.3)  # for the one that must not come
        with lock:
            running -= 1

    chain.receiver._on_request = count
    run = run_dag(deliver(many(40)))
    assert run.states == {"deliver": "success"}
    assert most == 16
    assert len(run.xcoms["deliver"]["access_log.200"]) == 40


def test_deliver_of_equal_notifications_sends_one(chain):
    run_dag(deliver(many(1) * 3))
    assert len(chain.receiver.received("/hook")) == 1


def test_deliver_with_a_malformed_value_records_it_and_sends_the_others(chain):
    run = run_dag(deliver([*many(1), {"bad": 1}], retries=3))
    assert run.states == {"deliver": "success"}
    assert len(chain.receiver.received("/hook")) == 1
    assert [summary["status_code"] for summary in run.xcoms["deliver"]["return_value"]] == [
        "200",
        "malformed",
    ]
    (record,) = run.xcoms["deliver"]["access_log.malformed"]
    assert "'push_data' is missing" in record["reason"]
    assert sorted(line["status_code"] for line in run.access_records()) == ["200", "malformed"]


def test_deliver_of_malformed_values_only_fails_without_a_retry(chain):
    run = run_dag(deliver([{"bad": 1}], retries=3))
    assert run.states == {"deliver": "failed"}
    assert chain.receiver.received() == []
    assert len(run.xcoms["deliver"]["access_log.malformed"]) == 1
    assert "none of them is a notification" in "".join(line.get("exception", "") for line in run.lines)


def test_deliver_with_success_statuses_and_410_ends_without_a_retry(chain):
    chain.receiver.script("/hook", Answer(409))
    assert run_dag(deliver(many(1), success_statuses=[409])).states == {"deliver": "success"}
    chain.receiver.script("/hook", Answer(410))
    assert run_dag(deliver(many(1), retries=3)).states == {"deliver": "failed"}
    assert len(chain.receiver.received("/hook")) == 2


def test_deliver_in_a_retry_lists_the_earlier_attempt(chain):
    chain.receiver.script("/hook", Answer(503, headers={"Retry-After": "1"}), Answer(200))
    dag = deliver(many(1), retries=1)
    dag.get_task("deliver").retry_policy = ShortPolicy()
    run = run_dag(dag)
    assert run.states == {"deliver": "success"}
    (record,) = run.xcoms["deliver"]["access_log.200"]
    (first,) = record["attempts"]
    assert first["status_code"] == "503"
    decisions = [line for line in run.lines if line["event"] == "Retry policy decision"]
    assert len(decisions) == 1
    assert "1 of 1 not delivered yet: team/app:t0" in decisions[0]["reason"]
    assert "503" in decisions[0]["reason"]
    pushed = [line for line in run.access_records() if line["status_code"] == "503"]
    assert len(pushed) == 1


class ShortPolicy(WebhookRetryPolicy):
    """The policy with its decision and without its wait."""

    def evaluate(self, exception, try_number, max_tries, context=None):
        decision = super().evaluate(exception, try_number, max_tries, context)
        assert decision.retry_delay >= timedelta(seconds=4)
        return type(decision)(decision.action, timedelta(seconds=0.2), decision.reason)


def test_deliver_with_retry_after_over_a_day_is_final(chain):
    chain.receiver.script("/hook", Answer(503, headers={"Retry-After": "86401"}))
    run = run_dag(deliver(many(1), retries=3))
    assert run.states == {"deliver": "failed"}
    assert len(chain.receiver.received("/hook")) == 1
    assert "24 h" in run.access_records()[0]["reason"]


def test_retry_policy_of_another_exception_is_the_tasks_default():
    policy = WebhookRetryPolicy()
    assert policy.evaluate(ValueError("x"), 1, 8).action is RetryAction.DEFAULT
    decision = policy.evaluate(DeliveryPending("1 x 503", wait=7.0), 1, 8)
    assert (decision.action, decision.retry_delay) == (RetryAction.RETRY, timedelta(seconds=7))
    assert WebhookRetryPolicy.deserialize(policy.serialize()) == policy


def test_deliver_with_own_retries_keeps_them():
    options = {"notifications": [], "url": "https://hooks.example.com/x"}
    plain = WebhookDeliverOperator(task_id="a", **options)
    assert (plain.retries, plain.retry_delay) == (8, timedelta(seconds=30))
    assert isinstance(plain.retry_policy, WebhookRetryPolicy)
    own = WebhookDeliverOperator(task_id="b", retries=1, retry_policy=None, **options)
    assert (own.retries, own.retry_policy) == (1, None)
    with DAG("with_defaults", default_args={"retries": 2, "retry_policy": None}):
        assert WebhookDeliverOperator(task_id="c", **options).retries == 2
        mapped = WebhookDeliverOperator.partial(task_id="d", url=options["url"]).expand(notifications=[1])
        assert (mapped.retries, mapped.retry_policy) == (2, None)
    with DAG("without"):
        mapped = WebhookDeliverOperator.partial(task_id="d", url=options["url"]).expand(notifications=[1])
        assert mapped.retries == 8
        assert isinstance(mapped.retry_policy, WebhookRetryPolicy)


def test_deliver_to_a_private_address_is_blocked_and_names_the_option(chain, monkeypatch):
    monkeypatch.delenv("AIRFLOW__REGISTRY_TRIGGERS__ALLOWED_NETWORKS")
    run = run_dag(deliver(many(1), retries=3))
    assert run.states == {"deliver": "failed"}
    (record,) = run.access_records()
    assert record["status_code"] == "blocked"
    assert "127.0.0.1" in record["reason"]
    assert "allowed_networks" in record["reason"]
    assert chain.receiver.received() == []


def test_deliver_to_another_receiver_does_not_use_the_connections_secrets(chain, to_webhook):
    to_webhook(password=SECRET)
    run = run_dag(deliver(many(1), url="http://127.0.0.2:8080/x"))
    assert run.states == {"deliver": "failed"}
    assert "different receivers" in "".join(line.get("exception", "") for line in run.lines)


def test_notifier_after_a_failed_task_sends_its_state(chain):
    with new_dag() as dag:

        @task(retries=0, on_failure_callback=WebhookNotifier(webhook_conn_id="webhook_default"))
        def breaks():
            raise ValueError("no")

        breaks()
    run_dag(dag)
    (received,) = chain.receiver.received("/hook")
    body = received.json()
    assert (body["dag_id"], body["task_id"], body["state"]) == (dag.dag_id, "breaks", "failed")
    assert received.header("webhook-id").startswith("msg_")


def test_notifier_with_a_templated_payload_sends_it(chain):
    with new_dag() as dag:

        @task(
            retries=0,
            on_success_callback=WebhookNotifier(
                webhook_conn_id="webhook_default", payload={"text": "{{ task.task_id }} of {{ dag.dag_id }}"}
            ),
        )
        def works():
            return 1

        works()
    run_dag(dag)
    assert chain.bodies() == [{"text": f"works of {dag.dag_id}"}]
    with pytest.raises(ValueError, match="443"):
        WebhookNotifier(url="https://hooks.example.com:8443/")
    with pytest.raises(ValueError, match="webhook_conn_id"):
        WebhookNotifier()
