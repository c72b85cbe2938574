# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
The bulk listing of a poll that records a baseline.

Such a poll requests every digest and reads the true list of tags. The bulk listing is read before the digests
and compared with them. It sets the cursor for the polls that follow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_registry_triggers.registry.bulk.listing import (
    BulkListing,
    BulkMemory,
    BulkSource,
    is_worthwhile,
    read_listing,
)
from airflow_registry_triggers.registry.bulk.reported import ApiRefused
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.tag_source import BulkTagSource

if TYPE_CHECKING:
    from airflow_registry_triggers.registry.comparison import Comparison
    from airflow_registry_triggers.registry.scan import ScanResult
    from airflow_registry_triggers.registry.tag_source import TagSource

__all__ = ["ReportedBaseline"]

_MIN_DISPUTED = 10


class ReportedBaseline:
    """
    The bulk listing of one poll.

    :param source: the API
    :param repository: full name of the repository
    :param memory: memory of the polls
    :param now: time of this poll, in seconds since the epoch
    """

    def __init__(self, source: BulkSource, repository: str, memory: BulkMemory, now: float) -> None:
        self._source = source
        self._repository = repository
        self._memory = memory
        self._now = now
        self._found: BulkListing | None = None

    @classmethod
    def of_poll(
        cls, client: TagSource, repository: str, comparison: Comparison, memory: BulkMemory, now: float
    ) -> ReportedBaseline | None:
        """Return the listing of a poll that records a baseline, None if later polls will not use the API."""
        source = client.bulk if isinstance(client, BulkTagSource) else None
        scope = comparison.scope
        if source is None or scope.rule.tags is not None or not scope.updates or comparison.is_settled:
            return None
        return cls(source, repository, memory, now) if source.is_open(repository) else None

    async def prepare(self, tags: int, needed: int) -> None:
        """
        Read the listing if later polls will use it.

        :param tags: number of tags of the repository
        :param needed: number of tags that are requested
        """
        if not is_worthwhile(needed, -(-tags // self._source.page_size)):
            return
        try:
            self._found = await read_listing(self._source, self._repository, None)
        except ApiRefused as refused:
            if self._source.is_open(self._repository):
                self._source.close_for(self._repository, str(refused))
        except RegistryError:
            return  # the next poll reads the listing

    def record(self, result: ScanResult) -> None:
        """
        Compare the listing with the digests of HEAD, and set the cursor.

        :param result: the registry's answers
        """
        if self._found is None:
            return
        reported = self._found.listing.reported
        known = [tag for tag in result.digests if tag in reported]
        wrong = [tag for tag in known if reported[tag][0] != result.digests[tag]]
        if len(wrong) >= _MIN_DISPUTED and 2 * len(wrong) > len(known):
            self._source.close_for(
                "",
                f"{self._repository}: the API {self._source.api!r} reports digests for {len(known)} tags, "
                f"and HEAD returns others for {len(wrong)} of them",
            )
        self._memory.record(self._found, len(known), self._now, is_checked=not wrong)
