# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Start a Jenkins job."""

from __future__ import annotations

# [START jenkins_job]
from airflow.sdk import DAG

from airflow_registry_triggers import TriggerMatchOperator, WebhookDeliverOperator, repository_asset

with DAG("jenkins_job", schedule=repository_asset("team/app")):
    match = TriggerMatchOperator(task_id="match", tag_regex=r"release-v.*")
    WebhookDeliverOperator(task_id="deliver", notifications=match.output, webhook_conn_id="jenkins")
# [END jenkins_job]

match.dag.doc_md = """
**Rule:** tags of `team/app` that match `release-v.*`.
**Receiver:** Jenkins, the Connection `jenkins`.

[Access log of this Dag](plugin/access-log?dag_id=jenkins_job)
"""
