# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Decide the endpoint's answers: a status, a body and headers for each case."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_registry_triggers.inbound.dialects import read_push_events
from airflow_registry_triggers.inbound.fields import Fields, Headers, NotUnderstood, lower_names, parse_body
from airflow_registry_triggers.inbound.hint_row import hints_of, tag_count

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Mapping

    from airflow_registry_triggers.inbound.hint_row import Hints

__all__ = [
    "INCOMPLETE",
    "MAX_BODY",
    "NOT_FOUND",
    "TOO_LARGE",
    "TOO_SLOW",
    "UNAVAILABLE",
    "UNPROVEN",
    "WRONG_METHOD",
    "Answer",
    "BodyTooLarge",
    "Webhook",
    "answer_origin",
    "answer_too_many",
    "is_conn_id",
    "is_too_large",
    "read_limited",
    "read_webhook",
]

MAX_BODY = 1024 * 1024
"""Bytes of a webhook's body."""

_CONN_ID = re.compile(r"[A-Za-z0-9_.-]{1,200}")
_VALIDATION = "Microsoft.EventGrid.SubscriptionValidationEvent"


class Answer(NamedTuple):
    """
    One HTTP answer.

    :param content: short text, or a JSON object
    """

    status: int
    content: str | dict[str, Any]
    headers: Mapping[str, str] = {}

    @property
    def media_type(self) -> str:
        """The content type of the answer."""
        return "text/plain" if isinstance(self.content, str) else "application/json"

    @property
    def body(self) -> bytes:
        """The bytes of the answer."""
        text = self.content if isinstance(self.content, str) else json.dumps(self.content)
        return text.encode()


class Webhook(NamedTuple):
    """
    A proven webhook that was read.

    :param dialect: for the metric; ``unknown`` if the body is not understood
    :param hints: to store before the answer is sent; empty if nothing was pushed
    """

    dialect: str
    hints: Hints
    answer: Answer


class BodyTooLarge(ValueError):
    """A body of more bytes than :data:`MAX_BODY`."""


NOT_FOUND = Answer(404, "not found")
"""The same for an unknown Connection, another Connection type and a Connection without a secret."""
UNPROVEN = Answer(401, "no valid proof of the sender", {"WWW-Authenticate": "Bearer"})
INCOMPLETE = Answer(400, "the sender disconnected before the end of the body", {"Connection": "close"})
"""For the log and the metric; nobody reads it."""
TOO_LARGE = Answer(413, f"the body has more than {MAX_BODY} bytes")
TOO_SLOW = Answer(408, "the body did not arrive in time", {"Connection": "close"})
WRONG_METHOD = Answer(405, "use POST", {"Allow": "POST, OPTIONS"})
UNAVAILABLE = Answer(503, "not available", {"Retry-After": "30"})


def is_conn_id(value: str) -> bool:
    """Return True if a Connection may have this id; check it before any lookup."""
    return _CONN_ID.fullmatch(value) is not None


def is_too_large(content_length: str | None) -> bool:
    """Return True if the header ``Content-Length`` announces too many bytes."""
    digits = (content_length or "").strip()
    if not digits.isascii() or not digits.isdigit():
        return False
    # The length of the text comes first: int() of thousands of digits raises.
    return len(digits) > 12 or int(digits) > MAX_BODY


async def read_limited(chunks: AsyncIterable[bytes]) -> bytes:
    """
    Read a body and count its bytes.

    :param chunks: as the server delivers them
    :raises BodyTooLarge: at the first byte above :data:`MAX_BODY`
    """
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > MAX_BODY:
            raise BodyTooLarge(TOO_LARGE.content)
    return bytes(body)


def answer_too_many(seconds: float) -> Answer:
    """Return the answer to a webhook over the rate limit."""
    return Answer(429, "too many webhooks", {"Retry-After": str(max(1, math.ceil(seconds)))})


def answer_origin(headers: Headers) -> Answer:
    """
    Return the answer to a proven ``OPTIONS`` request.

    Event Grid sends one before the first CloudEvent.
    """
    origin = lower_names(headers).get("webhook-request-origin", "").strip()
    if not origin or not origin.isprintable():
        return WRONG_METHOD
    return Answer(200, {}, {"WebHook-Allowed-Origin": origin})


def read_webhook(conn_id: str, body: bytes, headers: Headers) -> Webhook:
    """
    Read a proven webhook: the hints to store, and the answer after they are stored.

    :param conn_id: Connection id of the URL
    :param body: raw, at most :data:`MAX_BODY` bytes
    :param headers: of the request
    """
    code = _validation_code(body, headers)
    if code:
        return Webhook("event_grid", {}, Answer(200, {"validationResponse": code}))
    try:
        dialect, events = read_push_events(body, headers)
    except NotUnderstood as problem:
        return Webhook("unknown", {}, Answer(422, str(problem)))
    return Webhook(dialect, hints_of(conn_id, events), Answer(202, {"taken": tag_count(events)}))


def _validation_code(body: bytes, headers: Headers) -> str:
    # Parsed again by read_push_events(): a cheap search keeps that off all other bodies.
    if _VALIDATION.encode() not in body:
        return ""
    try:
        value = parse_body(body, lower_names(headers))
    except NotUnderstood:
        return ""
    events = [Fields(event) for event in (value if isinstance(value, list) else [value])]
    codes = (event.text("data.validationCode") for event in events if _VALIDATION in _types(event))
    return next(iter(codes), "")


def _types(event: Fields) -> tuple[object, object]:
    return event.get("eventType"), event.get("type")
