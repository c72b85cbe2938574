# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""One poll: which pushes are new against what has been handed on."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING

from airflow_registry_triggers.registry.client import ACCEPT
from airflow_registry_triggers.registry.errors import StormHeld
from airflow_registry_triggers.registry.notification_builder import NotificationBuilder, Push
from airflow_registry_triggers.registry.scan import ScanResult, scan
from airflow_registry_triggers.registry.watermark import TagState, WatchScope, Watermark
from airflow_registry_triggers.tag_rule import TagRule

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from airflow_registry_triggers.notification import Notification
    from airflow_registry_triggers.registry.client import RegistryClient

__all__ = ["FIRST_RUNS", "Poll", "poll"]

FIRST_RUNS = ("baseline", "notify")

_ACCEPT_MARK = sha256(ACCEPT.encode()).hexdigest()[:8]
_EVERY_TAG = TagRule()

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Poll:
    """
    What one poll found.

    Save ``watermark_before`` first, emit the notifications, then advance the watermark by them: a process
    that is killed in between finds the same pushes again, with the same ids.

    :param notifications: the pushes that are new, the earliest first
    :param watermark: all of it, as it is after the notifications were handed on
    :param watermark_before: all but the marks of the notifications; may be stored at once
    :param unknown: tags that could not be asked about in this poll, with the reason; they stay as they were
    :param warnings: what a person should know, such as lost state; each has been logged
    """

    notifications: list[Notification]
    watermark: Watermark
    watermark_before: Watermark
    unknown: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


async def poll(
    client: RegistryClient,
    repository: str,
    watermark: Watermark,
    rule: TagRule = _EVERY_TAG,
    first_run: str = "baseline",
    *,
    updates: bool = True,
    referrers: bool = False,
    storm_limit: int | None = 500,
    timezone: str = "UTC",
    repository_facts: Mapping[str, str] | None = None,
    unknown_before: Collection[str] = (),
    now: datetime | None = None,
) -> Poll:
    """
    Ask a registry once which pushes are new.

    :param client: the registry
    :param repository: full name of the repository
    :param watermark: what has been handed on
    :param rule: which tags are watched
    :param first_run: ``baseline`` remembers what is there and says nothing; ``notify`` announces it
    :param updates: whether a known tag that moves is a push; False costs no request for known tags
    :param referrers: whether tags of signatures, attestations and bills of materials are watched
    :param storm_limit: notifications that one poll may give, None for any number
    :param timezone: time zone of ``pushed_at``
    :param repository_facts: what goes into ``repository`` and the registry does not tell; see
        :data:`~airflow_registry_triggers.registry.notification_builder.DEFAULT_FACTS`
    :param unknown_before: tags of which it was said that they could not be read; it is not said again
    :param now: time of detection; default the clock's
    :raises RegistryError: the registry could not be read; nothing changes
    :raises StormHeld: there are more than storm_limit; nothing changes
    :raises ValueError: an argument cannot be meant
    """
    if first_run not in FIRST_RUNS:
        raise ValueError(f"first_run={first_run!r}: must be one of {', '.join(FIRST_RUNS)}")
    facts, moment = repository_facts or {}, now or datetime.now(UTC)
    writer = NotificationBuilder(client.registry, repository, timezone, facts, moment)
    coverage = WatchScope(rule, updates, referrers, _ACCEPT_MARK, client.registry)
    judge = _Judge(watermark, coverage, first_run)
    seen = await scan(client, repository, judge.coverage, judge.wants_digest, judge.is_first)
    pushes = judge.judged(seen)
    if storm_limit is not None and len(pushes) > storm_limit:
        raise StormHeld(len(pushes), storm_limit, repository)
    watermark_before = judge.watermark_before
    epoch = watermark_before.epoch or ""
    warnings = [*judge.warnings(repository), *_unknown_warning(repository, seen, unknown_before)]
    for warning in warnings:
        log.warning("%s", warning)
    return Poll(
        [writer.notification(push, epoch) for push in writer.in_order(pushes)],
        watermark_before.advanced((push.mark for push in pushes), epoch),
        watermark_before,
        seen.unknown,
        warnings,
    )


class _Judge:
    """
    Compares what is seen with what is remembered.

    :param watermark: what is remembered
    :param coverage: what is watched now
    :param first_run: ``baseline`` or ``notify``
    """

    def __init__(self, watermark: Watermark, coverage: WatchScope, first_run: str) -> None:
        self.coverage = coverage
        self._stored = watermark
        self._before = _prepared(watermark, coverage)
        self._baselines: list[TagState] = []
        before = watermark.coverage
        self._has_moved = before is not None and before.is_of_another_registry(coverage)
        is_silent = watermark.epoch is None and first_run == "baseline"
        self._all_baseline = watermark.lost or self._has_moved or is_silent
        self._any_lost = watermark.lost_shards > 0

    @property
    def is_first(self) -> bool:
        """Whether nothing has been remembered yet."""
        return self._stored.epoch is None

    @property
    def watermark_before(self) -> Watermark:
        """What may be stored before anything is announced."""
        return self._before.baselined(self._baselines)

    def wants_digest(self, tag: str) -> bool:
        """Tell whether a covered tag is to be asked about."""
        if self.coverage.updates:
            return True
        if self._before.mark_of(tag) is not None:
            return False
        # Without a listing, only asking tells whether the tag is there at all.
        return self.coverage.rule.tags is not None or not self._is_baseline(tag, None)

    def judged(self, seen: ScanResult) -> list[Push]:
        """
        Tell pushes from baselines; what is absent changes nothing.

        :param seen: what the registry told
        """
        pushes: list[Push] = []
        for tag, known in seen.digests.items():
            mark = self._before.mark_of(tag)
            if self._is_baseline(tag, mark):
                self._baselines.append(TagState(tag, mark.generation if mark else 0, known.digest))
            elif mark is None:
                pushes.append(Push(TagState(tag, 1, known.digest), None, known.pushed_at))
            elif self.coverage.updates and mark.digest != known.digest:
                after = TagState(tag, mark.generation + 1, known.digest)
                pushes.append(Push(after, mark.digest, known.pushed_at))
        for tag in (*seen.unknown, *seen.not_asked):
            # There at the baseline, but its digest is not known: once it is, that is no push.
            mark = self._before.mark_of(tag)
            if self._is_baseline(tag, mark):
                self._baselines.append(TagState(tag, mark.generation if mark else 0, None))
        return pushes

    def warnings(self, repository: str) -> list[str]:
        """
        Say what was lost.

        :param repository: its name
        """
        before = self._stored.coverage
        if self._has_moved and before:
            return [
                (
                    f"{repository}: asked of {self.coverage.registry}, and of {before.registry} before. "
                    "What is there now counts as known; pushes since the last poll may not be announced"
                )
            ]
        lost, all_shards = self._stored.lost_shards, len(self._stored.shards)
        if not self._stored.lost and not lost:
            return []
        whole = "what was remembered"
        what = whole if self._stored.lost else f"{lost} of {all_shards} parts of {whole}"
        return [
            (
                f"{repository}: {what} cannot be read any more. What is there now counts as known; "
                "pushes since the last poll may not be announced"
            )
        ]

    def _is_baseline(self, tag: str, mark: TagState | None) -> bool:
        if self._all_baseline or (mark is not None and mark.digest is None):
            return True
        stored = self._stored
        if stored.epoch is None or (stored.coverage == self.coverage and not self._any_lost):
            return False
        return stored.is_lost(tag) or stored.coverage is None or not stored.coverage.covers(tag)


def _prepared(watermark: Watermark, coverage: WatchScope) -> Watermark:
    """Give the watermark to go on from: with an epoch, and without digests that cannot be compared."""
    before = watermark.coverage
    if watermark.epoch is None or (before is not None and before.is_of_another_registry(coverage)):
        return Watermark.begun(coverage)
    if watermark.lost_shards:
        watermark = watermark.renewed()
    if before is None or before.accept != coverage.accept or (coverage.updates and not before.updates):
        watermark = watermark.undigested()
    return watermark.covering(coverage)


def _unknown_warning(repository: str, seen: ScanResult, before: Collection[str]) -> list[str]:
    if set(seen.unknown) <= set(before):
        return []
    tag, reason = next(iter(seen.unknown.items()))
    count = len(seen.unknown)
    who = f"tag {tag}" if count == 1 else f"{count} tags"
    first = "" if count == 1 else f"the first, {tag}: "
    return [f"{repository}: {who} could not be read and counts as it was remembered; {first}{reason}"]
