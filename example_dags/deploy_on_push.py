# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The chain in ten lines."""

from __future__ import annotations

# [START deploy_on_push]
from airflow.sdk import DAG

from airflow_registry_triggers import RegistryPushSensor, TriggerMatchOperator, WebhookDeliverOperator

with DAG("deploy_on_push", schedule="* * * * *", catchup=False):
    push = RegistryPushSensor(task_id="push", repository="team/app", timeout=55, soft_fail=True)
    match = TriggerMatchOperator(task_id="match", tag_regex=r"release-v.*", notifications=push.output)
    WebhookDeliverOperator(task_id="deliver", notifications=match.output, webhook_conn_id="webhook_default")
# [END deploy_on_push]
