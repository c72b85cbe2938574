# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Post a message to Slack for each push: a webhook with a body of your own."""

from __future__ import annotations

# [START slack_message]
from airflow.sdk import DAG

from airflow_registry_triggers import TriggerMatchOperator, WebhookDeliverOperator, repository_asset

MESSAGE = '{"text": {{ (repository.repo_full_name ~ ":" ~ tag ~ " was pushed, " ~ digest) | tojson }}}'

with DAG("slack_message", schedule=repository_asset("team/app")):
    match = TriggerMatchOperator(task_id="match", tags=["latest"])
    WebhookDeliverOperator(
        task_id="notify", notifications=match.output, webhook_conn_id="slack", body_template=MESSAGE
    )
# [END slack_message]

match.dag.doc_md = """
**Rule:** the tag `latest` of `team/app`.
**Receiver:** Slack, the Connection `slack`.

[Access log of this Dag](plugin/access-log?dag_id=slack_message)
"""
