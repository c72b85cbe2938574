# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""One attempt to deliver a webhook."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.addresses.guard import LookUp, look_up
from airflow_registry_triggers.addresses.table import Networks, parse_networks
from airflow_registry_triggers.http_dates import parse_retry_after
from airflow_registry_triggers.webhook.connection import Answer, Exchange
from airflow_registry_triggers.webhook.headers import check_headers, check_sendable, request_headers
from airflow_registry_triggers.webhook.limits import DEFAULT_TIMEOUT, check_timeout
from airflow_registry_triggers.webhook.network_errors import NETWORK_ERRORS, Fault, judge_fault
from airflow_registry_triggers.webhook.outcome import (
    Outcome,
    check_success_statuses,
    heeds_retry_after,
    judge_status,
)
from airflow_registry_triggers.webhook.redaction.capture import recorded_body, recorded_headers
from airflow_registry_triggers.webhook.redaction.fields import (
    Masker,
    escape_text,
    query_values,
    secret_header_values,
    url_secrets,
)
from airflow_registry_triggers.webhook.tls import client_context
from airflow_registry_triggers.webhook.url_target import with_query

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_registry_triggers.webhook.url import Endpoint

__all__ = ["Attempt", "check_headers", "request_headers", "send"]

_MEANINGS = {
    Outcome.DELIVERED: "delivered",
    Outcome.RETRY: "not delivered, may be tried again",
    Outcome.FINAL: "not delivered, and a retry would not change that",
    Outcome.GONE: "the endpoint is gone for good",
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """
    One attempt and what came of it; nothing in it is secret.

    :param status_code: the HTTP status as text, ``blocked``, or the class of the error: ``timeout``,
        ``dns_error``, ``connection_refused``, ``connection_reset``, ``unreachable``, ``tls_error``,
        ``protocol_error``
    :param outcome: what it means for the delivery
    :param ambiguous: whether bytes were sent and no status came: the receiver may have acted
    :param reason: one sentence in our own words
    :param request_time: when it began, ISO 8601 in UTC
    :param duration_ms: from the look-up to the last byte read
    :param request_headers: as sent, masked
    :param response_headers: as they came, masked and escaped
    :param response_body: at most 4 KiB, masked and escaped, with a marker where it is cut
    :param retry_after: seconds the receiver asked to wait, None where it did not
    """

    status_code: str
    outcome: Outcome
    ambiguous: bool
    reason: str
    request_time: str
    duration_ms: int
    request_headers: Mapping[str, str] = field(default_factory=dict)
    response_headers: Mapping[str, str] = field(default_factory=dict)
    response_body: str = ""
    retry_after: float | None = None


async def send(
    endpoint: Endpoint,
    content: bytes,
    headers: Mapping[str, str],
    *,
    timeout: float = DEFAULT_TIMEOUT,  # noqa: ASYNC109 - it ends in an outcome of its own
    success_statuses: Iterable[int] = (),
    allowed_networks: Networks = (),
    ca_file: str | None = None,
    secret_query: str | None = None,
    masker: Masker | None = None,
    lookup: LookUp = look_up,
) -> Attempt:
    """
    Make one attempt. Whatever the network or the receiver does is in the result and never raised.

    :param endpoint: where to
    :param content: the body
    :param headers: from :func:`request_headers`
    :param timeout: seconds in all, from the look-up to the last byte read, 1 to 60; default 15
    :param success_statuses: statuses that count as delivered besides 2xx; default none
    :param allowed_networks: networks that may be reached although they are not public; default none
    :param ca_file: PEM file of certificates to trust instead of the system's
    :param secret_query: appended to the query when sending
    :param masker: knows further secrets; those in the URL, the query and the headers are known anyway
    :param lookup: does the look-up; default the system's
    :raises ValueError: an argument cannot be used
    """
    deadline = asyncio.get_running_loop().time() + check_timeout(timeout)
    successes = check_success_statuses(success_statuses)
    networks = parse_networks(allowed_networks)
    check_sendable(headers)
    target = with_query(endpoint.target, secret_query or "")
    sent = _complete(endpoint, content, headers)
    exchange = Exchange(
        endpoint,
        deadline=deadline,
        ssl_context=client_context(ca_file) if endpoint.scheme == "https" else None,
        allowed_networks=networks,
        lookup=lookup,
    )
    known = (*query_values(secret_query or ""), *secret_header_values(headers), *url_secrets(endpoint.url))
    record = _Record((masker or Masker()).with_secrets(known), sent)
    try:
        answer = await exchange.post(target, content, sent)
    except NETWORK_ERRORS as error:
        return record.failed(_fault(error, timeout, exchange), ambiguous=exchange.was_sent)
    return record.answered(answer, successes)


def _complete(endpoint: Endpoint, content: bytes, headers: Mapping[str, str]) -> dict[str, str]:
    """Add what belongs to the connection."""
    return {
        "Host": endpoint.authority,
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "Connection": "close",
        **headers,
        "Content-Length": str(len(content)),
    }


def _fault(error: BaseException, timeout: float, exchange: Exchange) -> Fault:
    if exchange.guard.refused is not None:
        return judge_fault(exchange.guard.refused)
    if type(error) is not TimeoutError:  # ours; a LookUpTimeout says more
        return judge_fault(error)
    where = "the request was sent" if exchange.was_sent else "no connection yet"
    return Fault("timeout", Outcome.RETRY, f"no answer within {timeout:g} s ({where})")


class _Record:
    """The attempt while it is made."""

    def __init__(self, masker: Masker, headers: Mapping[str, str]) -> None:
        self._masker = masker
        self._headers = headers
        self._began = time.monotonic()
        self._time = datetime.now(UTC)

    def failed(self, fault: Fault, *, ambiguous: bool) -> Attempt:
        """Give the attempt of which no status came."""
        return self._attempt(fault, ambiguous=ambiguous)

    def answered(self, answer: Answer, successes: tuple[int, ...]) -> Attempt:
        """Give the attempt that was answered."""
        fault = _judged(answer.status, successes)
        is_status = fault.status_code != "protocol_error"
        return self._attempt(
            fault,
            ambiguous=not is_status,
            response_headers=recorded_headers(answer.headers, self._masker),
            response_body=recorded_body(answer, self._masker),
            retry_after=_retry_after(answer) if is_status else None,
        )

    def _attempt(self, fault: Fault, **values: Any) -> Attempt:
        took = time.monotonic() - self._began
        return Attempt(
            status_code=fault.status_code,
            outcome=fault.outcome,
            reason=escape_text(self._masker.mask(fault.reason)),
            request_time=self._time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            duration_ms=round(took * 1000),
            request_headers=recorded_headers(self._headers.items(), self._masker),
            **values,
        )


def _judged(status: int, successes: tuple[int, ...]) -> Fault:
    if status == 101:
        return Fault("protocol_error", Outcome.FINAL, "the receiver switched protocols, unasked (101)")
    if not 200 <= status <= 599:
        return Fault("protocol_error", Outcome.RETRY, f"the receiver answered {status}: no HTTP status")
    outcome = judge_status(status, successes)
    meaning = _MEANINGS[outcome]
    if outcome is Outcome.FINAL and status < 400:
        meaning = "redirects are not followed; give the URL it leads to"
    return Fault(str(status), outcome, f"the receiver answered {status}: {meaning}")


def _retry_after(answer: Answer) -> float | None:
    if not heeds_retry_after(answer.status):
        return None
    return parse_retry_after(answer.header("retry-after"), time.time())
