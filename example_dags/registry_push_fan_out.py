# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Apply two rules to one push, each with its own delivery."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG

from airflow_registry_triggers import RegistryPushSensor, TriggerMatchOperator, WebhookDeliverOperator

# [START fan_out]
with DAG(
    "registry_push_fan_out",
    schedule="* * * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=16,
):
    push = RegistryPushSensor(
        task_id="push", repository="team/app", timeout=55, soft_fail=True, deferrable=True
    )

    releases = TriggerMatchOperator(
        task_id="releases", trigger_name="prod", tag_regex=r"release-v.*", notifications=push.output
    )
    WebhookDeliverOperator(
        task_id="deliver_releases", notifications=releases.output, webhook_conn_id="webhook_default"
    )

    latest = TriggerMatchOperator(
        task_id="latest", trigger_name="staging", tags=["latest", "main"], notifications=push.output
    )
    WebhookDeliverOperator(
        task_id="deliver_latest",
        notifications=latest.output,
        webhook_conn_id="webhook_default",
        headers={"X-Environment": "staging"},
    )
# [END fan_out]

releases.dag.doc_md = """
**Rule:** `prod` takes tags of `team/app` that match `release-v.*`, `staging` takes `latest` and `main`.
**Receiver:** the Connection `webhook_default`; the header `X-Environment` names the rule.

[Access log of this Dag](plugin/access-log?dag_id=registry_push_fan_out)
"""
