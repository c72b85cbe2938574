# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The checks of a delivery without the delivery: body, headers, signature, URL, address."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_registry_triggers.addresses.guard import GuardedResolver, LookUp, look_up
from airflow_registry_triggers.webhook.attempt import record_request
from airflow_registry_triggers.webhook.headers import request_headers
from airflow_registry_triggers.webhook.network_errors import NETWORK_ERRORS, classify_error
from airflow_registry_triggers.webhook.redaction.capture import recorded_request_body
from airflow_registry_triggers.webhook.url import Endpoint, EndpointRefused

if TYPE_CHECKING:
    from airflow_registry_triggers.access_record import AccessRecord
    from airflow_registry_triggers.notification import Notification
    from airflow_registry_triggers.webhook.delivery import Delivery

__all__ = ["DRY_RUN", "rehearse"]

DRY_RUN = "dry_run"
"""Status of a delivery whose checks passed."""


async def rehearse(
    delivery: Delivery,
    notification: Notification,
    trigger_name: str,
    try_number: int,
    *,
    lookup: LookUp = look_up,
) -> AccessRecord:
    """
    Check a delivery and send nothing: no connection is opened, only the name of the receiver is resolved.

    :param delivery: the settings of the delivery
    :param trigger_name: name of the trigger
    :param try_number: try of the task
    :param lookup: resolves names; default the operating system's resolver
    :return: the record, with the status ``dry_run`` or that of the fault
    """
    webhook_id = notification.webhook_id(trigger_name)
    record = delivery.new_record(notification, trigger_name, try_number)
    try:
        body = delivery.body_of(notification, webhook_id)
    except ValueError as error:
        return replace(record, reason=f"Nothing was sent: the body cannot be made: {error}")
    if isinstance(delivery.endpoint, EndpointRefused):
        return replace(record, reason=delivery.endpoint.not_sent_text)
    headers = request_headers(
        delivery.headers,
        body,
        webhook_id=webhook_id,
        timestamp=int(time.time()),
        signing_secrets=delivery.signing_secrets,
    )
    record = replace(
        record,
        request_headers=record_request(headers, delivery.masker, delivery.secret_headers),
        request_body=recorded_request_body(body.content, delivery.masker),
    )
    return await _resolved(delivery, delivery.endpoint, record, lookup)


async def _resolved(
    delivery: Delivery, endpoint: Endpoint, record: AccessRecord, lookup: LookUp
) -> AccessRecord:
    if delivery.proxy:
        # The proxy resolves the receiver's name when a webhook is sent.
        return replace(record, status_code=DRY_RUN, reason="dry run: nothing was sent (through the proxy)")
    resolver = GuardedResolver(delivery.allowed_networks, lookup=lookup)
    try:
        found = await resolver.resolve(endpoint.lookup_name, endpoint.port)
    except NETWORK_ERRORS as error:
        fault = classify_error(error)
        is_unknown = isinstance(error, OSError) and fault.status_code == "protocol_error"
        if is_unknown:
            fault = fault._replace(
                status_code="dns_error", reason="the host name does not resolve; check the URL and the DNS"
            )
        return replace(record, status_code=fault.status_code, reason=fault.reason)
    where = ", ".join(dict.fromkeys(str(item["host"]) for item in found))
    return replace(
        record, status_code=DRY_RUN, reason=f"dry run: nothing was sent; {endpoint.host} is {where}"
    )
