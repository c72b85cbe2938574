# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
The plugin: the page "Registry Triggers", the tab "Pushes", and their routes. One class adds all apps.

Every process of Airflow loads the plugin, so modules that only the api-server needs are imported by its
properties. The routes use Airflow names that are not public: if one is missing, the page is left out and the
rest of the package works.
"""

from __future__ import annotations

import logging
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from airflow_registry_triggers.plugins.forked_tasks import import_for_forked_tasks
from airflow_registry_triggers.plugins.openapi import URL_PREFIX

__all__ = ["PAGE", "TAB", "RegistryTriggersPlugin"]

PAGE = "Registry Triggers"
"""Name of the page, and of the global function of its script."""

TAB = "Pushes"
"""Label of the tab of a Dag and of a run, and of the global function of its script."""

WEBHOOKS_PREFIX = "/registry-webhooks"
"""Path of the endpoint; Airflow would never reach a path below that of the pages."""

log = logging.getLogger(__name__)

# If two destinations have the same route, Airflow keeps only the first. In /plugin/<route> Airflow looks for
# the route alone, so the route of a tab is the address of a page too: /plugin/access-log is the view "Access
# log". A task instance has no tab: an eighth tab breaks the labels of Airflow's own at 1280 pixels.
_DESTINATIONS = (
    ("nav", PAGE, "registry-triggers"),
    ("dag", TAB, "access-log"),
    ("dag_run", TAB, "access-log-of-run"),
)


class RegistryTriggersPlugin(AirflowPlugin):
    """Adds the page to the navigation, and a tab to each Dag and run."""

    name = "registry_triggers"

    def __init__(self) -> None:
        self._fastapi_apps: list[dict[str, Any]] | None = None
        self._pages: list[dict[str, Any]] = []
        self._react_apps: list[dict[str, Any]] | None = None

    @classmethod
    def on_load(cls, *_args: Any, **_kwargs: Any) -> None:
        """Prepare the process; Airflow calls this after it loaded the plugin."""
        import_for_forked_tasks()

    @property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The FastAPI apps with the routes of the page and with the endpoint for registries' webhooks."""
        if self._fastapi_apps is None:
            self._pages = _fastapi_apps()
            self._fastapi_apps = [*self._pages, *_webhook_apps()]
        return self._fastapi_apps

    @property
    def fastapi_root_middlewares(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The middleware that adds the routes to the api-server's OpenAPI."""
        if not self.fastapi_apps or not self._pages:
            return []
        from airflow_registry_triggers.plugins.openapi import DescribeRoutes

        return [{"middleware": DescribeRoutes, "name": f"{PAGE} OpenAPI"}]

    @property
    def react_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The page, once for each of its destinations."""
        if self._react_apps is None:
            self._react_apps = _react_apps() if self.fastapi_apps and self._pages else []
        return self._react_apps


def _webhook_apps() -> list[dict[str, Any]]:
    """Return the endpoint for registries' own webhooks, unless the deployment turns it off."""
    from airflow.configuration import conf

    if not conf.getboolean("registry_triggers", "registry_webhooks", fallback=True):
        return []
    try:
        from airflow_registry_triggers.plugins.registry_webhooks import app
    except (ImportError, AttributeError):
        log.exception(
            "registries' webhooks are not taken: this version of Airflow lacks a name that the endpoint uses"
        )
        return []
    return [{"app": app, "url_prefix": WEBHOOKS_PREFIX, "name": "Registry webhooks"}]


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
            "name": name,
            "bundle_url": bundle,
            "destination": destination,
            "url_route": route,
            "category": "browse",
        }
        for destination, name, route in _DESTINATIONS
    ]
