# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Register a task definition with the pushed digest and update an ECS service."""

from __future__ import annotations

# [START ecs_deploy]
from typing import Any

from airflow.sdk import DAG, task

from airflow_registry_triggers import TriggerMatchOperator, repository_asset

with DAG("ecs_deploy", schedule=repository_asset("team/app")):
    match = TriggerMatchOperator(task_id="match", semver="*", collapse="image")

    @task(retries=3)
    def deploy(push: dict[str, Any]) -> str:
        import boto3

        ecs = boto3.client("ecs", region_name="eu-central-1")
        container = {"name": "app", "image": push["event"]["image"], "memory": 512, "essential": True}
        definition = ecs.register_task_definition(family="app", containerDefinitions=[container])
        arn = str(definition["taskDefinition"]["taskDefinitionArn"])
        ecs.update_service(cluster="production", service="app", taskDefinition=arn)
        return arn

    deploy.expand(push=match.output)
# [END ecs_deploy]

match.dag.doc_md = """
**Rule:** releases of `team/app`.
**Receiver:** the task `deploy`, once for each image; no webhook is sent.

[Access log of this Dag](plugin/access-log?dag_id=ecs_deploy)
"""
