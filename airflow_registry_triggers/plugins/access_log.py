# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
The plugin: the page "Access Log" and the routes it reads from.

Every process of Airflow loads its plugins; what only the api-server needs is imported when it asks.
"""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

__all__ = ["PAGE", "URL_PREFIX", "AccessLogPlugin"]

PAGE = "Access Log"
"""Name of the page, and of the global function of its script."""

URL_PREFIX = "/registry-triggers"

# Of destinations with the same route Airflow keeps the first.
_ROUTES = {
    "nav": "access-log",
    "dag": "access-log-of-dag",
    "dag_run": "access-log-of-run",
    "task_instance": "access-log-of-task",
}


class AccessLogPlugin(AirflowPlugin):
    """Adds the page to the navigation and as a tab of a Dag, a run and a task instance."""

    name = "registry_triggers_access_log"

    def __init__(self) -> None:
        self._fastapi_apps: list[dict[str, Any]] | None = None
        self._react_apps: list[dict[str, Any]] | None = None

    @property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The routes, as one app."""
        if self._fastapi_apps is None:
            from airflow_registry_triggers.plugins.routes import app

            self._fastapi_apps = [{"app": app, "url_prefix": URL_PREFIX, "name": PAGE}]
        return self._fastapi_apps

    @property
    def fastapi_root_middlewares(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """What puts the routes into the api-server's own OpenAPI."""
        from airflow_registry_triggers.plugins.openapi import DescribeRoutes

        return [{"middleware": DescribeRoutes, "name": f"{PAGE} OpenAPI"}]

    @property
    def react_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The page, once for each place it is in."""
        if self._react_apps is None:
            from airflow_registry_triggers.plugins.script import fingerprint

            # Without a slash in front, so that it is found where Airflow lies under a path of its own.
            bundle = f"{URL_PREFIX.lstrip('/')}/access_log.js?v={fingerprint()}"
            self._react_apps = [
                {
                    "name": PAGE,
                    "bundle_url": bundle,
                    "destination": destination,
                    "url_route": route,
                    "category": "browse",
                }
                for destination, route in _ROUTES.items()
            ]
        return self._react_apps
