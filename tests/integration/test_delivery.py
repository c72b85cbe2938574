# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""What the delivery task does beyond one attempt: bodies, signatures, many at once, tries, the notifier."""

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


def test_each_attempt_is_signed_with_both_secrets_current_first(chain, to_webhook):
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
def test_bodies(chain, body, content_type, check):
    run_dag(deliver(many(1), **body))
    (received,) = chain.receiver.received("/hook")
    assert received.header("Content-Type") == content_type
    assert check(received)


def test_a_template_that_gives_no_json_is_refused_for_good_and_the_others_go_on(chain):
    items = many(2)
    items[0]["push_data"]["extra"] = "here"
    run = run_dag(
        deliver(items, body_template="{% if 'extra' in push_data %}no json{% else %}{}{% endif %}", retries=3)
    )
    assert run.states == {"deliver": "failed"}
    assert sorted(record["status_code"] for record in run.access_records()) == ["200", "blocked"]


def test_up_to_16_are_under_way_at_once(chain):
    running, most, lock = 0, 0, threading.Lock()

    def count(_):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.3)
        with lock:
            running -= 1

    chain.receiver._on_request = count
    run = run_dag(deliver(many(40)))
    assert run.states == {"deliver": "success"}
    assert most == 16
    assert len(run.xcoms["deliver"]["access_log.200"]) == 40


def test_equal_notifications_are_sent_once(chain):
    run_dag(deliver(many(1) * 3))
    assert len(chain.receiver.received("/hook")) == 1


def test_malformed_ones_fail_the_task_after_the_others_were_sent(chain):
    run = run_dag(deliver([*many(1), {"bad": 1}], retries=3))
    assert run.states == {"deliver": "failed"}
    assert len(chain.receiver.received("/hook")) == 1
    assert "'push_data' is missing" in "".join(line.get("exception", "") for line in run.lines)


def test_success_statuses_and_gone(chain):
    chain.receiver.script("/hook", Answer(409))
    assert run_dag(deliver(many(1), success_statuses=[409])).states == {"deliver": "success"}
    chain.receiver.script("/hook", Answer(410))
    assert run_dag(deliver(many(1), retries=3)).states == {"deliver": "failed"}
    assert len(chain.receiver.received("/hook")) == 2


def test_the_wait_is_in_the_record_and_in_the_log(chain):
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
    assert "1 x 503" in decisions[0]["reason"]
    pushed = [line for line in run.access_records() if line["status_code"] == "503"]
    assert len(pushed) == 1


class ShortPolicy(WebhookRetryPolicy):
    """The policy with its decision and without its wait."""

    def evaluate(self, exception, try_number, max_tries, context=None):
        decision = super().evaluate(exception, try_number, max_tries, context)
        assert decision.retry_delay >= timedelta(seconds=4)
        return type(decision)(decision.action, timedelta(seconds=0.2), decision.reason)


def test_retry_after_a_day_is_final(chain):
    chain.receiver.script("/hook", Answer(503, headers={"Retry-After": "86401"}))
    run = run_dag(deliver(many(1), retries=3))
    assert run.states == {"deliver": "failed"}
    assert len(chain.receiver.received("/hook")) == 1
    assert "more than 24 h" in run.access_records()[0]["reason"]


def test_the_policy_leaves_other_exceptions_to_the_task():
    policy = WebhookRetryPolicy()
    assert policy.evaluate(ValueError("x"), 1, 8).action is RetryAction.DEFAULT
    decision = policy.evaluate(DeliveryPending("1 x 503", wait=7.0), 1, 8)
    assert (decision.action, decision.retry_delay) == (RetryAction.RETRY, timedelta(seconds=7))
    assert WebhookRetryPolicy.deserialize(policy.serialize()) == policy


def test_retries_and_policy_can_be_set_by_the_caller_and_by_default_args():
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


def test_an_address_that_is_not_allowed_is_blocked_and_the_text_says_how_to_allow_it(chain, monkeypatch):
    monkeypatch.delenv("AIRFLOW__REGISTRY_TRIGGERS__ALLOWED_NETWORKS")
    run = run_dag(deliver(many(1), retries=3))
    assert run.states == {"deliver": "failed"}
    (record,) = run.access_records()
    assert record["status_code"] == "blocked"
    assert "127.0.0.1" in record["reason"]
    assert "allowed_networks" in record["reason"]
    assert chain.receiver.received() == []


def test_the_secrets_of_a_connection_are_not_sent_to_another_receiver(chain, to_webhook):
    to_webhook(password=SECRET)
    run = run_dag(deliver(many(1), url="http://127.0.0.2:8080/x"))
    assert run.states == {"deliver": "failed"}
    assert "different receivers" in "".join(line.get("exception", "") for line in run.lines)


def test_a_notifier_tells_of_a_failed_task(chain):
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


def test_a_notifiers_payload_is_templated_and_its_url_obeys_the_rules(chain):
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
    with pytest.raises(ValueError, match="nowhere"):
        WebhookNotifier()


async def test_a_notifier_can_be_awaited(chain):
    notifier = WebhookNotifier(url=f"{chain.receiver.url}/hook", payload={"a": 1})
    await notifier.async_notify({})
    assert chain.bodies() == [{"a": 1}]
    chain.receiver.script("/hook", Answer(500))
    with pytest.raises(RuntimeError, match="500"):
        await notifier.async_notify({})
