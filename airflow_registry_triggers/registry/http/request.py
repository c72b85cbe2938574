# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""One question and its answer: redirects, limits, and what each failure means."""

from __future__ import annotations

import os
import socket
import ssl
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

from airflow_registry_triggers.registry.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_registry_triggers.registry.http.rate_limits import Limits

__all__ = ["Answer", "exchange", "shown"]

_MAX_REDIRECTS = 3
_REDIRECTS = {301, 302, 303, 307, 308}
_MAX_ERROR_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What a registry answered.

    :param status: HTTP status
    :param headers: by name, whatever its case
    :param body: decompressed; empty for a HEAD
    :param elsewhere: whether another origin answered, after a redirect
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    elsewhere: bool = False

    def values(self, name: str) -> list[str]:
        """Give each value of a header."""
        getall = getattr(self.headers, "getall", None)
        return list(getall(name, [])) if getall else []


def shown(url: URL) -> str:
    """Give a URL for a text or log: without a query, which may hold what is nobody's business."""
    return str(url.with_query(None).with_fragment(None).with_user(None))


async def exchange(
    session: aiohttp.ClientSession,
    method: str,
    url: URL,
    headers: dict[str, str],
    max_bytes: int,
    limits: Limits,
) -> Answer:
    """
    Send a request and follow where the answer points; ``Authorization`` does not go to another origin.

    :param session: the connections
    :param method: ``GET`` or ``HEAD``
    :param url: where to
    :param headers: sent as they are
    :param max_bytes: of the body, after decompression
    :param limits: deadlines
    :raises RegistryError: there is no answer
    """
    origin = url.origin()
    for _ in range(_MAX_REDIRECTS + 1):
        answer = await _once(session, method, url, headers, max_bytes, limits)
        if answer.status not in _REDIRECTS or "Location" not in answer.headers:
            return answer if url.origin() == origin else replace(answer, elsewhere=True)
        url = _target(url, answer.headers["Location"])
        if url.origin() != origin:
            headers = {name: value for name, value in headers.items() if name != "Authorization"}
    raise RegistryError(f"{shown(url)}: more than {_MAX_REDIRECTS} redirects", kind="refused_answer")


async def _once(
    session: aiohttp.ClientSession,
    method: str,
    url: URL,
    headers: dict[str, str],
    max_bytes: int,
    limits: Limits,
) -> Answer:
    timeout = aiohttp.ClientTimeout(total=limits.seconds, sock_connect=limits.connect_seconds)
    try:
        async with session.request(
            method, url, headers=headers, allow_redirects=False, timeout=timeout
        ) as response:
            body = b"" if method == "HEAD" else await _body(response, max_bytes)
            return Answer(response.status, response.headers, body)
    except (aiohttp.ClientError, OSError, ValueError) as error:
        problem = _problem(error, url, limits)
    # Raised out here: aiohttp's own errors carry the request's headers along.
    raise problem


async def _body(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    if response.status >= 400:
        max_bytes = min(max_bytes, _MAX_ERROR_BYTES)
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_chunked(1 << 16):
        size += len(chunk)
        if size > max_bytes and response.status >= 400:
            break
        if size > max_bytes:
            raise RegistryError(
                f"{shown(response.url)}: an answer of more than {max_bytes:,} bytes is not taken",
                kind="refused_answer",
                status=response.status,
            )
        chunks.append(chunk)
    return b"".join(chunks)


def _target(url: URL, location: str) -> URL:
    try:
        target = url.join(URL(location))
        usable = target.scheme in ("http", "https") and bool(target.host) and target.user is None
    except ValueError:
        target, usable = url, False
    if not usable or (url.scheme == "https" and target.scheme == "http"):
        raise RegistryError(f"{shown(url)}: redirects to where nothing may follow", kind="refused_answer")
    return target


def _problem(error: Exception, url: URL, limits: Limits) -> RegistryError:
    where = shown(url)
    # Before ValueError: a certificate that is refused is one of these as well.
    if isinstance(error, ssl.SSLError | aiohttp.ClientSSLError):
        return RegistryError(
            f"{where}: no trusted TLS connection: {_reason(error)}; check the host, or give a ca_file",
            kind="tls",
            everywhere=True,
        )
    if isinstance(error, aiohttp.ClientConnectorDNSError | ValueError) or _is_gaierror(error):
        return RegistryError(
            f"{where}: the name {url.host!r} does not resolve; check the host", kind="name", everywhere=True
        )
    if isinstance(error, TimeoutError):
        why = f"no whole answer within {limits.seconds:g} s"
    elif isinstance(error, OSError):
        why = f"no connection: {os.strerror(error.errno) if error.errno else type(error).__name__}"
    elif isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientPayloadError):
        why = "the connection was closed before the whole answer was there"
    else:
        return RegistryError(f"{where}: the answer is no HTTP that can be read", kind="refused_answer")
    return RegistryError(f"{where}: {why}; asked again at the next poll", kind="unavailable", everywhere=True)


def _is_gaierror(error: Exception) -> bool:
    return isinstance(getattr(error, "os_error", error), socket.gaierror)


def _reason(error: Exception) -> str:
    cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
    return str(getattr(cause, "verify_message", "") or getattr(cause, "reason", "") or "handshake failed")
