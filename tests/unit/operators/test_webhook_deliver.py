# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

import subprocess
import sys

import pytest

from airflow_registry_triggers.delivery.retry_policy import WebhookRetryPolicy
from airflow_registry_triggers.operators.webhook_deliver import WebhookDeliverOperator


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"url": "http://10.0.0.1/hook"}, "10.0.0.1"),
        ({"url": "https://hooks.example.com:8443/"}, "8443"),
        ({"request_timeout": 0}, "request_timeout=0"),
        ({"body_format": "cloudevents", "body_template": "{}"}, "body_template"),
        ({"success_statuses": [600]}, "600"),
    ],
)
def test_operator_invalid_literal_is_an_error_while_the_dag_is_parsed(arguments, text):
    arguments = {"webhook_conn_id": "receiver", **arguments}
    with pytest.raises(ValueError, match=text):
        WebhookDeliverOperator(task_id="deliver", notifications=[], **arguments)
    with pytest.raises(ValueError, match=text):
        WebhookDeliverOperator.partial(task_id="deliver", **arguments)


def test_operator_templated_url_is_left_to_the_run():
    WebhookDeliverOperator(task_id="deliver", notifications=[], url="{{ var.value.receiver }}")


def test_operator_defaults_are_those_of_the_delivery_policy():
    deliver = WebhookDeliverOperator(task_id="deliver", notifications=[], webhook_conn_id="receiver")
    assert (deliver.retries, deliver.request_timeout) == (8, 15)
    assert deliver.retry_policy == WebhookRetryPolicy()
    assert deliver.trigger_rule == "none_failed_min_one_success"


def test_operator_without_a_receiver_is_an_error():
    with pytest.raises(ValueError, match="set url, webhook_conn_id or both"):
        WebhookDeliverOperator(task_id="deliver", notifications=[])


PARSED_FOR = """
import os, sys, threading

from airflow.sdk import DAG

from airflow_registry_triggers import WebhookDeliverOperator

os.environ["_AIRFLOW_PARSING_CONTEXT_DAG_ID"], os.environ["_AIRFLOW_PARSING_CONTEXT_TASK_ID"] = sys.argv[1:]
with DAG("images"):
    WebhookDeliverOperator(task_id="deliver", notifications=[], webhook_conn_id="receiver")
for thread in threading.enumerate():
    if thread is not threading.main_thread():
        thread.join(60)
print("aiohttp" in sys.modules)
"""


@pytest.mark.parametrize(
    ("dag_id", "task_id", "is_imported"),
    [("images", "deliver", True), ("images", "match", False), ("other", "deliver", False)],
)
def test_only_the_worker_of_the_delivery_imports_the_http_client_while_it_parses(
    dag_id, task_id, is_imported
):
    command = [sys.executable, "-c", PARSED_FOR, dag_id, task_id]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    assert ended.stdout.split()[-1] == str(is_imported)
