# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Update services of Portainer, with one trigger for each tag."""

from __future__ import annotations

# [START portainer_service]
from airflow.sdk import DAG

from airflow_registry_triggers import TriggerMatchOperator, WebhookDeliverOperator, repository_asset

# Portainer takes the tag from the URL only, so that each tag has a Connection.
for tag in ("latest", "stable"):
    with DAG(f"portainer_{tag}", schedule=repository_asset("team/app")):
        match = TriggerMatchOperator(task_id="match", trigger_name=f"portainer-{tag}", tags=[tag])
        WebhookDeliverOperator(
            task_id="deliver", notifications=match.output, webhook_conn_id=f"portainer_{tag}"
        )
    match.dag.doc_md = f"""
**Rule:** the tag `{tag}` of `team/app`.
**Receiver:** Portainer, the Connection `portainer_{tag}`.

[Access log of this Dag](plugin/access-log?dag_id=portainer_{tag})
"""
# [END portainer_service]
