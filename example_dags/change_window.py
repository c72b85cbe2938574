# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Deploy within a change window only."""

from __future__ import annotations

# [START change_window]
from datetime import datetime

from airflow.sdk import DAG

from airflow_registry_triggers import RegistryPushSensor, TriggerMatchOperator, WebhookDeliverOperator

with DAG(
    "change_window",
    schedule="*/5 22-23 * * 1-5",  # from 22:00 to 23:55, Monday to Friday
    start_date=datetime(2026, 1, 1),
    catchup=False,
):
    # The first run of a window finds each tag that changed since the last one, once, in its last state.
    push = RegistryPushSensor(task_id="push", repository="team/app", timeout=60, soft_fail=True)
    match = TriggerMatchOperator(task_id="match", semver="*", notifications=push.output)
    WebhookDeliverOperator(task_id="deliver", notifications=match.output, webhook_conn_id="webhook_default")
# [END change_window]

match.dag.doc_md = """
**Rule:** releases of `team/app`, from 22:00 to 23:55 on weekdays.
**Receiver:** the Connection `webhook_default`.

[Access log of this Dag](plugin/access-log?dag_id=change_window)
"""
