# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""What a fault of the network means, told in our own words: libraries put URLs into theirs."""

from __future__ import annotations

import errno
import ssl
from typing import NamedTuple

import aiohttp

from airflow_registry_triggers.addresses.guard import LookUpTimeout
from airflow_registry_triggers.addresses.table import AddressRefused
from airflow_registry_triggers.webhook.outcome import Outcome

__all__ = ["NETWORK_ERRORS", "Fault", "judge_fault"]

NETWORK_ERRORS = (aiohttp.ClientError, aiohttp.http_exceptions.HttpProcessingError, OSError, AddressRefused)
"""Every exception that the network or a receiver can cause (a timeout is an OSError)."""

_BY_ERRNO = {
    errno.ECONNREFUSED: ("connection_refused", "nothing listens there: the connection was refused"),
    errno.ECONNRESET: ("connection_reset", "the connection was reset"),
    errno.ECONNABORTED: ("connection_reset", "the connection was aborted"),
    errno.EPIPE: ("connection_reset", "the connection was closed while sending"),
    errno.ETIMEDOUT: ("timeout", "the system gave the connection up"),
}
# A peer that ends the handshake so has decided, and will decide the same until somebody changes it.
_LASTING_TLS = {
    "TLSV1_ALERT_PROTOCOL_VERSION": "the receiver has no TLS version of 1.2 or newer in common",
    "UNSUPPORTED_PROTOCOL": "the receiver offers no TLS version of 1.2 or newer",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "the receiver wants a client certificate",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "the receiver refused the handshake (no cipher in common, or a client "
    "certificate is wanted)",
    "SSLV3_ALERT_BAD_CERTIFICATE": "the receiver wants a client certificate",
    "TLSV1_ALERT_ACCESS_DENIED": "the receiver denied access in the handshake",
    "TLSV1_UNRECOGNIZED_NAME": "the receiver does not know this name",
}
_PASSING_TLS = {
    "WRONG_VERSION_NUMBER": "what answers there does not speak TLS",
    "UNEXPECTED_EOF_WHILE_READING": "the receiver ended the TLS connection",
}
_BAD_CERTIFICATE = "has a certificate that cannot be trusted"


class Fault(NamedTuple):
    """
    What a fault means.

    :param status_code: its class, as in the access record
    :param outcome: what follows from it
    :param reason: one sentence
    """

    status_code: str
    outcome: Outcome
    reason: str


def judge_fault(error: BaseException) -> Fault:
    """
    Judge an exception of an attempt.

    :param error: one of :data:`NETWORK_ERRORS`
    """
    chain = list(_chain(error))
    for known in chain:
        if isinstance(known, AddressRefused):
            return Fault("blocked", Outcome.FINAL, str(known))
        # aiohttp's own are SSLErrors too, without what OpenSSL said; that is in the next of the chain.
        if isinstance(known, ssl.SSLError) and not isinstance(known, aiohttp.ClientError):
            return _tls_fault(known)
        if isinstance(known, LookUpTimeout):
            return Fault("timeout", Outcome.RETRY, str(known))
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Fault("dns_error", Outcome.RETRY, "the name could not be looked up")
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return Fault("connection_reset", Outcome.RETRY, "the connection was closed without an answer")
    if isinstance(error, aiohttp.ClientResponseError | aiohttp.http_exceptions.HttpProcessingError):
        return Fault("protocol_error", Outcome.RETRY, "what came back is no HTTP answer")
    return _os_fault(chain)


def _chain(error: BaseException | None) -> list[BaseException]:
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = getattr(error, "os_error", None) or error.__cause__
    return chain


def _tls_fault(error: ssl.SSLError) -> Fault:
    if isinstance(error, ssl.SSLCertVerificationError):
        detail = f"the receiver {_BAD_CERTIFICATE}: {error.verify_message}"
        return Fault("tls_error", Outcome.FINAL, detail)
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
        return Fault("unreachable", Outcome.RETRY, f"there is no way to the receiver{named}")
    if any(isinstance(error, aiohttp.ClientConnectionError | ConnectionError) for error in chain):
        return Fault("connection_reset", Outcome.RETRY, "the connection was lost")
    return Fault("protocol_error", Outcome.RETRY, "what came back is no HTTP answer")
