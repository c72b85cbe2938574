# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
The artifacts of a Harbor repository with their tags.

They are ordered by the time of the artifact. A tag that moves to an older artifact does not come first, so
the listing is always read whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow_registry_triggers.registry.bulk.reported import ApiRefused, reported_tag, rows_of, seconds_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping
    from typing import Any

    from airflow_registry_triggers.registry.bulk.reported import ReportedTag
    from airflow_registry_triggers.registry.bulk.session import ApiSession

__all__ = ["PAGE_SIZE", "pages"]

PAGE_SIZE = 100


async def pages(session: ApiSession, repository: str) -> AsyncIterator[list[ReportedTag]]:
    """
    Yield the pages of the listing.

    :param session: of the registry's own host
    :param repository: ``project/name``; the name may contain slashes
    :raises ApiRefused: the API does not list the repository
    :raises RegistryError: a page could not be read now
    """
    project, _, name = repository.partition("/")
    if not name:
        raise ApiRefused(f"{repository} does not name a project of Harbor")
    # A slash in the name is encoded twice, because Harbor's router decodes the path once.
    encoded = quote(quote(name, safe=""), safe="")
    path = f"/api/v2.0/projects/{project}/repositories/{encoded}/artifacts"
    number, has_more = 1, True
    while has_more:
        url = session.url(path, q="tags=*", page_size=PAGE_SIZE, with_tag="true", page=number)
        page = await session.get(url, repository)
        rows = rows_of(page.body, "", page.where)
        yield [tag for row in rows for tag in _tags(row)]
        has_more = page.link is not None
        number += 1


def _tags(artifact: Mapping[str, Any]) -> Iterator[ReportedTag]:
    tags = artifact.get("tags")
    for row in tags if isinstance(tags, list) else ():
        if not hasattr(row, "get"):
            continue
        tag = reported_tag(row.get("name"), artifact.get("digest"), seconds_of(row.get("push_time")))
        if tag is not None:
            yield tag
