# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A process that polls a registry with an API of its own, and keeps its watermark."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.registry.bulk.reported import ApiRefused
from airflow_registry_triggers.registry.bulk.sources import Api
from airflow_registry_triggers.registry.client import RegistryClient
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.poll import Poll, poll
from airflow_registry_triggers.registry.poll_memory import PollMemory
from airflow_registry_triggers.registry.watermark import Watermark
from tests.unit.registry.bulk.bulk_registry import REPOSITORY, BulkRegistry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow_registry_triggers.registry.bulk.ecr import ListImages

API_TOKEN = "planted-api-token"


def list_images_of(registry: BulkRegistry) -> ListImages:
    """Return ECR's call; the Amazon SDK is tested elsewhere."""

    async def list_images(arguments: Any) -> Any:
        assert arguments["repositoryName"] == REPOSITORY
        assert arguments["filter"] == {"tagStatus": "TAGGED"}
        assert arguments["maxResults"] == 1000
        registry.api_requests.append(arguments)
        fault = registry.api_fault or (registry.api_answers.pop(0) if registry.api_answers else None)
        if fault is not None:
            raise _of_sdk(fault() if callable(fault) else fault)
        if REPOSITORY not in registry.repositories:
            raise RegistryError("RepositoryNotFoundException", kind="credentials")
        begin, size = int(arguments.get("nextToken", 0)), min(1000, registry.page_size * 10)
        rows = registry.rows()
        answer: dict[str, Any] = {
            "imageIds": [
                {"imageTag": row.name, **({"imageDigest": row.digest} if row.digest else {})}
                for row in rows[begin : begin + size]
            ],
            "ResponseMetadata": {"HTTPStatusCode": 200},
        }
        if begin + size < len(rows):
            answer["nextToken"] = str(begin + size)
        return answer

    return list_images


def _of_sdk(response: Any) -> Exception:
    if response.status == 429 or response.status >= 500:
        return RegistryError("throttled", kind="unavailable")
    if response.status == 200:
        return ApiRefused("ecr: the answer is not a list of tags")
    return RegistryError("AccessDeniedException", kind="credentials")


def api_of(registry: BulkRegistry) -> Api:
    return Api(
        registry.api,
        token=API_TOKEN if registry.api == "quay" else "",
        list_images=list_images_of(registry) if registry.api == "ecr" else None,
        hub=registry.url,
    )


class Watcher:
    """One watcher; a new memory is a new process."""

    def __init__(self, registry: BulkRegistry, **options: Any) -> None:
        self.registry = registry
        self.options = options
        self.memory = PollMemory()
        self.watermark = Watermark()
        self.api: Api | None = api_of(registry)
        self.login: dict[str, str] = {}
        self.last: Poll | None = None

    @asynccontextmanager
    async def client(self) -> AsyncIterator[RegistryClient]:
        async with RegistryClient(self.registry.url, api=self.api, **self.login) as client:
            yield client

    async def poll(self, seconds: float = 60.0, *, acknowledges: bool = True, **options: Any) -> list[str]:
        """Poll after some seconds; return the pushed tags."""
        self.registry.clock += seconds
        now = datetime.fromtimestamp(self.registry.clock, UTC)
        arguments = {"storm_limit": None, "memory": self.memory, **self.options, **options}
        async with self.client() as client:
            self.last = await poll(client, REPOSITORY, self.watermark, now=now, **arguments)
        found = self.last
        self.watermark = found.watermark_after if acknowledges else found.watermark_before
        return sorted(notification.tag for notification in found.notifications)

    def restart(self) -> None:
        self.memory = PollMemory()
