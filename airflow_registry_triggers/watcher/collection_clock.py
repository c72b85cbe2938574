# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
The moments at which the triggerer collects events.

The triggerer collects events and reports those that it stored once a second, in one step. An event that is
emitted just after a collection waits for almost a second, so polls and reads of hints end shortly before one.
"""

from __future__ import annotations

__all__ = ["CollectionClock"]

INTERVAL = 1.0
"""Seconds between two collections of events in the triggerer (Airflow 3.3), without the work between them."""

KNOWN_FOR = 60.0
"""Seconds until the time of the collections must be observed again, because the interval is not exact."""


class CollectionClock:
    """
    Move work to the time before a collection; all times are of ``time.monotonic()``.

    :param lead: seconds from the beginning of the work to the collection
    """

    def __init__(self, lead: float) -> None:
        self._lead = lead
        self._at: float | None = None

    def observe(self, now: float) -> None:
        """Record that the triggerer collects events now."""
        self._at = now

    def before_collection(self, moment: float, now: float) -> float:
        """
        Return a time near a moment from which the work ends before a collection.

        :param moment: returned unchanged if no collection was observed within the last minute
        :param now: the earliest time
        """
        moment = max(now, moment)
        if self._at is None or now - self._at >= KNOWN_FOR:
            return moment
        shift = (self._at - self._lead - moment) % INTERVAL
        if shift > INTERVAL / 2 and moment + shift - INTERVAL >= now:
            shift -= INTERVAL
        return moment + shift
