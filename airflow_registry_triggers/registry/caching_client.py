# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A client that sends each request once for all rules that watch a repository."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from airflow_registry_triggers.registry.bulk.caching_source import CachingSource
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.tag_source import BulkTagSource

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from airflow_registry_triggers.registry.bulk.listing import BulkSource
    from airflow_registry_triggers.registry.http.pagination import Listing
    from airflow_registry_triggers.registry.tag_source import TagSource

__all__ = ["CachingClient"]

Key = TypeVar("Key")
Answer = TypeVar("Answer")


class CachingClient:
    """
    Cache answers until :meth:`forget` is called.

    The polls that share a cache run one after another; two concurrent polls would send a request twice.

    :param client: an open client
    """

    def __init__(self, client: TagSource) -> None:
        self._client = client
        self._listings: dict[str, Listing | RegistryError] = {}
        self._digests: dict[tuple[str, str], str | RegistryError | None] = {}
        source = client.bulk if isinstance(client, BulkTagSource) else None
        self._bulk = CachingSource(source) if source is not None else None

    @property
    def registry(self) -> str:
        """Name of the registry: ``host[:port][/prefix]``."""
        return self._client.registry

    @property
    def in_flight(self) -> int:
        """Maximum number of requests in flight."""
        return self._client.in_flight

    @property
    def bulk(self) -> BulkSource | None:
        """The API with cached pages; None for the OCI API alone."""
        return self._bulk

    def forget(self) -> None:
        """Clear the cache, so that the next poll sends its requests."""
        self._listings.clear()
        self._digests.clear()
        if self._bulk is not None:
            self._bulk.forget()

    async def list(self, repository: str) -> Listing:
        """
        List the tags of a repository, from the cache if possible.

        :param repository: full name of the repository
        :raises RegistryError: a page could not be read; the error is cached too
        """
        return await _cached(self._listings, repository, lambda: self._client.list(repository))

    async def digest(self, repository: str, tag: str) -> str | None:
        """
        Return the digest of a tag, from the cache if possible.

        :param repository: full name of the repository
        :param tag: the tag
        :raises RegistryError: the digest could not be read; the error is cached too
        """
        return await _cached(self._digests, (repository, tag), lambda: self._client.digest(repository, tag))


async def _cached(
    cache: dict[Key, Answer | RegistryError], key: Key, request: Callable[[], Awaitable[Answer]]
) -> Answer:
    if key not in cache:
        try:
            cache[key] = await request()
        except RegistryError as error:
            cache[key] = error
    answer = cache[key]
    if isinstance(answer, RegistryError):
        raise answer
    return answer
