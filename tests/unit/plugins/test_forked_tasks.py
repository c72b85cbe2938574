# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

import os
import subprocess
import sys

import pytest

LOAD_PLUGINS = """
import sys
from importlib import import_module
import_module(sys.argv[1])
from airflow.plugins_manager import ensure_plugins_loaded
ensure_plugins_loaded()
names = ("operators.trigger_match", "operators.webhook_deliver", "triggers.registry_push", "webhook.attempt")
print(["aiohttp" in sys.modules, *(f"airflow_registry_triggers.{name}" in sys.modules for name in names)])
"""

SCHEDULER = "airflow.cli.commands.scheduler_command"


@pytest.mark.parametrize(
    ("command", "executor", "is_imported"),
    [
        (SCHEDULER, "LocalExecutor", True),
        (SCHEDULER, "CeleryExecutor,LocalExecutor", True),
        (SCHEDULER, "CeleryExecutor", False),
        ("airflow.cli.commands.triggerer_command", "LocalExecutor", False),
        ("airflow.cli.commands.api_server_command", "LocalExecutor", False),
    ],
)
def test_scheduler_with_a_local_executor_imports_what_its_forked_tasks_need(command, executor, is_imported):
    done = subprocess.run(
        [sys.executable, "-c", LOAD_PLUGINS, command],
        env={**os.environ, "AIRFLOW__CORE__EXECUTOR": executor},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == str([is_imported] * 5)
