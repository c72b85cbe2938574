# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Update a Cloud Run job to the pushed digest."""

from __future__ import annotations

# [START cloud_run_job]
from typing import Any

from airflow.providers.google.cloud.operators.cloud_run import CloudRunUpdateJobOperator
from airflow.sdk import DAG

from airflow_registry_triggers import TriggerMatchOperator, repository_asset


def job_of(push: dict[str, Any]) -> dict[str, Any]:
    return {"template": {"template": {"containers": [{"image": push["event"]["image"]}]}}}


with DAG("cloud_run_job", schedule=repository_asset("team/app")):
    match = TriggerMatchOperator(task_id="match", semver="*", collapse="image")
    CloudRunUpdateJobOperator.partial(
        task_id="update", project_id="my-project", region="europe-west1", job_name="app", retries=3
    ).expand(job=match.output.map(job_of))
# [END cloud_run_job]

match.dag.doc_md = """
**Rule:** releases of `team/app`.
**Receiver:** the task `update`, once for each image; no webhook is sent.

[Access log of this Dag](plugin/access-log?dag_id=cloud_run_job)
"""
