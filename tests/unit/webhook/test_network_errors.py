# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Rule 10: the class and the outcome of each network fault."""

from __future__ import annotations

import errno
import os
import ssl
from typing import Any

import aiohttp
import pytest

from airflow_registry_triggers.addresses.guard import LookUpTimeout
from airflow_registry_triggers.addresses.table import AddressBlocked
from airflow_registry_triggers.webhook.network_errors import classify_error, classify_proxy_error
from airflow_registry_triggers.webhook.outcome import Outcome

KEY: Any = type("Key", (), {"host": "planted.example", "port": 443, "ssl": True, "is_ssl": True})()
REQUEST: Any = type("Request", (), {"real_url": "http://planted.example/"})()


def os_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def connector(error: OSError) -> aiohttp.ClientConnectorError:
    return aiohttp.ClientConnectorError(KEY, error)


def tls(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, f"[SSL: {reason}] planted")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("error", "status_code", "outcome"),
    [
        (connector(os_error(errno.EHOSTUNREACH)), "unreachable", Outcome.RETRY),
        (connector(os_error(errno.ENETUNREACH)), "unreachable", Outcome.RETRY),
        (connector(os_error(errno.ECONNREFUSED)), "connection_refused", Outcome.RETRY),
        (connector(os_error(errno.ECONNRESET)), "connection_reset", Outcome.RETRY),
        (connector(os_error(errno.ETIMEDOUT)), "timeout", Outcome.RETRY),
        (os_error(errno.EPIPE), "connection_reset", Outcome.RETRY),
        (ConnectionResetError(), "connection_reset", Outcome.RETRY),
        (aiohttp.ClientConnectorDNSError(KEY, os_error(errno.EAGAIN)), "dns_error", Outcome.RETRY),
        (aiohttp.ServerDisconnectedError(), "connection_reset", Outcome.RETRY),
        (aiohttp.ClientConnectionError("planted"), "connection_reset", Outcome.RETRY),
        (aiohttp.ClientPayloadError("planted"), "protocol_error", Outcome.RETRY),
        (aiohttp.http_exceptions.BadStatusLine("planted"), "protocol_error", Outcome.RETRY),
        (aiohttp.ClientResponseError(REQUEST, ()), "protocol_error", Outcome.RETRY),
        (LookUpTimeout("the lookup took too long"), "timeout", Outcome.RETRY),
        (AddressBlocked("10.0.0.1", "private"), "blocked", Outcome.FINAL),
        (tls("TLSV1_ALERT_PROTOCOL_VERSION"), "tls_error", Outcome.FINAL),
        (tls("TLSV13_ALERT_CERTIFICATE_REQUIRED"), "tls_error", Outcome.FINAL),
        (tls("WRONG_VERSION_NUMBER"), "tls_error", Outcome.RETRY),
        (tls("SOMETHING_NEW"), "tls_error", Outcome.RETRY),
        (ssl.SSLCertVerificationError(1, "planted"), "tls_error", Outcome.FINAL),
    ],
)
def test_classify_error_of_each_fault_returns_its_class(
    error: BaseException, status_code: str, outcome: Outcome
) -> None:
    if isinstance(error, ssl.SSLCertVerificationError):
        error.verify_message = "self-signed certificate"
    fault = classify_error(error)
    assert (fault.status_code, fault.outcome) == (status_code, outcome)
    assert fault.reason
    assert "planted" not in fault.reason


@pytest.mark.parametrize("status", [0, 101, 300, 403, 407, 410, 500, 502, 599, 700])
def test_classify_proxy_error_of_any_status_names_the_proxy(status: int) -> None:
    error = aiohttp.ClientHttpProxyError(REQUEST, (), status=status, message="planted")
    fault = classify_proxy_error(error, "http://proxy:3128")
    assert "http://proxy:3128" in fault.reason
    assert "planted" not in fault.reason
    assert fault.status_code in ("blocked", "unreachable")
    assert fault.outcome in (Outcome.RETRY, Outcome.FINAL)


def test_classify_proxy_error_of_a_certificate_blames_the_receiver() -> None:
    error = ssl.SSLCertVerificationError(1, "planted")
    error.verify_message = "self-signed certificate"
    fault = classify_proxy_error(error, "http://proxy:3128")
    assert fault.status_code == "tls_error"
    assert "proxy" not in fault.reason
