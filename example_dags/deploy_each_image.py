# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Run a task for each pushed image, without a webhook."""

from __future__ import annotations

# [START deploy_each_image]
from typing import Any

from airflow.sdk import DAG, task

from airflow_registry_triggers import TriggerMatchOperator, repository_asset

with DAG("deploy_each_image", schedule=repository_asset("team/app")):
    match = TriggerMatchOperator(task_id="match", tag_regex=r"release-v.*")

    @task(retries=3)
    def deploy(push: dict[str, Any]) -> dict[str, str]:
        tag = push["push_data"]["tag"]
        digest = push["push_data"]["digest"]
        image = push["event"]["image"]  # registry.example.com/team/app@sha256:...
        # Deploy the image here.
        return {"tag": tag, "digest": digest, "image": image}

    deploy.expand(push=match.output)
# [END deploy_each_image]

match.dag.doc_md = """
**Rule:** tags of `team/app` that match `release-v.*`.
**Receiver:** the task `deploy`, once for each image; no webhook is sent.

[Access log of this Dag](plugin/access-log?dag_id=deploy_each_image)
"""
