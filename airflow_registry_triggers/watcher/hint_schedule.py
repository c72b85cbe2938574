# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
The times at which a hint makes a watcher poll.

A registry may send its webhook up to 0.1 s before the tag can be read, so each hinted tag is polled at once
and twice more. A tag whose push is held, because it changes too often, is polled when the push may be sent.
The time of the next full poll does not move, except by a hint for all tags.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from airflow_registry_triggers.inbound.hint_row import ALL_TAGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["HintSchedule"]

POLLED_AFTER = (0.0, 1.0, 4.0)
"""Seconds from a hint to the polls of its tag."""

MIN_GAP = 1.0
"""Seconds between two polls of hinted tags: a flood of webhooks causes at most one poll a second."""

ALL_AFTER = 1.0
"""Seconds from a hint for all tags to the full poll."""

ALL_GAP = 30.0
"""Seconds between two full polls that hints for all tags cause."""

TOLERANCE = 0.05
"""Seconds by which a poll may come early, so that tags of two webhooks share a poll."""


class HintSchedule:
    """The polls that hints for one repository cause; all times are of ``time.monotonic()``."""

    def __init__(self) -> None:
        self._due: dict[str, tuple[float, ...]] = {}
        self._held: dict[str, float] = {}
        self._last_poll = -inf
        self._all_at = inf
        self._all_readable_at = -inf
        self._last_all = -inf

    @property
    def is_pending(self) -> bool:
        """Whether hints wait for a poll."""
        return bool(self._due) or self._all_at < inf

    @property
    def full_poll_at(self) -> float:
        """Time of the full poll that a hint for all tags causes; infinite without one."""
        return self._all_at

    @property
    def next_at(self) -> float:
        """Time of the next poll of hinted tags; infinite without one."""
        first = min((*(times[0] for times in self._due.values()), *self._held.values()), default=inf)
        return max(first, self._last_poll + MIN_GAP)

    def add(self, tags: Iterable[str], now: float) -> None:
        """
        Add a hint; it restarts the repeats of its tags.

        :param tags: tags, or :data:`~airflow_registry_triggers.inbound.hint_row.ALL_TAGS`
        """
        for tag in tags:
            if tag == ALL_TAGS:
                self._add_all(now)
            else:
                self._due[tag] = tuple(now + seconds for seconds in POLLED_AFTER)

    def hold(self, tags: Mapping[str, float]) -> None:
        """
        Replace the tags whose pushes were found but may be sent only later.

        :param tags: tag to the time of its poll
        """
        self._held = dict(tags)

    def pop_due(self, now: float) -> frozenset[str]:
        """Return the tags to poll now, without each other's listing; empty if it is too early."""
        if now < self.next_at - TOLERANCE:
            return frozenset()
        times_of = [*self._due.items(), *((tag, (at,)) for tag, at in self._held.items())]
        tags = frozenset(tag for tag, times in times_of if times[0] <= now + TOLERANCE)
        self._drop_until(now + TOLERANCE)
        self._last_poll = now
        return tags

    def full_poll_begins(self, now: float) -> None:
        """Forget the polls that a full poll replaces: all that are due before its end, and no repeats."""
        self._drop_until(now + TOLERANCE)
        if self._all_at <= now:
            self._last_all = now
            # The tag of the last hint may not be readable yet: it needs another full poll.
            is_answered = self._all_readable_at <= now
            self._all_at = inf if is_answered else max(self._all_readable_at, now + ALL_GAP)

    def _add_all(self, now: float) -> None:
        self._all_readable_at = now + ALL_AFTER
        if self._all_at == inf:  # a stream of hints does not postpone the poll of the first
            self._all_at = max(self._all_readable_at, self._last_all + ALL_GAP)

    def _drop_until(self, moment: float) -> None:
        later = {tag: tuple(at for at in times if at > moment) for tag, times in self._due.items()}
        self._due = {tag: times for tag, times in later.items() if times}
        self._held = {tag: at for tag, at in self._held.items() if at > moment}
