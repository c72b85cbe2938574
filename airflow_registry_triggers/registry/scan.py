# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The requests of one poll: no more than pages of the list and one for each watched tag."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.http.pagination import KnownDigest, Listing
from airflow_registry_triggers.registry.http.rate_limits import MAX_WAIT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_registry_triggers.registry.client import RegistryClient
    from airflow_registry_triggers.registry.watermark import WatchScope

__all__ = ["ScanResult", "scan"]

_MAX_IN_A_ROW = 10
"""Failures in a row that would befall each other request too, after which a poll asks no more."""


@dataclass(slots=True)
class ScanResult:
    """
    What the registry told of the tags that are watched; those that are absent are nowhere in it.

    :param digests: what is known
    :param unknown: what could not be found out, with the reason
    :param not_asked: tags that are there and whose digest is not wanted
    """

    digests: dict[str, KnownDigest] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)
    not_asked: list[str] = field(default_factory=list)


async def scan(
    client: RegistryClient,
    repository: str,
    coverage: WatchScope,
    wants_digest: Callable[[str], bool],
    is_first: bool,
) -> ScanResult:
    """
    Ask what there is to ask.

    A rule that lists its tags costs no listing: they are asked about directly. Only a first poll that finds
    none of them lists, to tell tags that do not exist yet from a repository that does not.

    :param client: the registry
    :param repository: full name of the repository
    :param coverage: which tags
    :param wants_digest: tells of a covered tag whether its digest is wanted
    :param is_first: whether nothing has been remembered yet
    :raises RegistryError: the listing failed, or nothing at all could be found out
    """
    listed = coverage.rule.tags
    listing = await client.list(repository) if listed is None else Listing(list(listed))
    covered = [tag for tag in listing.tags if coverage.covers(tag)]
    seen = ScanResult({tag: listing.known[tag] for tag in covered if tag in listing.known})
    wanted: list[str] = []
    for tag in covered:
        if tag not in seen.digests:
            (wanted if wants_digest(tag) else seen.not_asked).append(tag)
    asked = _Asked(client, repository)
    await asked.ask(wanted)
    asked.raise_if_in_vain(listed is not None)
    if listed is not None and is_first and not any(asked.found.values()):
        await client.list(repository)
    seen.digests |= {tag: KnownDigest(digest) for tag, digest in asked.found.items() if digest is not None}
    seen.unknown = {tag: str(error) for tag, error in asked.failed.items()}
    return seen


class _Asked:
    """
    Asks for digests, as many at once as the registry may be asked.

    :param client: the registry
    :param repository: full name of the repository
    """

    def __init__(self, client: RegistryClient, repository: str) -> None:
        self.found: dict[str, str | None] = {}
        self.failed: dict[str, RegistryError] = {}
        self._client = client
        self._repository = repository
        self._stop: RegistryError | None = None
        self._in_a_row = 0

    async def ask(self, tags: list[str]) -> None:
        """
        Ask for the digest of each tag.

        :param tags: in any order
        """
        # Where a quota ends a poll early, each poll gets to other tags.
        random.shuffle(tags)
        queue = iter(tags)
        async with asyncio.TaskGroup() as workers:
            for _ in range(min(self._client.in_flight, len(tags))):
                workers.create_task(self._work(queue))
        if self._stop is not None:
            self.failed.update(dict.fromkeys(queue, self._stop))

    def raise_if_in_vain(self, unproven: bool) -> None:
        """
        Raise when no tag could be asked about, for a reason that waiting alone may not mend.

        :param unproven: whether nothing else has shown that the registry answers
        """
        if self.found or not self.failed:
            return
        error = self._stop or next(iter(self.failed.values()))
        if unproven or not error.transient or error.kind == "rate_limited":
            raise error

    async def _work(self, queue: Iterator[str]) -> None:
        # Several workers pull from one queue: ten thousand tags need no ten thousand tasks.
        while self._stop is None and (tag := next(queue, None)) is not None:
            try:
                self.found[tag] = await self._client.digest(self._repository, tag)
                self._in_a_row = 0
            except RegistryError as error:
                self._note(tag, error)

    def _note(self, tag: str, error: RegistryError) -> None:
        self.failed[tag] = error
        self._in_a_row = self._in_a_row + 1 if error.everywhere else 0
        too_long = error.kind == "rate_limited" and (error.retry_after or 0) > MAX_WAIT
        if too_long or error.kind == "tls" or self._in_a_row >= _MAX_IN_A_ROW:
            self._stop = error
