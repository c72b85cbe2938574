# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Classes of network faults, with texts of our own: the libraries put URLs into theirs."""

from __future__ import annotations

import errno
import ssl
from typing import NamedTuple

import aiohttp

from airflow_registry_triggers.addresses.guard import LookUpTimeout
from airflow_registry_triggers.addresses.table import AddressBlocked
from airflow_registry_triggers.webhook.outcome import Outcome, classify_status

__all__ = ["NETWORK_ERRORS", "Fault", "classify_error", "classify_proxy_error"]

NETWORK_ERRORS = (aiohttp.ClientError, aiohttp.http_exceptions.HttpProcessingError, OSError, AddressBlocked)
"""Every exception that the network or a receiver can cause (a timeout is an OSError)."""

_BY_ERRNO = {
    errno.ECONNREFUSED: ("connection_refused", "the connection was refused: no server listens on that port"),
    errno.ECONNRESET: ("connection_reset", "the connection was reset"),
    errno.ECONNABORTED: ("connection_reset", "the connection was aborted"),
    errno.EPIPE: ("connection_reset", "the connection was closed while the request was sent"),
    errno.ETIMEDOUT: ("timeout", "the connection timed out in the operating system"),
}
# A peer that ends the handshake like this repeats it until someone changes its configuration.
_LASTING_TLS = {
    "TLSV1_ALERT_PROTOCOL_VERSION": "the receiver supports neither TLS 1.2 nor TLS 1.3",
    "UNSUPPORTED_PROTOCOL": "the receiver supports neither TLS 1.2 nor TLS 1.3",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "the receiver requires a client certificate, which is not supported",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "the receiver rejected the handshake: there is no common cipher, or it "
    "requires a client certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "the receiver requires a client certificate, which is not supported",
    "TLSV1_ALERT_ACCESS_DENIED": "the receiver denied access in the handshake",
    "TLSV1_UNRECOGNIZED_NAME": "the receiver does not serve this host name; check the URL",
}
_PASSING_TLS = {
    "WRONG_VERSION_NUMBER": "the port does not answer with TLS",
    "UNEXPECTED_EOF_WHILE_READING": "the receiver ended the connection in the TLS handshake",
}
_NO_HTTP = "the answer is not HTTP"


class Fault(NamedTuple):
    """
    The meaning of a fault.

    :param status_code: error class, as in the access record
    :param outcome: consequence for the delivery
    :param reason: one sentence
    """

    status_code: str
    outcome: Outcome
    reason: str


def classify_error(error: BaseException) -> Fault:
    """
    Return the meaning of an exception of an attempt.

    :param error: one of :data:`NETWORK_ERRORS`
    """
    chain = list(_chain(error))
    for known in chain:
        if isinstance(known, AddressBlocked):
            return Fault("blocked", Outcome.FINAL, f"Nothing was sent: {known.short_text}")
        # aiohttp's own errors are SSLErrors too, but OpenSSL's reason is only in the next of the chain.
        if isinstance(known, ssl.SSLError) and not isinstance(known, aiohttp.ClientError):
            return _tls_fault(known)
        if isinstance(known, LookUpTimeout):
            return Fault("timeout", Outcome.RETRY, str(known))
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Fault("dns_error", Outcome.RETRY, "the host name does not resolve; check the URL and the DNS")
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return Fault("connection_reset", Outcome.RETRY, "the connection was closed without an answer")
    if isinstance(error, aiohttp.ClientResponseError | aiohttp.http_exceptions.HttpProcessingError):
        return Fault("protocol_error", Outcome.RETRY, _NO_HTTP)
    return _os_fault(chain)


def classify_proxy_error(error: BaseException, proxy_url: str) -> Fault:
    """
    Return the meaning of an exception of an attempt through a proxy, before the receiver was reached.

    :param error: one of :data:`NETWORK_ERRORS`
    :param proxy_url: URL of the proxy without its login
    """
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return _refused_tunnel(error.status, proxy_url)
    fault = classify_error(error)
    if fault.status_code in ("blocked", "tls_error"):  # these concern the receiver
        return fault
    return fault._replace(reason=f"proxy {proxy_url}: {fault.reason}")


def _refused_tunnel(status: int, proxy_url: str) -> Fault:
    """Classify the answer of a proxy to CONNECT as the same status of a receiver would be."""
    advice = {
        403: "the rules of the proxy do not allow the receiver",
        407: "the proxy requires a login; check the login in [registry_triggers] webhook_proxy",
        502: "the proxy could not connect to the receiver",
        503: "the proxy could not connect to the receiver",
        504: "the receiver did not answer the proxy in time",
    }.get(status, "the proxy did not open a connection to the receiver")
    outcome = classify_status(status) if 300 <= status <= 599 else Outcome.RETRY
    outcome = Outcome.FINAL if outcome is Outcome.GONE else outcome
    status_code = "blocked" if status == 403 else "unreachable"
    return Fault(status_code, outcome, f"proxy {proxy_url} answered {status} to CONNECT: {advice}")


def _chain(error: BaseException | None) -> list[BaseException]:
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = getattr(error, "os_error", None) or error.__cause__
    return chain


def _tls_fault(error: ssl.SSLError) -> Fault:
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = f"the receiver has a certificate that cannot be trusted: {error.verify_message}"
        return Fault("tls_error", Outcome.FINAL, reason)
    reason = error.reason or ""
    if reason in _LASTING_TLS:
        return Fault("tls_error", Outcome.FINAL, f"TLS: {_LASTING_TLS[reason]}")
    meaning = _PASSING_TLS.get(reason, f"the handshake failed ({reason})")
    return Fault("tls_error", Outcome.RETRY, f"TLS: {meaning}")


def _os_fault(chain: list[BaseException]) -> Fault:
    numbers = [error.errno for error in chain if isinstance(error, OSError) and error.errno]
    for number in numbers:
        if number in _BY_ERRNO:
            status_code, reason = _BY_ERRNO[number]
            return Fault(status_code, Outcome.RETRY, reason)
    if any(isinstance(error, ConnectionResetError) for error in chain):
        # asyncio raises it without a number when a connection ends in the handshake.
        return Fault("connection_reset", Outcome.RETRY, "the connection was closed in the TLS handshake")
    if any(isinstance(error, aiohttp.ClientConnectorError) for error in chain):
        named = f" ({errno.errorcode[numbers[0]]})" if numbers and numbers[0] in errno.errorcode else ""
        return Fault("unreachable", Outcome.RETRY, f"no route to the receiver{named}")
    if any(isinstance(error, aiohttp.ClientConnectionError | ConnectionError) for error in chain):
        return Fault("connection_reset", Outcome.RETRY, "the connection was lost")
    return Fault("protocol_error", Outcome.RETRY, _NO_HTTP)
