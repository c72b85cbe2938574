# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The parts of a registry's client that a poll needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from airflow_registry_triggers.registry.bulk.listing import BulkSource
    from airflow_registry_triggers.registry.http.pagination import Listing

__all__ = ["BulkTagSource", "TagSource"]


class TagSource(Protocol):
    """Tags and digests of one registry: a ``RegistryClient``, or a ``CachingClient`` around one."""

    @property
    def registry(self) -> str:
        """Name of the registry: ``host[:port][/prefix]``."""

    @property
    def in_flight(self) -> int:
        """Maximum number of requests in flight."""

    async def list(self, repository: str) -> Listing:
        """
        List the tags of a repository.

        :param repository: full name of the repository
        :raises RegistryError: a page could not be read
        """

    async def digest(self, repository: str, tag: str) -> str | None:
        """
        Return the digest of a tag, or None if the tag does not exist.

        :param repository: full name of the repository
        :param tag: the tag
        :raises RegistryError: the digest could not be read
        """


@runtime_checkable
class BulkTagSource(TagSource, Protocol):
    """A source that may have an API which lists tags and digests together."""

    @property
    def bulk(self) -> BulkSource | None:
        """The API; None for the OCI API alone."""

    def forget(self) -> None:
        """Drop cached answers, so that the next request is sent."""
