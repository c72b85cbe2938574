# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
The tag listing of Azure Container Registry, newest first.

``GET /acr/v1/<name>/_tags`` accepts the same access token as the OCI API, with the action ``metadata_read``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_registry_triggers.registry.bulk.reported import reported_tag, rows_of, seconds_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from yarl import URL

    from airflow_registry_triggers.registry.bulk.reported import ReportedTag
    from airflow_registry_triggers.registry.bulk.session import ApiSession

__all__ = ["PAGE_SIZE", "pages"]

PAGE_SIZE = 100


async def pages(session: ApiSession, repository: str) -> AsyncIterator[list[ReportedTag]]:
    """
    Yield the pages of the listing.

    :param session: of the registry's own host
    :param repository: full name of the repository
    :raises ApiRefused: the API does not list the repository
    :raises RegistryError: a page could not be read now
    """
    url: URL | None = session.url(f"/acr/v1/{repository}/_tags", n=PAGE_SIZE, orderby="timedesc")
    where = ""
    while url is not None:
        page = await session.get(url, repository, where)
        where = page.where  # pages are shown by the first URL: the path of a link comes from the registry
        rows = rows_of(page.body, "tags", page.where)
        tags = [
            reported_tag(row.get("name"), row.get("digest"), seconds_of(row.get("lastUpdateTime")))
            for row in rows
        ]
        yield [tag for tag in tags if tag]
        url = page.joined(page.link) if page.link is not None else None
