# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
A poll with ``newest``: only the greatest tag is requested and compared with the tag that was notified last.

The head of the watermark holds the tag that was notified last. Its key is computed from the tag. A shard is
written before the head. A process that dies in between leaves an entry for a tag that is greater than the one
in the head; this push was acknowledged, so that the next poll moves the head without a notification.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_registry_triggers.registry.comparison import lost_warnings, prepared
from airflow_registry_triggers.registry.notification_builder import Push
from airflow_registry_triggers.registry.scan import DigestReader, ScanResult, compute
from airflow_registry_triggers.registry.watermark import TagState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_registry_triggers.registry.http.pagination import Listing
    from airflow_registry_triggers.registry.scope import FirstRun, WatchScope
    from airflow_registry_triggers.registry.tag_order import TagOrder
    from airflow_registry_triggers.registry.tag_source import TagSource
    from airflow_registry_triggers.registry.watermark import Watermark

__all__ = ["Candidates", "NewestComparison"]


@dataclass(slots=True)
class Candidates:
    """
    The greatest tags of the last listing, so that an unchanged listing is not ordered again.

    :param key: the scope and the tag that was notified last
    :param tags: the tags of the listing
    :param greatest: the result
    :param reported: note that was reported; it is not reported again
    """

    key: tuple[WatchScope, str | None] | None = None
    tags: list[str] | None = None
    greatest: tuple[str, ...] = ()
    reported: str = ""

    def unreported(self, repository: str, note: str) -> Iterator[str]:
        """
        Yield the warning about a note, once while the note does not change.

        :param repository: full name of the repository
        :param note: :attr:`NewestComparison.note`
        """
        is_reported, self.reported = note == self.reported, note
        if note and not is_reported:
            yield f"{repository}: {note}"

    async def of(self, tags: list[str], scope: WatchScope, order: TagOrder, stored: str | None) -> list[str]:
        """
        Return the greatest tags, the greatest first.

        :param tags: the tags of the listing
        :param scope: the watched tags
        :param order: the order of the scope
        :param stored: the tag that was notified last
        """
        key = (scope, stored)
        if key != self.key or tags != self.tags:
            watched = (tag for tag in tags if not scope.leaves_out(tag))
            self.greatest = tuple(await compute(len(tags), lambda: order.greatest(watched, stored)))
            self.key, self.tags = key, tags
        return list(self.greatest)


class NewestComparison:
    """
    Find the greatest tag and compare it with the one that was notified last.

    :param watermark: the stored watermark
    :param scope: the tags that are watched now; it has an order
    :param first_run: mode of the first poll
    """

    def __init__(self, watermark: Watermark, scope: WatchScope, order: TagOrder, first_run: FirstRun) -> None:
        self.scope = scope
        self._order = order
        self._stored = watermark
        before = prepared(watermark, scope)
        self._before = before
        stored_scope = watermark.scope
        is_first = watermark.epoch is None
        self._is_other_registry = stored_scope is not None and stored_scope.is_other_registry(scope)
        is_other_order = not is_first and (stored_scope is None or not stored_scope.has_same_order(scope))
        is_silent = is_first and first_run == "baseline"
        self._is_baseline = watermark.lost or self._is_other_registry or is_other_order or is_silent
        self._newest = None if self._is_baseline else before.newest
        self._is_complete = True
        self._lesser: str | None = None

    @property
    def is_first(self) -> bool:
        """Whether this is the first poll, without a stored watermark."""
        return self._stored.epoch is None

    @property
    def is_settled(self) -> bool:
        """Whether a hint may cause a poll: an earlier poll recorded the baseline of this order."""
        return not self._is_baseline and not self.is_first

    @property
    def watermark_before(self) -> Watermark:
        """The watermark that may be stored before the notification is sent."""
        # Without the digest of the greatest tag, a baseline would be one of a lesser tag.
        return self._before if self._is_complete or not self._is_baseline else self._stored

    async def scan(self, client: TagSource, repository: str, candidates: Candidates) -> ScanResult:
        """
        List the tags, and request the digest of the greatest one that exists.

        :param client: the registry
        :param repository: full name of the repository
        :param candidates: memory of the earlier polls; changed in place
        :raises RegistryError: the listing failed, or the digest cannot be read
        """
        listing = await client.list(repository)
        result = ScanResult()
        greatest = await candidates.of(listing.tags, self.scope, self._order, self._newest)
        for tag in greatest:
            if self._newest is not None and self._order.compare(tag, self._newest) < 0:
                self._lesser = tag
                return result
            if await self._is_read(client, repository, tag, listing, result):
                return result
        self._is_complete = not greatest
        if self._newest is not None:
            self._lesser = ""
        return result

    def pushes(self, result: ScanResult) -> list[Push]:
        """
        Return the push of the greatest tag, if it is one.

        :param result: the registry's answers
        """
        self._is_complete &= not result.unknown
        for tag, digest in result.digests.items():
            state, pushed_at = self._before.state_of(tag), result.times.get(tag)
            generation = state.generation if state else 0
            if self._is_baseline or (tag == self._newest and (state is None or state.digest is None)):
                self._record(TagState(tag, generation, digest))
            elif self._newest is None or self._order.compare(tag, self._newest) > 0:
                if state is not None and state.digest == digest and generation:
                    self._record(state)
                else:
                    return [Push(TagState(tag, generation + 1, digest), None, pushed_at)]
            elif tag == self._newest and state and self.scope.updates and state.digest != digest:
                return [Push(TagState(tag, generation + 1, digest), state.digest, pushed_at)]
        return []

    def warnings(self, repository: str) -> list[str]:
        """
        Return the warnings about lost state.

        :param repository: full name of the repository
        """
        return lost_warnings(repository, self._stored, self.scope, self._is_other_registry)

    @property
    def note(self) -> str:
        """The reason why nothing is sent although the registry differs; empty if there is none."""
        if self._lesser is None:
            return ""
        found = f"the greatest tag is {self._lesser}, less than" if self._lesser else "no tag is as great as"
        return (
            f"{found} {self._newest}, which was notified last. No notification is sent until one is greater"
        )

    def _record(self, state: TagState) -> None:
        self._before = self._before.with_baseline([state]).with_newest(state.tag)

    async def _is_read(
        self, client: TagSource, repository: str, tag: str, listing: Listing, result: ScanResult
    ) -> bool:
        """Return False if the tag does not exist; else add to the result what is known about it."""
        if tag in listing.digests:
            result.digests[tag] = listing.digests[tag]
            if tag in listing.times:
                result.times[tag] = listing.times[tag]
            return True
        if not self.scope.updates and tag == self._newest and self._before.state_of(tag) is not None:
            result.not_asked.append(tag)
            return True
        reader = DigestReader(client, repository)
        await reader.read([tag])
        reader.raise_if_all_failed(is_unproven=False)
        result.unknown |= {failed: str(error) for failed, error in reader.failed.items()}
        digest = reader.found.get(tag)
        if digest is not None:
            result.digests[tag] = digest
        return tag in result.unknown or digest is not None
