# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""One attempt to deliver a webhook."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.addresses.guard import LookUp, look_up
from airflow_registry_triggers.addresses.table import Networks, parse_networks
from airflow_registry_triggers.http_dates import parse_retry_after
from airflow_registry_triggers.webhook.connection import Exchange
from airflow_registry_triggers.webhook.headers import check_headers, check_sendable, request_headers
from airflow_registry_triggers.webhook.limits import DEFAULT_TIMEOUT, check_timeout
from airflow_registry_triggers.webhook.network_errors import (
    NETWORK_ERRORS,
    Fault,
    classify_error,
    classify_proxy_error,
)
from airflow_registry_triggers.webhook.outcome import (
    Outcome,
    check_success_statuses,
    classify_status,
    honors_retry_after,
)
from airflow_registry_triggers.webhook.redaction.capture import (
    MAX_RECORDED,
    kept_body,
    recorded_body,
    recorded_headers,
)
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
    from collections.abc import Collection, Iterable, Mapping

    from airflow_registry_triggers.webhook.answer import Answer
    from airflow_registry_triggers.webhook.proxy import Proxy
    from airflow_registry_triggers.webhook.url import Endpoint

__all__ = ["Attempt", "AttemptCancelled", "check_headers", "record_request", "request_headers", "send"]

_MEANINGS = {
    Outcome.DELIVERED: "delivered",
    Outcome.RETRY: "not delivered, retried while the task has tries left",
    Outcome.FINAL: "rejected, and a retry cannot change that. Fix the receiver, then clear the task",
    Outcome.GONE: "the receiver no longer exists. Remove the webhook, or change its URL",
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """
    One attempt and its result; no field contains a secret.

    :param status_code: HTTP status as text, ``blocked``, or the error class: ``timeout``, ``dns_error``,
        ``connection_refused``, ``connection_reset``, ``unreachable``, ``tls_error``, ``protocol_error``
    :param outcome: consequence for the delivery
    :param ambiguous: True if bytes were sent and no status came back: the receiver may have acted
    :param reason: one sentence
    :param request_time: start, ISO 8601 in UTC
    :param duration_ms: from the lookup to the last byte that was read
    :param request_headers: headers as sent, masked
    :param response_headers: headers as received, masked and escaped; 4 KiB with the request headers
    :param response_body: at most 4 KiB, masked and escaped, with a marker where it is cut
    :param kept_body: the same as it came, not escaped
    :param retry_after: Retry-After in seconds, None without one
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
    kept_body: str = ""
    retry_after: float | None = None


class AttemptCancelled(asyncio.CancelledError):
    """
    Cancellation of a task while an attempt was running.

    :param attempt: the attempt until then; ``ambiguous`` if bytes were sent, answered if a status was read
    """

    def __init__(self, attempt: Attempt) -> None:
        super().__init__()
        self.attempt = attempt


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
    secret_headers: Collection[str] = (),
    masker: Masker | None = None,
    lookup: LookUp = look_up,
    proxy: Proxy | None = None,
) -> Attempt:
    """
    Make one attempt. Faults of the network and of the receiver are in the result, and never raised.

    :param endpoint: the receiver
    :param content: the body
    :param headers: from :func:`request_headers`
    :param timeout: seconds from the lookup to the last byte that is read, 1 to 60
    :param success_statuses: statuses that count as delivered in addition to 2xx
    :param allowed_networks: networks that are allowed although they are not public
    :param ca_file: PEM file of certificates to trust instead of the system's
    :param secret_query: appended to the query of the request
    :param secret_headers: names of further headers whose values are secret, in lower case
    :param masker: masks further secrets; those of the URL, the query and the headers are added
    :param lookup: resolves names; default the operating system's resolver
    :param proxy: proxy of the deployment
    :raises ValueError: an argument is invalid
    :raises AttemptCancelled: the task was cancelled
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
        proxy=proxy,
    )
    known = (
        *query_values(secret_query or ""),
        *secret_header_values(headers, secret_headers),
        *url_secrets(endpoint.url),
        *(proxy.secrets if proxy else ()),
    )
    masker = (masker or Masker()).with_secrets(known)
    # The connection's own headers say nothing that the URL and the body do not, and fill the access log.
    record = _Record(masker, headers, secret_headers, successes, proxy)
    try:
        return record.answered(await exchange.post(target, content, sent))
    except NETWORK_ERRORS as error:
        return record.failed(_fault(error, timeout, exchange, proxy), ambiguous=exchange.was_sent)
    except asyncio.CancelledError:
        raise AttemptCancelled(record.cancelled(exchange)) from None


def _complete(endpoint: Endpoint, content: bytes, headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers with those of the connection."""
    return {
        "Host": endpoint.authority,
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "Connection": "close",
        **headers,
        "Content-Length": str(len(content)),
    }


def _fault(error: BaseException, timeout: float, exchange: Exchange, proxy: Proxy | None) -> Fault:
    if exchange.guard.blocked is not None:
        return classify_error(exchange.guard.blocked)
    if type(error) is TimeoutError:  # the deadline; a LookUpTimeout has a better text
        via = f" through the proxy {proxy.url}" if proxy else ""
        where = "the request was sent" if exchange.was_sent else f"no connection{via} yet"
        return Fault("timeout", Outcome.RETRY, f"no answer within {timeout:g} s ({where})")
    if proxy and not exchange.was_sent:
        return classify_proxy_error(error, proxy.url)
    return classify_error(error)


def record_request(
    headers: Mapping[str, str], masker: Masker, secret_headers: Collection[str]
) -> dict[str, str]:
    """
    Return the headers of a request as they are recorded.

    :param masker: masks the secrets
    :param secret_headers: names of further headers whose values are secret, in lower case
    """
    return recorded_headers(headers.items(), masker, secret_headers, limit=MAX_RECORDED // 2)


class _Record:
    """The attempt while it is made."""

    def __init__(
        self,
        masker: Masker,
        headers: Mapping[str, str],
        secret_headers: Collection[str],
        successes: tuple[int, ...],
        proxy: Proxy | None,
    ) -> None:
        self._masker = masker
        self._request_headers = record_request(headers, masker, secret_headers)
        self._secret_headers = secret_headers
        self._successes = successes
        self._proxy = proxy
        self._began = time.monotonic()
        self._time = datetime.now(UTC)

    def failed(self, fault: Fault, *, ambiguous: bool) -> Attempt:
        """Return the attempt without a status."""
        return self._attempt(fault, ambiguous=ambiguous)

    def answered(self, answer: Answer) -> Attempt:
        """Return the attempt with an answer."""
        fault = _fault_of_status(answer.status, self._successes)
        if self._proxy and fault.outcome is not Outcome.DELIVERED:
            # Over plain HTTP the answer may be the proxy's own.
            fault = fault._replace(reason=f"{fault.reason} (through the proxy {self._proxy.url})")
        is_status = fault.status_code != "protocol_error"
        return self._attempt(
            fault,
            ambiguous=not is_status,
            response_headers=self._response_headers(answer),
            response_body=recorded_body(answer, self._masker),
            kept_body=kept_body(answer, self._masker),
            retry_after=_retry_after(answer) if is_status else None,
        )

    def cancelled(self, exchange: Exchange) -> Attempt:
        """Return the attempt that a cancellation cut: a status that was read decides all the same."""
        answer = exchange.head.answer("the task was stopped")
        if answer is not None:
            return self.answered(answer)
        where = "after the request was sent" if exchange.was_sent else "before the request was sent"
        reason = f"the task was stopped {where}; the next try sends the webhook again with the same id"
        return self.failed(Fault("timeout", Outcome.RETRY, reason), ambiguous=exchange.was_sent)

    def _response_headers(self, answer: Answer) -> Mapping[str, str]:
        limit = MAX_RECORDED - len(json.dumps(self._request_headers))
        return recorded_headers(answer.headers, self._masker, self._secret_headers, limit=limit)

    def _attempt(self, fault: Fault, **values: Any) -> Attempt:
        took = time.monotonic() - self._began
        return Attempt(
            status_code=fault.status_code,
            outcome=fault.outcome,
            reason=escape_text(self._masker.mask(fault.reason)),
            request_time=self._time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            duration_ms=round(took * 1000),
            request_headers=self._request_headers,
            **values,
        )


def _fault_of_status(status: int, successes: tuple[int, ...]) -> Fault:
    if status == 101:
        reason = "the receiver switched protocols without a request for it (101); check the URL"
        return Fault("protocol_error", Outcome.FINAL, reason)
    if not 200 <= status <= 599:
        return Fault(
            "protocol_error", Outcome.RETRY, f"the receiver answered {status}, which is not an HTTP status"
        )
    outcome = classify_status(status, successes)
    meaning = _MEANINGS[outcome]
    if outcome is Outcome.FINAL and status < 400:
        meaning = "redirects are not followed. Set the URL to the address after the redirect"
    return Fault(str(status), outcome, f"the receiver answered {status}: {meaning}")


def _retry_after(answer: Answer) -> float | None:
    if not honors_retry_after(answer.status):
        return None
    return parse_retry_after(answer.header("retry-after"), time.time())
