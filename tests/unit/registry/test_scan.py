# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The requests for digests: when a poll sends no more of them, and how it frees what it read."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from airflow_registry_triggers.registry import scan
from airflow_registry_triggers.registry.client import RegistryClient
from airflow_registry_triggers.registry.errors import RegistryError, StormHeld
from airflow_registry_triggers.registry.poll import poll
from airflow_registry_triggers.registry.scan import DigestReader, release
from airflow_registry_triggers.registry.watermark import Watermark

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.registry.scripted_registry import ScriptedRegistry

TAGS = [f"t{number}" for number in range(100)]


class Source:
    """A registry that answers 401 for the tags of a condition."""

    in_flight = 1

    def __init__(self, is_denied: Callable[[str], bool]) -> None:
        self.is_denied = is_denied
        self.requests: Counter[str] = Counter()

    async def digest(self, repository: str, tag: str) -> str | None:
        self.requests[tag] += 1
        if self.is_denied(tag):
            raise RegistryError("denied", kind="credentials", status=401, everywhere=True)
        return f"sha256:{tag}"


@pytest.fixture(autouse=True)
def _in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan.random, "shuffle", lambda tags: None)


async def read(source: Source) -> DigestReader:
    reader = DigestReader(source, "team/app")  # type: ignore[arg-type]
    await reader.read(list(TAGS))
    return reader


async def test_reader_reads_the_tags_behind_many_that_are_denied() -> None:
    """Artifactory denies single images; a tag behind 80 of them can have been pushed."""
    source = Source(lambda tag: 1 <= int(tag[1:]) <= 80)
    reader = await read(source)
    assert list(reader.found) == ["t0", *TAGS[81:]]
    assert list(reader.failed) == TAGS[1:81]
    assert source.requests["t0"] == 1 + 8, "once more after each 10 tags that are denied"
    assert source.requests.total() == 100 + 8


async def test_reader_with_a_login_that_ends_stops_after_10_tags_and_one_that_it_read_before() -> None:
    source = Source(lambda tag: source.requests.total() > 50)
    reader = await read(source)
    assert list(reader.found) == TAGS[:50]
    assert len(reader.failed) == 50
    assert source.requests.total() == 50 + 10 + 1


async def test_reader_that_is_denied_each_tag_stops_after_10() -> None:
    source = Source(lambda tag: True)
    reader = await read(source)
    assert len(reader.failed) == 100
    assert source.requests.total() == 10


async def test_release_empties_large_collections_and_leaves_small_ones_alone() -> None:
    large, texts, small = dict.fromkeys(range(6000)), ["a"] * 6000, {"v1": "sha256:1"}
    await release(large, texts)
    await release(small)
    assert (large, texts, small) == ({}, [], {"v1": "sha256:1"})


async def test_poll_that_releases_what_it_used_returns_all_pushes(
    monkeypatch: pytest.MonkeyPatch, registry: ScriptedRegistry
) -> None:
    monkeypatch.setattr(scan, "_INLINE", 10)
    registry.put("team/app", TAGS)
    async with RegistryClient(registry.url) as client:
        baseline = await poll(client, "team/app", Watermark())
        registry.put("team/app", TAGS, "second")
        with pytest.raises(StormHeld, match="100"):
            await poll(client, "team/app", baseline.watermark_after, storm_limit=99)
        found = await poll(client, "team/app", baseline.watermark_after)
        again = await poll(client, "team/app", found.watermark_after)
    assert sorted(push.tag for push in found.notifications) == sorted(TAGS)
    assert found.watermark_after.size == 100
    assert again.notifications == []
