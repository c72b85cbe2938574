# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

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
