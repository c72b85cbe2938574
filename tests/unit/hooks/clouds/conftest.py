# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Logins of clouds that no test leaves to the next one."""

from __future__ import annotations

import pytest

from airflow_registry_triggers.hooks import cloud_login
from airflow_registry_triggers.registry.http import session


@pytest.fixture(autouse=True)
def no_logins():
    cloud_login._logins.clear()
    session.forget_everything()
    yield
    cloud_login._logins.clear()
    session.forget_everything()
