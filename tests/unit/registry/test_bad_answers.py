# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Registries that answer badly in several ways within one poll: one line, no change, and the next poll runs."""

from __future__ import annotations

import itertools
import logging
import time

import pytest

from airflow_registry_triggers.registry.client import RegistryClient
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.http.rate_limits import Limits
from airflow_registry_triggers.registry.poll import poll
from airflow_registry_triggers.registry.poll_memory import PollMemory
from airflow_registry_triggers.registry.watermark import Watermark
from airflow_registry_triggers.tag_rule import TagRule
from tests.unit.registry.raw_server import RawServer, Talk, reply
from tests.unit.registry.scripted_registry import digest_of

REPOSITORY = "team/app"
TAGS = [f"v{number}" for number in range(12)]
LISTED = '{"name":"team/app","tags":[%s]}'

FAULTS: dict[str, tuple[bytes, str]] = {
    "500": (reply(500, b"{}"), "unavailable"),
    "502 html": (reply(502, b"<html>", "Content-Type: text/html"), "unavailable"),
    "403": (reply(403, b"{}"), "credentials"),
    "closed": (b"", "unavailable"),
    "cut": (b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{", "unavailable"),
    "not http": (b"hello\r\n\r\n", "refused_answer"),
    "loop": (reply(302, b"", "Location: /v2/loop"), "refused_answer"),
    "html": (reply(200, b"<html>", "Content-Type: text/html"), "refused_answer"),
    "407": (reply(407, b"<html>"), "proxy"),
}
"""Answer, and the kind of the error that it is."""


class Faulty:
    """A registry whose answers of one sort alternate between faults."""

    def __init__(self) -> None:
        self.tags = dict.fromkeys(TAGS, "one")
        self.manifests: list[str] = []
        self.listings: list[str] = []
        self._turn = itertools.count()

    async def __call__(self, talk: Talk) -> None:
        is_list = "/tags/list" in talk.path
        faults = self.listings if is_list else self.manifests
        if faults and talk.path != "/v2/":
            answer = FAULTS[faults[next(self._turn) % len(faults)]][0]
            is_body = talk.method == "HEAD" and answer.startswith(b"HTTP")
            await talk.send(answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if is_body else answer)
            return
        talk.keeps = True
        if is_list:
            listed = LISTED % ",".join(f'"{tag}"' for tag in self.tags)
            await talk.send(reply(200, listed.encode()))
        elif talk.path == "/v2/":
            await talk.send(reply(200, b"{}"))
        else:
            digest = digest_of(self.tags[talk.path.rpartition("/")[2]])
            await talk.send(reply(200, b"", f"Docker-Content-Digest: {digest}"))


@pytest.mark.parametrize(("first", "second"), [*itertools.combinations(FAULTS, 2)])
@pytest.mark.parametrize("named", [False, True])
async def test_poll_with_two_faults_in_turn_changes_nothing_and_the_next_one_finds_the_push(
    first: str, second: str, named: bool, caplog: pytest.LogCaptureFixture
) -> None:
    faulty, memory = Faulty(), PollMemory()
    rule = TagRule(tags=TAGS[:10]) if named else TagRule()
    async with RawServer(faulty) as server, RegistryClient(server.url) as client:
        before = (await poll(client, REPOSITORY, Watermark(), rule, memory=memory)).watermark_after
        stored = before.to_dict()
        faulty.manifests = [first, second]
        caplog.set_level(logging.INFO, "airflow_registry_triggers")
        for _ in range(2):
            try:
                found = await poll(client, REPOSITORY, before, rule, memory=memory)
            except RegistryError as error:
                assert "\n" not in str(error)
                assert error.kind in (FAULTS[first][1], FAULTS[second][1])
            else:
                assert found.notifications == []
                assert found.watermark_after.to_dict() == stored
                assert found.unknown
            assert before.to_dict() == stored
        lines = [record.getMessage() for record in caplog.records]
        assert len(lines) <= 1  # said once, not in each poll
        assert not any("\n" in line for line in lines)
        faulty.manifests = []
        faulty.tags["v3"] = "two"
        found = await poll(client, REPOSITORY, before, rule, memory=memory)
    assert [item.tag for item in found.notifications] == ["v3"]


@pytest.mark.parametrize("name", FAULTS)
async def test_poll_whose_listing_fails_has_the_kind_of_the_fault(name: str) -> None:
    faulty = Faulty()
    async with RawServer(faulty) as server, RegistryClient(server.url) as client:
        before = (await poll(client, REPOSITORY, Watermark())).watermark_after
        faulty.listings = faulty.manifests = [name]
        with pytest.raises(RegistryError) as caught:
            await poll(client, REPOSITORY, before)
        assert caught.value.kind == FAULTS[name][1]
        assert "\n" not in str(caught.value)
        faulty.listings = faulty.manifests = []
        faulty.tags["v3"] = "two"
        assert len((await poll(client, REPOSITORY, before)).notifications) == 1


@pytest.mark.parametrize("named", [False, True])
async def test_poll_of_a_registry_that_redirects_in_a_loop_raises_or_reports_it(named: bool) -> None:
    faulty = Faulty()
    rule = TagRule(tags=TAGS[:10]) if named else TagRule()
    async with RawServer(faulty) as server, RegistryClient(server.url) as client:
        before = (await poll(client, REPOSITORY, Watermark(), rule)).watermark_after
        faulty.manifests = faulty.listings = ["loop"]
        with pytest.raises(RegistryError, match="more than 3 redirects") as caught:
            await poll(client, REPOSITORY, before, rule)
    assert caught.value.kind == "refused_answer"


async def test_poll_whose_token_ends_within_it_renews_in_time_and_sees_no_401(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An 8 s token during a 51 s poll, on a clock that each answer moves."""
    issued: dict[str, float] = {}
    refused, passed, monotonic = 0, 0.0, time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: monotonic() + passed)

    async def script(talk: Talk) -> None:
        nonlocal refused, passed
        talk.keeps = True
        if talk.path.startswith("/token"):
            issued[f"t{len(issued)}"] = time.monotonic()
            await talk.send(reply(200, b'{"token":"t%d","expires_in":"8"}' % (len(issued) - 1)))
            return
        token = talk.head.partition("Bearer ")[2].partition("\r\n")[0]
        if time.monotonic() - issued.get(token, -10) > 8:
            refused += 1
            challenge = f'WWW-Authenticate: bearer realm="{server.url}/token",service=x'
            await talk.send(reply(401, b"{}", challenge))
        elif "/tags/list" in talk.path:
            await talk.send(reply(200, (LISTED % ",".join(f'"t{n}"' for n in range(60))).encode()))
        else:
            passed += 0.85
            await talk.send(reply(200, b"", "Docker-Content-Digest: " + digest_of("one")))

    async with RawServer(script) as server, RegistryClient(server.url, max_in_flight=1) as client:
        found = await poll(client, REPOSITORY, Watermark())
    assert (found.watermark_after.size, found.unknown) == (60, {})
    assert refused == 1  # the first request, before the challenge was known
    assert len(issued) >= 5


async def test_poll_that_stalls_in_each_head_uses_the_statuses_that_were_read() -> None:
    async def script(talk: Talk) -> None:
        if "/tags/list" in talk.path:
            await talk.send(reply(200, b'{"name":"team/app","tags":["v1","v2"]}'))
        else:
            digest = "Docker-Content-Digest: " + digest_of("one")
            await talk.send(f"HTTP/1.1 200 OK\r\n{digest}\r\nX-Slow: ".encode())
            await talk.hold(29.5)  # half a second before the end of the request

    limits = Limits(seconds=30)
    async with RawServer(script) as server, RegistryClient(server.url, limits=limits) as client:
        found = await poll(client, REPOSITORY, Watermark())
    assert (found.watermark_after.size, found.unknown) == (2, {})
