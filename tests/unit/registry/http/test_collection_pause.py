# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

import gc
import json
from typing import TYPE_CHECKING

import pytest

from airflow_registry_triggers.registry.http.collection_pause import collection_paused
from airflow_registry_triggers.registry.http.pagination import ListingReader
from airflow_registry_triggers.registry.http.rate_limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def enabled() -> Iterator[None]:
    gc.enable()
    yield
    gc.enable()


def test_collection_paused_nested_ends_with_the_outermost() -> None:
    with collection_paused():
        with collection_paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_collection_paused_with_an_error_ends() -> None:
    with pytest.raises(ValueError, match="x"), collection_paused():
        raise ValueError("x")
    assert gc.isenabled()


def test_collection_paused_where_it_was_disabled_leaves_it_disabled() -> None:
    gc.disable()
    with collection_paused():
        pass
    assert not gc.isenabled()


async def test_read_of_many_pages_causes_no_collection() -> None:
    """Each page leaves a few thousand objects for a moment: enough for several full collections in a listing."""
    reader = ListingReader(Limits(), "x")
    pages = [
        json.dumps(
            {
                "name": "a",
                "tags": [f"v{page}-{n}" for n in range(1000)],
                "manifest": {f"sha256:{n:064x}": {"tag": [f"v{page}-{n}"]} for n in range(1000)},
            }
        ).encode()
        for page in range(20)
    ]
    began: list[int] = []

    def count(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            began.append(info["generation"])

    gc.collect()
    gc.callbacks.append(count)
    try:
        for page in pages:
            await reader.read(page)
    finally:
        gc.callbacks.remove(count)
    assert len((await reader.listing()).digests) == 20_000
    assert len(began) < 20, "without the pause there are 40"
    assert 2 not in began
