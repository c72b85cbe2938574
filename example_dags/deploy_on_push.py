# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Send a webhook for each push of a release tag, in ten lines."""

from __future__ import annotations

# [START deploy_on_push]
from airflow.sdk import DAG

from airflow_registry_triggers import TriggerMatchOperator, WebhookDeliverOperator, repository_asset

with DAG("deploy_on_push", schedule=repository_asset("team/app")):
    match = TriggerMatchOperator(task_id="match", tag_regex=r"release-v.*")
    WebhookDeliverOperator(task_id="deliver", notifications=match.output, webhook_conn_id="webhook_default")
# [END deploy_on_push]

match.dag.doc_md = """
**Rule:** tags of `team/app` that match `release-v.*`.
**Receiver:** the Connection `webhook_default`.

[Access log of this Dag](plugin/access-log?dag_id=deploy_on_push)
"""
