# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The Dag of a valid trigger."""

from __future__ import annotations

import functools
import json
import operator
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG

from airflow_registry_triggers.assets.oci import repository_asset
from airflow_registry_triggers.operators.trigger_match import TriggerMatchOperator
from airflow_registry_triggers.operators.webhook_deliver import WebhookDeliverOperator
from airflow_registry_triggers.tag_rule import CONDITIONS
from airflow_registry_triggers.trigger_file.fields import watched_rule
from airflow_registry_triggers.trigger_file.names import DISABLED_TAG, PREFIX, TAG
from airflow_registry_triggers.trigger_file.summary import receiver_of, rule_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Asset

    from airflow_registry_triggers.trigger_file.model import RegistryTrigger

__all__ = ["assets_of", "trigger_dag"]

_DELIVERY_FIELDS = (
    "url",
    "headers",
    "body_format",
    "body_template",
    "success_statuses",
    "request_timeout",
)


def trigger_dag(trigger: RegistryTrigger, prefix: str = PREFIX, declared_in: str = "") -> DAG:
    """
    Return the Dag of a valid trigger.

    :param prefix: beginning of the Dag's id
    :param declared_in: file and line; empty for a trigger in Python code
    :raises ValueError: the deployment does not allow the URL
    """
    assets = assets_of(trigger.given())
    tags = [TAG, *trigger.labels, *([] if trigger.enabled else [DISABLED_TAG])]
    doc_json = json.dumps({"declared_in": declared_in}) if declared_in else None
    dag = DAG(
        f"{prefix}{trigger.name}",
        schedule=functools.reduce(operator.or_, assets) if trigger.enabled else None,
        description=trigger.description,
        default_args={"owner": trigger.owner},
        is_paused_upon_creation=False,
        tags=tags,
        doc_md=_doc(trigger, declared_in),
    )
    match = TriggerMatchOperator(
        task_id="match",
        trigger_name=trigger.name,
        collapse=trigger.collapse,
        inlets=None if trigger.enabled else assets,
        doc_json=doc_json,
        dag=dag,
        **{name: getattr(trigger, name) for name in CONDITIONS},
    )
    WebhookDeliverOperator(
        task_id="deliver",
        notifications=match.output,
        webhook_conn_id=trigger.webhook,
        dag=dag,
        **{name: getattr(trigger, name) for name in _DELIVERY_FIELDS},
    )
    # Registers the Dag. A context around the tasks would also register one whose task raised an error.
    with dag:
        pass
    return dag


def assets_of(values: Mapping[str, Any]) -> list[Asset]:
    """
    Return the assets of a trigger, none if the fields that name them are not valid.

    :param values: the valid fields
    """
    repositories = values.get("repository", [])
    found = [repositories] if isinstance(repositories, str) else repositories
    registry = values.get("registry", "registry_default")
    try:
        return [repository_asset(one, registry, **watched_rule(values)) for one in found]
    except ValueError:
        return []


def _doc(trigger: RegistryTrigger, declared_in: str) -> str:
    rows = {
        "Rule": rule_of(trigger.given()),
        "Repositories": ", ".join(trigger.repositories),
        "Receiver": receiver_of(trigger.given()),
        "Declared in": declared_in,
    }
    table = [f"| {name} | {_cell(value)} |" for name, value in rows.items() if value]
    return "\n".join(["| | |", "|---|---|", *table])


def _cell(value: str) -> str:
    return f"`{value}`".replace("|", "\\|").replace("\n", " ")
