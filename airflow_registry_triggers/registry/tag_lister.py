# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The tags of a repository, page by page, with the page size that the registry accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from yarl import URL

from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.http.headers import next_link
from airflow_registry_triggers.registry.http.pagination import PAGE_SIZES, ListingReader, next_page
from airflow_registry_triggers.registry.http.request import display_url
from airflow_registry_triggers.registry.http.responses import error_of, is_registry, not_a_registry

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from airflow_registry_triggers.registry.http.pagination import Listing
    from airflow_registry_triggers.registry.http.rate_limits import Limits
    from airflow_registry_triggers.registry.http.request import Answer
    from airflow_registry_triggers.registry.http.session_state import Memory

__all__ = ["TagLister"]

_NOT_ABOUT_PAGE_SIZE = {401, 403, 429}


class TagLister:
    """
    Read the listing of a repository.

    :param root: URL of the API, ``<base>/v2/``
    :param get_page: requests a page of a repository; the last argument is the URL as errors show it
    :param looks_like_registry: asks the root of the API whether a registry answers there
    :param memory: keeps the page size that worked
    :param limits: limits of a listing
    """

    def __init__(
        self,
        root: str,
        get_page: Callable[[URL, str, str], Awaitable[Answer]],
        looks_like_registry: Callable[[], Awaitable[bool]],
        memory: Memory,
        limits: Limits,
    ) -> None:
        self._root = root
        self._get_page = get_page
        self._looks_like_registry = looks_like_registry
        self._memory = memory
        self._limits = limits

    async def list(self, repository: str) -> Listing:
        """
        Return all tags of a repository.

        :param repository: full name of the repository, checked
        :raises RegistryError: a page could not be read
        """
        first = URL(f"{self._root}{repository}/tags/list", encoded=True)
        # Pages are shown by the first URL: the path of a link comes from the registry.
        reader = ListingReader(self._limits, display_url(first))
        answer = await self._first_page(first, repository, reader)
        while True:
            if answer.status != 200:
                raise await self._error(answer)
            if not await reader.read(answer.body):
                raise await self._unreadable(answer)
            link = next_link(answer.values("Link"))
            if link is None:
                break
            page = next_page(answer.url, link, reader.where, first.raw_host)
            reader.begin(page)
            answer = await self._get_page(page, repository, reader.where)
        self._memory.proves_page_size = True
        return await reader.listing()

    async def _first_page(self, url: URL, repository: str, reader: ListingReader) -> Answer:
        """Request the first page with the largest ``n`` that the registry accepts."""
        memory = self._memory
        for position in range(memory.page_size, len(PAGE_SIZES)):
            size = PAGE_SIZES[position]
            page = url if size is None else url.with_query(n=size)
            reader.begin(page)
            answer = await self._get_page(page, repository, reader.where)
            if not 400 <= answer.status < 500 or answer.status in _NOT_ABOUT_PAGE_SIZE:
                break
            if answer.status == 404 and memory.proves_page_size:
                break  # other listings succeeded with this n, so the repository is missing
        if answer.status == 200:
            memory.page_size = position
        return answer

    async def _error(self, answer: Answer) -> RegistryError:
        if answer.status != 404:
            return error_of(answer, self._memory.pause)
        if not is_registry(answer) and not await self._looks_like_registry():
            return not_a_registry(answer, "answered 404")
        return RegistryError(
            f"{answer.where}: the repository does not exist (404). Check its name, and whether the login is "
            "allowed to see it.",
            kind="no_such_repository",
            status=404,
        )

    async def _unreadable(self, answer: Answer) -> RegistryError:
        if answer.through_proxy or not await self._looks_like_registry():
            return not_a_registry(answer, "the answer is not a list of tags")
        return RegistryError(
            f"{answer.where}: the answer is not a list of tags. The stored state does not change.",
            kind="refused_answer",
            status=200,
        )
