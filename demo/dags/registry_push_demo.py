# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
The chain of the demo.

It is started by hand, one run for each push, so that a demo can say which run shall do what. A Dag for every
day has a schedule: see example_dags/registry_push_to_webhook.py.
"""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_registry_triggers import RegistryPushSensor, TriggerMatchOperator, WebhookDeliverOperator

with DAG("registry_push_demo", schedule=None, tags=["demo"]):
    push = RegistryPushSensor(
        task_id="push",
        repository="team/app",
        registry_conn_id="demo_registry",
        deferrable=True,
        poke_interval=1,
        timeout=600,
    )
    match = TriggerMatchOperator(
        task_id="match", trigger_name="prod", tag_regex="release-v.*", notifications=push.output
    )
    WebhookDeliverOperator(
        task_id="deliver", notifications=match.output, webhook_conn_id="demo_webhook", trigger_name="prod"
    )
