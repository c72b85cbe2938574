# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Send the webhook only for images with a valid signature."""

from __future__ import annotations

# [START signed_images_only]
import subprocess
from typing import Any

from airflow.sdk import DAG, task

from airflow_registry_triggers import TriggerMatchOperator, WebhookDeliverOperator, repository_asset

KEY = "/etc/cosign/cosign.pub"

with DAG("signed_images_only", schedule=repository_asset("team/app")):
    match = TriggerMatchOperator(task_id="match", semver="*", collapse="image")

    @task(retries=3)
    def signed(pushes: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [push for push in pushes if is_signed(push["event"]["image"])]

    def is_signed(image: str) -> bool:
        verify = ["cosign", "verify", "--key", KEY, image]
        done = subprocess.run(verify, check=False, timeout=60, capture_output=True, text=True)
        if done.returncode and "no signatures found" not in done.stderr:
            raise RuntimeError(f"cosign could not verify {image}: {done.stderr}")
        return done.returncode == 0

    # Without a signed image the list is empty, and the delivery skips itself.
    WebhookDeliverOperator(
        task_id="deliver", notifications=signed(match.output), webhook_conn_id="webhook_default"
    )
# [END signed_images_only]

match.dag.doc_md = """
**Rule:** releases of `team/app`.
**Receiver:** the Connection `webhook_default`, for images with a valid signature.

[Access log of this Dag](plugin/access-log?dag_id=signed_images_only)
"""
