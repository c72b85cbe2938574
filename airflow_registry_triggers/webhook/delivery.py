# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""From a notification to an attempt, and from the attempt to its access record."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from airflow_registry_triggers.access_record import AccessRecord
from airflow_registry_triggers.webhook.attempt import Attempt, check_headers, request_headers, send
from airflow_registry_triggers.webhook.body import Body, build_body, check_body
from airflow_registry_triggers.webhook.limits import DEFAULT_TIMEOUT, check_timeout
from airflow_registry_triggers.webhook.outcome import MAX_RETRY_AFTER, Outcome, check_success_statuses
from airflow_registry_triggers.webhook.redaction.capture import MAX_RECORDED
from airflow_registry_triggers.webhook.redaction.fields import Masker, escape_text, mask_url, url_secrets
from airflow_registry_triggers.webhook.tls import client_context
from airflow_registry_triggers.webhook.url import Endpoint, EndpointRefused, parse_endpoint
from airflow_registry_triggers.webhook.url_target import with_query

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_registry_triggers.notification import Notification

__all__ = ["Delivery", "Result"]

CUT = " [cut: only the beginning is recorded]"

BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class Result:
    """
    One attempt's end.

    :param record: its access record
    :param outcome: what it means
    :param retry_after: seconds the receiver asked to wait for, None where it did not
    """

    record: AccessRecord
    outcome: Outcome
    retry_after: float | None = None


@dataclass(frozen=True)
class Delivery:
    """
    Everything but the notification: where to, with which headers and body, for how long.

    :param url: where to, as it was given
    :param headers: the caller's headers
    :param body: see :func:`airflow_registry_triggers.webhook.body.build_body`
    :param timeout: seconds of one attempt in all
    :param success_statuses: statuses that count as delivered besides 2xx
    :param signing_secrets: at most two, current first
    :param secret_query: appended to the query when sending
    :param ca_file: certificates to trust instead of the system's
    :param allowed_networks: networks that may be reached though they are not public
    :param secrets: further texts that must never be recorded
    :raises ValueError: an argument that cannot work; a URL that is refused is no error but a record
    """

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: str | None = None
    timeout: float = DEFAULT_TIMEOUT
    success_statuses: Sequence[int] = ()
    signing_secrets: Sequence[str] = field(default=(), repr=False)
    secret_query: str = field(default="", repr=False)
    ca_file: str | None = None
    allowed_networks: Sequence[str] = ()
    secrets: Sequence[str] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        check_headers(self.headers)
        check_body(self.body)
        check_timeout(self.timeout)
        check_success_statuses(self.success_statuses)
        with_query("/", self.secret_query)
        if self.ca_file:
            client_context(self.ca_file)

    @cached_property
    def _endpoint(self) -> Endpoint | EndpointRefused:
        try:
            return parse_endpoint(self.url, allowed_networks=self.allowed_networks)
        except EndpointRefused as refusal:
            return refusal

    @cached_property
    def _masked_url(self) -> str:
        return mask_url(self.url)

    @cached_property
    def _masker(self) -> Masker:
        return Masker((*self.secrets, *self.signing_secrets, *url_secrets(self.url)))

    async def attempt(self, notification: Notification, trigger_name: str, try_number: int) -> Result:
        """
        Send once. What the policy refuses, and a body that cannot be made, is a result too.

        :param notification: what to send
        :param trigger_name: name of the trigger
        :param try_number: try of the task
        """
        webhook_id = notification.webhook_id(trigger_name)
        record = AccessRecord.of(
            notification,
            status_code=BLOCKED,
            trigger_name=trigger_name,
            trigger_log_id=f"{webhook_id}/{try_number}",
            trigger_url=self._masked_url,
            try_number=try_number,
        )
        try:
            body = build_body(notification, self.body, webhook_id=webhook_id)
        except ValueError as error:
            return Result(replace(record, reason=f"no body: {error}"), Outcome.FINAL)
        return await self.send_body(body, webhook_id, record)

    async def send_body(self, body: Body, webhook_id: str, record: AccessRecord) -> Result:
        """
        Send a body that is made already.

        :param body: what to send
        :param webhook_id: its id
        :param record: what is known of the attempt beforehand
        """
        record = replace(record, status_code=BLOCKED, trigger_url=self._masked_url)
        if isinstance(self._endpoint, EndpointRefused):
            return Result(replace(record, reason=str(self._endpoint)), Outcome.FINAL)
        return await self._send(self._endpoint, body, webhook_id, record)

    async def _send(self, endpoint: Endpoint, body: Body, webhook_id: str, record: AccessRecord) -> Result:
        headers = request_headers(
            self.headers,
            body,
            webhook_id=webhook_id,
            timestamp=int(time.time()),
            signing_secrets=self.signing_secrets,
        )
        attempt = await send(
            endpoint,
            body.content,
            headers,
            timeout=self.timeout,
            success_statuses=self.success_statuses,
            allowed_networks=self.allowed_networks,
            ca_file=self.ca_file,
            secret_query=self.secret_query,
            masker=self._masker,
        )
        return _judged(attempt, _filled(record, attempt, _recorded(body, self._masker)))


def _filled(record: AccessRecord, attempt: Attempt, request_body: str) -> AccessRecord:
    return replace(
        record,
        status_code=attempt.status_code,
        request_time=attempt.request_time,
        request_headers=attempt.request_headers,
        request_body=request_body,
        response_headers=attempt.response_headers,
        response_body=attempt.response_body,
        reason=attempt.reason,
        duration_ms=attempt.duration_ms,
        ambiguous=attempt.ambiguous,
    )


def _recorded(body: Body, masker: Masker) -> str:
    """Give the body as it is recorded; a secret that the cut falls into is left out whole."""
    is_long = len(body.content) > MAX_RECORDED
    text = body.content[:MAX_RECORDED].decode(errors="backslashreplace")
    shown = escape_text(masker.mask(text, is_cut=is_long))
    is_long = is_long or len(shown) > MAX_RECORDED
    return f"{shown[: MAX_RECORDED - len(CUT)]}{CUT}" if is_long else shown


def _judged(attempt: Attempt, record: AccessRecord) -> Result:
    """A receiver that asks to wait for longer than a day will not be asked again."""
    too_long = attempt.retry_after is not None and attempt.retry_after > MAX_RETRY_AFTER
    if attempt.outcome is Outcome.RETRY and too_long:
        asked = f"Retry-After asks for {attempt.retry_after:.0f} s, more than 24 h: not tried again"
        reason = f"{attempt.reason}; {asked}"
        return Result(replace(record, reason=reason), Outcome.FINAL)
    return Result(record, attempt.outcome, attempt.retry_after)
