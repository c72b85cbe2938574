# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Logins of clouds that no test leaves to the next one, and time for their SDKs."""

from __future__ import annotations

import pytest

from airflow_registry_triggers.hooks import cloud_login
from airflow_registry_triggers.hooks.clouds import threads
from airflow_registry_triggers.registry.http import session


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """The first use of an SDK imports it, for seconds; on a busy machine that may take most of the deadline."""
    monkeypatch.setattr(threads, "DEADLINE", 120.0)


@pytest.fixture(autouse=True)
def no_logins():
    cloud_login._logins.clear()
    session.forget_everything()
    yield
    cloud_login._logins.clear()
    session.forget_everything()
