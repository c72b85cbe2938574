# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Polls with a bulk listing, for each API: requests, pushes, and answers that are stale, wrong or missing."""

from __future__ import annotations

import logging

import pytest
from aiohttp import web

from airflow_registry_triggers.registry.errors import RegistryError, StormHeld
from airflow_registry_triggers.registry.watermark import Watermark
from airflow_registry_triggers.tag_rule import TagRule
from tests.unit.registry.bulk.bulk_registry import REPOSITORY, BulkRegistry, Row
from tests.unit.registry.bulk.watching import Watcher
from tests.unit.registry.scripted_registry import digest_of

PAGES = {"azure": 10, "docker_hub": 10, "ecr": 1, "quay": 10, "harbor": 10}
"""Pages of a whole listing of 1,000 tags."""
UNCHANGED = {"azure": 1, "docker_hub": 1, "ecr": 1, "quay": 1, "harbor": 10}
"""Pages of an unchanged poll."""


async def settled(registry: BulkRegistry, count: int = 1000, **options: object) -> Watcher:
    """Return a watcher after its baseline and its first bulk listing."""
    registry.push(*(f"v{number}" for number in range(count)), seconds=60)
    watcher = Watcher(registry, **options)
    assert await watcher.poll() == []
    assert await watcher.poll() == []
    registry.counts()
    return watcher


@pytest.fixture
async def watcher(registry: BulkRegistry) -> Watcher:
    return await settled(registry, 120)


# Requests


async def test_poll_of_1000_unchanged_tags_sends_the_requests_of_the_table(
    registry: BulkRegistry, api: str
) -> None:
    watcher = await settled(registry)
    assert await watcher.poll() == []
    assert registry.counts() == (UNCHANGED[api], 0, 0)
    registry.push("v5", label="two")
    assert await watcher.poll() == ["v5"]
    assert registry.counts() == (UNCHANGED[api], 0, 1)


async def test_first_poll_reads_both_listings_and_every_digest_once(registry: BulkRegistry, api: str) -> None:
    registry.push(*(f"v{number}" for number in range(1000)), seconds=60)
    watcher = Watcher(registry)
    await watcher.poll()
    assert registry.counts() == (PAGES[api], 1, 1000)
    assert await watcher.poll() == []
    assert registry.counts() == (UNCHANGED[api], 0, 0)


async def test_first_poll_of_wrong_digests_closes_the_api(registry: BulkRegistry) -> None:
    registry.push(*(f"v{number}" for number in range(40)))
    registry.view.wrong = {f"v{number}": digest_of("wrong") for number in range(40)}
    watcher = Watcher(registry)
    await watcher.poll()
    registry.counts()
    assert await watcher.poll() == []
    assert registry.counts() == (0, 1, 40)


@pytest.mark.parametrize("status", [403, 500])
async def test_first_poll_without_the_api_records_the_baseline(registry: BulkRegistry, status: int) -> None:
    registry.push(*(f"v{number}" for number in range(40)))
    registry.api_fault = lambda: web.Response(status=status)
    watcher = Watcher(registry)
    await watcher.poll()
    assert watcher.watermark.size == 40


async def test_first_poll_of_an_api_that_hides_a_tag_records_it(registry: BulkRegistry) -> None:
    registry.push(*(f"v{number}" for number in range(40)))
    registry.view.hidden = {"v3"}
    watcher = Watcher(registry)
    await watcher.poll()
    registry.view.hidden = set()
    watcher.restart()
    assert await watcher.poll() == []


async def test_first_poll_of_a_process_lists_whole_and_checks_three_tags(
    registry: BulkRegistry, api: str
) -> None:
    watcher = await settled(registry)
    watcher.restart()
    assert await watcher.poll() == []
    assert registry.counts() == (PAGES[api], 0, 3)


async def test_poll_after_an_hour_lists_whole_and_checks_three_tags(registry: BulkRegistry, api: str) -> None:
    watcher = await settled(registry)
    for _ in range(58):
        await watcher.poll()
    registry.counts()
    assert await watcher.poll(120) == []
    assert registry.counts() == (PAGES[api], 0, 3)
    await watcher.poll()
    assert registry.counts() == (UNCHANGED[api], 0, 0)


async def test_poll_of_few_tags_uses_the_oci_api(registry: BulkRegistry) -> None:
    watcher = await settled(registry, 6)
    await watcher.poll()
    assert registry.counts() == (0, 1, 6)


async def test_poll_of_a_rule_that_matches_few_tags_uses_the_oci_api(registry: BulkRegistry) -> None:
    watcher = await settled(registry, 120, rule=TagRule(tag_regex="v11[0-5]"))
    await watcher.poll()
    assert registry.counts() == (0, 1, 6)


@pytest.mark.parametrize("options", [{"rule": TagRule(tags=["v1", "v2"])}, {"updates": False}])
async def test_poll_that_needs_few_digests_uses_the_oci_api(registry: BulkRegistry, options: dict) -> None:
    watcher = await settled(registry, 50, **options)
    await watcher.poll()
    assert registry.counts()[0] == 0


async def test_poll_with_a_recheck_interval_and_a_bulk_listing_skips_no_tag_of_the_listing(
    registry: BulkRegistry, api: str
) -> None:
    watcher = await settled(registry, 120, recheck_interval=86_400)
    registry.push("v5", "v6", label="two")
    assert await watcher.poll() == ["v5", "v6"]
    registry.counts()
    watcher.api = None
    await watcher.poll()
    assert registry.counts() == (0, 1, 120)


# Pushes


async def test_poll_of_new_moved_and_deleted_tags_finds_the_pushes(
    watcher: Watcher, registry: BulkRegistry
) -> None:
    registry.push("v3", label="two")
    registry.push("new", label="two")
    registry.delete("v4")
    assert await watcher.poll() == ["new", "v3"]
    assert {n.tag: n.action for n in watcher.last.notifications} == {"v3": "updated", "new": "new"}
    assert await watcher.poll() == []
    registry.push("v4", label="one")
    assert await watcher.poll() == [], "the same digest as before"
    registry.push("v4", label="two")
    assert await watcher.poll() == ["v4"]


async def test_poll_of_150_new_tags_finds_all(watcher: Watcher, registry: BulkRegistry) -> None:
    new = [f"new{number}" for number in range(150)]
    registry.push(*new)
    assert await watcher.poll() == sorted(new)
    assert registry.counts()[2] == 150


async def test_poll_of_a_tag_that_moved_back_returns_nothing(
    watcher: Watcher, registry: BulkRegistry
) -> None:
    registry.push("v3", label="two")
    registry.push("v3", label="one")
    assert await watcher.poll() == []
    assert registry.counts()[2] == 0


async def test_poll_takes_the_reported_time_of_the_digest_that_head_returns(
    watcher: Watcher, registry: BulkRegistry, api: str
) -> None:
    registry.push("v3", "v4", label="two")
    registry.view.wrong["v4"] = digest_of("four")
    assert await watcher.poll(600) == ["v3", "v4"]
    times = {n.tag: n.to_dict()["push_data"]["pushed_at"] for n in watcher.last.notifications}
    assert (times["v3"] < times["v4"]) is (api != "ecr"), "the time of detection, where no time is known"


async def test_poll_of_null_digests_requests_them(watcher: Watcher, registry: BulkRegistry) -> None:
    registry.push("v3", label="two")
    registry.view.wrong |= {"v3": None, "v119": None}
    assert await watcher.poll() == ["v3"]
    assert registry.counts()[2] == 2


async def test_polls_with_and_without_the_api_return_the_same_ids(registry: BulkRegistry) -> None:
    watcher = await settled(registry, 50)
    plain = Watcher(registry)
    plain.api, plain.watermark = None, watcher.watermark
    for label in ("two", "three"):
        registry.push("v3", "v9", label=label)
        await watcher.poll()
        await plain.poll(0)
        ids = [notification.id for notification in watcher.last.notifications]
        assert ids == [notification.id for notification in plain.last.notifications]
        assert watcher.watermark.to_dict() == plain.watermark.to_dict()
    watcher.api = None
    assert await watcher.poll() == []
    watcher.api = plain.api
    assert await watcher.poll() == []


async def test_poll_of_a_push_without_acknowledgement_finds_it_after_the_cursor_has_passed(
    watcher: Watcher, registry: BulkRegistry
) -> None:
    registry.push("v3", label="two")
    assert await watcher.poll(acknowledges=False) == ["v3"]
    first = watcher.last.notifications[0].id
    registry.push(*(f"new{number}" for number in range(150)), seconds=60)
    found = await watcher.poll(acknowledges=False)
    assert "v3" in found
    assert first in {notification.id for notification in watcher.last.notifications}


async def test_poll_of_a_tag_that_waits_for_confirm_polls_requests_it_each_time(
    registry: BulkRegistry,
) -> None:
    watcher = await settled(registry, 120, confirm_polls=3)
    registry.push("v3", label="two")
    assert await watcher.poll() == []
    registry.view.wrong["v3"] = digest_of("one")  # the API is behind: HEAD decides
    assert await watcher.poll() == []
    assert await watcher.poll() == ["v3"]


async def test_poll_of_an_unreadable_tag_requests_it_after_the_cursor_has_passed(
    watcher: Watcher, registry: BulkRegistry
) -> None:
    broken = {"v3"}

    async def fault(request: web.Request) -> web.Response | None:
        return web.Response(status=500) if request.path.rpartition("/")[2] in broken else None

    registry.faults.append(fault)
    registry.push("v3", label="two")
    assert await watcher.poll() == []
    registry.push(*(f"new{number}" for number in range(150)), seconds=60)
    assert len(await watcher.poll()) == 150
    broken.clear()
    assert await watcher.poll() == ["v3"]


async def test_poll_after_pushes_above_the_storm_limit_finds_them(
    watcher: Watcher, registry: BulkRegistry
) -> None:
    registry.push(*(f"v{number}" for number in range(9)), label="two")
    with pytest.raises(StormHeld):
        await watcher.poll(storm_limit=5)
    registry.push(*(f"new{number}" for number in range(150)), seconds=60)
    assert len(await watcher.poll()) == 159


async def test_poll_with_a_rule_that_covers_more_tags_records_a_baseline_from_the_oci_api(
    registry: BulkRegistry,
) -> None:
    watcher = await settled(registry, 120, rule=TagRule(tag_regex="v1.*"))
    registry.view.hidden = {"v33"}
    watcher.options["rule"] = TagRule(tag_regex="v.*")
    assert await watcher.poll() == []
    assert registry.counts()[1:] == (1, 120)
    registry.view.hidden = set()
    assert await watcher.poll() == []
    assert watcher.watermark.state_of("v33").digest == digest_of("one")


# Answers that are not the truth


async def test_poll_of_a_stale_api_finds_the_push_within_an_hour(
    watcher: Watcher, registry: BulkRegistry
) -> None:
    stale = registry.truth()
    registry.push("v3", label="two")
    registry.push("new", label="two")
    registry.view.stale = stale
    assert await watcher.poll() == []
    registry.push(*(f"later{number}" for number in range(120)), seconds=2)
    stale_later = [row for row in registry.truth() if row.name not in ("v3", "new")] + [
        row for row in stale if row.name == "v3"
    ]
    registry.view.stale = stale_later
    assert len(await watcher.poll()) == 120
    registry.view.stale = None
    found = [tag for _ in range(62) for tag in await watcher.poll()]
    assert sorted(found) == ["new", "v3"]


async def test_poll_of_an_api_with_wrong_digests_sends_heads_and_no_push_and_is_closed(
    watcher: Watcher, registry: BulkRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    registry.view.wrong = {f"v{number}": digest_of("wrong") for number in range(120)}
    watcher.restart()
    assert await watcher.poll() == []
    _, lists, heads = registry.counts()
    assert (lists, heads) == (0, 120)
    for _ in range(2):
        assert await watcher.poll() == []
        assert registry.counts() == (0, 1, 120)
    lines = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(lines) == 1
    assert (
        "reports other digests for 120 tags, and HEAD returns the stored digest for 120" in lines[0].message
    )
    assert "set api to oci on the Connection" in lines[0].message


async def test_poll_of_nine_wrong_digests_keeps_the_api(watcher: Watcher, registry: BulkRegistry) -> None:
    registry.view.wrong = {f"v{number}": digest_of("wrong") for number in range(111, 120)}
    for _ in range(2):
        assert await watcher.poll() == []
        assert registry.counts()[1:] == (0, 9)


async def test_check_of_an_api_that_hides_pushes_finds_them_and_closes_the_api(
    watcher: Watcher, registry: BulkRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    tags = [f"v{number}" for number in range(120)]
    registry.view.stale = registry.truth()
    registry.push(*tags, label="two")
    watcher.restart()
    assert await watcher.poll() == sorted(tags)
    assert "that HEAD does not return" in caplog.text
    registry.counts()
    assert await watcher.poll() == []
    assert registry.counts() == (0, 1, 120)


async def test_check_of_a_tag_that_moves_between_listing_and_head_keeps_the_api(
    watcher: Watcher, registry: BulkRegistry
) -> None:
    moved: list[str] = []

    async def move(request: web.Request) -> web.Response | None:
        tag = request.path.rpartition("/")[2]
        if "/manifests/" in request.path and not moved:
            moved.append(tag)
            registry.push(tag, label="two")
        return None

    registry.faults.append(move)
    watcher.restart()
    assert await watcher.poll() == moved
    assert await watcher.poll() == []
    registry.counts()
    await watcher.poll()
    assert registry.counts()[1:] == (0, 0)


async def test_poll_of_an_empty_bulk_listing_uses_the_oci_api(
    watcher: Watcher, registry: BulkRegistry
) -> None:
    registry.view.stale = []
    registry.push("v3", label="two")
    assert await watcher.poll() == ["v3"]
    assert registry.counts() == (1, 1, 120)
    registry.view.stale = None
    await watcher.poll()
    assert registry.counts()[1:] == (0, 0)


async def test_poll_of_tags_that_do_not_exist_returns_nothing(
    watcher: Watcher, registry: BulkRegistry
) -> None:
    registry.view.ghosts = {"ghost": Row("ghost", digest_of("one"), registry.clock)}
    assert await watcher.poll() == []
    assert registry.counts()[2] <= 2


async def test_poll_of_times_in_the_future_finds_pushes(watcher: Watcher, registry: BulkRegistry) -> None:
    registry.view.ghosts = {"v1": Row("v1", digest_of("one"), registry.clock + 10**9)}
    await watcher.poll()
    registry.push(*(f"new{number}" for number in range(150)))
    assert len(await watcher.poll()) == 150


async def test_poll_of_a_listing_without_order_reads_it_whole(registry: BulkRegistry, api: str) -> None:
    registry.view.order = lambda row: row.name
    watcher = await settled(registry, 300)
    registry.push("v298", label="two")
    assert await watcher.poll() == ["v298"]
    assert registry.counts()[0] == (1 if api == "ecr" else 3)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405])
async def test_poll_of_an_api_that_refuses_uses_the_oci_api_until_the_process_ends(
    watcher: Watcher, registry: BulkRegistry, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    registry.api_fault = lambda: web.Response(status=status)
    registry.push("v3", label="two")
    assert await watcher.poll() == ["v3"]
    registry.counts()
    registry.api_fault = None
    for _ in range(2):
        assert await watcher.poll() == []
        assert registry.counts() == (0, 1, 120)
    lines = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(lines) == 1
    assert f"do not use the API '{registry.api}' until this process ends" in lines[0]


@pytest.mark.parametrize(
    "body", ["<html>Sign in</html>", "", "null", "[1, 2", '"text"', "{}", '{"errors": []}', '{"tags": 7}']
)
async def test_poll_of_an_api_with_another_body_uses_the_oci_api(
    watcher: Watcher, registry: BulkRegistry, body: str
) -> None:
    registry.api_fault = lambda: web.Response(text=body, content_type="application/json")
    registry.push("v3", label="two")
    assert await watcher.poll() == ["v3"]
    registry.counts()
    assert await watcher.poll() == []
    assert registry.counts() == (0, 1, 120)


@pytest.mark.parametrize("status", [429, 500, 502, 503])
async def test_poll_of_an_api_that_is_overloaded_raises_and_keeps_the_api(
    watcher: Watcher, registry: BulkRegistry, status: int
) -> None:
    registry.api_fault = lambda: web.Response(status=status)
    registry.push("v3", label="two")
    with pytest.raises(RegistryError) as error:
        await watcher.poll()
    assert error.value.transient
    registry.api_fault = None
    assert await watcher.poll() == ["v3"]
    assert registry.counts()[1] == 0


async def test_poll_of_a_missing_repository_raises_the_error_of_the_oci_api(
    watcher: Watcher, registry: BulkRegistry
) -> None:
    del registry.repositories[REPOSITORY]
    with pytest.raises(RegistryError) as error:
        await watcher.poll()
    assert error.value.kind == "no_such_repository"


async def test_poll_of_a_listing_that_does_not_end_uses_the_oci_api(
    watcher: Watcher, registry: BulkRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BulkRegistry, "_page", lambda self, last: (self.rows()[:100], "v1"))
    # Quay and Harbor count their pages; the same rows are on each of them.
    monkeypatch.setattr(BulkRegistry, "rows", lambda self: _Endless(self.truth()[:100]))
    watcher.restart()
    if registry.api == "ecr":
        pytest.skip("the call of the SDK is scripted without an end elsewhere")
    registry.push("v3", label="two")
    assert await watcher.poll() == ["v3"]
    assert registry.counts()[1:] == (1, 120)


class _Endless(list):
    """Rows of which each page is the same."""

    def __len__(self) -> int:
        return 10**9

    def __getitem__(self, key):
        return list(self)[:100] if isinstance(key, slice) else super().__getitem__(key)

    def __iter__(self):
        return super().__iter__()


async def test_poll_with_a_lost_watermark_uses_the_oci_api(watcher: Watcher, registry: BulkRegistry) -> None:
    watcher.watermark = Watermark(lost=True)
    assert await watcher.poll() == []
    assert registry.counts()[1:] == (1, 120)
