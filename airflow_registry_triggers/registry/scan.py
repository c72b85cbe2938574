# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The requests of one poll: the pages of the listing, and one request for each watched tag."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from airflow_registry_triggers.oci_names import is_tag
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.http.pagination import Listing
from airflow_registry_triggers.registry.http.rate_limits import MAX_WAIT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator

    from airflow_registry_triggers.registry.scope import WatchScope
    from airflow_registry_triggers.registry.tag_source import TagSource

__all__ = ["CoveredTags", "DigestReader", "Prepare", "ScanResult", "compute", "release", "scan", "scan_only"]

_MAX_IN_A_ROW = 10
"""Consecutive failures that every other request would share; after these a poll sends no more requests."""

_INLINE = 5_000
"""Tags that are processed on the event loop; with more of them the work moves to a thread."""

Result = TypeVar("Result")
Prepare: TypeAlias = "Callable[[int, int], Awaitable[None]]"


@dataclass(slots=True)
class ScanResult:
    """
    The registry's answers about the watched tags.

    :param digests: the digests that are known
    :param times: upload times by tag in seconds since 1970, where the listing contains them
    :param unknown: tags whose digest could not be read, with the reason
    :param not_asked: existing tags whose digest is not needed
    :param absent: requested tags that do not exist
    """

    digests: dict[str, str] = field(default_factory=dict)
    times: dict[str, float] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)
    not_asked: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)


@dataclass(slots=True)
class CoveredTags:
    """
    The covered tags of the last listing, so that an unchanged list is not matched with a range again.

    :param scope: the scope that was applied
    :param tags: the tags of the listing
    :param covered: those that the scope covers
    """

    scope: WatchScope | None = None
    tags: list[str] | None = None
    covered: list[str] = field(default_factory=list)

    def of(self, tags: list[str], scope: WatchScope) -> list[str]:
        """
        Return the tags that the scope covers.

        :param tags: the tags of a listing
        """
        if scope.rule.semver is None:
            # An expression alone takes no longer than it takes to keep and compare the list.
            return [tag for tag in tags if scope.covers(tag)]
        if scope != self.scope or tags != self.tags:
            self.covered = [tag for tag in tags if scope.covers(tag)]
            self.scope, self.tags = scope, tags
        return self.covered


async def compute(count: int, function: Callable[[], Result]) -> Result:
    """
    Return the function's result. For many tags it runs in a thread, so that the event loop stays responsive.

    :param count: number of tags that the function processes
    :param function: uses the processor only
    """
    return function() if count <= _INLINE else await asyncio.to_thread(function)


async def release(*collections: dict[Any, Any] | list[Any]) -> None:
    """
    Empty collections that are no longer used. Large ones are emptied item by item in a thread.

    Freeing the entries of 200,000 tags at once blocks the event loop for up to 0.1 s, in a thread too.

    :param collections: changed in place
    """
    if sum(map(len, collections)) > _INLINE:
        await asyncio.to_thread(_empty, collections)


def _empty(collections: Iterable[dict[Any, Any] | list[Any]]) -> None:
    for collection in collections:
        take = collection.popitem if isinstance(collection, dict) else collection.pop
        while collection:
            take()


async def scan(
    client: TagSource,
    repository: str,
    scope: WatchScope,
    needs_digest: Callable[[str], bool],
    is_first: bool,
    covered: CoveredTags | None = None,
    prepare: Prepare | None = None,
) -> ScanResult:
    """
    Request the tags and the digests that are needed.

    A rule that names its tags needs no listing. Only a first poll that finds none of these tags lists the
    repository, to tell missing tags from a missing repository.

    :param client: the registry
    :param repository: full name of the repository
    :param scope: the watched tags
    :param needs_digest: returns True for a watched tag whose digest is needed
    :param is_first: whether this is the first poll, without a stored watermark
    :param covered: the covered tags of the last listing; changed in place
    :param prepare: called before the digests are requested, with the numbers of tags and of needed digests
    :raises RegistryError: the listing failed, or no digest could be read
    """
    cache = CoveredTags() if covered is None else covered
    named = scope.rule.tags
    listing = await client.list(repository) if named is None else Listing(list(named))
    result, needed = await compute(
        len(listing.tags), lambda: _sorted_out(listing, scope, needs_digest, cache)
    )
    if prepare is not None:
        await prepare(len(listing.tags), len(needed))
    reader = DigestReader(client, repository)
    await reader.read(needed)
    reader.raise_if_all_failed(named is not None)
    if named is not None and is_first and not any(reader.found.values()):
        await client.list(repository)
    return reader.result(result)


async def scan_only(
    client: TagSource,
    repository: str,
    scope: WatchScope,
    needs_digest: Callable[[str], bool],
    only: Collection[str],
) -> ScanResult:
    """
    Request the digests of some tags, without a listing.

    :param client: the registry
    :param repository: full name of the repository
    :param scope: the watched tags; other tags are not requested
    :param needs_digest: returns True for a watched tag whose digest is needed
    :param only: tags that a hint names
    :raises RegistryError: no digest could be read
    """
    reader = DigestReader(client, repository)
    covered = (tag for tag in sorted(only) if is_tag(tag) and scope.covers(tag))
    await reader.read([tag for tag in covered if needs_digest(tag)])
    reader.raise_if_all_failed(True)
    return reader.result(ScanResult())


def _sorted_out(
    listing: Listing, scope: WatchScope, needs_digest: Callable[[str], bool], covered: CoveredTags
) -> tuple[ScanResult, list[str]]:
    """Return the digests that the listing contains, and the tags whose digest must be requested."""
    result = ScanResult(times=listing.times)
    needed: list[str] = []
    for tag in covered.of(listing.tags, scope):
        digest = listing.digests.get(tag)
        if digest is not None:
            result.digests[tag] = digest
        else:
            (needed if needs_digest(tag) else result.not_asked).append(tag)
    return result, needed


class DigestReader:
    """
    Requests digests, at most ``in_flight`` of them at the same time.

    :param client: the registry
    :param repository: full name of the repository
    """

    def __init__(self, client: TagSource, repository: str) -> None:
        self.found: dict[str, str | None] = {}
        self.failed: dict[str, RegistryError] = {}
        self._client = client
        self._repository = repository
        self._stopped_by: RegistryError | None = None
        self._in_a_row = 0

    async def read(self, tags: list[str]) -> None:
        """Request the digest of each tag, in random order."""
        # If a quota ends each poll early, each poll reaches other tags.
        await compute(len(tags), lambda: random.shuffle(tags))
        queue = iter(tags)
        async with asyncio.TaskGroup() as workers:
            for _ in range(min(self._client.in_flight, len(tags))):
                workers.create_task(self._work(queue))
        if self._stopped_by is not None:
            self.failed.update(dict.fromkeys(queue, self._stopped_by))

    def raise_if_all_failed(self, is_unproven: bool) -> None:
        """
        Raise the error if no digest could be read and the next poll would probably fail in the same way.

        :param is_unproven: whether no other answer has shown that the registry works
        """
        if self.found or not self.failed:
            return
        error = self._stopped_by or next(iter(self.failed.values()))
        if is_unproven or not error.transient or error.kind == "rate_limited":
            raise error

    def result(self, result: ScanResult) -> ScanResult:
        """Return the result with the registry's answers."""
        result.digests |= {tag: digest for tag, digest in self.found.items() if digest is not None}
        result.absent = [tag for tag, digest in self.found.items() if digest is None]
        result.unknown = {tag: str(error) for tag, error in self.failed.items()}
        return result

    async def _work(self, queue: Iterator[str]) -> None:
        # Several workers share one queue: ten thousand tags do not need ten thousand tasks.
        while self._stopped_by is None and (tag := next(queue, None)) is not None:
            try:
                self.found[tag] = await self._client.digest(self._repository, tag)
                self._in_a_row = 0
            except RegistryError as error:
                self.failed[tag] = error
                self._in_a_row = self._in_a_row + 1 if error.everywhere else 0
                if await self._is_hopeless(error):
                    self._stopped_by = error

    async def _is_hopeless(self, error: RegistryError) -> bool:
        """Return True if every other request would fail too."""
        if error.kind == "tls" or (error.kind == "rate_limited" and (error.retry_after or 0) > MAX_WAIT):
            return True
        if self._in_a_row < _MAX_IN_A_ROW:
            return False
        self._in_a_row = 0
        return error.status != 401 or not await self._can_still_read()

    async def _can_still_read(self) -> bool:
        """
        Return True if the registry still answers for a tag that it answered for.

        Some registries deny single tags with 401, so many of these do not prove that the login ended.
        """
        readable = next((tag for tag in reversed(self.found) if self.found[tag] is not None), None)
        if readable is None:
            return False
        try:
            self.found[readable] = await self._client.digest(self._repository, readable)
        except RegistryError:
            return False
        return True
