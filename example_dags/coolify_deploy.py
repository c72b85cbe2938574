# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Deploy an application of Coolify."""

from __future__ import annotations

# [START coolify_deploy]
from airflow.sdk import DAG

from airflow_registry_triggers import TriggerMatchOperator, WebhookDeliverOperator, repository_asset

with DAG("coolify_deploy", schedule=repository_asset("team/app")):
    match = TriggerMatchOperator(task_id="match", tags=["latest"])
    WebhookDeliverOperator(task_id="deliver", notifications=match.output, webhook_conn_id="coolify")
# [END coolify_deploy]

match.dag.doc_md = """
**Rule:** the tag `latest` of `team/app`.
**Receiver:** Coolify, the Connection `coolify`.

[Access log of this Dag](plugin/access-log?dag_id=coolify_deploy)
"""
