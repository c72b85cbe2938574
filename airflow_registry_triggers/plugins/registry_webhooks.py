# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
The endpoint for registries' own webhooks: ``POST /registry-webhooks/{conn_id}``.

Airflow mounts a plugin's app without a check of its own. The proof of the sender is the only one here, so an
answer never names a Dag, an asset, a run or a repository, and the api-server connects to no registry.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from airflow.sdk.exceptions import AirflowNotFoundException
from fastapi import FastAPI, Request, Response
from starlette.requests import ClientDisconnect
from starlette.routing import Route

from airflow_registry_triggers.common.metrics import count_webhook
from airflow_registry_triggers.hooks.inbound_settings import InboundSettings
from airflow_registry_triggers.hooks.registry import RegistryHook
from airflow_registry_triggers.inbound.answers import (
    INCOMPLETE,
    NOT_FOUND,
    TOO_LARGE,
    TOO_SLOW,
    UNAVAILABLE,
    UNPROVEN,
    WRONG_METHOD,
    Answer,
    BodyTooLarge,
    answer_origin,
    answer_too_many,
    is_conn_id,
    is_too_large,
    read_limited,
    read_webhook,
)
from airflow_registry_triggers.inbound.proof import needs_body, prove
from airflow_registry_triggers.plugins.hint_store import NoStateAsset, check_database, store_hints
from airflow_registry_triggers.plugins.hint_writer import HintWriter
from airflow_registry_triggers.plugins.inbound_connections import InboundConnections
from airflow_registry_triggers.plugins.inbound_warnings import InboundWarnings

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from airflow_registry_triggers.inbound.answers import Webhook
    from airflow_registry_triggers.inbound.fields import Headers
    from airflow_registry_triggers.plugins.inbound_connections import InboundConnection

__all__ = ["app"]

MAX_SECONDS = 30.0
"""Seconds in which a body must arrive."""

MAX_INLINE = 16 * 1024
"""Bytes of a body that is read on the event loop. A larger one can take 0.2 s, so a thread reads it."""

_METHODS = ("POST", "OPTIONS")


def _read_connection(conn_id: str) -> InboundSettings | None:
    try:
        connection = RegistryHook.get_connection(conn_id)
    except AirflowNotFoundException:
        check_database()
        return None
    return InboundSettings.from_connection(connection)


class _Endpoint:
    """
    The ASGI app of the route.

    A FastAPI route would parse the body before its function runs; here an unproven body is not read.
    """

    def __init__(self) -> None:
        self._connections = InboundConnections(_read_connection)
        self._writer = HintWriter(store_hints)
        self._warnings = InboundWarnings()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        answer, dialect, stored = await self._handle(request)
        count_webhook(answer.status, dialect, stored)
        response = Response(answer.body, answer.status, dict(answer.headers), media_type=answer.media_type)
        response.headers["Cache-Control"] = "no-store"
        await response(scope, receive, send)

    async def _handle(self, request: Request) -> tuple[Answer, str, int]:
        """Return the answer, the dialect of the body, and the number of tags that were stored."""
        if request.method not in _METHODS:
            return WRONG_METHOD, "", 0
        conn_id = request.path_params.get("conn_id", "")
        connection = await self._connections.get(conn_id) if is_conn_id(conn_id) else None
        if connection is None or not (connection.is_known or connection.error):
            self._warnings.add("", "webhooks for Connections without webhook_secret are rejected (404)")
            return NOT_FOUND, "", 0
        try:
            return await self._handle_known(request, conn_id, connection)
        except BodyTooLarge:
            answer = TOO_LARGE
        except TimeoutError:
            answer = TOO_SLOW
        except ClientDisconnect:
            answer = INCOMPLETE
        self._warnings.add(conn_id, f"webhooks are rejected ({answer.status}): {answer.content}")
        return answer, "", 0

    async def _handle_known(
        self, request: Request, conn_id: str, connection: InboundConnection
    ) -> tuple[Answer, str, int]:
        if connection.settings is None:
            self._warn_unavailable(conn_id, connection.error)
            return UNAVAILABLE, "", 0
        if is_too_large(request.headers.get("content-length")):
            raise BodyTooLarge
        body = await _body(request) if needs_body(request.headers) else None
        proven = await self._proven(request, conn_id, connection, body)
        if proven is None or proven.window is None:
            self._warnings.add(
                conn_id, "webhooks without a valid proof are rejected (401). Check the secret at the sender"
            )
            return UNPROVEN, "", 0
        if request.method == "OPTIONS":
            return answer_origin(request.headers), "", 0
        if seconds := proven.window.take(time.monotonic()):
            self._warnings.add(conn_id, "webhooks over webhook_rate are rejected (429)")
            return answer_too_many(seconds), "", 0
        body = await _body(request) if body is None else body
        return await self._store(conn_id, await _read(conn_id, body, request.headers))

    async def _proven(
        self, request: Request, conn_id: str, connection: InboundConnection, body: bytes | None
    ) -> InboundConnection | None:
        """Return the Connection whose secret the sender knows; a rotated secret is read once."""

        def is_proven(by: InboundConnection) -> bool:
            secrets = by.settings.secrets if by.settings else ()
            return prove(secrets, request.headers, request.url.query, body) is not None

        if is_proven(connection):
            return connection
        renewed = await self._connections.after_wrong_proof(conn_id, connection)
        return renewed if renewed is not None and is_proven(renewed) else None

    async def _store(self, conn_id: str, webhook: Webhook) -> tuple[Answer, str, int]:
        if webhook.answer.status == 422:
            self._warnings.add(conn_id, f"webhooks are rejected (422): {webhook.answer.content}")
        if not webhook.hints:
            return webhook.answer, webhook.dialect, 0
        try:
            await self._writer.store(webhook.hints)
        except Exception as error:
            self._warn_unavailable(conn_id, error)
            return UNAVAILABLE, webhook.dialect, 0
        return webhook.answer, webhook.dialect, _taken(webhook.answer)

    def _warn_unavailable(self, conn_id: str, error: Exception | None) -> None:
        # A text of the database may quote values; those of this package name the field only.
        is_own = isinstance(error, ValueError | NoStateAsset)
        reason = (
            str(error).removeprefix(f"Connection {conn_id!r}: ")
            if is_own
            else f"the database is not available ({type(error).__name__})"
        )
        self._warnings.add(conn_id, f"webhooks are rejected (503): {reason}")


async def _body(request: Request) -> bytes:
    async with asyncio.timeout(MAX_SECONDS):
        return await read_limited(request.stream())


async def _read(conn_id: str, body: bytes, headers: Headers) -> Webhook:
    if len(body) <= MAX_INLINE:
        return read_webhook(conn_id, body, headers)
    return await asyncio.to_thread(read_webhook, conn_id, body, headers)


def _taken(answer: Answer) -> int:
    return int(answer.content.get("taken", 0)) if isinstance(answer.content, dict) else 0


def create_app() -> FastAPI:
    """Return the app, with a cache and a rate limit of its own."""
    created = FastAPI(title="Registries' webhooks", openapi_url=None, docs_url=None, redoc_url=None)
    endpoint = _Endpoint()
    for path in ("/{conn_id}", "/{conn_id}/"):
        created.router.routes.append(Route(path, endpoint, include_in_schema=False))
    created.router.routes.append(Route("/{rest:path}", endpoint, include_in_schema=False))
    return created


app = create_app()
"""The app that Airflow mounts below ``/registry-webhooks``."""
