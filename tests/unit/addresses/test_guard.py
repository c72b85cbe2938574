# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Rule 3, the guard: one look-up, every answer judged, and the socket's address again."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import textwrap
import threading
import time
from typing import TYPE_CHECKING

import pytest

from airflow_registry_triggers.addresses.guard import (
    LOOKUP_TIMEOUT,
    GuardedResolver,
    LookUpTimeout,
    SocketGuard,
    look_up,
)
from airflow_registry_triggers.addresses.table import AddressBlocked
from airflow_registry_triggers.webhook.attempt import Attempt, send
from airflow_registry_triggers.webhook.outcome import Outcome
from airflow_registry_triggers.webhook.url import parse_endpoint
from tests.harness.processes import free_port
from tests.unit.addresses.silent_port import silent_port
from tests.unit.webhook.cases import json_cases
from tests.unit.webhook.name_server import NameServer
from tests.unit.webhook.scripted_server import ScriptedServer, answering, response

if TYPE_CHECKING:
    from collections.abc import Iterator

OK = answering(response(200))


@pytest.fixture
def names() -> Iterator[NameServer]:
    answers: dict[str, list[list[str] | None]] = {
        "public.test": [["93.184.216.34"]],
        "twice.test": [["93.184.216.34", "93.184.216.34", "2606:4700:4700::1111"]],
        "mixed.test": [["93.184.216.34", "127.0.0.1"]],
        "mixed6.test": [["93.184.216.34", "::1"]],
        "mapped.test": [["::ffff:127.0.0.1"]],
        "hung.test": [None],
        "nothing.test": [[]],
        "flip.test": [["127.0.0.2"], ["127.0.0.1"]],
        "pair.test": [["127.0.0.1", "127.0.0.2"]],
        "local.test": [["127.0.0.1"]],
        "metadata.packet.net": [["93.184.216.34"]],
        "metadata.google.internal": [["169.254.169.254"]],
    }
    with NameServer(answers) as server:
        yield server


async def post(url: str, names: NameServer, allowed: tuple[str, ...] = (), timeout: float = 30) -> Attempt:
    endpoint = parse_endpoint(url)
    return await send(endpoint, b"{}", {}, timeout=timeout, allowed_networks=allowed, lookup=names.look_up)


async def test_resolve_public_answers_are_returned_once_each(names: NameServer) -> None:
    found = await GuardedResolver(lookup=names.look_up).resolve("twice.test", 80)
    assert [(entry["host"], entry["family"]) for entry in found] == [
        ("93.184.216.34", socket.AF_INET),
        ("2606:4700:4700::1111", socket.AF_INET6),
    ]


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("mixed.test", "loopback"),
        ("mixed6.test", "loopback"),
        ("mapped.test", "loopback, as 127.0.0.1 inside"),
        ("metadata.google.internal", "cloud metadata, by its name"),
        ("metadata.packet.net", "cloud metadata, by its name"),
        ("METADATA.packet.net.", "cloud metadata, by its name"),
    ],
)
async def test_resolve_any_blocked_answer_blocks_the_name(names: NameServer, name: str, named: str) -> None:
    resolver = GuardedResolver(lookup=lambda host, port: names.look_up(host.lower(), port))
    with pytest.raises(AddressBlocked) as refused:
        await resolver.resolve(name, 80)
    assert refused.value.address_class == named
    assert name in str(refused.value)


async def test_resolve_metadata_name_with_a_listed_address_is_returned(names: NameServer) -> None:
    resolver = GuardedResolver(["93.184.216.34/32"], lookup=names.look_up)
    assert len(await resolver.resolve("metadata.packet.net", 80)) == 1


async def test_resolve_name_without_an_address_raises(names: NameServer) -> None:
    with pytest.raises(socket.gaierror):
        await GuardedResolver(lookup=names.look_up).resolve("nothing.test", 80)


async def test_resolve_slow_lookup_raises_a_timeout(names: NameServer) -> None:
    assert LOOKUP_TIMEOUT == 5
    with pytest.raises(LookUpTimeout, match=r"hung\.test took more than 0\.1 s"):
        await GuardedResolver(lookup=names.look_up, timeout=0.1).resolve("hung.test", 80)


async def test_look_up_localhost_returns_addresses() -> None:
    assert "127.0.0.1" in look_up("localhost", 80)


async def test_resolve_blocking_lookup_does_not_block_the_loop() -> None:
    threads: list[threading.Thread] = []
    ticked = threading.Event()

    def slow(host: str, port: int) -> list[str]:
        threads.append(threading.current_thread())
        assert ticked.wait(30), "the loop is blocked"
        return ["93.184.216.34"]

    lookup = asyncio.create_task(GuardedResolver(lookup=slow, timeout=60).resolve("h.test", 80))
    for _ in range(5):
        await asyncio.sleep(0.02)
    assert not lookup.done()
    ticked.set()
    assert await lookup
    assert [thread.daemon for thread in threads] == [True]


def test_resolve_hung_lookup_ends_in_time_and_blocks_no_exit() -> None:
    script = """
        import asyncio, time
        from airflow_registry_triggers.webhook.attempt import send
        from airflow_registry_triggers.webhook.url import parse_endpoint
        def hung(host, port):
            time.sleep(60)
        began = time.monotonic()
        attempt = asyncio.run(send(parse_endpoint("http://h.test/"), b"{}", {}, timeout=15, lookup=hung))
        print(attempt.status_code, attempt.outcome.value, attempt.ambiguous, time.monotonic() - began)
    """
    began = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    status_code, outcome, ambiguous, took = ended.stdout.split()
    assert (status_code, outcome, ambiguous) == ("timeout", "retry", "False")
    assert 5 <= float(took) < 15, "the limit of the lookup, not that of the request"
    assert time.monotonic() - began < 60, "the exit does not wait for the lookup"


async def test_send_blocked_name_opens_no_socket(names: NameServer) -> None:
    async with ScriptedServer(OK) as server:
        attempt = await post(f"http://local.test:{server.port}/", names)
        mixed = await post(f"http://mixed.test:{server.port}/", names)
    assert (attempt.status_code, attempt.outcome, attempt.ambiguous) == ("blocked", Outcome.FINAL, False)
    assert mixed.status_code == "blocked"
    assert "127.0.0.1" in attempt.reason
    assert "loopback" in attempt.reason
    assert "[registry_triggers] allowed_networks" in attempt.reason
    assert server.connections == 0


async def test_send_rebinding_name_is_looked_up_once_and_gets_nothing(names: NameServer) -> None:
    # 127.0.0.2 stands for the public address here: it is the only one that is listed.
    async with (
        ScriptedServer(OK, host="127.0.0.2", port=free_port()) as public,
        ScriptedServer(OK, host="127.0.0.1", port=public.port) as private,
    ):
        first = await post(f"http://flip.test:{public.port}/", names, allowed=("127.0.0.2/32",))
        assert (first.status_code, names.lookups("flip.test")) == ("200", 1)
        second = await post(f"http://flip.test:{public.port}/", names, allowed=("127.0.0.2/32",))
    assert (second.status_code, names.lookups("flip.test")) == ("blocked", 2)
    assert (public.connections, private.connections) == (1, 0)


async def test_send_socket_is_checked_without_the_resolver(
    names: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first of the two judges is gone: the second must hold alone.
    monkeypatch.setattr(GuardedResolver, "_check", lambda self, host, answer: None)
    async with (
        ScriptedServer(OK, host="127.0.0.2", port=free_port()) as listed,
        ScriptedServer(OK, host="127.0.0.1", port=listed.port) as private,
    ):
        attempt = await post(f"http://local.test:{private.port}/", names)
        pair = await post(f"http://pair.test:{private.port}/", names, allowed=("127.0.0.2/32",))
    assert (attempt.status_code, attempt.outcome) == ("blocked", Outcome.FINAL)
    assert "loopback" in attempt.reason
    assert pair.status_code == "200"
    assert (listed.connections, private.connections) == (1, 0)


async def test_send_literal_address_is_checked_at_the_socket() -> None:
    async with ScriptedServer(OK) as server:
        endpoint = parse_endpoint(server.url, allowed_networks=["127.0.0.0/8"])
        attempt = await send(endpoint, b"{}", {}, allowed_networks=())
    assert (attempt.status_code, server.connections) == ("blocked", 0)


def test_socket_guard_opens_sockets_for_public_addresses_only() -> None:
    guard = SocketGuard()
    guard((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", 80))).close()
    assert guard.blocked is None
    with pytest.raises(PermissionError):
        guard((socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 80, 0, 0)))
    assert guard.blocked is not None


async def test_resolver_default_is_the_system_lookup() -> None:
    async with ScriptedServer(OK) as server:
        endpoint = parse_endpoint(f"http://localhost:{server.port}/")
        attempt = await send(endpoint, b"{}", {}, timeout=30, allowed_networks="127.0.0.0/8 ::1/128")
    assert (attempt.status_code, server.connections) == ("200", 1)


async def test_send_next_address_is_tried_after_a_refused_connection(names: NameServer) -> None:
    async with ScriptedServer(OK, host="127.0.0.2", port=free_port()) as server:
        attempt = await post(f"http://pair.test:{server.port}/", names, allowed=("127.0.0.0/8",))
    assert (attempt.status_code, server.connections) == ("200", 1)


async def test_send_next_address_is_tried_if_the_first_does_not_answer(names: NameServer) -> None:
    async with ScriptedServer(OK, host="127.0.0.2", port=free_port()) as server:
        with silent_port("127.0.0.1", server.port):
            began = time.monotonic()
            attempt = await post(f"http://pair.test:{server.port}/", names, allowed=("127.0.0.0/8",))
    assert (attempt.status_code, server.connections) == ("200", 1)
    assert time.monotonic() - began < 15, "long before the time limit of the request"


async def test_send_ipv6_address_is_delivered() -> None:
    try:
        server = await ScriptedServer(OK, host="::1").__aenter__()
    except OSError:
        pytest.skip("there is no IPv6 here")
    async with server:
        endpoint = parse_endpoint(f"http://[::1]:{server.port}/", allowed_networks=["::1/128"])
        attempt = await send(endpoint, b"{}", {}, allowed_networks=["::1/128"])
        refused = await send(endpoint, b"{}", {})
    assert (attempt.status_code, refused.status_code, server.connections) == ("200", "blocked", 1)
    assert f"Host: [::1]:{server.port}\r\n".encode() in server.requests[0]


async def test_send_trailing_dot_reaches_the_lookup() -> None:
    asked: list[str] = []

    def lookup(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    async with ScriptedServer(OK) as server:
        for host in ("h.test.", "h.test"):
            endpoint = parse_endpoint(f"http://{host}:{server.port}/")
            await send(endpoint, b"{}", {}, allowed_networks=["127.0.0.0/8"], lookup=lookup)
    assert asked == ["h.test.", "h.test"]
    assert all(f"Host: h.test:{server.port}\r\n".encode() in request for request in server.requests)


async def test_resolve_shared_blocked_url_cases_are_blocked() -> None:
    wrong = {}
    for row in json_cases("ssrf-urls.json"):
        # A rebinding name (resolves_sequence) has a test of its own above.
        if row["verdict"] != "reject-resolved" or "resolves_to" not in row:
            continue
        answers = row["resolves_to"]
        endpoint = parse_endpoint(row["url"])
        attempt = await send(endpoint, b"{}", {}, timeout=30, lookup=lambda *_, found=answers: found)
        if attempt.status_code != "blocked":
            wrong[row["id"]] = attempt
    assert wrong == {}


async def test_resolve_shared_allowed_url_cases_pass() -> None:
    for row in json_cases("ssrf-urls.json"):
        if row["verdict"] == "allow":
            answers = row["resolves_to"]
            resolver = GuardedResolver(lookup=lambda *_, found=answers: found)
            assert await resolver.resolve(parse_endpoint(row["url"]).lookup_name, 80)
