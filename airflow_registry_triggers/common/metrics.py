# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Counters and timers, reported through Airflow's Stats."""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.access_record import VERDICTS as VERDICT_STATUSES

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow_registry_triggers.access_record import AccessRecord

__all__ = [
    "DELIVERIES",
    "DETECTED",
    "DURATION",
    "HINTS_POLLED",
    "HINTS_STORED",
    "SENSOR",
    "VERDICTS",
    "WATCHER",
    "WEBHOOKS_RECEIVED",
    "count_detected",
    "count_hints_polled",
    "count_record",
    "count_webhook",
]

SENSOR = "sensor"
WATCHER = "watcher"

DETECTED = "registry_triggers.notifications_detected"
"""Counter: pushes that a sensor or a watcher detected."""

VERDICTS = "registry_triggers.verdicts"
"""Counter, followed by the status: results of the rules."""

DELIVERIES = "registry_triggers.deliveries"
"""Counter, followed by the status: attempts to deliver."""

DURATION = "registry_triggers.delivery_duration"
"""Timer, milliseconds: duration of one attempt."""

WEBHOOKS_RECEIVED = "registry_triggers.webhooks_received"
"""Counter, followed by the HTTP status: answers to registries' webhooks."""

HINTS_STORED = "registry_triggers.hints_stored"
"""Counter: tags whose hints the endpoint stored."""

HINTS_POLLED = "registry_triggers.hints_polled"
"""Counter: tags that a watcher requested because of a hint."""

_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")


def count_detected(number: int, source: str) -> None:
    """
    Count detected pushes.

    :param source: :data:`SENSOR` or :data:`WATCHER`
    """
    if number:
        _stats(source).incr(DETECTED, number, tags={"source": source})


def count_hints_polled(tags: Collection[str], new: Collection[str]) -> None:
    """
    Count the tags that a hint made a watcher request.

    :param new: those of them that were pushed
    """
    pushed = len(set(tags) & set(new))
    for result, number in (("new", pushed), ("unchanged", len(tags) - pushed)):
        if number:
            _stats(WATCHER).incr(HINTS_POLLED, number, tags={"result": result})


def count_webhook(status: int, dialect: str, stored: int) -> None:
    """
    Count an answer of the endpoint for registries' webhooks.

    :param status: HTTP status of the answer
    :param dialect: of the body; empty if it was not read
    :param stored: number of tags whose hints were stored
    """
    stats = _stats(WATCHER)
    stats.incr(f"{WEBHOOKS_RECEIVED}.{status}", tags={"dialect": dialect or "unread"})
    if stored:
        stats.incr(HINTS_STORED, stored)


def count_record(record: AccessRecord) -> None:
    """Count the result of a match or of an attempt."""
    tags = {"trigger": _UNSAFE.sub("_", record.trigger_name)[:100], "status": record.status_code}
    stats = _stats()
    # The status is part of the name too, because plain StatsD drops tags.
    kind = VERDICTS if record.status_code in VERDICT_STATUSES else DELIVERIES
    stats.incr(f"{kind}.{record.status_code}", tags=tags)
    if record.duration_ms is not None:
        stats.timing(DURATION, float(record.duration_ms), tags=tags)


def _stats(source: str = "") -> Any:
    # Airflow 3.3 has two modules: the triggerer initializes one, tasks initialize the other.
    name = "airflow.observability.stats" if source == WATCHER else "airflow.sdk.observability.stats"
    try:
        return importlib.import_module(name).Stats
    except (ImportError, AttributeError):
        return _NoStats  # the module names are not public, and a delivery must not fail over a counter


class _NoStats:
    """A stand-in that counts nothing."""

    @staticmethod
    def incr(*_: Any, **__: Any) -> None:
        """Do nothing."""

    @staticmethod
    def timing(*_: Any, **__: Any) -> None:
        """Do nothing."""
