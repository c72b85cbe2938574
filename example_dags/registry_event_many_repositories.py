# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Watch several repositories with one Dag."""

from __future__ import annotations

# [START many_repositories]
from airflow.sdk import DAG

from airflow_registry_triggers import TriggerMatchOperator, WebhookDeliverOperator, repository_asset

with DAG(
    "registry_event_many_repositories",
    schedule=repository_asset("team/app") | repository_asset("team/worker"),
):
    match = TriggerMatchOperator(task_id="match", trigger_name="any-release", tag_regex=r"release-v.*")
    WebhookDeliverOperator(task_id="deliver", notifications=match.output, webhook_conn_id="webhook_default")
# [END many_repositories]

match.dag.doc_md = """
**Rule:** tags of `team/app` and `team/worker` that match `release-v.*`.
**Receiver:** the Connection `webhook_default`.

[Access log of this Dag](plugin/access-log?dag_id=registry_event_many_repositories)
"""
