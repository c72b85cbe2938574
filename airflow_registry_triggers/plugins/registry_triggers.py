# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
The plugin: the page "Access Log" and its routes. One class adds all apps of the package.

Every process of Airflow loads the plugin, so modules that only the api-server needs are imported by its
properties. The routes use Airflow names that are not public: if one is missing, the page is left out and the
rest of the package works.
"""

from __future__ import annotations

import logging
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from airflow_registry_triggers.plugins.openapi import URL_PREFIX

__all__ = ["PAGE", "RegistryTriggersPlugin"]

PAGE = "Access Log"
"""Name of the page, and of the global function of its script."""

log = logging.getLogger(__name__)

# If two destinations have the same route, Airflow keeps only the first.
_ROUTES = {
    "nav": "access-log",
    "dag": "access-log-of-dag",
    "dag_run": "access-log-of-run",
    "task_instance": "access-log-of-task",
}


class RegistryTriggersPlugin(AirflowPlugin):
    """Adds the page to the navigation and as a tab of a Dag, a run and a task instance."""

    name = "registry_triggers"

    def __init__(self) -> None:
        self._fastapi_apps: list[dict[str, Any]] | None = None
        self._react_apps: list[dict[str, Any]] | None = None

    @property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The FastAPI app with the routes."""
        if self._fastapi_apps is None:
            self._fastapi_apps = _fastapi_apps()
        return self._fastapi_apps

    @property
    def fastapi_root_middlewares(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The middleware that adds the routes to the api-server's OpenAPI."""
        if not self.fastapi_apps:
            return []
        from airflow_registry_triggers.plugins.openapi import DescribeRoutes

        return [{"middleware": DescribeRoutes, "name": f"{PAGE} OpenAPI"}]

    @property
    def react_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The page, once for each of its destinations."""
        if self._react_apps is None:
            self._react_apps = _react_apps() if self.fastapi_apps else []
        return self._react_apps


def _fastapi_apps() -> list[dict[str, Any]]:
    try:
        from airflow_registry_triggers.plugins.routes import app
    except (ImportError, AttributeError):
        # Airflow does not catch this error, and its api-server would not start.
        log.exception("the page %r is left out: this version of Airflow lacks a name that it uses", PAGE)
        return []
    return [{"app": app, "url_prefix": URL_PREFIX, "name": PAGE}]


def _react_apps() -> list[dict[str, Any]]:
    from airflow_registry_triggers.plugins.script import fingerprint

    # A relative address, so that it works if Airflow is served below a path.
    bundle = f"{URL_PREFIX.lstrip('/')}/access_log.js?v={fingerprint()}"
    return [
        {
            "name": PAGE,
            "bundle_url": bundle,
            "destination": destination,
            "url_route": route,
            "category": "browse",
        }
        for destination, route in _ROUTES.items()
    ]
