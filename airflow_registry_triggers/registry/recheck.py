# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
The choice of the known tags that a poll requests, if ``recheck_interval`` spreads them over several polls.

Each tag has a fixed moment within the interval, derived from its name. A poll requests the tags whose moment
lies between the last poll and this one. The time of the last poll is therefore the only state: a late poll
skips no tag, and a process that starts requests all tags once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from airflow_registry_triggers.registry.watermark import TagState

__all__ = ["Recheck", "is_due"]

_PHASE_BITS = 48
_MICROSECONDS = 1_000_000


def is_due(tag: str, interval: float, last: float, now: float) -> bool:
    """
    Return True if the moment of a tag lies between two polls, or if more than the interval has passed.

    :param tag: the tag
    :param interval: seconds in which each tag is due once
    :param last: time of the last poll, in seconds since the epoch
    :param now: time of this poll, in seconds since the epoch
    """
    # Integers, so that a moment between two polls is never rounded out of both of them.
    begin, end, period = (round(seconds * _MICROSECONDS) for seconds in (last, now, interval))
    elapsed = end - begin
    # A clock that was set back says nothing about the time that has passed.
    if elapsed < 0 or elapsed >= period:
        return True
    bits = int.from_bytes(sha256(tag.encode()).digest()[: _PHASE_BITS // 8])
    return ((bits * period >> _PHASE_BITS) - begin) % period <= elapsed


@dataclass(frozen=True, slots=True)
class Recheck:
    """
    The rule of one poll.

    A tag whose generation is above 1 counts as moving. Moving tags, tags that the last poll could not read,
    and tags whose digest the watermark does not contain yet are requested in every poll.

    :param interval: seconds in which each known tag is requested at least once
    :param last: time of the last poll, in seconds since the epoch
    :param now: time of this poll, in seconds since the epoch
    :param unread: tags that the last poll could not read
    :param awaited: digests of the last poll's pushes, by tag
    """

    interval: float
    last: float
    now: float
    unread: Collection[str] = ()
    awaited: Mapping[str, str | None] = field(default_factory=dict)

    def needs(self, state: TagState) -> bool:
        """
        Return True if this poll requests the tag.

        :param state: the tag as the watermark contains it
        """
        tag, generation, digest = state
        if generation > 1 or digest is None or tag in self.unread:
            return True
        # Such a push waits for confirm_polls or flap_limit, or its asset event was not stored.
        if self.awaited.get(tag, digest) != digest:
            return True
        return is_due(tag, self.interval, self.last, self.now)
