# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
The tag listing of Docker Hub, ordered by the last update.

It has a host of its own. Public repositories need no token. A login is exchanged for a token that is valid
for 10 minutes, and is sent to that host only.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from airflow_registry_triggers.registry.bulk.reported import ApiRefused, reported_tag, rows_of, seconds_of
from airflow_registry_triggers.registry.http.json_pages import is_small, parse_page
from airflow_registry_triggers.registry.http.request import Request
from airflow_registry_triggers.registry.http.responses import error_of
from airflow_registry_triggers.registry.http.tokens import Token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from yarl import URL

    from airflow_registry_triggers.registry.bulk.reported import ReportedTag
    from airflow_registry_triggers.registry.bulk.session import ApiSession
    from airflow_registry_triggers.registry.http.credentials import Credentials, Login
    from airflow_registry_triggers.registry.http.rate_limits import Limits
    from airflow_registry_triggers.registry.http.session import Transport

__all__ = ["HOST", "PAGE_SIZE", "HubToken", "pages"]

PAGE_SIZE = 100

HOST = "https://hub.docker.com"

_TOKEN_SECONDS = 600 * 0.8


async def pages(session: ApiSession, repository: str) -> AsyncIterator[list[ReportedTag]]:
    """
    Yield the pages of the listing.

    The digest of a tag is null for tags that were pushed long ago. ``images[].digest`` are the digests of the
    platforms, which HEAD does not return.

    :param session: of :data:`HOST`
    :param repository: ``namespace/name``
    :raises ApiRefused: the API does not list the repository
    :raises RegistryError: a page could not be read now
    """
    namespace, _, name = repository.partition("/")
    if not name or "/" in name:
        raise ApiRefused(f"{HOST}: {repository} is not the name of a repository on Docker Hub")
    path = f"/v2/namespaces/{namespace}/repositories/{name}/tags"
    url: URL | None = session.url(path, page_size=PAGE_SIZE, ordering="last_updated")
    where = ""
    while url is not None:
        page = await session.get(url, repository, where)
        where = page.where  # pages are shown by the first URL: the path of a link comes from the registry
        tags = [
            reported_tag(row.get("name"), row.get("digest"), seconds_of(row.get("last_updated")))
            for row in rows_of(page.body, "results", page.where)
        ]
        yield [tag for tag in tags if tag]
        following = page.body.get("next")
        url = page.joined(following) if isinstance(following, str) and following else None


class HubToken:
    """
    The token of one login.

    :param transport: connections to :data:`HOST`; its memory keeps the token
    :param base: :data:`HOST`, or the address of a test
    :param login: source of user name and password
    :param limits: limits of answers, and deadlines
    :param on_token: called with each token, so that the caller can mask it in logs
    """

    def __init__(
        self,
        transport: Transport,
        base: URL,
        login: Login,
        limits: Limits,
        on_token: Callable[[str], None],
    ) -> None:
        self._transport = transport
        self._base = base
        self._login = login
        self._limits = limits
        self._on_token = on_token

    async def header(self) -> str | None:
        """
        Return the ``Authorization`` header, None for an anonymous client.

        :raises ApiRefused: the login is rejected
        :raises RegistryError: the service did not answer, is overloaded or failed
        """
        credentials = await self._login.current()
        if not credentials.username:
            return None
        memory = self._transport.memory
        if memory.api_token is None or not memory.api_token.is_good:
            memory.api_token = await self._fetched(credentials)
        return memory.api_token.header

    def drop(self) -> bool:
        """Drop the token after a 401, and return whether there was one."""
        memory = self._transport.memory
        had_token, memory.api_token = memory.api_token is not None, None
        return had_token

    async def _fetched(self, credentials: Credentials) -> Token:
        url = self._base.with_path("/v2/auth/token")
        request = Request(
            "POST",
            url,
            {"Accept": "application/json"},
            self._limits.token_bytes,
            {},
            may_leave_origin=False,
            json={"identifier": credentials.username or "", "secret": credentials.password or ""},
        )
        requested_at = time.monotonic()
        answer = await self._transport.send_once(request, self._limits)
        if answer.status in (408, 429) or answer.status >= 500:
            raise error_of(answer, self._transport.memory.pause)
        body = parse_page(answer.body) if answer.status == 200 and is_small(answer.body) else None
        token = body.get("access_token") if isinstance(body, dict) else None
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or " " in token:
            raise ApiRefused(f"{url}: answered {answer.status} without a token")
        self._on_token(token)
        return Token(f"Bearer {token}", "", requested_at + _TOKEN_SECONDS)
