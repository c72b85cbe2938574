# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Requests to a registry's own API."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.registry.bulk.reported import ApiRefused
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.http.headers import next_link
from airflow_registry_triggers.registry.http.json_pages import count_elements, is_small, parse_page
from airflow_registry_triggers.registry.http.pagination import next_page
from airflow_registry_triggers.registry.http.request import Request, display_url
from airflow_registry_triggers.registry.http.responses import error_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from yarl import URL

    from airflow_registry_triggers.registry.http.rate_limits import Limits
    from airflow_registry_triggers.registry.http.request import Answer
    from airflow_registry_triggers.registry.http.session import Transport

__all__ = ["ApiPage", "ApiSession"]

_LATER = {408, 425, 429}


@dataclass(frozen=True, slots=True)
class ApiPage:
    """
    A page of an API.

    :param body: the parsed JSON
    :param where: the URL as errors show it
    :param answer: the answer itself
    """

    body: Any
    where: str
    answer: Answer

    @property
    def link(self) -> str | None:
        """The target of the link to the next page in the header ``Link``, None on the last page."""
        return next_link(self.answer.values("Link"))

    def joined(self, link: str) -> URL:
        """
        Return the URL of a link on the same origin.

        :raises ApiRefused: the link leads to another host
        """
        try:
            return next_page(self.answer.url, link, self.where)
        except RegistryError as error:
            raise ApiRefused(str(error)) from None


class ApiSession:
    """
    Read JSON from the API of one registry.

    :param transport: connections and pauses
    :param base: URL below which the API is
    :param limits: limits of answers, and deadlines
    :param authorize: returns the ``Authorization`` header; without it, the transport signs in as the registry
        itself asks
    :param drop: called after a 401; returns True if another header may help
    """

    def __init__(
        self,
        transport: Transport,
        base: URL,
        limits: Limits,
        authorize: Callable[[], Awaitable[str | None]] | None = None,
        drop: Callable[[], bool] = bool,
    ) -> None:
        self._transport = transport
        self._base = base
        self._limits = limits
        self._authorize = authorize
        self._drop = drop

    def url(self, path: str, **query: str | int) -> URL:
        """
        Return a URL of the API.

        :param path: begins with a slash; encoded
        """
        prefix = self._base.raw_path.rstrip("/")
        return self._base.with_path(prefix + path, encoded=True).with_query(query)

    async def get(self, url: URL, repository: str, shown: str = "") -> ApiPage:
        """
        Request a page.

        :param repository: full name of the repository, for the token of the registry
        :param shown: the URL as errors show it; for the target of a link, ``where`` of the page before
        :raises ApiRefused: the answer is a 4xx or not JSON, so that a later request would not help either
        :raises RegistryError: the API did not answer, is overloaded or failed
        """
        where = shown or display_url(url)
        answer = await self._answer(url, repository, where)
        if answer.status == 200:
            return ApiPage(await self._parsed(answer, where), where, answer)
        if answer.status < 500 and answer.status not in _LATER:
            raise ApiRefused(f"{where}: answered {answer.status}")
        raise error_of(answer, self._transport.memory.pause)

    async def _answer(self, url: URL, repository: str, where: str) -> Answer:
        if self._authorize is None:
            return await self._signed_in(url, repository, where)
        answer = await self._authorized(url, await self._authorize(), where)
        if answer.status == 401 and self._drop():
            answer = await self._authorized(url, await self._authorize(), where)
        return answer

    async def _signed_in(self, url: URL, repository: str, where: str) -> Answer:
        limits = self._limits
        try:
            return await self._transport.send(
                "GET", url, repository, "application/json", limits.page_bytes, limits, where
            )
        except RegistryError as error:
            if error.kind == "credentials" and error.status is not None:
                raise ApiRefused(str(error)) from None
            raise

    async def _authorized(self, url: URL, authorization: str | None, where: str) -> Answer:
        request = Request(
            "GET",
            url,
            {"Accept": "application/json"},
            self._limits.page_bytes,
            {url.origin(): authorization},
            shown=where,
            may_leave_origin=False,
        )
        return await self._transport.send_once(request, self._limits)

    async def _parsed(self, answer: Answer, where: str) -> Any:
        body = answer.body
        if is_small(body):
            parsed = parse_page(body)
        elif count_elements(body) > self._limits.page_elements:
            raise ApiRefused(f"{where}: a page has more than {self._limits.page_elements:,} elements")
        else:
            parsed = await asyncio.to_thread(parse_page, body)
        if parsed is None:
            raise ApiRefused(f"{where}: the answer is not JSON")
        return parsed
