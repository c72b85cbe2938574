# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A push starts the Dag: no sensor, no slot held."""

from __future__ import annotations

# [START event_driven]
from airflow.sdk import DAG

from airflow_registry_triggers import TriggerMatchOperator, WebhookDeliverOperator, repository_asset

with DAG("registry_event_to_webhook", schedule=repository_asset("team/app")):
    match = TriggerMatchOperator(task_id="match", trigger_name="releases", tag_regex=r"release-v.*")
    deliver = WebhookDeliverOperator(
        task_id="deliver", notifications=match.output, webhook_conn_id="webhook_default"
    )
# [END event_driven]
