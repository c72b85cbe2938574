# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Container registry triggers for Airflow: detect image pushes, match their tags, deliver webhooks."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers._version import __version__

if TYPE_CHECKING:
    from airflow_registry_triggers.access_record import AccessRecord, AccessRecordDict, Status
    from airflow_registry_triggers.assets.oci import repository_asset
    from airflow_registry_triggers.delivery.retry_policy import WebhookRetryPolicy
    from airflow_registry_triggers.exceptions import (
        DeliveryFailed,
        DeliveryPending,
        InvalidArgument,
        MalformedNotifications,
        RegistryFault,
        RegistryTriggersError,
        TooManyToMap,
    )
    from airflow_registry_triggers.hooks.registry import RegistryHook
    from airflow_registry_triggers.hooks.webhook import WebhookHook
    from airflow_registry_triggers.notification import InvalidNotification, Notification, NotificationDict
    from airflow_registry_triggers.notifications.webhook import WebhookNotifier
    from airflow_registry_triggers.operators.registry_hint import RegistryHintOperator
    from airflow_registry_triggers.operators.trigger_match import TriggerMatchOperator
    from airflow_registry_triggers.operators.webhook_deliver import WebhookDeliverOperator
    from airflow_registry_triggers.sensors.registry_push import RegistryPushSensor
    from airflow_registry_triggers.tag_rule import TagRule
    from airflow_registry_triggers.trigger_file.dags import trigger_dags_from
    from airflow_registry_triggers.trigger_file.model import RegistryTrigger
    from airflow_registry_triggers.triggers.registry_push import RegistryPushTrigger

__all__ = [
    "AccessRecord",
    "AccessRecordDict",
    "DeliveryFailed",
    "DeliveryPending",
    "InvalidArgument",
    "InvalidNotification",
    "MalformedNotifications",
    "Notification",
    "NotificationDict",
    "RegistryFault",
    "RegistryHintOperator",
    "RegistryHook",
    "RegistryPushSensor",
    "RegistryPushTrigger",
    "RegistryTrigger",
    "RegistryTriggersError",
    "Status",
    "TagRule",
    "TooManyToMap",
    "TriggerMatchOperator",
    "WebhookDeliverOperator",
    "WebhookHook",
    "WebhookNotifier",
    "WebhookRetryPolicy",
    "__version__",
    "repository_asset",
    "trigger_dags_from",
]

# Imported on first use, so that a Dag file loads only the modules of the names it uses.
_MODULES = {
    "AccessRecord": "access_record",
    "AccessRecordDict": "access_record",
    "DeliveryFailed": "exceptions",
    "DeliveryPending": "exceptions",
    "InvalidArgument": "exceptions",
    "InvalidNotification": "notification",
    "MalformedNotifications": "exceptions",
    "Notification": "notification",
    "NotificationDict": "notification",
    "RegistryFault": "exceptions",
    "RegistryHintOperator": "operators.registry_hint",
    "RegistryHook": "hooks.registry",
    "RegistryPushSensor": "sensors.registry_push",
    "RegistryPushTrigger": "triggers.registry_push",
    "RegistryTrigger": "trigger_file.model",
    "RegistryTriggersError": "exceptions",
    "Status": "access_record",
    "TagRule": "tag_rule",
    "TooManyToMap": "exceptions",
    "TriggerMatchOperator": "operators.trigger_match",
    "WebhookDeliverOperator": "operators.webhook_deliver",
    "WebhookHook": "hooks.webhook",
    "WebhookNotifier": "notifications.webhook",
    "WebhookRetryPolicy": "delivery.retry_policy",
    "repository_asset": "assets.oci",
    "trigger_dags_from": "trigger_file.dags",
}


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
