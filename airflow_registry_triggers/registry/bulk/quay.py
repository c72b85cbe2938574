# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
The tag listing of Quay: active tags, the last one that moved first.

A private repository needs an OAuth token; the password of a robot is not accepted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.registry.bulk.reported import reported_tag, rows_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

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
    number, has_more = 1, True
    while has_more:
        path = f"/api/v1/repository/{repository}/tag/"
        url = session.url(path, onlyActiveTags="true", limit=PAGE_SIZE, page=number)
        page = await session.get(url, repository)
        tags = [
            reported_tag(row.get("name"), row.get("manifest_digest"), _seconds(row.get("start_ts")))
            for row in rows_of(page.body, "tags", page.where)
        ]
        yield [tag for tag in tags if tag]
        has_more = page.body.get("has_additional") is True
        number += 1


def _seconds(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 < value < 1e11 else None
