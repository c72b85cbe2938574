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

match.dag.doc_md = """
**Rule:** releases of `team/app`.
**Receiver:** Flux, the Connection `flux_receiver`.

[Access log of this Dag](plugin/access-log?dag_id=flux_receiver)
"""
