# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
Imports of a scheduler for the tasks that its LocalExecutor forks.

A forked task has every module of the scheduler already. Otherwise each task imports the modules of its Dag
file, and each delivery the HTTP client, and that takes as long as all of their other work.
"""

from __future__ import annotations

import sys
from importlib import import_module

from airflow.configuration import conf

__all__ = ["import_for_forked_tasks"]

SCHEDULER = "airflow.cli.commands.scheduler_command"
"""The module of ``airflow scheduler``, which no other command imports; not a public name of Airflow 3.3."""

_MODULES = (
    "operators.trigger_match",
    "operators.webhook_deliver",
    "triggers.registry_push",
    "webhook.attempt",
)


def import_for_forked_tasks() -> None:
    """Import the modules that Dag files and deliveries use, in a scheduler with a LocalExecutor."""
    if SCHEDULER in sys.modules and "LocalExecutor" in conf.get("core", "executor"):
        for name in _MODULES:
            import_module(f"airflow_registry_triggers.{name}")
