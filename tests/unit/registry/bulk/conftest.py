# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.registry.bulk.bulk_registry import BulkRegistry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

APIS = ["azure", "docker_hub", "ecr", "quay", "harbor"]


@pytest.fixture(params=APIS)
def api(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def registry(api: str) -> AsyncIterator[BulkRegistry]:
    async with BulkRegistry(api).served() as served:
        yield served  # type: ignore[misc]
