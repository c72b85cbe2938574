# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Count events in a sliding window of time."""

from __future__ import annotations

from collections import deque

__all__ = ["RateWindow"]


class RateWindow:
    """
    A limit of events in any window of some seconds; not for use from several threads.

    :param limit: events in one window
    :param seconds: length of the window
    """

    def __init__(self, limit: int, seconds: float) -> None:
        self._limit = limit
        self._seconds = seconds
        self._times: deque[float] = deque()

    def take(self, now: float) -> float:
        """
        Count an event if the limit allows it.

        :param now: of a monotonic clock, in seconds
        :return: 0 if the event is counted, else the seconds until one is allowed
        """
        while self._times and self._times[0] <= now - self._seconds:
            self._times.popleft()
        if len(self._times) < self._limit:
            self._times.append(now)
            return 0.0
        oldest = self._times[0] if self._times else now
        return max(oldest + self._seconds - now, 0.001)
