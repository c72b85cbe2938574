# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
The plugin: the page "Access Log" and the routes it reads from.

Every process of Airflow loads its plugins; what only the api-server needs is imported when it asks. The
routes use names of Airflow that are not public: where one is gone there is no page, and all else goes on.
"""

from __future__ import annotations

import logging
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from airflow_registry_triggers.plugins.openapi import URL_PREFIX

__all__ = ["PAGE", "AccessLogPlugin"]

PAGE = "Access Log"
"""Name of the page, and of the global function of its script."""

log = logging.getLogger(__name__)

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
            self._fastapi_apps = _fastapi_apps()
        return self._fastapi_apps

    @property
    def fastapi_root_middlewares(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """What puts the routes into the api-server's own OpenAPI."""
        if not self.fastapi_apps:
            return []
        from airflow_registry_triggers.plugins.openapi import DescribeRoutes

        return [{"middleware": DescribeRoutes, "name": f"{PAGE} OpenAPI"}]

    @property
    def react_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The page, once for each place it is in."""
        if self._react_apps is None:
            self._react_apps = _react_apps() if self.fastapi_apps else []
        return self._react_apps


def _fastapi_apps() -> list[dict[str, Any]]:
    try:
        from airflow_registry_triggers.plugins.routes import app
    except (ImportError, AttributeError):
        # Airflow does not catch it: its api-server would not start.
        log.exception("there is no page %r: this Airflow has not all that it is made with", PAGE)
        return []
    return [{"app": app, "url_prefix": URL_PREFIX, "name": PAGE}]


def _react_apps() -> list[dict[str, Any]]:
    from airflow_registry_triggers.plugins.script import fingerprint

    # Without a slash in front, so that it is found where Airflow lies under a path of its own.
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
