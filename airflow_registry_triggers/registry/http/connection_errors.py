# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Failures of a request without an answer, and the error for each of them."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING

import aiohttp

from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.http.destinations import DestinationBlocked

if TYPE_CHECKING:
    from yarl import URL

    from airflow_registry_triggers.registry.http.proxies import Proxy

__all__ = ["connection_error", "handshake_error", "is_handshake_failure"]

_PROBE_SECONDS = 3.0


def connection_error(
    error: Exception, where: str, url: URL, proxy: Proxy | None, seconds: float
) -> RegistryError:
    """
    Return the error for a request that got no answer.

    :param where: the URL as errors show it
    :param url: the URL that was requested
    :param proxy: the proxy of the request
    :param seconds: the deadline of the request
    """
    cause = getattr(error, "os_error", None) or error
    if isinstance(cause, DestinationBlocked):
        return blocked_error(cause, where)
    # A certificate error is a ValueError too, so it comes first.
    if isinstance(error, ssl.SSLError | aiohttp.ClientSSLError):
        return _tls_error(error, where, proxy)
    if proxy is not None and (found := _proxy_error(error, cause, where, url)):
        return found
    if isinstance(error, aiohttp.ClientConnectorDNSError | ValueError) or isinstance(cause, socket.gaierror):
        return RegistryError(
            f"{where}: the name {url.host!r} does not resolve. Check the Connection's host.",
            kind="name",
            everywhere=True,
        )
    if isinstance(error, TimeoutError):
        why = f"no complete answer within {seconds:g} s"
    elif isinstance(error, OSError):
        why = f"no connection ({_os_reason(cause)})"
    elif isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientPayloadError):
        why = "the connection was closed before the answer was complete"
    else:
        return RegistryError(f"{where}: the answer is not valid HTTP.", kind="refused_answer")
    return RegistryError(f"{where}: {why}.", kind="unavailable", everywhere=True)


def blocked_error(blocked: DestinationBlocked, where: str) -> RegistryError:
    """Return the error for a destination that is not allowed."""
    return RegistryError(
        f"{where}: {blocked.text}. The registry sent the client there; no request was sent. Check that the "
        "Connection's host is the registry's.",
        kind="refused_answer",
        everywhere=True,
    )


def is_handshake_failure(error: Exception, url: URL, proxy: Proxy | None) -> bool:
    """Return True if a port that does not speak TLS can be the cause of the failure."""
    if url.scheme != "https" or proxy is not None or isinstance(error, ssl.SSLError | aiohttp.ClientSSLError):
        return False
    cause = getattr(error, "os_error", None) or error
    return isinstance(error, aiohttp.ConnectionTimeoutError) or isinstance(
        cause, ConnectionResetError | ConnectionAbortedError | BrokenPipeError
    )


async def handshake_error(url: URL, where: str, error: Exception) -> RegistryError | None:
    """
    Ask a port in plain HTTP why it did not answer the TLS handshake.

    :return: None if the port could not be connected, or closes every connection
    """
    answer: bytes | None = None
    writer = None
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(_PROBE_SECONDS):
            reader, writer = await asyncio.open_connection(url.host, url.port)
            answer = b""
            writer.write(b"HEAD / HTTP/1.0\r\n\r\n")
            answer = await reader.read(5) or None
    if writer is not None:
        writer.close()
    if answer == b"HTTP/":
        text = f"{where}: the port speaks HTTP, not TLS. Set the Connection's scheme to http, or its port."
        return RegistryError(text, kind="tls", everywhere=True)
    if answer is None or not isinstance(error, TimeoutError):
        return None
    return RegistryError(
        f"{where}: the port accepts connections but does not answer the TLS handshake. Check the "
        "Connection's scheme and port.",
        kind="tls",
        everywhere=True,
    )


def _tls_error(error: Exception, where: str, proxy: Proxy | None) -> RegistryError:
    reason = _tls_reason(error)
    is_certificate = isinstance(error, ssl.CertificateError | aiohttp.ClientConnectorCertificateError)
    if proxy is not None and not is_certificate:
        return RegistryError(
            f"{where}: no TLS connection ({reason}). Check that the proxy forwards CONNECT to this port.",
            kind="proxy",
            everywhere=True,
        )
    advice = "Check the Connection's host, or set ca_file to the registry's CA."
    if proxy is not None:
        advice = "Check the Connection's host, or set ca_file to the CA of the registry or of the proxy."
    return RegistryError(
        f"{where}: no trusted TLS connection ({reason}). {advice}", kind="tls", everywhere=True
    )


def _proxy_error(error: Exception, cause: object, where: str, url: URL) -> RegistryError | None:
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return proxy_refused(error.status, where)
    if isinstance(error, aiohttp.ClientConnectorDNSError) or isinstance(cause, socket.gaierror):
        text = "the proxy's name does not resolve"
    elif isinstance(error, aiohttp.ClientProxyConnectionError):
        text = f"no connection to the proxy ({_os_reason(cause)})"
    elif isinstance(error, aiohttp.ConnectionTimeoutError):
        text = "the proxy does not answer"
    elif url.scheme == "https" and isinstance(error, aiohttp.ClientConnectionError):
        text = "the proxy closed the connection"
    elif isinstance(error, aiohttp.ClientResponseError):
        text = "the proxy's answer is not valid HTTP"
    else:
        return None
    return RegistryError(f"{where}: {text}. Check the proxy.", kind="proxy", everywhere=True)


def proxy_refused(status: int, where: str) -> RegistryError:
    """
    Return the error for a proxy that refuses a request.

    :param status: of the proxy's own answer
    """
    if status == 407:
        text = "the proxy requires a login (407). Set user name and password in the proxy's URL."
    elif status >= 500:
        text = f"the proxy could not reach the registry ({status})."
    else:
        text = f"the proxy refused the request ({status}). Check that it allows this host and port."
    return RegistryError(
        f"{where}: {text}", kind="proxy", status=status, everywhere=True, transient=status != 407
    )


def _os_reason(error: object) -> str:
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else type(error).__name__


def _tls_reason(error: Exception) -> str:
    cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
    return str(getattr(cause, "verify_message", "") or getattr(cause, "reason", "") or "handshake failed")
