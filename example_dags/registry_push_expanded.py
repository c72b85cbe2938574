# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Run one task instance for each delivery."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG

from airflow_registry_triggers import RegistryPushSensor, TriggerMatchOperator, WebhookDeliverOperator

# [START expanded]
with DAG(
    "registry_push_expanded",
    schedule="* * * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=16,
):
    push = RegistryPushSensor(
        task_id="push", repository="team/app", timeout=55, soft_fail=True, deferrable=True
    )
    match = TriggerMatchOperator(task_id="match", tag_regex=r"release-v.*", notifications=push.output)
    WebhookDeliverOperator.partial(task_id="deliver", webhook_conn_id="webhook_default").expand(
        notifications=match.output
    )
# [END expanded]

match.dag.doc_md = """
**Rule:** tags of `team/app` that match `release-v.*`.
**Receiver:** the Connection `webhook_default`, one task instance for each webhook.

[Access log of this Dag](plugin/access-log?dag_id=registry_push_expanded)
"""
