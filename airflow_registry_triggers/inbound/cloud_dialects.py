# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Dialects of the clouds' event services: EventBridge, Pub/Sub, Event Grid, and Azure's own webhook."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

from airflow_registry_triggers.inbound.fields import Fields, Headers, parse_body
from airflow_registry_triggers.inbound.push_event import (
    Dialect,
    PushEvent,
    push_event,
    registry_of,
    split_reference,
)
from airflow_registry_triggers.inbound.registry_dialects import read_distribution_event

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ALIBABA_EVENTBRIDGE", "AZURE", "ECR", "EVENT_GRID", "GOOGLE", "GOOGLE_PUBSUB"]

_ACCOUNT = re.compile(r"[0-9]{12}")
_REGION = re.compile(r"[a-z]{2,}(?:-[a-z]+)+-[0-9]+")
# Event Grid's own events, such as SubscriptionDeletedEvent, reach the same endpoint.
_GRID_TYPES = ("Microsoft.ContainerRegistry.", "Microsoft.EventGrid.")


def _is_ecr(body: Fields, headers: Headers) -> bool:
    return body.get("source") == "aws.ecr"


def _read_ecr(body: Fields, headers: Headers) -> Iterable[PushEvent]:
    if body.get("detail.action-type") != "PUSH" or body.get("detail.result") != "SUCCESS":
        return []
    repository = body.required("detail.repository-name")
    tag, digest = body.get("detail.image-tag"), body.get("detail.image-digest")
    return [push_event(_ecr_host(body), repository, tag, digest, body.get("id"))]


def _ecr_host(body: Fields) -> str:
    account, region = body.text("account"), body.text("region")
    if not (_ACCOUNT.fullmatch(account) and _REGION.fullmatch(region)):
        return ""
    # China is a partition of its own, with a domain of its own.
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"{account}.dkr.ecr.{region}.{domain}"


def _is_alibaba_eventbridge(body: Fields, headers: Headers) -> bool:
    return body.get("source") == "acs.cr"


def _read_alibaba_eventbridge(body: Fields, headers: Headers) -> Iterable[PushEvent]:
    if body.get("type") != "cr:Artifact:PushCompleted":
        return []
    repository = f"{body.required('data.RepoNamespaceName')}/{body.required('data.RepoName')}"
    return [push_event("", repository, body.get("data.Tag"), event_id=body.get("id"))]


def _is_google_pubsub(body: Fields, headers: Headers) -> bool:
    return body.has("message.data")


def _read_google_pubsub(body: Fields, headers: Headers) -> Iterable[PushEvent]:
    inner = _pubsub_data(body)
    if inner is None:
        return []
    message_id = body.get("message.messageId") or body.get("message.message_id")
    return [
        push_event(event.registry, event.repository, event.tag, event.digest, message_id)
        for event in _read_google(inner, headers)
    ]


def _pubsub_data(body: Fields) -> Fields | None:
    """Return the body of a push in a message; None for another message, which Pub/Sub would repeat."""
    try:
        data = base64.b64decode(body.required("message.data"), validate=True)
    except ValueError:
        raise body.missing("message.data", "base64") from None
    try:
        inner = Fields(parse_body(data, {}), "message.data.")
    except ValueError:
        return None
    return inner if _is_google(inner, {}) else None


def _is_google(body: Fields, headers: Headers) -> bool:
    # The deletion of a tag comes without a digest.
    return body.get("action") in ("INSERT", "DELETE") and (body.has("digest") or body.has("tag"))


def _read_google(body: Fields, headers: Headers) -> Iterable[PushEvent]:
    host, repository, tag = split_reference(body.text("tag"))
    if body.get("action") != "INSERT" or not repository:
        return []
    return [push_event(registry_of(host), repository, tag, body.text("digest").partition("@")[2])]


def _is_event_grid(body: Fields, headers: Headers) -> bool:
    return body.text("type").startswith(_GRID_TYPES) or body.text("eventType").startswith(_GRID_TYPES)


def _read_event_grid(body: Fields, headers: Headers) -> Iterable[PushEvent]:
    return read_distribution_event(Fields(body.get("data"), "data."))


def _is_azure(body: Fields, headers: Headers) -> bool:
    return (body.has("target") and body.has("request")) or body.get("action") == "ping"


def _read_azure(body: Fields, headers: Headers) -> Iterable[PushEvent]:
    return read_distribution_event(body)


ECR = Dialect("ecr", _is_ecr, _read_ecr)
ALIBABA_EVENTBRIDGE = Dialect("alibaba_eventbridge", _is_alibaba_eventbridge, _read_alibaba_eventbridge)
GOOGLE_PUBSUB = Dialect("google_pubsub", _is_google_pubsub, _read_google_pubsub)
GOOGLE = Dialect("google", _is_google, _read_google)
EVENT_GRID = Dialect("event_grid", _is_event_grid, _read_event_grid)
AZURE = Dialect("azure", _is_azure, _read_azure)
