# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
The images of an Amazon ECR repository: tags and digests without a time.

The order is not documented, so the listing is always read whole. The Amazon SDK makes the call, outside of
this package's core.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.registry.bulk.reported import ApiRefused, reported_tag, rows_of
from airflow_registry_triggers.registry.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow_registry_triggers.registry.bulk.reported import ReportedTag

__all__ = ["PAGE_SIZE", "ListImages", "pages"]

PAGE_SIZE = 1000

ListImages = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
"""Calls ``ListImages`` of the ECR API with these arguments, and returns its answer."""


async def pages(list_images: ListImages, repository: str) -> AsyncIterator[list[ReportedTag]]:
    """
    Yield the pages of the listing.

    :param list_images: the call; it adds ``registryId``
    :param repository: full name of the repository
    :raises ApiRefused: the API does not list the repository
    :raises RegistryError: a page could not be read now
    """
    arguments: dict[str, Any] = {
        "repositoryName": repository,
        "filter": {"tagStatus": "TAGGED"},
        "maxResults": PAGE_SIZE,
    }
    while True:
        answer = await _called(list_images, arguments)
        tags = [
            reported_tag(row.get("imageTag"), row.get("imageDigest"), None)
            for row in rows_of(answer, "imageIds", "ecr:ListImages")
        ]
        yield [tag for tag in tags if tag]
        following = answer.get("nextToken")
        if not isinstance(following, str) or not following:
            return
        arguments = {**arguments, "nextToken": following}


async def _called(list_images: ListImages, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        return await list_images(arguments)
    except RegistryError as error:
        if error.kind != "credentials":
            raise
        raise ApiRefused(str(error)) from None
