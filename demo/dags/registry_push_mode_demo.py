# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Two event-driven Dags that differ in their Connection only: one polls, the other takes webhooks."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_registry_triggers import TriggerMatchOperator, WebhookDeliverOperator, repository_asset

for dag_id, repository, conn_id in (
    ("registry_poll_demo", "team/polled", "demo_registry"),
    ("registry_push_mode_demo", "team/pushed", "demo_push_mode"),
):
    with DAG(dag_id, schedule=repository_asset(repository, conn_id), tags=["demo"]):
        match = TriggerMatchOperator(task_id="match", tag_regex="release-v.*")
        WebhookDeliverOperator(task_id="deliver", notifications=match.output, webhook_conn_id="demo_webhook")
