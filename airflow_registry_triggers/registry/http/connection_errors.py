# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Failures of a request without an answer, and the error for each of them."""

from __future__ import annotations

import os
import re
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp

from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.http.destinations import DestinationBlocked

if TYPE_CHECKING:
    from yarl import URL

    from airflow_registry_triggers.registry.http.answer_stream import Progress
    from airflow_registry_triggers.registry.http.proxies import Proxy
    from airflow_registry_triggers.registry.http.rate_limits import Limits

__all__ = ["FailedRequest", "blocked_error", "connection_error", "plain_http_error", "proxy_refused"]

_PLAIN_HTTP = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST")
"""Reasons of OpenSSL for a port that answers a handshake in plain HTTP."""

_LOGIN_REFUSED = {401, 407}  # tinyproxy answers 401 to a wrong password


@dataclass(frozen=True, slots=True)
class FailedRequest:
    """
    A request that got no answer.

    :param where: the URL as errors show it
    :param url: the URL that was requested
    :param proxy: the proxy of the request
    :param limits: deadlines of the request
    :param progress: whether it was sent
    :param authority: host and port as errors show them; ``""`` for those of the URL
    """

    where: str
    url: URL
    proxy: Proxy | None
    limits: Limits
    progress: Progress
    authority: str = ""

    @property
    def shown(self) -> str:
        """The host and the port as errors show them."""
        return self.authority or self.url.authority

    @property
    def host(self) -> str:
        """The host as errors show it."""
        return self.shown.removesuffix(f":{self.url.port}").strip("[]")


def connection_error(error: Exception, failed: FailedRequest) -> RegistryError:
    """
    Return the error for a request that got no answer.

    :param error: of aiohttp or of the socket
    :param failed: the request
    """
    where, proxy = failed.where, failed.proxy
    cause = getattr(error, "os_error", None) or error
    if isinstance(cause, DestinationBlocked):
        return blocked_error(cause, where, failed.url, failed.host)
    # A certificate error is a ValueError too, so it comes first.
    if isinstance(error, ssl.SSLError | aiohttp.ClientSSLError):
        if proxy is None and _tls_reason(error) in _PLAIN_HTTP:
            return plain_http_error(failed)
        return _tls_error(error, failed)
    if proxy is not None and (found := _proxy_error(error, cause, failed)):
        return found
    if _is_name_error(error, cause):
        return RegistryError(
            f"{where}: the name {failed.host!r} does not resolve. Check the Connection's host.",
            kind="name",
            everywhere=True,
        )
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        why = f"no connection within {failed.limits.connect_seconds:g} s"
    elif isinstance(error, TimeoutError):
        why = f"no complete answer within {failed.limits.seconds:g} s"
    elif isinstance(error, OSError):
        why = f"no connection ({_os_reason(cause)})"
    elif isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientPayloadError):
        why = "the connection was closed before the answer was complete"
    else:
        return RegistryError(f"{where}: the answer is not valid HTTP.", kind="refused_answer")
    return RegistryError(f"{where}: {why}.", kind="unavailable", everywhere=True)


def blocked_error(blocked: DestinationBlocked, where: str, url: URL, host: str) -> RegistryError:
    """
    Return the error for a destination that is not allowed.

    :param url: the URL that was requested
    :param host: its host as errors show it
    """
    return RegistryError(
        f"{where}: {_with_shown(blocked.text, url, host)}. The registry sent the client there; no request "
        "was sent. Check that the Connection's host is the registry's.",
        kind="refused_answer",
        everywhere=True,
    )


def _with_shown(text: str, url: URL, host: str) -> str:
    """Replace the host in a text of another module by its shown form."""
    name = (url.raw_host or "").rstrip(".")
    return re.sub(re.escape(name), lambda _: host.rstrip("."), text, flags=re.IGNORECASE) if name else text


def plain_http_error(failed: FailedRequest) -> RegistryError:
    """Return the error for a port that answers a TLS handshake in plain HTTP."""
    text = f"{failed.shown} answers plain HTTP, not HTTPS: set Scheme to http"
    return RegistryError(text, kind="tls", everywhere=True)


def _tls_error(error: Exception, failed: FailedRequest) -> RegistryError:
    where, proxy = failed.where, failed.proxy
    reason = _with_shown(_tls_reason(error), failed.url, failed.host)  # OpenSSL names the host
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


def _is_name_error(error: Exception, cause: object) -> bool:
    # A name that cannot be encoded, such as one with an empty label, is a UnicodeError.
    is_name = isinstance(error, aiohttp.ClientConnectorDNSError | aiohttp.InvalidURL | UnicodeError)
    return is_name or isinstance(cause, socket.gaierror)


def _proxy_error(error: Exception, cause: object, failed: FailedRequest) -> RegistryError | None:
    where, url = failed.where, failed.url
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return proxy_refused(error.status, where)
    if _is_name_error(error, cause):
        text = "the proxy's name does not resolve"
    elif isinstance(error, aiohttp.ClientProxyConnectionError):
        text = f"no connection to the proxy ({_os_reason(cause)})"
    elif isinstance(error, TimeoutError) and not failed.progress.is_sent:
        text = "the proxy opened no connection in time"
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
    if status in _LOGIN_REFUSED:
        text = (
            f"a proxy requires a login ({status}). Set proxy on the Connection, with user name and password."
        )
    elif status >= 500:
        text = f"the proxy could not reach the registry ({status})."
    else:
        text = f"the proxy refused the request ({status}). Check that it allows this host and port."
    return RegistryError(
        f"{where}: {text}",
        kind="proxy",
        status=status,
        everywhere=True,
        transient=status not in _LOGIN_REFUSED,
    )


def _os_reason(error: object) -> str:
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else type(error).__name__


def _tls_reason(error: Exception) -> str:
    cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
    return str(getattr(cause, "verify_message", "") or getattr(cause, "reason", "") or "handshake failed")
