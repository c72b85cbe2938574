# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The simple auth manager, which hides no Dag from anyone, with Dags that are hidden."""

from __future__ import annotations

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager


class HidingAuthManager(SimpleAuthManager):
    """
    From all but the admin it hides the Dags ``hidden*``, the XComs of ``no_xcoms*``, the logs of ``no_logs*``,
    and every asset but the first.
    """

    def is_authorized_asset(self, *, method, user, details=None):
        allowed = super().is_authorized_asset(method=method, user=user, details=details)
        return allowed and (user.get_name() == "admin" or (details is not None and details.id == "1"))

    def is_authorized_dag(self, *, method, user, access_entity=None, details=None):
        allowed = super().is_authorized_dag(
            method=method, user=user, access_entity=access_entity, details=details
        )
        dag_id = (details and details.id) or ""
        hidden = (
            dag_id.startswith("hidden")
            or (dag_id.startswith("no_xcoms") and access_entity is DagAccessEntity.XCOM)
            or (dag_id.startswith("no_logs") and access_entity is DagAccessEntity.TASK_LOGS)
        )
        return allowed and (user.get_name() == "admin" or not hidden)
