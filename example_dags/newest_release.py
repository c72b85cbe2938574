# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Deliver only the greatest release of a repository with many tags."""

from __future__ import annotations

# [START newest_release]
from airflow.sdk import DAG

from airflow_registry_triggers import TriggerMatchOperator, WebhookDeliverOperator, repository_asset

with DAG(
    "newest_release",
    schedule=repository_asset("team/app", semver=">=1.2 <2", exclude_regex=".*-debug", newest="version"),
):
    match = TriggerMatchOperator(task_id="match", collapse="image")
    WebhookDeliverOperator(task_id="deliver", notifications=match.output, webhook_conn_id="webhook_default")
# [END newest_release]

match.dag.doc_md = """
**Rule:** the greatest version in `>=1.2 <2` of `team/app`, without `.*-debug`; one tag of each image.
**Receiver:** the Connection `webhook_default`.

[Access log of this Dag](plugin/access-log?dag_id=newest_release)
"""
