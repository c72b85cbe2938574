# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Add the routes to the api-server's OpenAPI, which leaves out mounted apps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["URL_PREFIX", "DescribeRoutes"]

URL_PREFIX = "/registry-triggers"
"""Path below which Airflow mounts the routes."""


class DescribeRoutes:
    """
    Middleware that adds the routes to the OpenAPI when a client requests it.

    :param app: the next application
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request; see the class."""
        if scope["type"] == "http" and scope["path"].endswith("/openapi.json"):
            _describe(scope["app"])
        await self._app(scope, receive, send)


def _describe(api_server: FastAPI) -> None:
    from airflow_registry_triggers.plugins.routes import app

    whole, ours = api_server.openapi(), app.openapi()
    paths: dict[str, Any] = whole.setdefault("paths", {})
    for path, operations in ours["paths"].items():
        paths.setdefault(URL_PREFIX + path, operations)
    components = whole.setdefault("components", {})
    for kind, named in ours.get("components", {}).items():
        for name, component in named.items():
            components.setdefault(kind, {}).setdefault(name, component)
