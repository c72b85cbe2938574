# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""State of the process that no test leaves to the next one."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture(autouse=True)
def forget_registries() -> None:
    """
    Forget challenges, tokens and pauses of registries.

    The process keeps them by URL, and the system may give the port of one test to the next.
    """
    session = sys.modules.get("airflow_registry_triggers.registry.http.session")
    if session is not None:
        session.forget_everything()
