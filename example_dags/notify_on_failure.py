# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Send a webhook when a task fails."""

from __future__ import annotations

# [START notify_on_failure]
from airflow.sdk import DAG, task

from airflow_registry_triggers import WebhookNotifier

notify = WebhookNotifier(webhook_conn_id="alerts", payload={"text": "{{ dag.dag_id }} failed"})

with DAG(
    "notify_on_failure", schedule="@daily", catchup=False, default_args={"on_failure_callback": notify}
) as dag:

    @task
    def report() -> None:
        raise RuntimeError("This failure sends a webhook")

    report()
# [END notify_on_failure]

dag.doc_md = """
**Rule:** every failed task.
**Receiver:** the Connection `alerts`.

[Access log of this Dag](plugin/access-log?dag_id=notify_on_failure)
"""
