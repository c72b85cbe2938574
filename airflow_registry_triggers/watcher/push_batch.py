# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
The pushes of one poll and asset, as one asset event.

Airflow 3.3 makes one run of several asset events and forgets some of those that arrive during that time
(https://github.com/apache/airflow/issues/56050). Ten tags in ten events would therefore cost several runs and
many duplicates; ten tags in one event cost one run.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from airflow_registry_triggers.notification import Notification
    from airflow_registry_triggers.watcher.watched_asset import WatchedAsset

__all__ = ["MAX_BYTES", "MAX_NOTIFICATIONS", "PushBatch", "by_asset", "in_rounds", "split"]

MAX_NOTIFICATIONS = 500
"""Notifications in one asset event."""

MAX_BYTES = 1024 * 1024
"""Bytes of JSON in one asset event; a single larger notification still gets an event of its own."""


@dataclass(eq=False, slots=True)
class PushBatch:
    """
    Notifications on their way through the shared stream.

    :param watched: asset that the notifications are for
    :param notifications: in the order of the pushes
    :param replayed: number of them that an earlier watcher may have emitted
    :param consumed: whether the asset's own Airflow trigger took the batch; other triggers of the stream see
        it too, and Airflow reports a batch as clean although only they did
    """

    watched: WatchedAsset
    notifications: list[Notification]
    replayed: int = 0
    consumed: bool = False

    @property
    def asset(self) -> str:
        """Name of the asset."""
        return self.watched.asset

    @property
    def payload(self) -> list[dict[str, Any]]:
        """The payload of the asset event."""
        return [notification.to_dict() for notification in self.notifications]


def split(notifications: Sequence[Notification]) -> Iterator[list[Notification]]:
    """
    Split notifications into lists that fit into one asset event.

    :param notifications: in the order of the pushes
    """
    part: list[Notification] = []
    size = 0
    for notification in notifications:
        length = len(json.dumps(notification.to_dict()))
        if part and (len(part) >= MAX_NOTIFICATIONS or size + length > MAX_BYTES):
            yield part
            part, size = [], 0
        part.append(notification)
        size += length
    if part:
        yield part


def by_asset(batches: Iterable[PushBatch]) -> dict[WatchedAsset, list[PushBatch]]:
    """
    Group batches by their asset; the order of each asset stays.

    :param batches: batches of one stream
    """
    groups: dict[WatchedAsset, list[PushBatch]] = {}
    for batch in batches:
        groups.setdefault(batch.watched, []).append(batch)
    return groups


def in_rounds(batches: Sequence[PushBatch], size: int) -> Iterator[list[PushBatch]]:
    """
    Group batches that are emitted together: at most one of each asset, the earliest first.

    :param batches: all batches of a poll
    :param size: number of batches in one round
    """
    for column in itertools.zip_longest(*by_asset(batches).values()):
        of_round = [batch for batch in column if batch is not None]
        for begin in range(0, len(of_round), size):
            yield of_round[begin : begin + size]
