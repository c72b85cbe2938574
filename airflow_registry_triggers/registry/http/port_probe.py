# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Ask a port that did not answer which protocol it speaks: plain HTTP or TLS."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING

import aiohttp

from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.http.connection_errors import plain_http_error

if TYPE_CHECKING:
    from airflow_registry_triggers.registry.http.connection_errors import FailedRequest

__all__ = ["is_probed", "other_protocol", "speaks_tls_error"]

_PROBE_SECONDS = 3.0
_TLS_PROBE_SECONDS = 1.0  # a server that speaks TLS answers a handshake at once
_CLOSED = (ConnectionResetError, ConnectionAbortedError, BrokenPipeError)


def is_probed(error: Exception, failed: FailedRequest) -> bool:
    """Return True if the wrong scheme in the Connection can be the cause of a failure."""
    if failed.proxy is not None or isinstance(error, ssl.SSLError | aiohttp.ClientSSLError):
        return False
    cause = getattr(error, "os_error", None) or error
    closes = isinstance(cause, _CLOSED)
    if failed.url.scheme == "http":
        return closes or isinstance(error, aiohttp.ServerDisconnectedError)
    return closes or (isinstance(error, TimeoutError) and not failed.progress.is_sent)


async def other_protocol(error: Exception, failed: FailedRequest) -> RegistryError | None:
    """
    Return the error for a port that speaks the other protocol, None if it does not.

    :param error: the failure, one that :func:`is_probed` accepts
    :param failed: the request; nothing of it is sent
    """
    if failed.url.scheme == "http":
        return speaks_tls_error(failed.where) if await _speaks_tls(failed) else None
    return await _handshake_error(error, failed)


def speaks_tls_error(where: str) -> RegistryError:
    """Return the error for a plain request to a port that speaks TLS."""
    return RegistryError(
        f"{where}: the port speaks TLS, not plain HTTP. Set the Connection's scheme to https.",
        kind="tls",
        everywhere=True,
    )


async def _speaks_tls(failed: FailedRequest) -> bool:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing is sent but the handshake
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(_TLS_PROBE_SECONDS):
            _, writer = await asyncio.open_connection(failed.url.host, failed.url.port, ssl=context)
            writer.transport.abort()
            return True
    return False


async def _handshake_error(error: Exception, failed: FailedRequest) -> RegistryError | None:
    answer: bytes | None = None
    writer = None
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(_PROBE_SECONDS):
            reader, writer = await asyncio.open_connection(failed.url.host, failed.url.port)
            answer = b""
            writer.write(b"HEAD / HTTP/1.0\r\n\r\n")
            answer = await reader.read(5) or None
    if writer is not None:
        writer.close()
    if answer == b"HTTP/":
        return plain_http_error(failed)
    if answer is not None and isinstance(error, TimeoutError):
        text = (
            "the port accepts connections but does not answer the TLS handshake. Check the Connection's "
            "scheme and port"
        )
    else:
        return None
    return RegistryError(f"{failed.where}: {text}.", kind="tls", everywhere=True)
