# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Two uses of a queue with registries' webhooks; the asset's watcher is that of your queue's provider."""

from __future__ import annotations

# [START queue_hints]
from airflow.sdk import DAG, Asset

from airflow_registry_triggers import RegistryHintOperator

with DAG("registry_queue_hints", schedule=Asset("registry_messages")):
    RegistryHintOperator(task_id="hint", registry_conn_id="registry_default")
# [END queue_hints]

# [START queue_match]
from airflow_registry_triggers import TriggerMatchOperator, WebhookDeliverOperator

with DAG("registry_queue_match", schedule=Asset("other_registry_messages")):
    match = TriggerMatchOperator(task_id="match", tag_regex=r"release-v.*")
    WebhookDeliverOperator(task_id="deliver", notifications=match.output, webhook_conn_id="webhook_default")
# [END queue_match]

match.dag.doc_md = """
**Rule:** tags that match `release-v.*`, from the messages of a queue.
**Receiver:** the Connection `webhook_default`.

[Access log of this Dag](plugin/access-log?dag_id=registry_queue_match)
"""
