# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Run a container of each pushed image before the webhook is sent."""

from __future__ import annotations

# [START smoke_test_by_digest]
from typing import Any

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import DAG

from airflow_registry_triggers import TriggerMatchOperator, WebhookDeliverOperator, repository_asset


def image_of(push: dict[str, Any]) -> str:
    return str(push["event"]["image"])  # by digest: the tag may move before the pull


with DAG("smoke_test_by_digest", schedule=repository_asset("team/app")):
    match = TriggerMatchOperator(task_id="match", semver="*", collapse="image")
    smoke = KubernetesPodOperator.partial(
        task_id="smoke", name="smoke", cmds=["/app/smoke-test"], retries=2
    ).expand(image=match.output.map(image_of))
    deliver = WebhookDeliverOperator(
        task_id="deliver", notifications=match.output, webhook_conn_id="webhook_default"
    )
    smoke >> deliver
# [END smoke_test_by_digest]

match.dag.doc_md = """
**Rule:** releases of `team/app`.
**Receiver:** the Connection `webhook_default`, after the smoke test of each image.

[Access log of this Dag](plugin/access-log?dag_id=smoke_test_by_digest)
"""
