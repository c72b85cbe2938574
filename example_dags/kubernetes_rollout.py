# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Roll a Deployment out to the pushed digest."""

from __future__ import annotations

# [START kubernetes_rollout]
from typing import Any

from airflow.sdk import DAG, task

from airflow_registry_triggers import TriggerMatchOperator, repository_asset

with DAG("kubernetes_rollout", schedule=repository_asset("team/app")):
    match = TriggerMatchOperator(task_id="match", semver="*", collapse="image")

    @task(retries=3)
    def roll_out(push: dict[str, Any]) -> None:
        from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook
        from kubernetes.client import AppsV1Api

        container = {"name": "app", "image": push["event"]["image"]}
        patch = {"spec": {"template": {"spec": {"containers": [container]}}}}
        api = AppsV1Api(KubernetesHook(conn_id="kubernetes_default").get_conn())
        api.patch_namespaced_deployment("app", "production", patch)

    roll_out.expand(push=match.output)
# [END kubernetes_rollout]

match.dag.doc_md = """
**Rule:** releases of `team/app`.
**Receiver:** the task `roll_out`, once for each image; no webhook is sent.

[Access log of this Dag](plugin/access-log?dag_id=kubernetes_rollout)
"""
