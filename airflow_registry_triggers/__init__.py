# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Container registry triggers for Airflow: detect image pushes, filter them by tag, deliver webhooks."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_registry_triggers.assets.oci import repository_asset
    from airflow_registry_triggers.delivery.retry_policy import WebhookRetryPolicy
    from airflow_registry_triggers.notification import Notification
    from airflow_registry_triggers.notifications.webhook import WebhookNotifier
    from airflow_registry_triggers.operators.trigger_match import TriggerMatchOperator
    from airflow_registry_triggers.operators.webhook_deliver import WebhookDeliverOperator
    from airflow_registry_triggers.sensors.registry_push import RegistryPushSensor
    from airflow_registry_triggers.tag_rule import TagRule
    from airflow_registry_triggers.triggers.registry_push import RegistryPushTrigger

__version__ = "0.1.0"

__all__ = [
    "Notification",
    "RegistryPushSensor",
    "RegistryPushTrigger",
    "TagRule",
    "TriggerMatchOperator",
    "WebhookDeliverOperator",
    "WebhookNotifier",
    "WebhookRetryPolicy",
    "__version__",
    "repository_asset",
]

# Loaded when asked for: a Dag file pays for the names it uses.
_MODULES = {
    "Notification": "notification",
    "RegistryPushSensor": "sensors.registry_push",
    "RegistryPushTrigger": "triggers.registry_push",
    "TagRule": "tag_rule",
    "TriggerMatchOperator": "operators.trigger_match",
    "WebhookDeliverOperator": "operators.webhook_deliver",
    "WebhookNotifier": "notifications.webhook",
    "WebhookRetryPolicy": "delivery.retry_policy",
    "repository_asset": "assets.oci",
}


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
