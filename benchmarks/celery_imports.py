# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A configuration of Celery with which a worker imports the operators once, for all tasks that it forks."""

from __future__ import annotations

# [START celery_imports]
from airflow.providers.celery.executors.default_celery import DEFAULT_CELERY_CONFIG

CELERY_CONFIG = {
    **DEFAULT_CELERY_CONFIG,
    "imports": [
        "airflow_registry_triggers.operators.trigger_match",
        "airflow_registry_triggers.operators.webhook_deliver",
        "airflow_registry_triggers.triggers.registry_push",
        "airflow_registry_triggers.webhook.attempt",
    ],
}
# [END celery_imports]
