# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""One request and its answer, over redirects and within limits."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp
from yarl import URL

from airflow_registry_triggers.registry.errors import INVALID_URL, RegistryError
from airflow_registry_triggers.registry.http.answer_stream import PROGRESS, Progress
from airflow_registry_triggers.registry.http.connection_errors import (
    FailedRequest,
    blocked_error,
    connection_error,
    proxy_refused,
)
from airflow_registry_triggers.registry.http.destinations import DestinationBlocked
from airflow_registry_triggers.registry.http.port_probe import is_probed, other_protocol, speaks_tls_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_registry_triggers.registry.http.connections import Connections
    from airflow_registry_triggers.registry.http.proxies import Proxy
    from airflow_registry_triggers.registry.http.rate_limits import Limits

__all__ = ["Answer", "Request", "display_url", "exchange"]

_MAX_REDIRECTS = 3
_REDIRECTS = {301, 302, 303, 307, 308}
_MAX_ERROR_BYTES = 64 * 1024
_MAX_RESERVE = 1.0
_PLAIN_ON_TLS = re.compile(
    rb"plain HTTP request was sent to HTTPS|HTTP request to an HTTPS server|speaking plain HTTP to an SSL"
)


@dataclass(frozen=True, slots=True)
class Request:
    """
    A request, before redirects.

    :param method: ``GET``, ``HEAD`` or ``POST``
    :param shown: the URL as errors show it; ``""`` for the URL without its query
    :param headers: sent to every origin, so without ``Authorization``
    :param max_bytes: limit of the body, after decompression
    :param authorization: ``Authorization`` headers by origin
    :param may_leave_origin: whether a redirect to another origin is followed
    :param json: body of a POST
    """

    method: str
    url: URL
    headers: dict[str, str]
    max_bytes: int
    authorization: Mapping[URL, str | None]
    shown: str = ""
    may_leave_origin: bool = True
    json: Mapping[str, str] | None = field(default=None, repr=False)

    @property
    def secrets(self) -> list[str]:
        """Values that the receiver of the request can repeat."""
        values = [value.partition(" ")[2] for value in self.authorization.values() if value]
        return [*values, (self.json or {}).get("secret", "")]


@dataclass(frozen=True, slots=True)
class Answer:
    """
    The answer of a registry.

    :param status: HTTP status
    :param headers: names are case-insensitive
    :param body: decompressed; empty for a HEAD
    :param url: the URL that answered, after redirects
    :param where: the URL and the proxy as errors show them
    :param is_elsewhere: whether another origin than the registry's answered
    :param through_proxy: whether a proxy that can read and replace the answer was used
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: URL
    where: str
    is_elsewhere: bool = False
    through_proxy: bool = False

    def values(self, name: str) -> list[str]:
        """Return each value of a header."""
        getall = getattr(self.headers, "getall", None)
        return list(getall(name, [])) if getall else []


def display_url(url: URL) -> str:
    """Return a URL for errors and logs: without a query, which can contain secrets."""
    return str(url.with_query(None).with_fragment(None).with_user(None))


async def exchange(connections: Connections, request: Request, limits: Limits) -> Answer:
    """
    Send a request and follow redirects.

    :param connections: of the registry
    :param limits: deadlines
    :raises RegistryError: the registry did not answer
    """
    url, shown = request.url, request.shown or display_url(request.url)
    for _ in range(_MAX_REDIRECTS + 1):
        answer = await _once(connections, request, url, shown, limits)
        if answer.status not in _REDIRECTS or "Location" not in answer.headers:
            return answer
        url = _target(answer, request, connections)
        # The path of a redirect can repeat a secret of the request: errors show the origin only.
        shown = connections.hosts.origin(url, request.secrets)
    raise RegistryError(f"{answer.where}: more than {_MAX_REDIRECTS} redirects.", kind="refused_answer")


async def _once(connections: Connections, request: Request, url: URL, shown: str, limits: Limits) -> Answer:
    proxy = connections.proxies.proxy_for(url)
    where = f"{shown} (through proxy {proxy.name})" if proxy else shown
    try:
        session = connections.session_for(url, proxy)
    except DestinationBlocked as blocked:
        raise blocked_error(blocked, where, url, connections.hosts.host(url, request.secrets)) from None
    # A status decides before the deadline ends the request, even if its headers never end.
    reserve = min(_MAX_RESERVE, limits.seconds / 10)
    progress = Progress(asyncio.get_running_loop().time() + limits.seconds - reserve)
    PROGRESS.set(progress)
    try:
        async with session.request(
            request.method, url, **_arguments(request, url, proxy, limits)
        ) as response:
            body = b"" if request.method == "HEAD" else await _body(response, request.max_bytes, where)
            is_plain_proxy = proxy is not None and url.scheme == "http"
            _check_other_port(response.status, body, where, is_plain_proxy, url)
            is_elsewhere = url.origin() != connections.base.origin()
            connections.has_answered |= not is_elsewhere
            return Answer(response.status, response.headers, body, url, where, is_elsewhere, is_plain_proxy)
    except (aiohttp.ClientError, OSError, ValueError) as error:
        failed = FailedRequest(
            where, url, proxy, limits, progress, connections.hosts.authority(url, request.secrets)
        )
        problem = speaks_tls_error(where) if progress.speaks_tls else connection_error(error, failed)
        is_first = url.origin() == connections.base.origin() and not connections.has_answered
        probes = is_first and is_probed(error, failed)
        cause = error
    if probes:
        problem = await other_protocol(cause, failed) or problem
    # Raised outside of the except block: aiohttp's own errors contain the headers of the request.
    raise problem


def _arguments(request: Request, url: URL, proxy: Proxy | None, limits: Limits) -> dict[str, Any]:
    headers = dict(request.headers)
    if (authorization := request.authorization.get(url.origin())) is not None:
        headers["Authorization"] = authorization
    arguments: dict[str, Any] = {
        "headers": headers,
        "json": request.json,
        "allow_redirects": False,
        "timeout": aiohttp.ClientTimeout(total=limits.seconds, sock_connect=limits.connect_seconds),
    }
    if proxy is not None:
        arguments["proxy"] = proxy.url
        # Of a tunnel, only the proxy sees the header; else it is part of the request to the proxy.
        (arguments.setdefault("proxy_headers", {}) if url.scheme == "https" else headers).update(
            proxy.headers
        )
    return arguments


def _check_other_port(status: int, body: bytes, where: str, is_plain_proxy: bool, url: URL) -> None:
    if status == 407:
        raise proxy_refused(407, where)
    # nginx, Go and Apache say so in the body of a 400.
    is_refused = status == 400 and url.scheme == "http" and not is_plain_proxy
    if is_refused and _PLAIN_ON_TLS.search(body[:4096]):
        raise speaks_tls_error(where)


async def _body(response: aiohttp.ClientResponse, max_bytes: int, where: str) -> bytes:
    try:
        return await _read(response, max_bytes, where)
    except (aiohttp.ClientError, OSError):
        if response.status < 300:
            raise
    # The status of an error or a redirect decides, even if its body breaks off.
    return b""


async def _read(response: aiohttp.ClientResponse, max_bytes: int, where: str) -> bytes:
    if response.status >= 300:
        max_bytes = min(max_bytes, _MAX_ERROR_BYTES)
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_chunked(1 << 16):
        size += len(chunk)
        if size > max_bytes and response.status >= 300:
            break
        if size > max_bytes:
            raise RegistryError(
                f"{where}: the answer is longer than the limit of {max_bytes:,} bytes.",
                kind="refused_answer",
                status=response.status,
            )
        chunks.append(chunk)
    return b"".join(chunks)


def _target(answer: Answer, request: Request, connections: Connections) -> URL:
    url = answer.url
    try:
        target = url.join(URL(answer.headers["Location"]))
        usable = target.scheme in ("http", "https") and bool(target.host) and target.user is None
    except INVALID_URL:
        target, usable = url, False
    if not usable:
        raise RegistryError(
            f"{answer.where}: redirects to an address that is not an http or https URL.",
            kind="refused_answer",
        )
    if url.scheme == "https" and target.scheme == "http":
        why = "which is not allowed (https to http)"
    elif not request.may_leave_origin and target.origin() != request.url.origin():
        why = "which is not allowed for a token request"
    else:
        return target
    shown = connections.hosts.origin(target, request.secrets)
    raise RegistryError(
        f"{answer.where}: redirects to {shown}, {why}. Set the Connection's host to the final address.",
        kind="refused_answer",
    )
