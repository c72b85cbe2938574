# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Digests that cannot be read: when a poll sends no more requests."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from airflow_registry_triggers.registry import scan
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.scan import DigestReader

if TYPE_CHECKING:
    from collections.abc import Callable

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
