# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""How much is asked at once, and how a registry that wants to be left alone is left alone."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace

import pytest
from aiohttp import web

from airflow_registry_triggers.registry.client import RegistryClient
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.http import rate_limits
from airflow_registry_triggers.registry.http.rate_limits import MAX_PAUSE, Pause, default_in_flight
from airflow_registry_triggers.registry.poll import poll
from airflow_registry_triggers.registry.watermark import Watermark
from tests.unit.registry.scripted_registry import ScriptedRegistry, SignIn, digest_of

REPOSITORY = "team/app"
TAGS = [f"v{number}" for number in range(40)]


@pytest.mark.parametrize(
    ("addresses", "expected"),
    [
        (["127.0.0.1"], 10),
        (["10.1.2.3", "fd00::1"], 10),
        (["::1"], 10),
        (["fe80::1%eth0"], 10),
        (["100.64.0.1"], 10),
        (["8.8.8.8"], 2),
        (["10.0.0.1", "8.8.8.8"], 2),
        (["2606:4700::1111"], 2),
        ([], 2),
    ],
)
def test_default_in_flight_of_addresses_returns_the_limit(addresses: list[str], expected: int) -> None:
    assert default_in_flight(addresses) == expected


@pytest.mark.parametrize(("given", "expected"), [(None, 10), (1, 1), (3, 3), (25, 25)])
async def test_poll_with_max_in_flight_keeps_the_limit(
    registry: ScriptedRegistry, given: int | None, expected: int
) -> None:
    registry.put(REPOSITORY, TAGS)
    full = asyncio.Event()

    async def gather(request: web.Request) -> None:
        if "/manifests/" in request.path and not full.is_set():
            if registry.in_flight >= expected:
                await asyncio.sleep(0.1)  # for more than the limit, if it is not kept
                full.set()
            await full.wait()

    registry.faults.append(gather)
    async with RegistryClient(registry.url, max_in_flight=given) as client:
        await poll(client, REPOSITORY, Watermark())
    assert registry.most_in_flight == expected


async def test_poll_of_200_watchers_of_one_host_shares_the_limit_and_tokens(
    registry: ScriptedRegistry,
) -> None:
    repositories = [f"team/app{number}" for number in range(20)]
    for name in repositories:
        registry.put(name, ["a", "b", "c"])
    registry.sign_in = SignIn(username="robot", password="secret")
    registry.delay = 0.003
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(RegistryClient(registry.url, "robot", "secret"))
            for _ in range(200)
        ]

        async def watch(number: int) -> None:
            name = repositories[number % len(repositories)]
            watermark = Watermark()
            for _ in range(2):
                found = await poll(clients[number], name, watermark)
                watermark = found.watermark_after
                assert not found.notifications
                assert not found.unknown

        await asyncio.gather(*(watch(number) for number in range(200)))
    assert registry.most_in_flight == 10
    assert registry.by_kind["token"] == len(repositories)
    assert registry.by_kind["head"] == 200 * 2 * 3
    # Those that start before the challenge is known each learn it from a 401 of their own.
    assert 400 <= registry.by_kind["list"] <= 600


async def test_poll_of_two_clients_reuses_connections(registry: ScriptedRegistry) -> None:
    registry.put(REPOSITORY, TAGS)
    ports: set[int] = set()

    async def note(request: web.Request) -> None:
        ports.add(request.transport.get_extra_info("peername")[1])

    registry.faults.append(note)
    async with (
        RegistryClient(registry.url, max_in_flight=3) as client,
        RegistryClient(registry.url, max_in_flight=3) as other,
    ):
        for _ in range(3):
            await asyncio.gather(poll(client, REPOSITORY, Watermark()), poll(other, REPOSITORY, Watermark()))
    assert len(ports) <= 3


# Pauses


def answer_once(status: int, headers: dict[str, str], path: str = "/"):
    done = False

    async def fault(request: web.Request) -> web.Response | None:
        nonlocal done
        if done or path not in request.path:
            return None
        done = True
        return web.Response(status=status, headers=headers)

    return fault


async def paused(client: RegistryClient) -> RegistryError:
    with pytest.raises(RegistryError) as caught:
        await client.list_tags(REPOSITORY)
    assert caught.value.kind == "rate_limited"
    assert caught.value.transient
    return caught.value


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_pause_with_retry_after_sends_no_further_request(
    registry: ScriptedRegistry, status: int, form: str
) -> None:
    server_clock = datetime(2030, 1, 1, tzinfo=UTC)  # not ours: the two must be told apart
    value = (
        "120" if form == "seconds" else format_datetime(server_clock + timedelta(seconds=120), usegmt=True)
    )
    registry.put(REPOSITORY, TAGS)
    headers = {"Retry-After": value, "Date": format_datetime(server_clock, usegmt=True)}
    registry.faults.append(answer_once(status, headers))
    async with RegistryClient(registry.url) as client:
        for _ in range(3):
            error = await paused(client)
            assert 115 < error.retry_after <= 120
            assert registry.url in str(error)
    assert registry.count() == 1


async def test_pause_after_the_client_closes_continues(registry: ScriptedRegistry) -> None:
    registry.faults.append(answer_once(429, {"Retry-After": "120"}))
    for _ in range(2):
        async with RegistryClient(registry.url) as client:
            await paused(client)
    assert registry.count() == 1


@pytest.mark.parametrize("value", ["86400", "9999999999", "Fri, 01 Jan 2100 00:00:00 GMT"])
async def test_pause_with_a_long_retry_after_is_limited_to_an_hour(
    registry: ScriptedRegistry, value: str
) -> None:
    registry.faults.append(answer_once(429, {"Retry-After": value}))
    async with RegistryClient(registry.url) as client:
        error = await paused(client)
    assert 3590 < error.retry_after <= MAX_PAUSE


async def test_poll_with_a_short_pause_waits_and_continues(registry: ScriptedRegistry) -> None:
    registry.put(REPOSITORY, TAGS)
    registry.faults.append(answer_once(429, {"Retry-After": "1"}, "/manifests/"))
    async with RegistryClient(registry.url, max_in_flight=2) as client:
        found = await poll(client, REPOSITORY, Watermark())
    assert len(found.unknown) == 1
    assert found.watermark_after.size == len(TAGS)
    assert registry.by_kind == {"list": 1, "head": len(TAGS)}


async def test_poll_with_a_long_pause_ends_with_unknown_tags(registry: ScriptedRegistry) -> None:
    registry.put(REPOSITORY, TAGS)

    async def limited(request: web.Request) -> web.Response | None:
        return (
            web.Response(status=429, headers={"Retry-After": "60"})
            if registry.by_kind.get("head", 0) > 10
            else None
        )

    registry.faults.append(limited)
    async with RegistryClient(registry.url, max_in_flight=2) as client:
        found = await poll(client, REPOSITORY, Watermark())
        assert 1 <= len(TAGS) - len(found.unknown) <= 10
        assert registry.by_kind["head"] <= 12
        assert not found.notifications
        await paused(client)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock of pauses, which tests move."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(rate_limits, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


async def test_pause_without_retry_after_grows_with_jitter(clock: SimpleNamespace) -> None:
    waits = []
    for _ in range(30):
        pause = Pause("x")
        row = []
        for _ in range(14):
            clock.now += pause.remaining
            pause.begin(None, clock.now)
            row.append(pause.remaining)
        waits.append(row)
    for number, column in enumerate(zip(*waits, strict=True)):
        base = min(2.0**number, 2.0**12)
        longest = min(1.25 * base, MAX_PAUSE)
        assert all(min(0.75 * base, MAX_PAUSE) - 0.001 <= wait <= longest + 0.001 for wait in column)
        assert len(set(column)) > 1 or base * 0.75 > MAX_PAUSE


async def test_pause_with_simultaneous_refusals_counts_them_as_one(clock: SimpleNamespace) -> None:
    pause = Pause("x")
    started = clock.now
    for _ in range(10):
        clock.now += 0.001
        pause.begin(None, started)
    assert pause.remaining < 1.3
    pause.over(started - 1)  # an answer to a request that was sent before says nothing
    pause.begin(None, clock.now)
    assert pause.remaining >= 1.5
    clock.now += 10
    pause.over(clock.now)
    pause.begin(None, clock.now)
    assert pause.remaining < 1.3


async def test_pause_with_a_shorter_second_pause_keeps_the_longer(clock: SimpleNamespace) -> None:
    pause = Pause("x")
    pause.begin(60, clock.now)
    pause.begin(3, clock.now)
    assert pause.remaining == 60


async def test_pause_of_one_registry_leaves_another_unaffected(registry: ScriptedRegistry) -> None:
    registry.faults.append(answer_once(429, {"Retry-After": "120"}))
    async with ScriptedRegistry().served("127.0.0.2") as other:
        other.put(REPOSITORY, TAGS)
        async with RegistryClient(registry.url) as limited, RegistryClient(other.url) as free:
            await paused(limited)
            assert len(await free.list_tags(REPOSITORY)) == len(TAGS)


async def test_pause_of_a_registry_applies_to_all_its_clients(registry: ScriptedRegistry) -> None:
    registry.faults.append(answer_once(429, {"Retry-After": "120"}))
    async with RegistryClient(registry.url) as one, RegistryClient(registry.url) as two:
        await paused(one)
        await paused(two)
    assert registry.count() == 1


async def test_pause_with_a_429_of_the_token_service_applies_to_the_registry(
    registry: ScriptedRegistry,
) -> None:
    registry.sign_in = SignIn()
    registry.put(REPOSITORY, TAGS)
    registry.faults.append(answer_once(429, {"Retry-After": "120"}, "/token"))
    async with RegistryClient(registry.url) as client:
        assert (await paused(client)).retry_after > 100
        await paused(client)
    assert registry.by_kind == {"list": 1, "token": 1}


async def test_pause_with_ratelimit_remaining_0_begins(registry: ScriptedRegistry) -> None:
    registry.put(REPOSITORY, TAGS)
    headers = {
        "ratelimit-limit": "100;w=21600",
        "ratelimit-remaining": "0;w=21600",
        "Docker-Content-Digest": digest_of("first"),
    }
    registry.faults.append(answer_once(200, headers, "/manifests/"))
    async with RegistryClient(registry.url) as client:
        assert await client.digest(REPOSITORY, "v1") == digest_of("first")
        error = await paused(client)
    assert 210 < error.retry_after <= 216
    assert registry.count() == 1


async def test_pause_with_ratelimit_remaining_1_does_not_begin(registry: ScriptedRegistry) -> None:
    registry.put(REPOSITORY, TAGS)
    headers = {"ratelimit-remaining": "1;w=21600", "Docker-Content-Digest": digest_of("first")}
    registry.faults.append(answer_once(200, headers, "/manifests/"))
    async with RegistryClient(registry.url) as client:
        await client.digest(REPOSITORY, "v1")
        await client.list_tags(REPOSITORY)


async def test_list_tags_with_two_in_flight_stays_below_githubs_limit(registry: ScriptedRegistry) -> None:
    """GHCR refuses about ten lists at once: with two in flight, ten watchers get through."""
    registry.put(REPOSITORY, TAGS)
    registry.delay = 0.01

    async def picky(request: web.Request) -> web.Response | None:
        return web.Response(status=429) if registry.in_flight > 5 else None

    registry.faults.append(picky)
    async with RegistryClient(registry.url, max_in_flight=2) as client:
        lists = await asyncio.gather(*(client.list_tags(REPOSITORY) for _ in range(10)))
    assert all(len(tags) == len(TAGS) for tags in lists)
    assert registry.count() == 10
