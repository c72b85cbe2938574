# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Start a workflow of GitHub Actions."""

from __future__ import annotations

# [START github_dispatch]
from airflow.sdk import DAG

from airflow_registry_triggers import TriggerMatchOperator, WebhookDeliverOperator, repository_asset

DISPATCH = """
{
  "event_type": "image-pushed",
  "client_payload": {
    "repository": {{ repository.repo_full_name | tojson }},
    "tag": {{ tag | tojson }},
    "digest": {{ digest | tojson }},
    "image": {{ event.image | tojson }}
  }
}
"""

with DAG("github_dispatch", schedule=repository_asset("team/app")):
    match = TriggerMatchOperator(task_id="match", semver="*", collapse="image")
    WebhookDeliverOperator(
        task_id="deliver",
        notifications=match.output,
        webhook_conn_id="github_dispatch",
        body_template=DISPATCH,
    )
# [END github_dispatch]

match.dag.doc_md = """
**Rule:** releases of `team/app`.
**Receiver:** GitHub Actions, the Connection `github_dispatch`.

[Access log of this Dag](plugin/access-log?dag_id=github_dispatch)
"""
