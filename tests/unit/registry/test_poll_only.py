# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A poll of the tags that a hint names."""

from __future__ import annotations

import logging

import pytest

from airflow_registry_triggers.registry.client import RegistryClient
from airflow_registry_triggers.registry.errors import RegistryError, StormHeld
from airflow_registry_triggers.registry.poll import Poll, poll
from airflow_registry_triggers.registry.poll_memory import PollMemory
from airflow_registry_triggers.registry.watermark import Watermark
from airflow_registry_triggers.tag_rule import TagRule
from tests.unit.registry.scripted_registry import ScriptedRegistry, digest_of
from tests.unit.registry.test_poll import REPOSITORY, failing


class Hinted:
    """A registry with a baseline of v1 and v2, and polls of some of its tags."""

    def __init__(self, registry: ScriptedRegistry, **options: object) -> None:
        self.registry = registry
        self.options = options
        self.watermark = Watermark()

    async def poll(self, only: set[str] | None = None, **options: object) -> Poll:
        async with RegistryClient(self.registry.url) as client:
            arguments = {"only": only, **self.options, **options}
            return await poll(client, REPOSITORY, self.watermark, **arguments)

    async def baseline(self, **options: object) -> None:
        self.options.update(options)
        self.watermark = (await self.poll()).watermark_after
        self.registry.asked.clear()

    def requested(self) -> list[str]:
        return sorted(f"{asked.method} {asked.path.rpartition('/')[2]}" for asked in self.registry.asked)


@pytest.fixture
def hinted(registry: ScriptedRegistry) -> Hinted:
    registry.put(REPOSITORY, {"v1": "one", "v2": "one"})
    return Hinted(registry)


def found(result: Poll) -> list[tuple[str, str | None]]:
    return [(item.tag, item.digest) for item in result.notifications]


async def test_poll_only_requests_these_tags_and_no_listing(hinted: Hinted) -> None:
    await hinted.baseline()
    hinted.registry.put(REPOSITORY, {"v1": "two", "v2": "two", "v3": "two"})
    result = await hinted.poll({"v2", "v3"})
    assert hinted.requested() == ["HEAD v2", "HEAD v3"]
    assert sorted(found(result)) == [("v2", digest_of("two")), ("v3", digest_of("two"))]
    assert result.watermark_before == hinted.watermark
    hinted.watermark = result.watermark_after
    assert found(await hinted.poll({"v2", "v3"})) == []
    assert found(await hinted.poll()) == [("v1", digest_of("two"))]


async def test_poll_only_finds_the_push_with_the_id_of_a_full_poll(hinted: Hinted) -> None:
    await hinted.baseline()
    hinted.registry.put(REPOSITORY, {"v1": "two"})
    by_hint, by_poll = await hinted.poll({"v1"}), await hinted.poll()
    assert [item.id for item in by_hint.notifications] == [item.id for item in by_poll.notifications]


@pytest.mark.parametrize("rule", [TagRule(tags=["v1", "v3"]), TagRule(tag_regex="v[13]")])
async def test_poll_only_requests_tags_of_the_rule_alone(hinted: Hinted, rule: TagRule) -> None:
    await hinted.baseline(rule=rule)
    hinted.registry.put(REPOSITORY, {"v1": "two", "v2": "two", "v3": "two"})
    assert sorted(found(await hinted.poll({"v2", "v3"}))) == [("v3", digest_of("two"))]
    assert hinted.requested() == ["HEAD v3"]


async def test_poll_only_of_an_absent_tag_changes_nothing(hinted: Hinted) -> None:
    await hinted.baseline()
    del hinted.registry.repositories[REPOSITORY]["v1"]
    result = await hinted.poll({"v1", "never"})
    assert (result.notifications, result.watermark_after) == ([], hinted.watermark)


async def test_poll_only_of_illegal_tags_requests_nothing(hinted: Hinted) -> None:
    await hinted.baseline()
    assert found(await hinted.poll({"*", "../../x", "a" * 129, ""})) == []
    assert hinted.requested() == []


async def test_poll_only_with_an_unreadable_tag_keeps_it_and_finds_the_other(hinted: Hinted) -> None:
    await hinted.baseline()
    hinted.registry.put(REPOSITORY, {"v1": "two", "v2": "two"})
    hinted.registry.faults.append(failing("v1"))
    result = await hinted.poll({"v1", "v2"})
    assert found(result) == [("v2", digest_of("two"))]
    assert set(result.unknown) == {"v1"}
    assert result.watermark_after.state_of("v1") == hinted.watermark.state_of("v1")


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_poll_only_of_an_unreadable_tag_raises(hinted: Hinted, status: int) -> None:
    await hinted.baseline()
    hinted.registry.faults.append(failing("v1", status))
    with pytest.raises(RegistryError):
        await hinted.poll({"v1"})


async def test_poll_only_without_updates_requests_unknown_tags_only(hinted: Hinted) -> None:
    await hinted.baseline(updates=False)
    hinted.registry.put(REPOSITORY, {"v1": "two", "v3": "two"})
    assert found(await hinted.poll({"v1", "v3"})) == [("v3", digest_of("two"))]
    assert hinted.requested() == ["HEAD v3"]


@pytest.mark.parametrize("first_run", ["baseline", "notify"])
async def test_poll_only_before_the_baseline_requests_nothing(hinted: Hinted, first_run: str) -> None:
    result = await hinted.poll({"v1"}, first_run=first_run)
    assert (result.notifications, result.watermark_before) == ([], Watermark())
    assert hinted.requested() == []


async def test_poll_only_before_the_baseline_of_a_wider_rule_requests_nothing(hinted: Hinted) -> None:
    """Storing the wider scope without its baseline would make every tag that it adds a push."""
    await hinted.baseline(rule=TagRule(tag_regex="v1"))
    result = await hinted.poll({"v1", "v2"}, rule=TagRule())
    assert (result.notifications, result.watermark_after) == ([], hinted.watermark)
    assert hinted.requested() == []


async def test_poll_only_counts_for_confirm_polls_and_keeps_the_counts_of_others(hinted: Hinted) -> None:
    await hinted.baseline(confirm_polls=3, memory=PollMemory())
    hinted.registry.put(REPOSITORY, {"v1": "two", "v2": "two"})
    assert found(await hinted.poll()) == []
    assert found(await hinted.poll({"v1"})) == []
    assert found(await hinted.poll({"v1"})) == [("v1", digest_of("two"))]
    assert found(await hinted.poll({"v2"})) == []
    assert found(await hinted.poll({"v2"})) == [("v2", digest_of("two"))]


async def test_poll_only_with_more_pushes_than_storm_limit_raises(hinted: Hinted) -> None:
    await hinted.baseline(storm_limit=1)
    hinted.registry.put(REPOSITORY, {"v1": "two", "v2": "two"})
    with pytest.raises(StormHeld):
        await hinted.poll({"v1", "v2"})


async def test_poll_only_does_not_report_an_unreadable_tag_twice(
    hinted: Hinted, caplog: pytest.LogCaptureFixture
) -> None:
    await hinted.baseline(memory=PollMemory())
    hinted.registry.faults.append(failing("v1"))
    with caplog.at_level(logging.WARNING):
        await hinted.poll()
        await hinted.poll({"v2"})
        await hinted.poll()
    assert [record.message for record in caplog.records if "could not be read" in record.message] == [
        caplog.records[0].message
    ]


async def test_poll_only_with_recheck_interval_requests_the_tag_and_is_not_the_last_poll(
    hinted: Hinted,
) -> None:
    await hinted.baseline(recheck_interval=3600.0, memory=(memory := PollMemory()))
    last = memory.polled_at
    hinted.registry.put(REPOSITORY, {"v1": "two"})
    assert found(await hinted.poll({"v1"})) == [("v1", digest_of("two"))]
    assert memory.polled_at == last
    assert found(await hinted.poll()) == [("v1", digest_of("two"))], "until its push is acknowledged"


async def test_poll_only_reports_the_hinted_tags_that_it_requested(hinted: Hinted) -> None:
    await hinted.baseline(rule=TagRule(tag_regex="v.*"))
    hinted.registry.put(REPOSITORY, {"v1": "two", "w1": "one"})
    hinted.registry.faults.append(failing("v2"))
    assert (await hinted.poll({"v1", "v2", "v9", "w1", "*"})).hinted == {"v1", "v2", "v9"}
    assert (await hinted.poll({"w1"})).hinted == frozenset()
    assert (await hinted.poll()).hinted == frozenset()


async def test_poll_only_without_updates_reports_unknown_tags_only(hinted: Hinted) -> None:
    await hinted.baseline(updates=False)
    assert (await hinted.poll({"v1", "v9"})).hinted == {"v9"}


async def test_poll_only_with_newest_reports_the_hinted_tag_that_is_the_greatest(hinted: Hinted) -> None:
    await hinted.baseline(newest="text")
    hinted.registry.put(REPOSITORY, {"v3": "two"})
    assert (await hinted.poll({"v1", "v3"})).hinted == {"v3"}
