# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""An API whose pages are requested once for all rules that watch a repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_registry_triggers.registry.bulk.reported import ApiRefused
from airflow_registry_triggers.registry.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from airflow_registry_triggers.registry.bulk.listing import BulkSource
    from airflow_registry_triggers.registry.bulk.reported import ReportedTag

__all__ = ["CachingSource"]


class CachingSource:
    """
    Cache pages until :meth:`forget` is called. A rule that needs more pages than the last one reads on.

    :param source: the API
    """

    def __init__(self, source: BulkSource) -> None:
        self._source = source
        self._listings: dict[str, _Pages] = {}

    @property
    def api(self) -> str:
        """Name of the API."""
        return self._source.api

    @property
    def page_size(self) -> int:
        """Tags of a full page."""
        return self._source.page_size

    @property
    def is_newest_first(self) -> bool:
        """Whether the tags are ordered by the time of their last change."""
        return self._source.is_newest_first

    def is_open(self, repository: str) -> bool:
        """Return True if the API can be used for a repository."""
        return self._source.is_open(repository)

    def close_for(self, repository: str, why: str) -> None:
        """
        Stop using the API until the process ends, and log it once.

        :param repository: full name of the repository; empty for all of the registry
        :param why: the problem
        """
        self._source.close_for(repository, why)

    def forget(self) -> None:
        """Clear the cache, so that the next listing sends its requests."""
        self._listings.clear()

    def pages(self, repository: str) -> AsyncGenerator[list[ReportedTag], None]:
        """
        Yield the pages of a listing, from the cache if possible.

        :param repository: full name of the repository
        :raises ApiRefused: the API does not list the repository
        :raises RegistryError: a page could not be read now; the error is cached too
        """
        if repository not in self._listings:
            self._listings[repository] = _Pages(self._source.pages(repository))
        return self._listings[repository].replayed()


class _Pages:
    """The pages that were read, and the rest of the listing."""

    def __init__(self, rest: AsyncGenerator[list[ReportedTag], None]) -> None:
        self._read: list[list[ReportedTag]] = []
        self._rest = rest
        self._is_over = False
        self._error: ApiRefused | RegistryError | None = None

    async def replayed(self) -> AsyncGenerator[list[ReportedTag], None]:
        position = 0
        while position < len(self._read) or await self._reads_on():
            yield self._read[position]
            position += 1

    async def _reads_on(self) -> bool:
        if not self._is_over:
            try:
                self._read.append(await anext(self._rest))
            except StopAsyncIteration:
                self._is_over = True
            except (ApiRefused, RegistryError) as error:
                self._is_over, self._error = True, error
            else:
                return True
        if self._error is not None:
            raise self._error
        return False
