# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Delivery of a notification: one attempt, and its access record."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from airflow_registry_triggers.access_record import AccessRecord
from airflow_registry_triggers.webhook.attempt import (
    Attempt,
    AttemptCancelled,
    check_headers,
    request_headers,
    send,
)
from airflow_registry_triggers.webhook.body import REGISTRY, Body, build_body, check_body
from airflow_registry_triggers.webhook.limits import DEFAULT_TIMEOUT, check_timeout
from airflow_registry_triggers.webhook.outcome import Outcome, check_success_statuses
from airflow_registry_triggers.webhook.proxy import Proxy, parse_proxy
from airflow_registry_triggers.webhook.redaction.capture import recorded_request_body
from airflow_registry_triggers.webhook.redaction.fields import Masker, mask_url, url_secrets
from airflow_registry_triggers.webhook.retry_schedule import MAX_RETRY_AFTER
from airflow_registry_triggers.webhook.tls import client_context
from airflow_registry_triggers.webhook.url import Endpoint, EndpointRefused, parse_endpoint
from airflow_registry_triggers.webhook.url_target import with_query

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from airflow_registry_triggers.notification import Notification

__all__ = ["Delivery", "DeliveryCancelled", "Result"]

BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class Result:
    """
    The result of one attempt.

    :param record: its access record
    :param outcome: consequence for the delivery
    :param retry_after: Retry-After in seconds, None without one
    """

    record: AccessRecord
    outcome: Outcome
    retry_after: float | None = None


class DeliveryCancelled(asyncio.CancelledError):
    """
    Cancellation of a task while it delivered.

    :param result: the result until then: ``ambiguous`` if bytes were sent and no status came back
    """

    def __init__(self, result: Result) -> None:
        super().__init__()
        self.result = result


@dataclass(frozen=True)
class Delivery:
    """
    The settings of a delivery: everything except the notification.

    :param url: the receiver, as configured
    :param headers: headers of the request
    :param body_format: see :func:`airflow_registry_triggers.webhook.body.build_body`
    :param body_template: see :func:`airflow_registry_triggers.webhook.body.build_body`
    :param request_timeout: seconds for one attempt in all
    :param success_statuses: statuses that count as delivered in addition to 2xx
    :param signing_secrets: at most two, current first
    :param secret_query: appended to the query of the request
    :param secret_headers: names of headers whose values are secret, in lower case
    :param ca_file: PEM file of certificates to trust instead of the system's
    :param allowed_networks: networks that are allowed although they are not public
    :param proxy: URL of the deployment's proxy, empty for none
    :param secrets: further texts that must not be recorded
    :raises ValueError: an argument is invalid; a blocked URL is a record instead
    """

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body_format: str = REGISTRY
    body_template: str | None = None
    request_timeout: float = DEFAULT_TIMEOUT
    success_statuses: Sequence[int] = ()
    signing_secrets: Sequence[str] = field(default=(), repr=False)
    secret_query: str = field(default="", repr=False)
    secret_headers: Collection[str] = ()
    ca_file: str | None = None
    allowed_networks: Sequence[str] = ()
    proxy: str = field(default="", repr=False)
    secrets: Sequence[str] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        check_headers(self.headers)
        check_body(self.body_format, self.body_template)
        check_timeout(self.request_timeout)
        check_success_statuses(self.success_statuses)
        with_query("/", self.secret_query)
        parse_proxy(self.proxy)
        if self.ca_file:
            client_context(self.ca_file)

    @cached_property
    def endpoint(self) -> Endpoint | EndpointRefused:
        """The receiver, or the reason why the URL is blocked."""
        try:
            return parse_endpoint(self.url, allowed_networks=self.allowed_networks)
        except EndpointRefused as blocked:
            return blocked

    @cached_property
    def _masked_url(self) -> str:
        return mask_url(self.url)

    @cached_property
    def masker(self) -> Masker:
        """Masks the secrets of the delivery."""
        return Masker((*self.secrets, *self.signing_secrets, *url_secrets(self.url)))

    @cached_property
    def _proxy(self) -> Proxy | None:
        return parse_proxy(self.proxy)

    async def attempt(self, notification: Notification, trigger_name: str, try_number: int) -> Result:
        """
        Send the notification once. A blocked URL and a failed template are results too.

        :param notification: the notification
        :param trigger_name: name of the trigger
        :param try_number: try of the task
        :raises DeliveryCancelled: the task was cancelled
        """
        webhook_id = notification.webhook_id(trigger_name)
        record = self.new_record(notification, trigger_name, try_number)
        try:
            body = self.body_of(notification, webhook_id)
        except ValueError as error:
            reason = f"Nothing was sent: the body cannot be made: {error}"
            return Result(replace(record, reason=reason), Outcome.FINAL)
        return await self.send_body(body, webhook_id, record)

    def new_record(self, notification: Notification, trigger_name: str, try_number: int) -> AccessRecord:
        """
        Return the record of an attempt that has not begun; its status is ``blocked``.

        :param trigger_name: name of the trigger
        :param try_number: try of the task
        """
        return AccessRecord.of(
            notification,
            status_code=BLOCKED,
            trigger_name=trigger_name,
            trigger_log_id=f"{notification.webhook_id(trigger_name)}/{try_number}",
            trigger_url=self._masked_url,
            try_number=try_number,
        )

    def body_of(self, notification: Notification, webhook_id: str) -> Body:
        """
        Return the body of a notification.

        :raises ValueError: the template fails or does not render to JSON
        """
        return build_body(notification, self.body_format, self.body_template, webhook_id=webhook_id)

    async def send_body(self, body: Body, webhook_id: str, record: AccessRecord) -> Result:
        """
        Send a body.

        :param body: the body
        :param webhook_id: id of the delivery
        :param record: access record with the fields that are known before the attempt
        :raises DeliveryCancelled: the task was cancelled
        """
        record = replace(record, status_code=BLOCKED, trigger_url=self._masked_url)
        if isinstance(self.endpoint, EndpointRefused):
            return Result(replace(record, reason=self.endpoint.not_sent_text), Outcome.FINAL)
        return await self._send(self.endpoint, body, webhook_id, record)

    async def _send(self, endpoint: Endpoint, body: Body, webhook_id: str, record: AccessRecord) -> Result:
        headers = request_headers(
            self.headers,
            body,
            webhook_id=webhook_id,
            timestamp=int(time.time()),
            signing_secrets=self.signing_secrets,
        )
        try:
            attempt = await send(
                endpoint,
                body.content,
                headers,
                timeout=self.request_timeout,
                success_statuses=self.success_statuses,
                allowed_networks=self.allowed_networks,
                ca_file=self.ca_file,
                secret_query=self.secret_query,
                secret_headers=self.secret_headers,
                masker=self.masker,
                proxy=self._proxy,
            )
        except AttemptCancelled as cancelled:
            raise DeliveryCancelled(self._result(cancelled.attempt, record, body)) from None
        return self._result(attempt, record, body)

    def _result(self, attempt: Attempt, record: AccessRecord, body: Body) -> Result:
        """Return the result; a Retry-After of more than a day makes it final."""
        is_too_long = attempt.retry_after is not None and attempt.retry_after > MAX_RETRY_AFTER
        is_final = attempt.outcome is Outcome.RETRY and is_too_long
        reason = attempt.reason
        if is_final:
            reason = (
                f"{reason}; Retry-After of {attempt.retry_after:.0f} s exceeds 24 h, so the delivery is final"
            )
        filled = replace(
            record,
            status_code=attempt.status_code,
            request_time=attempt.request_time,
            request_headers=attempt.request_headers,
            request_body=recorded_request_body(body.content, self.masker),
            response_headers=attempt.response_headers,
            response_body=attempt.kept_body,
            reason=reason,
            duration_ms=attempt.duration_ms,
            ambiguous=attempt.ambiguous,
        )
        if is_final:
            return Result(filled, Outcome.FINAL)
        return Result(filled, attempt.outcome, attempt.retry_after)
