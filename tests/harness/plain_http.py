# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Plain HTTP for the harness itself, on the standard library: it must not share a fault with what is tested."""

from __future__ import annotations

import base64
import http.client
import json
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

__all__ = ["Response", "request"]

_local = threading.local()


@dataclass(frozen=True, slots=True)
class Response:
    """An answer: status, headers (names in lower case) and the whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Read the body as JSON."""
        return json.loads(self.body)


def request(
    method: str,
    url: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    credentials: tuple[str, str] | None = None,
    context: ssl.SSLContext | None = None,
    timeout: float = 90.0,
) -> Response:
    """
    Send one request, over the connection this thread keeps to that server; no redirects are followed.

    :param method: HTTP method
    :param url: absolute URL
    :param body: what is sent
    :param headers: of the request
    :param credentials: user and password (Basic)
    :param context: whom to trust; such a request has a connection of its own
    :param timeout: seconds for one read or write
    :raises OSError: no answer, or a malformed one
    """
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    all_headers = {**(headers or {}), **_authorization(credentials)}
    kept = _kept_connections()
    key = (parts.scheme, parts.netloc)
    if context is None and key in kept:
        try:
            return _exchange(kept[key], method, target, body, all_headers)
        except OSError:
            kept.pop(key).close()  # closed by the server meanwhile: a new one follows
    connection = _connect(parts.scheme, parts.netloc, context, timeout)
    response = _exchange(connection, method, target, body, all_headers)
    if context is None:
        kept[key] = connection
    else:
        connection.close()
    return response


def _authorization(credentials: tuple[str, str] | None) -> dict[str, str]:
    if credentials is None:
        return {}
    return {"Authorization": "Basic " + base64.b64encode(":".join(credentials).encode()).decode()}


def _kept_connections() -> dict[tuple[str, str], http.client.HTTPConnection]:
    if not hasattr(_local, "connections"):
        _local.connections = {}
    kept: dict[tuple[str, str], http.client.HTTPConnection] = _local.connections
    return kept


def _connect(
    scheme: str, netloc: str, context: ssl.SSLContext | None, timeout: float
) -> http.client.HTTPConnection:
    if scheme == "https":
        return http.client.HTTPSConnection(netloc, timeout=timeout, context=context)
    return http.client.HTTPConnection(netloc, timeout=timeout)


def _exchange(
    connection: http.client.HTTPConnection,
    method: str,
    target: str,
    body: bytes | None,
    headers: dict[str, str],
) -> Response:
    try:
        connection.request(method, target, body=body, headers=headers)
        answer = connection.getresponse()
        content = answer.read()
    except http.client.HTTPException as error:
        connection.close()
        raise ConnectionError(f"{method} {target}: malformed answer, {error!r}") from None
    except OSError:
        connection.close()
        raise
    return Response(answer.status, {name.lower(): value for name, value in answer.getheaders()}, content)
