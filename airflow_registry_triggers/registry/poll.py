# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""One poll of a repository: the pushes since the watermark."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING

from airflow_registry_triggers.registry.bulk.reported_baseline import ReportedBaseline
from airflow_registry_triggers.registry.bulk.reported_scan import ReportedScan
from airflow_registry_triggers.registry.client import ACCEPT
from airflow_registry_triggers.registry.comparison import Comparison
from airflow_registry_triggers.registry.errors import RegistryError, StormHeld
from airflow_registry_triggers.registry.flapping import DEFAULT_FLAP_LIMIT, MIN_INTERVAL
from airflow_registry_triggers.registry.http.collection_pause import collection_paused
from airflow_registry_triggers.registry.newest import NewestComparison
from airflow_registry_triggers.registry.notification_builder import NotificationBuilder, Push
from airflow_registry_triggers.registry.poll_memory import PollMemory
from airflow_registry_triggers.registry.scan import ScanResult, compute, release, scan, scan_only
from airflow_registry_triggers.registry.scope import FIRST_RUNS, FirstRun, WatchScope, checked_first_run
from airflow_registry_triggers.tag_rule import TagRule

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from airflow_registry_triggers.notification import Notification
    from airflow_registry_triggers.registry.recheck import Recheck
    from airflow_registry_triggers.registry.scan import Prepare
    from airflow_registry_triggers.registry.tag_source import TagSource
    from airflow_registry_triggers.registry.watermark import Watermark

__all__ = ["FIRST_RUNS", "FirstRun", "Poll", "poll"]

_ACCEPT_MARK = sha256(ACCEPT.encode()).hexdigest()[:8]
_EVERY_TAG = TagRule()

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Poll:
    """
    The result of one poll.

    Store ``watermark_before``, send the notifications, then advance the watermark by them. If the process is
    killed in between, the next poll finds the same pushes with the same ids.

    :param notifications: the pushes, the earliest first
    :param watermark_before: the watermark without these pushes; it may be stored at once
    :param watermark_after: the watermark with all of these pushes
    :param unknown: tags whose digest could not be read, with the reason; their state does not change
    :param warnings: warnings, such as lost state; each of them has been logged
    :param note: with ``newest``, the reason why a difference is not sent; empty if there is none
    :param hinted: tags of ``only`` that were requested
    """

    notifications: list[Notification]
    watermark_before: Watermark
    watermark_after: Watermark
    unknown: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    note: str = ""
    hinted: frozenset[str] = frozenset()


async def poll(
    client: TagSource,
    repository: str,
    watermark: Watermark,
    rule: TagRule = _EVERY_TAG,
    first_run: FirstRun = "baseline",
    *,
    newest: str | None = None,
    updates: bool = True,
    referrers: bool = False,
    storm_limit: int | None = 500,
    confirm_polls: int = 1,
    flap_limit: int = DEFAULT_FLAP_LIMIT,
    recheck_interval: float = 0.0,
    timezone: str = "UTC",
    repository_facts: Mapping[str, str] | None = None,
    memory: PollMemory | None = None,
    now: datetime | None = None,
    only: Collection[str] | None = None,
) -> Poll:
    """
    Find the pushes since the watermark.

    :param client: the registry
    :param repository: full name of the repository
    :param watermark: the stored watermark
    :param rule: the watched tags
    :param first_run: ``baseline`` records the current tags; ``notify`` returns a notification for each
    :param newest: ``version``, ``number`` or ``text``: only the greatest tag is requested, and a tag that is
        less than an earlier one is not a push; None for all tags
    :param updates: whether a known tag with another digest is a push; False sends no request for known tags
    :param referrers: whether tags of signatures, attestations and bills of materials are watched
    :param storm_limit: maximum number of notifications, None for no limit
    :param confirm_polls: polls in a row that must find a digest before it counts; needs a memory
    :param flap_limit: pushes of one tag within an hour, after which they are limited; 0 for no limit
    :param recheck_interval: seconds in which each known tag is requested at least once; 0 for every poll;
        needs a memory
    :param timezone: time zone of ``pushed_at``
    :param repository_facts: values for ``repository`` that the registry does not return; see
        :data:`~airflow_registry_triggers.registry.notification_builder.DEFAULT_FACTS`
    :param memory: memory of the earlier polls of the same watermark and rule; changed in place
    :param now: time of detection; default the current time
    :param only: tags that a hint names: request these alone, as far as the rule covers them, without a
        listing. Until a full poll has recorded the baseline of the current scope, nothing is requested. With
        ``newest``, a tag that the rule covers causes a full poll
    :raises RegistryError: the registry could not be read; nothing changes
    :raises StormHeld: there are more pushes than storm_limit; nothing changes
    :raises ValueError: an argument is not valid
    """
    mode, moment = checked_first_run(first_run), now or datetime.now(UTC)
    builder = NotificationBuilder(client.registry, repository, timezone, repository_facts or {}, moment)
    scope = WatchScope(rule, updates, referrers, _ACCEPT_MARK, client.registry, newest)
    memory = PollMemory() if memory is None else memory
    # A hint requests its tags whatever was requested last, and the next full poll does not count it.
    recheck = memory.recheck(recheck_interval if only is None else 0.0, moment.timestamp())
    comparison = _comparison(watermark, scope, mode, recheck)
    if only is not None and not (comparison.is_settled and any(map(scope.covers, only))):
        return Poll([], watermark, watermark)
    wanted = only or ()
    if newest is not None:
        only = None  # the greatest tag is known from a listing alone
    result, bulk = await _found(client, repository, comparison, memory, moment.timestamp(), only)
    hinted = _requested(wanted, result)
    size = len(result.digests) + len(result.unknown) + len(result.not_asked)

    def compared() -> tuple[list[Push], list[Push]]:
        pushes = comparison.pushes(result)
        confirmed = memory.confirmed(pushes, result.unknown, confirm_polls, only)
        return pushes, memory.admitted(confirmed, flap_limit, moment.timestamp())

    with collection_paused():
        pushes, admitted = await compute(size, compared)
        if storm_limit is not None and (number := len(admitted)) > storm_limit:
            await release(pushes, admitted, result.digests, result.times)
            raise StormHeld(number, storm_limit, repository)
    watermark_before = await compute(size, lambda: comparison.watermark_before)
    found = await compute(len(admitted), lambda: _built(builder, admitted, watermark_before))
    note = comparison.note if isinstance(comparison, NewestComparison) else ""
    warnings = [
        *comparison.warnings(repository),
        *memory.candidates.unreported(repository, note),
        *_unknown_warnings(repository, result, memory, only),
        *_flap_warnings(repository, memory, flap_limit),
    ]
    for warning in warnings:
        log.warning("%s", warning)
    memory.record(pushes, moment.timestamp(), size, only, bulk)
    with collection_paused():
        await release(pushes, admitted, result.digests, result.times)
    return Poll(*found, unknown=result.unknown, warnings=warnings, note=note, hinted=hinted)


def _requested(wanted: Collection[str], result: ScanResult) -> frozenset[str]:
    answers = (result.digests, result.unknown, result.absent)
    return frozenset(tag for tag in wanted if any(tag in answer for answer in answers))


def _comparison(
    watermark: Watermark, scope: WatchScope, mode: FirstRun, recheck: Recheck | None
) -> Comparison | NewestComparison:
    order = scope.order
    if order is None:
        return Comparison(watermark, scope, mode, recheck)
    return NewestComparison(watermark, scope, order, mode)


async def _found(
    client: TagSource,
    repository: str,
    comparison: Comparison | NewestComparison,
    memory: PollMemory,
    now: float,
    only: Collection[str] | None,
) -> tuple[ScanResult, ReportedScan | None]:
    """Return the registry's answers, and the bulk listing if it chose the tags that were requested."""
    if only is None and isinstance(comparison, Comparison):
        extra = memory.pending(comparison)
        bulk = ReportedScan.of_poll(client, repository, comparison, memory.bulk, now, extra)
        if bulk is not None and (result := await bulk.run()) is not None:
            return result, bulk
        if baseline := ReportedBaseline.of_poll(client, repository, comparison, memory.bulk, now):
            result = await _scanned(client, repository, comparison, memory, only, baseline.prepare)
            baseline.record(result)
            return result, None
    return await _scanned(client, repository, comparison, memory, only), None


async def _scanned(
    client: TagSource,
    repository: str,
    comparison: Comparison | NewestComparison,
    memory: PollMemory,
    only: Collection[str] | None,
    prepare: Prepare | None = None,
) -> ScanResult:
    try:
        if isinstance(comparison, NewestComparison):
            return await comparison.scan(client, repository, memory.candidates)
        if only is not None:
            return await scan_only(client, repository, comparison.scope, comparison.needs_digest, only)
        return await scan(
            client,
            repository,
            comparison.scope,
            comparison.needs_digest,
            comparison.is_first,
            memory.covered,
            prepare,
        )
    except RegistryError as error:
        if error.kind != "no_such_repository" or comparison.is_first:
            raise
        raise RegistryError(
            f"{error} Earlier polls could read this repository, so it may be empty for now: the watermark "
            "is kept and the next poll tries again",
            kind=error.kind,
            status=error.status,
            transient=True,
        ) from None


def _built(
    builder: NotificationBuilder, pushes: list[Push], before: Watermark
) -> tuple[list[Notification], Watermark, Watermark]:
    epoch = before.epoch or ""
    notifications = [builder.notification(push, epoch) for push in builder.in_order(pushes)]
    return notifications, before, before.advanced((push.state for push in pushes), epoch)


def _unknown_warnings(
    repository: str, result: ScanResult, memory: PollMemory, only: Collection[str] | None
) -> Iterator[str]:
    """Report tags that cannot be read, once for each tag and not in each poll."""
    unknown = frozenset(result.unknown)
    not_requested = memory.reported - frozenset(only) if only is not None else frozenset()
    is_reported, memory.reported = unknown <= memory.reported, unknown | not_requested
    if is_reported:
        return
    tag, reason = next(iter(result.unknown.items()))
    count = len(unknown)
    if count == 1:
        yield f"{repository}: tag {tag} could not be read, and its state does not change. {reason}"
    else:
        yield (
            f"{repository}: {count} tags could not be read, and their state does not change. The first, "
            f"{tag}: {reason}"
        )


def _flap_warnings(repository: str, memory: PollMemory, flap_limit: int) -> Iterator[str]:
    for tag in memory.flaps.new_flapping(flap_limit):
        yield (
            f"{repository}: tag {tag} was pushed {flap_limit} times within an hour. From now on its latest "
            f"digest is sent at most every {MIN_INTERVAL / 60:g} minutes, until it does not change for an "
            "hour. If replicas of the registry disagree, set confirm_polls on the Connection to 2 or more. "
            "If so many pushes are intended, set flap_limit"
        )
