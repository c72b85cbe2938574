# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The memory of a watcher or sensor from one poll to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.registry.bulk.listing import BulkMemory
from airflow_registry_triggers.registry.confirmation import Confirmations
from airflow_registry_triggers.registry.flapping import FlapGuard
from airflow_registry_triggers.registry.newest import Candidates
from airflow_registry_triggers.registry.recheck import Recheck
from airflow_registry_triggers.registry.scan import CoveredTags

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from airflow_registry_triggers.registry.bulk.reported_scan import ReportedScan
    from airflow_registry_triggers.registry.comparison import Comparison
    from airflow_registry_triggers.registry.notification_builder import Push

__all__ = ["PollMemory"]


@dataclass(slots=True)
class PollMemory:
    """
    State that may be lost: a process that starts without it is slower or logs once more, and loses no push.

    A poll changes the memory in place. The watermark, which must not be lost, is stored separately.

    :param confirmations: polls in a row that found each new digest
    :param flaps: times of recent pushes
    :param reported: tags that the last poll could not read; they are not reported again
    :param awaited: digests of the last poll's pushes, by tag
    :param polled_at: time of the last poll, in seconds since the epoch; None before it, or if a bulk
        listing chose its tags
    :param bulk: memory of the bulk listings
    :param candidates: the greatest tags of the last listing, with ``newest``
    :param covered: the covered tags of the last listing, with a range
    """

    confirmations: Confirmations = field(default_factory=Confirmations)
    flaps: FlapGuard = field(default_factory=FlapGuard)
    reported: frozenset[str] = frozenset()
    awaited: dict[str, str | None] = field(default_factory=dict)
    polled_at: float | None = None
    candidates: Candidates = field(default_factory=Candidates)
    covered: CoveredTags = field(default_factory=CoveredTags)
    bulk: BulkMemory = field(default_factory=BulkMemory)

    def recheck(self, interval: float, now: float) -> Recheck | None:
        """
        Return the choice of the known tags that this poll requests, None for all of them.

        :param interval: ``recheck_interval`` in seconds; 0 for all tags
        :param now: time of this poll, in seconds since the epoch
        """
        if interval <= 0 or self.polled_at is None:
            return None
        return Recheck(interval, self.polled_at, now, self.reported, self.awaited)

    def pending(self, comparison: Comparison) -> list[str]:
        """
        Return the tags that a poll requests whatever a bulk listing reports.

        :param comparison: the comparison of this poll
        """
        awaited = self.awaited.items()
        waiting = [tag for tag, digest in awaited if comparison.stored_digest(tag) != digest]
        return [*self.reported, *waiting]

    def record(
        self,
        pushes: Iterable[Push],
        now: float,
        tags: int,
        only: Collection[str] | None = None,
        bulk: ReportedScan | None = None,
    ) -> None:
        """
        Record that a poll succeeded. The poll of a hint does not count as the last poll.

        :param pushes: its pushes, the held ones included
        :param now: its time, in seconds since the epoch
        :param tags: number of watched tags that it found
        :param only: tags that this poll requested; None for all tags
        :param bulk: its scan of a bulk listing, None without one
        """
        digests = {push.state.tag: push.state.digest for push in pushes}
        if only is not None:
            self.awaited |= digests
            return
        # A bulk listing leaves out tags whose moment has come, so the next poll without one requests all.
        self.awaited, self.polled_at = digests, now if bulk is None else None
        if bulk is None:
            self.bulk.tags = tags
        else:
            bulk.record()

    def confirmed(
        self,
        pushes: Iterable[Push],
        unknown: Mapping[str, str],
        confirm_polls: int,
        only: Collection[str] | None = None,
    ) -> list[Push]:
        """
        Return the pushes that enough polls in a row have found.

        :param pushes: the pushes of this poll
        :param unknown: tags that could not be read in this poll
        :param confirm_polls: number of polls
        :param only: tags that this poll requested; None for all tags
        """
        if confirm_polls <= 1:
            # Counts of an earlier setting must not be continued later.
            self.confirmations = Confirmations()
            return list(pushes)
        found = {push.state.tag: push for push in pushes}
        digests = {tag: push.state.digest or "" for tag, push in found.items()}
        self.confirmations.record(digests, unknown, only)
        return [push for tag, push in found.items() if self.confirmations.polls(tag) >= confirm_polls]

    def admitted(self, pushes: Iterable[Push], flap_limit: int, now: float) -> list[Push]:
        """
        Return the pushes without those of flapping tags that must wait.

        :param pushes: confirmed pushes
        :param flap_limit: pushes of one tag within an hour; 0 for no limit
        :param now: seconds since the epoch
        """
        if flap_limit <= 0:
            return list(pushes)
        admitted = [push for push in pushes if self.flaps.admit(push.state, flap_limit, now)]
        self.flaps.prune(now)
        return admitted

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, for a process that continues in another one."""
        return {"confirmations": self.confirmations.to_dict(), "flaps": self.flaps.to_dict()}

    @classmethod
    def from_dict(cls, data: object) -> PollMemory:
        """
        Read the JSON form. Parts that cannot be read are empty.

        :param data: the result of :meth:`to_dict`
        """
        parts = data if isinstance(data, Mapping) else {}
        return cls(
            Confirmations.from_dict(parts.get("confirmations")), FlapGuard.from_dict(parts.get("flaps"))
        )
