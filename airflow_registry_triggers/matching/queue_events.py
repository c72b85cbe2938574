# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Read the pushes in asset events of queues: webhooks of registries that a queue delivered."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow_registry_triggers.inbound.queues import queue_notification, read_queue_items
from airflow_registry_triggers.matching.items import InputItem, MalformedMessage

__all__ = ["items_of_queue_event"]


def items_of_queue_event(asset: Any, event: Any) -> list[InputItem]:
    """
    Return the values of an event of an asset that is not a repository; empty if it is not of a queue.

    Queue mode has no watermark: the notification says what the message says.
    """
    timestamp = getattr(event, "timestamp", None)
    source = f"{asset.uri}@{timestamp}"
    found: list[InputItem] = []
    for item in read_queue_items(event.extra):
        value: Any = MalformedMessage(item.problem)
        if item.event is not None:
            value = queue_notification(item.event, item.message_id, _pushed_at(timestamp))
        found.append(InputItem(value, source, item.position))
    return found


def _pushed_at(timestamp: object) -> str:
    at = timestamp if isinstance(timestamp, datetime) else datetime.now(UTC)
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
