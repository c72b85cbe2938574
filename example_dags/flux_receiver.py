# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Let Flux scan a repository at once."""

from __future__ import annotations

# [START flux_receiver]
from airflow.sdk import DAG

from airflow_registry_triggers import TriggerMatchOperator, WebhookDeliverOperator, repository_asset

with DAG("flux_receiver", schedule=repository_asset("team/app")):
    match = TriggerMatchOperator(task_id="match", semver="*")
    WebhookDeliverOperator(task_id="deliver", notifications=match.output, webhook_conn_id="flux_receiver")
# [END flux_receiver]
