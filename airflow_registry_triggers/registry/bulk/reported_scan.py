# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
The requests of a poll with a bulk listing.

The listing only proves that a tag need not be requested: a tag is skipped if its reported digest is the
stored one. HEAD decides about every other tag. A listing with wrong digests costs requests, and never a push.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_registry_triggers.registry.bulk.listing import BulkListing, BulkMemory, BulkSource, read_listing
from airflow_registry_triggers.registry.bulk.reported import ApiRefused
from airflow_registry_triggers.registry.scan import DigestReader, ScanResult, compute
from airflow_registry_triggers.registry.tag_source import BulkTagSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_registry_triggers.registry.comparison import Comparison
    from airflow_registry_triggers.registry.http.pagination import KnownDigest
    from airflow_registry_triggers.registry.tag_source import TagSource

__all__ = ["ReportedScan"]

_SAMPLE = 3
_MIN_DISPUTED = 10


@dataclass(slots=True)
class _Sorted:
    """
    The watched tags of a listing.

    :param needed: tags that HEAD decides about
    :param unchanged: tags whose reported digest is the stored one
    :param disputed: known tags whose reported digest is another one, with the stored digest
    """

    needed: dict[str, None]
    unchanged: list[str]
    disputed: dict[str, str]


class ReportedScan:
    """
    One poll with a bulk listing.

    :param client: the registry
    :param source: its API
    :param repository: full name of the repository
    :param comparison: the comparison of this poll
    :param memory: memory of the earlier polls
    :param now: time of this poll, in seconds since the epoch
    :param extra: tags that HEAD decides about even if the listing does not contain them
    """

    def __init__(
        self,
        client: BulkTagSource,
        source: BulkSource,
        repository: str,
        comparison: Comparison,
        memory: BulkMemory,
        now: float,
        extra: Iterable[str],
    ) -> None:
        self._client = client
        self._source = source
        self._repository = repository
        self._comparison = comparison
        self._memory = memory
        self._now = now
        self._extra = extra
        self._is_check = memory.is_check_due(now)
        self._found = BulkListing()
        self._tags = 0

    @classmethod
    def of_poll(
        cls,
        client: TagSource,
        repository: str,
        comparison: Comparison,
        memory: BulkMemory,
        now: float,
        extra: Iterable[str],
    ) -> ReportedScan | None:
        """
        Return the scan of a poll, None if each tag must be requested or if that needs fewer requests.

        A poll that records a baseline needs every digest, and the true list of tags.
        """
        if not isinstance(client, BulkTagSource):
            return None
        source, scope = client.bulk, comparison.scope
        if source is None or scope.rule.tags is not None or not scope.updates or not comparison.is_settled:
            return None
        if not source.is_open(repository) or not memory.is_worthwhile(
            comparison.stored_tags, source.page_size
        ):
            return None
        return cls(client, source, repository, comparison, memory, now, extra)

    async def run(self) -> ScanResult | None:
        """
        Return the registry's answers, None if only a poll without the bulk listing can give them.

        :raises RegistryError: the registry could not be read
        """
        try:
            listing = self._found = await self._listing()
        except ApiRefused as refused:
            self._close(self._repository, str(refused))
            return None
        if not listing.listing.tags and self._comparison.stored_tags:
            return None
        reported = listing.listing.reported
        found = await compute(len(listing.listing.tags), lambda: self._sort(listing))
        self._tags = len(found.needed) + len(found.unchanged)
        sample = self._sample(found)
        reader = DigestReader(self._client, self._repository)
        await reader.read([*found.needed, *sample])
        reader.raise_if_all_failed(False)
        if not await self._is_confirmed(sample, reported, reader):
            return None
        self._judge(found.disputed, reader)
        return _result(found, reported, reader)

    def record(self) -> None:
        """Record that the poll succeeded."""
        self._memory.record(self._found, self._tags, self._now, is_checked=self._is_check)

    async def _listing(self) -> BulkListing:
        memory, source = self._memory, self._source
        is_partial = source.is_newest_first and memory.is_in_order and not self._is_check
        return await read_listing(source, self._repository, memory.cursor if is_partial else None)

    def _sort(self, listing: BulkListing) -> _Sorted:
        found = _Sorted({}, [], {})
        extra = {tag for tag in self._extra if self._comparison.scope.covers(tag)}
        for tag in listing.listing.tags:
            if not self._comparison.scope.covers(tag):
                continue
            stored = self._comparison.stored_digest(tag)
            known = listing.listing.reported.get(tag)
            if known is not None and known[0] == stored and tag not in extra:
                found.unchanged.append(tag)
                continue
            found.needed[tag] = None
            if known is not None and stored is not None and known[0] != stored:
                found.disputed[tag] = stored
        found.needed |= dict.fromkeys(extra)
        return found

    def _sample(self, found: _Sorted) -> list[str]:
        if not self._is_check:
            return []
        return random.sample(found.unchanged, min(_SAMPLE, len(found.unchanged)))

    async def _is_confirmed(
        self, sample: list[str], reported: Mapping[str, KnownDigest], reader: DigestReader
    ) -> bool:
        """Compare the sample with HEAD; repeat both once, because a tag may move between the two."""
        if sample and not any(tag in reader.found for tag in sample):
            self._is_check = False
        differing = _differing(sample, reported, reader)
        if not differing:
            return True
        self._client.forget()
        try:
            repeated = (await read_listing(self._source, self._repository, None)).listing.reported
        except ApiRefused as refused:
            self._close(self._repository, str(refused))
            return False
        for tag in differing:
            del reader.found[tag]
        await reader.read(list(differing))
        differing = _differing([tag for tag in differing if tag in repeated], repeated, reader)
        if differing:
            self._close("", f"{self._name} reports a digest of tag {differing[0]} that HEAD does not return")
        return not differing

    def _judge(self, disputed: Mapping[str, str], reader: DigestReader) -> None:
        wrong = [tag for tag, stored in disputed.items() if reader.found.get(tag) == stored]
        if len(disputed) >= _MIN_DISPUTED and 2 * len(wrong) > len(disputed):
            self._close(
                "",
                f"{self._name} reports other digests for {len(disputed)} tags, and HEAD returns the stored "
                f"digest for {len(wrong)} of them",
            )

    @property
    def _name(self) -> str:
        return f"{self._client.registry}/{self._repository}: the API {self._source.api!r}"

    def _close(self, repository: str, why: str) -> None:
        if self._source.is_open(self._repository):
            self._source.close_for(repository, why)


def _differing(tags: list[str], reported: Mapping[str, KnownDigest], reader: DigestReader) -> list[str]:
    return [tag for tag in tags if tag in reader.found and reader.found[tag] != reported[tag][0]]


def _result(found: _Sorted, reported: Mapping[str, KnownDigest], reader: DigestReader) -> ScanResult:
    unchanged = [tag for tag in found.unchanged if tag not in reader.found and tag not in reader.failed]
    result = reader.result(ScanResult(not_asked=unchanged))
    for tag, digest in result.digests.items():
        reported_digest, changed_at = reported.get(tag, (None, None))
        if reported_digest == digest and changed_at is not None:
            result.times[tag] = changed_at
    return result
