# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Tell Argo CD Image Updater about each push."""

from __future__ import annotations

# [START argocd_image_updater]
from airflow.sdk import DAG

from airflow_registry_triggers import TriggerMatchOperator, WebhookDeliverOperator, repository_asset

with DAG("argocd_image_updater", schedule=repository_asset("team/app")):
    match = TriggerMatchOperator(task_id="match", semver="*")
    WebhookDeliverOperator(
        task_id="deliver", notifications=match.output, webhook_conn_id="argocd_image_updater"
    )
# [END argocd_image_updater]

match.dag.doc_md = """
**Rule:** releases of `team/app`.
**Receiver:** Argo CD Image Updater, the Connection `argocd_image_updater`.

[Access log of this Dag](plugin/access-log?dag_id=argocd_image_updater)
"""
