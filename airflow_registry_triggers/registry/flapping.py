# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
A limit on the pushes of a tag that keeps changing.

A tag is *calm* until it reaches ``flap_limit`` pushes within an hour, and *flapping* until its digest did
not change for an hour. At most one push of a flapping tag is sent every five minutes: the latest digest.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_registry_triggers.registry.watermark import TagState

__all__ = ["DEFAULT_FLAP_LIMIT", "FLAPS_KEY", "MIN_INTERVAL", "WINDOW", "FlapGuard"]

DEFAULT_FLAP_LIMIT = 10
"""Pushes of one tag within an hour."""

FLAPS_KEY = "flaps"
"""Key of the stored form, beside the watermark's keys."""

WINDOW = 3600.0
"""Seconds in which the pushes of a tag are counted."""

MIN_INTERVAL = 300.0
"""Seconds between two pushes of a flapping tag."""

_MAX_TAGS = 10_000
_MAX_STORED = 40_000
"""Characters of the JSON form."""


@dataclass(slots=True)
class _RecentPushes:
    """
    The pushes of one tag within the last hour.

    :param generation: generation of the last push; finding that push once more does not count
    :param times: seconds since the epoch, the oldest first
    :param changed_at: when the tag last differed from the watermark, held pushes included
    :param is_flapping: whether the limit was reached
    """

    generation: int = -1
    times: list[float] = field(default_factory=list)
    changed_at: float = 0.0
    is_flapping: bool = False


class FlapGuard:
    """Decide which pushes are sent and which are held, from the times of earlier pushes."""

    def __init__(self) -> None:
        self._recent: dict[str, _RecentPushes] = {}

    def admit(self, state: TagState, limit: int, now: float) -> bool:
        """
        Return True if the push is sent now, and record it. A held push is found again by the next poll.

        :param state: the tag after the push
        :param limit: pushes of one tag within an hour; 0 for no limit
        :param now: seconds since the epoch
        """
        if limit <= 0:
            return True
        recent = self._recent.pop(state.tag, None) or _RecentPushes()
        self._recent[state.tag] = recent  # moves the tag to the end: the order is that of the last change
        # A clock that was set back leaves times in the future; they would hold the tag for too long.
        recent.times = [time for time in recent.times if now - WINDOW < time <= now]
        if recent.is_flapping and not now - WINDOW < recent.changed_at <= now:
            recent.is_flapping = False
        recent.changed_at = now
        if state.generation == recent.generation:
            return True
        if recent.is_flapping and recent.times and now - recent.times[-1] < MIN_INTERVAL:
            return False
        recent.generation = state.generation
        recent.times = [*recent.times, now][-limit:]
        return True

    def new_flapping(self, limit: int) -> list[str]:
        """
        Return the tags that have reached the limit since the last call, each one once.

        :param limit: pushes of one tag within an hour; 0 for no limit
        """
        found = []
        for tag, recent in self._recent.items():
            if limit > 0 and not recent.is_flapping and len(recent.times) >= limit:
                recent.is_flapping = True
                found.append(tag)
        return found

    def held_until(self, polled_at: float) -> dict[str, float]:
        """
        Return the times at which held pushes may be sent: tag to seconds since the epoch.

        :param polled_at: start of the last poll, in seconds since the epoch; it decided on earlier times
        """
        return {
            tag: recent.times[-1] + MIN_INTERVAL
            for tag, recent in self._recent.items()
            if recent.is_flapping and recent.times
            # A tag that was sent changed last at that time.
            if recent.times[-1] < recent.changed_at and polled_at < recent.times[-1] + MIN_INTERVAL
        }

    def prune(self, now: float) -> None:
        """
        Forget tags that did not change within the last hour.

        :param now: seconds since the epoch
        """
        kept = [
            (tag, recent) for tag, recent in self._recent.items() if now - WINDOW < recent.changed_at <= now
        ]
        self._recent = dict(kept[-_MAX_TAGS:])

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, at most about 40 KB: the tags that changed last."""
        stored: dict[str, Any] = {}
        left = _MAX_STORED
        for tag, recent in reversed(self._recent.items()):
            value = [recent.generation, recent.is_flapping, *map(int, recent.times)]
            left -= len(json.dumps([tag, value]))
            if left < 0:
                break
            stored[tag] = value
        return dict(reversed(stored.items()))

    @classmethod
    def from_dict(cls, data: object) -> FlapGuard:
        """
        Read the JSON form. A value that cannot be read counts as no earlier push.

        :param data: the result of :meth:`to_dict`
        """
        guard = cls()
        for tag, value in data.items() if isinstance(data, Mapping) else ():
            recent = _recent_pushes(value)
            if isinstance(tag, str) and recent is not None:
                guard._recent[tag] = recent
        return guard


def _recent_pushes(value: object) -> _RecentPushes | None:
    if not isinstance(value, list) or len(value) < 3:
        return None
    generation, is_flapping, *times = value
    try:
        numbers = [float(time) for time in times]
        if not all(map(math.isfinite, numbers)):
            return None
        return _RecentPushes(int(generation), numbers, numbers[-1], is_flapping is True)
    except (TypeError, ValueError, OverflowError):
        return None
