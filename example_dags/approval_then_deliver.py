# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Ask a person before a release goes to production."""

from __future__ import annotations

# [START approval_then_deliver]
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG

from airflow_registry_triggers import TriggerMatchOperator, WebhookDeliverOperator, repository_asset

with DAG("approval_then_deliver", schedule=repository_asset("team/app")):
    match = TriggerMatchOperator(task_id="match", semver=">=1", collapse="image")
    approve = ApprovalOperator(
        task_id="approve",
        subject="Deploy to production?",
        body="{% for push in ti.xcom_pull('match') %}* {{ push.event.image }}\n{% endfor %}",
    )
    deliver = WebhookDeliverOperator(
        task_id="deliver", notifications=match.output, webhook_conn_id="webhook_default"
    )
    match >> approve >> deliver
# [END approval_then_deliver]

match.dag.doc_md = """
**Rule:** versions `>=1` of `team/app`.
**Receiver:** the Connection `webhook_default`, after a person approves.

[Access log of this Dag](plugin/access-log?dag_id=approval_then_deliver)
"""
