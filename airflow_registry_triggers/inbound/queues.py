# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Unwrap the messages of queues and topics, and describe the pushes in them as notifications."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_registry_triggers.inbound.dialects import NotUnderstood, read_push_events

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_registry_triggers.inbound.push_event import PushEvent

__all__ = [
    "QueueItem",
    "QueueMessage",
    "queue_notification",
    "queue_push_id",
    "read_queue_events",
    "read_queue_items",
    "read_queue_messages",
]


class QueueMessage(NamedTuple):
    """
    One message of a queue.

    :param body: the webhook of the registry or its cloud
    :param message_id: the queue's, empty if the asset event does not have it
    """

    body: bytes
    message_id: str


class QueueItem(NamedTuple):
    """
    One push of a queue's message, or a message that is not understood.

    :param position: place in the asset event, for the fallback id
    :param message_id: see :class:`QueueMessage`
    :param event: None if the message is not understood; its tag is never None
    :param problem: for the access record ``malformed``, without a value of the body; empty for a push
    """

    position: int
    message_id: str
    event: PushEvent | None
    problem: str


class _Envelope(NamedTuple):
    messages: list[QueueMessage]
    is_of_queue: bool


def read_queue_messages(payload: object) -> list[QueueMessage]:
    """
    Return the messages of an asset event that a queue's Airflow trigger or a task has stored.

    :param payload: the event's extra or its ``payload``, in a form of SQS, Pub/Sub, Kafka, Redis or
        Service Bus, or a bare body
    :return: empty if it cannot contain a message
    """
    return _unwrap(payload).messages


def read_queue_items(payload: object) -> list[QueueItem]:
    """
    Return the pushes in an asset event, and the messages of a queue that are not understood.

    An unknown body outside the forms of queues is ignored: other Dags may use the same asset for
    their own events. Pushes without a tag are skipped.

    :param payload: see :func:`read_queue_messages`
    """
    items: list[QueueItem] = []
    for message, events, problem in _read_each(payload):
        if problem:
            items.append(QueueItem(len(items), message.message_id, None, problem))
        for event in events:
            if event.tag is not None:
                items.append(QueueItem(len(items), message.message_id, event, ""))
    return items


def read_queue_events(payload: object) -> tuple[list[PushEvent], list[str]]:
    """
    Return the push events in an asset event, those without a tag too, and the problems of messages.

    :param payload: see :func:`read_queue_messages`
    :return: the problems do not quote values of a body
    """
    events: list[PushEvent] = []
    problems: list[str] = []
    for _, of_message, problem in _read_each(payload):
        events += of_message
        problems += [problem] if problem else []
    return events, problems


def _read_each(payload: object) -> Iterator[tuple[QueueMessage, list[PushEvent], str]]:
    envelope = _unwrap(payload)
    for message in envelope.messages:
        try:
            yield message, read_push_events(message.body, {})[1], ""
        except NotUnderstood as problem:
            if envelope.is_of_queue:
                yield message, [], str(problem)


def queue_push_id(event: PushEvent, message_id: str) -> str | None:
    """
    Identify one push of a queue: a redelivered message has the same id.

    :param message_id: used if the event's own id is empty
    :return: 32 hexadecimal digits, None without both ids
    """
    unique = event.event_id or message_id
    if not unique:
        return None
    parts = ("queue", event.registry, event.repository, event.tag, event.digest, unique)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def queue_notification(
    event: PushEvent, message_id: str, pushed_at: str, facts: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """
    Return the JSON of a notification for a push of a queue.

    :param message_id: see :class:`QueueMessage`
    :param pushed_at: time of the asset event, in the form of other notifications
    :param facts: further keys of ``repository``
    :return: without ``event.id`` if only the asset event and the position identify the push
    """
    namespace, _, name = event.repository.rpartition("/")
    push_id = queue_push_id(event, message_id)
    identity = {"id": push_id} if push_id else {}
    return {
        "push_data": {"digest": event.digest, "pushed_at": pushed_at, "tag": event.tag},
        "repository": {
            **(facts or {}),
            "name": name,
            "namespace": namespace,
            "repo_full_name": event.repository,
        },
        "event": {**identity, "registry": event.registry},
    }


def _unwrap(payload: object) -> _Envelope:
    if isinstance(payload, Mapping) and "payload" in payload:
        payload = payload["payload"]
    if isinstance(payload, str | bytes):  # Kafka
        return _Envelope([QueueMessage(_as_bytes(payload), "")] if payload else [], is_of_queue=True)
    if isinstance(payload, Mapping):
        for read in (_sqs, _pubsub, _redis, _service_bus):
            messages = read(payload)
            if messages is not None:
                return _Envelope(messages, is_of_queue=True)
    is_body = isinstance(payload, Mapping | list) and bool(payload)
    return _Envelope([QueueMessage(_as_bytes(payload), "")] if is_body else [], is_of_queue=False)


def _sqs(payload: Mapping[str, Any]) -> list[QueueMessage] | None:
    batch = payload.get("message_batch")
    return [_sqs_message(_as_mapping(item)) for item in batch] if isinstance(batch, list) else None


def _sqs_message(message: Mapping[str, Any]) -> QueueMessage:
    body, message_id = message.get("Body"), message.get("MessageId")
    sns = _parsed(body)
    if sns.get("Type") == "Notification" and "Message" in sns:
        # SNS may send one notification as two messages of SQS.
        body, message_id = sns["Message"], sns.get("MessageId") or message_id
    return QueueMessage(_as_bytes(body), _as_id(message_id))


def _pubsub(payload: Mapping[str, Any]) -> list[QueueMessage] | None:
    received = payload.get("message")
    if not isinstance(received, list):
        return None
    messages = [_as_mapping(_as_mapping(item).get("message")) for item in received]
    return [
        QueueMessage(
            _decoded(message.get("data")), _as_id(message.get("message_id") or message.get("messageId"))
        )
        for message in messages
    ]


def _redis(payload: Mapping[str, Any]) -> list[QueueMessage] | None:
    if not payload.keys() >= {"type", "channel", "data"}:
        return None
    is_message = payload["type"] in ("message", "pmessage")
    return [QueueMessage(_as_bytes(payload["data"]), "")] if is_message else []


def _service_bus(payload: Mapping[str, Any]) -> list[QueueMessage] | None:
    if "message" not in payload or not payload.keys() & {"queue", "topic"}:
        return None
    return [QueueMessage(_as_bytes(payload["message"]), "")]


def _as_mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _as_id(value: object) -> str:
    return value if isinstance(value, str) else ""


def _as_bytes(value: object) -> bytes:
    """Return a body as bytes; other values are empty, which no dialect understands."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "replace")
    if not isinstance(value, Mapping | list):
        return b""
    try:
        return json.dumps(value).encode()
    except (TypeError, ValueError, RecursionError):
        return b""


def _decoded(data: object) -> bytes:
    raw = _as_bytes(data)
    try:
        return base64.b64decode(raw, validate=True)
    except ValueError:
        return raw


def _parsed(body: object) -> Mapping[str, Any]:
    try:
        return _as_mapping(json.loads(_as_bytes(body)))
    except (ValueError, RecursionError):
        return {}
