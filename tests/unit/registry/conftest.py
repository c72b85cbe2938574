# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""What the tests of the registry share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_registry_triggers.registry.http import session
from tests.unit.registry.scripted_registry import ScriptedRegistry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture
async def registry() -> AsyncIterator[ScriptedRegistry]:
    async with ScriptedRegistry().served() as served:
        yield served


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    """Each test meets its registry for the first time, also where a port comes back."""
    session.forget_everything()
    yield
    assert not any(session._transports.values()), "a client was left open"
