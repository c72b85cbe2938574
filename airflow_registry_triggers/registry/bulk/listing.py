# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
A bulk listing: the tags that a registry's own API reports with their digests.

The cursor is the newest time seen. A *partial* listing ends after a page whose last entry is older than the
cursor, less a margin for clocks that differ. A *whole* listing reads all pages.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from airflow_registry_triggers.registry.bulk.reported import ApiRefused
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.http.pagination import Listing
from airflow_registry_triggers.registry.http.rate_limits import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from airflow_registry_triggers.registry.bulk.reported import ReportedTag

__all__ = [
    "CLOCK_MARGIN",
    "WHOLE_EVERY",
    "BulkListing",
    "BulkMemory",
    "BulkSource",
    "is_worthwhile",
    "read_listing",
]

CLOCK_MARGIN = 300.0
"""Seconds before the cursor that a partial listing reads once more."""

WHOLE_EVERY = 3600.0
"""Seconds after which a whole listing is read and checked."""

_MIN_GAIN = 5


class BulkSource(Protocol):
    """The API of one registry."""

    @property
    def api(self) -> str:
        """Name of the API, as in the Connection's field ``api``."""

    @property
    def page_size(self) -> int:
        """Tags of a full page."""

    @property
    def is_newest_first(self) -> bool:
        """Whether the tags are ordered by the time of their last change, so that a listing may end early."""

    def is_open(self, repository: str) -> bool:
        """Return True if the API can be used for a repository."""

    def close_for(self, repository: str, why: str) -> None:
        """
        Stop using the API until the process ends, and log it once.

        :param repository: full name of the repository; empty for all of the registry
        :param why: the problem
        """

    def pages(self, repository: str) -> AsyncGenerator[list[ReportedTag], None]:
        """
        Yield the pages of a listing.

        :raises ApiRefused: the API does not list the repository
        :raises RegistryError: a page could not be read now
        """


@dataclass(slots=True)
class BulkMemory:
    """
    The memory of the polls of one watermark and rule. A process that starts without it lists whole once.

    :param cursor: the newest reported time, in seconds since the epoch; None before the first whole listing
    :param whole_at: time of the last whole listing, in seconds since the epoch
    :param pages: number of its pages
    :param tags: number of watched tags in the last listing of all tags; None before it
    :param is_in_order: whether the last whole listing was ordered by time
    """

    cursor: float | None = None
    whole_at: float | None = None
    pages: int = 0
    tags: int | None = None
    is_in_order: bool = True

    def is_check_due(self, now: float) -> bool:
        """
        Return True in the first poll of a process and once an hour.

        :param now: time of this poll, in seconds since the epoch
        """
        return self.whole_at is None or not 0 <= now - self.whole_at < WHOLE_EVERY

    def is_worthwhile(self, stored: int, page_size: int) -> bool:
        """
        Return the answer of :func:`is_worthwhile` for the numbers of the last listing.

        :param stored: number of tags in the watermark, the estimate before the first listing
        :param page_size: tags of a full page
        """
        tags = stored if self.tags is None else self.tags
        return is_worthwhile(tags, self.pages or -(-tags // page_size))

    def record(self, listing: BulkListing, tags: int, now: float, *, is_checked: bool) -> None:
        """
        Record that a poll with a bulk listing succeeded.

        :param listing: the listing
        :param tags: number of watched tags in it
        :param now: time of the poll, in seconds since the epoch
        :param is_checked: whether HEAD has confirmed a sample
        """
        if listing.is_whole:
            self.pages, self.tags, self.is_in_order = listing.pages, tags, listing.is_in_order
        if is_checked:
            self.whole_at = now
        if listing.newest is not None:
            # A time in the future would hide all pushes before it.
            self.cursor = max(self.cursor or 0.0, min(listing.newest, now))


def is_worthwhile(tags: int, pages: int) -> bool:
    """
    Return True if a bulk listing needs fewer requests than one request for each tag.

    :param tags: number of tags to request
    :param pages: number of pages of the listing
    """
    return tags > max(1, pages) + _MIN_GAIN


class BulkListing:
    """
    A listing, and the facts about its pages.

    :ivar listing: ``tags`` are all that were read, ``reported`` are their digests
    :ivar pages: number of pages that were read
    :ivar newest: the newest reported time, in seconds since the epoch
    :ivar is_whole: whether all pages were read
    :ivar is_in_order: whether the times never increase by more than the margin
    """

    def __init__(self) -> None:
        self.listing = Listing()
        self.pages = 0
        self.newest: float | None = None
        self.is_whole = False
        self.is_in_order = True
        self._names: set[str] = set()
        self._oldest: float | None = None

    def add(self, page: list[ReportedTag]) -> bool:
        """
        Add a page.

        :return: whether it has a new tag
        """
        before = len(self._names)
        for name, digest, changed_at in page:
            if changed_at is not None:
                self._see(changed_at)
            if name in self._names:
                self._compare(name, digest)
            else:
                self._names.add(name)
                self.listing.tags.append(name)
                if digest is not None:
                    self.listing.reported[name] = (digest, changed_at)
        self.pages += 1
        return len(self._names) > before

    def ends_before(self, cursor: float, page: list[ReportedTag]) -> bool:
        """Return True if the last entry of a page is older than the cursor."""
        last = page[-1].changed_at if page else None
        return self.is_in_order and last is not None and last < cursor - CLOCK_MARGIN

    def _compare(self, name: str, digest: str | None) -> None:
        # A tag that is listed twice moved while the pages were read: HEAD decides.
        known = self.listing.reported.get(name)
        if known is not None and known[0] != digest:
            del self.listing.reported[name]

    def _see(self, changed_at: float) -> None:
        self.newest = changed_at if self.newest is None else max(self.newest, changed_at)
        oldest = changed_at if self._oldest is None else self._oldest
        if changed_at > oldest + CLOCK_MARGIN:
            self.is_in_order = False
        self._oldest = min(oldest, changed_at)


async def read_listing(
    source: BulkSource, repository: str, cursor: float | None, limits: Limits | None = None
) -> BulkListing:
    """
    Read a bulk listing.

    :param source: the API
    :param repository: full name of the repository
    :param cursor: time of the newest tag that is known; None for a whole listing
    :param limits: limits of a listing
    :raises ApiRefused: the API does not list the repository, or its listing does not end
    :raises RegistryError: a page could not be read now
    """
    limits = limits or Limits()
    try:
        async with asyncio.timeout(limits.listing_seconds):
            return await _read(source, repository, cursor, limits)
    except TimeoutError:
        pass
    raise RegistryError(
        f"{repository}: the listing of the API {source.api!r} took longer than {limits.listing_seconds:g} s.",
        kind="unavailable",
    )


async def _read(source: BulkSource, repository: str, cursor: float | None, limits: Limits) -> BulkListing:
    found, idle = BulkListing(), 0
    async with aclosing(source.pages(repository)) as pages:
        async for page in pages:
            idle = 0 if found.add(page) else idle + 1
            if cursor is not None and found.ends_before(cursor, page):
                return found
            if (
                found.pages > limits.pages
                or idle > limits.idle_pages
                or len(found.listing.tags) > limits.tags
            ):
                raise ApiRefused(
                    f"{repository}: the listing of the API {source.api!r} does not end after {found.pages:,} "
                    f"pages with {len(found.listing.tags):,} tags"
                )
    found.is_whole = True
    return found
