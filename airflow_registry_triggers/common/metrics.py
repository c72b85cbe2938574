# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""What is counted through Airflow's Stats; ``docs/metrics.md`` has the names."""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_registry_triggers.access_record import AccessRecord

__all__ = [
    "DELIVERIES",
    "DETECTED",
    "DURATION",
    "SENSOR",
    "VERDICTS",
    "WATCHER",
    "count_detected",
    "count_record",
]

SENSOR = "sensor"
WATCHER = "watcher"

DETECTED = "registry_triggers.notifications_detected"
"""Counter: pushes that a sensor or a watcher found."""

VERDICTS = "registry_triggers.verdicts"
"""Counter, the verdict behind it: what the rules said."""

DELIVERIES = "registry_triggers.deliveries"
"""Counter, the status code behind it: attempts to deliver."""

DURATION = "registry_triggers.delivery_duration"
"""Timer, milliseconds: one attempt."""

_VERDICT_CODES = ("triggered", "untriggered", "duplicate")
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")


def count_detected(number: int, source: str) -> None:
    """
    Count pushes that were found.

    :param number: how many
    :param source: :data:`SENSOR` or :data:`WATCHER`
    """
    if number:
        _stats(source).incr(DETECTED, number, tags={"source": source})


def count_record(record: AccessRecord) -> None:
    """
    Count a verdict or an attempt.

    :param record: its access record
    """
    tags = {"trigger": _UNSAFE.sub("_", record.trigger_name)[:100], "status": record.status_code}
    stats = _stats()
    # The code is in the name too: StatsD itself knows no tags.
    kind = VERDICTS if record.status_code in _VERDICT_CODES else DELIVERIES
    stats.incr(f"{kind}.{record.status_code}", tags=tags)
    if record.duration_ms is not None:
        stats.timing(DURATION, float(record.duration_ms), tags=tags)


def _stats(source: str = "") -> Any:
    # Airflow 3.3 keeps two: the triggerer sets up the one, tasks the other.
    name = "airflow.observability.stats" if source == WATCHER else "airflow.sdk.observability.stats"
    try:
        return importlib.import_module(name).Stats
    except (ImportError, AttributeError):
        return _NoStats  # the names are not public, and no delivery fails for want of a count


class _NoStats:
    """Counts nothing."""

    @staticmethod
    def incr(*_: Any, **__: Any) -> None:
        """Do nothing."""

    @staticmethod
    def timing(*_: Any, **__: Any) -> None:
        """Do nothing."""
