# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Poll on a schedule and send a webhook for each push of a release tag."""

from __future__ import annotations

# [START scheduled_chain]
from datetime import datetime

from airflow.sdk import DAG

from airflow_registry_triggers import RegistryPushSensor, TriggerMatchOperator, WebhookDeliverOperator

with DAG(
    "registry_push_to_webhook",
    schedule="* * * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=16,  # a delivery that is retried for hours does not block the next runs
):
    push = RegistryPushSensor(
        task_id="push",
        repository="team/app",
        deferrable=True,
        poke_interval=10,
        timeout=55,
        soft_fail=True,  # skip the run if nothing is pushed within the minute
    )
    match = TriggerMatchOperator(
        task_id="match", trigger_name="prod", tag_regex=r"release-v.*", notifications=push.output
    )
    deliver = WebhookDeliverOperator(
        task_id="deliver", notifications=match.output, webhook_conn_id="webhook_default"
    )
# [END scheduled_chain]

match.dag.doc_md = """
**Rule:** tags of `team/app` that match `release-v.*`, once a minute.
**Receiver:** the Connection `webhook_default`.

[Access log of this Dag](plugin/access-log?dag_id=registry_push_to_webhook)
"""
