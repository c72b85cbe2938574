# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""State of the process that no test leaves to the next one."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture(autouse=True)
def forget_registries() -> None:
    """
    Forget challenges, tokens and pauses of registries, and the Connections to them.

    The process keeps the former by URL, and the system may give the port of one test to the next. It keeps
    the latter for 30 s by an id that many tests use.
    """
    # Not imported here, since most tests need neither.
    if session := sys.modules.get("airflow_registry_triggers.registry.http.session"):
        session.forget_everything()
    if connections := sys.modules.get("airflow_registry_triggers.watcher.connection_cache"):
        connections._read.clear()
