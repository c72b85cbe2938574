# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Apply different rules to one repository in two Dags, which share one poll."""

from __future__ import annotations

# [START two_rules]
from airflow.sdk import DAG

from airflow_registry_triggers import TriggerMatchOperator, WebhookDeliverOperator, repository_asset

RULES = {"prod": {"tag_regex": r"release-v.*"}, "staging": {"tags": ["latest", "main"]}}

for name, rule in RULES.items():
    with DAG(f"registry_event_{name}", schedule=repository_asset("team/app")):
        match = TriggerMatchOperator(task_id="match", trigger_name=name, **rule)
        WebhookDeliverOperator(
            task_id="deliver",
            notifications=match.output,
            webhook_conn_id="webhook_default",
            headers={"X-Environment": name},
        )
    match.dag.doc_md = f"""
**Rule:** {rule}, for `team/app`.
**Receiver:** the Connection `webhook_default`, with the header `X-Environment: {name}`.

[Access log of this Dag](plugin/access-log?dag_id=registry_event_{name})
"""
# [END two_rules]
