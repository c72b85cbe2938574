# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A push of a release tag becomes a webhook, on a schedule."""

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
    max_active_runs=16,  # a delivery that is tried for hours holds up no other run
):
    push = RegistryPushSensor(
        task_id="push",
        repository="team/app",
        deferrable=True,
        poke_interval=10,
        timeout=55,
        soft_fail=True,  # no push within the minute: the run is skipped
    )
    match = TriggerMatchOperator(
        task_id="match", trigger_name="prod", tag_regex=r"release-v.*", notifications=push.output
    )
    deliver = WebhookDeliverOperator(
        task_id="deliver", notifications=match.output, webhook_conn_id="webhook_default"
    )
# [END scheduled_chain]
