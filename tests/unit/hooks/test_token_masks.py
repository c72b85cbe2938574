# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Tokens in Airflow's masker: the ends of the latest ones, registered by a thread."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time

import pytest
from aiohttp import web
from airflow.sdk._shared import secrets_masker
from airflow.sdk._shared.secrets_masker import SecretsMasker
from airflow.sdk.execution_time import task_runner

from airflow_registry_triggers.hooks import token_masks
from airflow_registry_triggers.hooks.registry_target import RegistryTarget
from airflow_registry_triggers.hooks.token_masks import KEPT_CHARACTERS, MAX_TOKENS, TokenMasks
from airflow_registry_triggers.hooks.watch_settings import WatchSettings
from tests.unit.registry.scripted_registry import ScriptedRegistry


@pytest.fixture
def masker(monkeypatch):
    masker = SecretsMasker()
    monkeypatch.setattr(secrets_masker, "_secrets_masker", lambda: masker)
    return masker


def until(condition):
    ends_at = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < ends_at
        time.sleep(0.002)


def is_masked(masker, text):
    return "***" in masker.redact(text)


def test_add_masks_the_end_of_a_long_token_and_a_short_token_as_a_whole(masker):
    masks, long, short = TokenMasks(), secrets.token_urlsafe(6000), "hub-token-1"
    masks.add(long)
    masks.add(short)
    until(lambda: is_masked(masker, long) and is_masked(masker, short))
    assert masker.redact(f"got {long}.") == f"got {long[:-KEPT_CHARACTERS]}***."
    assert masker.redact(f"got {short}.") == "got ***."


def test_add_of_a_word_as_token_masks_nothing(masker):
    masks = TokenMasks()
    masks.add("https")
    masks.add("a-longer-token")
    until(lambda: is_masked(masker, "a-longer-token"))
    assert masker.redact("https://registry.example.com") == "https://registry.example.com"


def test_add_of_more_tokens_than_the_bound_removes_the_oldest(masker):
    masks = TokenMasks(3)
    for number in range(9):
        masks.add(f"token-number-{number}")
        until(lambda: is_masked(masker, f"token-number-{number}"))  # noqa: B023
    assert [number for number in range(9) if is_masked(masker, f"token-number-{number}")] == [6, 7, 8]
    assert len(masker.patterns) == 3


def test_add_of_a_known_token_keeps_it_for_longer(masker):
    masks = TokenMasks(2)
    for token in ("first-token", "second-token", "first-token", "third-token"):
        masks.add(token)
        until(lambda: not masks._pending and is_masked(masker, token))  # noqa: B023
    until(lambda: not is_masked(masker, "second-token"))
    assert is_masked(masker, "first-token")


def test_a_token_that_equals_a_password_never_unmasks_the_password(masker):
    masker.add_mask("planted-password")
    masks = TokenMasks(2)
    for token in ("planted-password", "token-one", "token-two", "token-three"):
        masks.add(token)
    until(lambda: is_masked(masker, "token-three") and not is_masked(masker, "token-one"))
    assert is_masked(masker, "planted-password")


def test_a_password_that_another_thread_registers_meanwhile_stays_masked(masker, monkeypatch):
    compiled = token_masks._compile

    def interrupted(pattern):
        found = compiled(pattern)
        masker.add_mask("planted-password")  # Airflow's pattern is replaced by the older one otherwise
        return found

    monkeypatch.setattr(token_masks, "_compile", interrupted)
    masks = TokenMasks()
    masks.add("a-longer-token")
    until(lambda: is_masked(masker, "a-longer-token"))
    until(lambda: is_masked(masker, "planted-password"))


def test_a_token_that_another_thread_overwrites_is_masked_soon(masker):
    masks = TokenMasks()
    masks.add("a-longer-token")
    until(lambda: is_masked(masker, "a-longer-token"))
    masker.replacer = None  # a registration that began before the token's ends after it
    until(lambda: is_masked(masker, "a-longer-token"))


def test_tokens_are_registered_by_one_daemon_thread(masker):
    masks = TokenMasks()
    before = {thread.ident for thread in threading.enumerate()}
    for number in range(50):
        masks.add(f"token-number-{number}")
    until(lambda: is_masked(masker, "token-number-49"))
    started = [thread for thread in threading.enumerate() if thread.ident not in before]
    assert [(thread.name, thread.daemon) for thread in started] == [("token-masks", True)]


@pytest.fixture
def told(monkeypatch):
    told = []

    class Comms:
        def send(self, message):
            told.append(message.value)

    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Comms(), raising=False)
    return told


def test_add_tells_the_supervisor_a_bounded_number_of_tokens(masker, told):
    masks = TokenMasks(3)
    for number in range(9):
        masks.add(f"token-number-{number}")
        until(lambda: is_masked(masker, f"token-number-{number}"))  # noqa: B023
    assert told == [f"token-number-{number}" for number in range(3)]


def test_tokens_in_a_masker_of_another_airflow_are_registered_up_to_the_bound(masker, told, monkeypatch):
    monkeypatch.setattr(token_masks, "_masker", lambda: None)
    monkeypatch.setattr("airflow.sdk.log._secrets_masker", lambda: masker)
    masks = TokenMasks(3)
    for number in range(9):
        masks._register([f"token-number-{number}"])
    assert told == [f"token-number-{number}" for number in range(3)]
    assert [number for number in range(9) if is_masked(masker, f"token-number-{number}")] == [0, 1, 2]


async def test_tokens_of_8_kb_for_each_repository_do_not_hold_the_event_loop(masker):
    worst, running = 0.0, True

    async def watch():
        nonlocal worst
        while running:
            begin = time.perf_counter()
            await asyncio.sleep(0)
            worst = max(worst, time.perf_counter() - begin)

    async with ScriptedRegistry().served() as registry:

        async def fault(request: web.Request) -> web.Response | None:
            if request.path == "/token":
                return web.json_response({"token": secrets.token_urlsafe(6000), "expires_in": 300})
            if "Authorization" in request.headers:
                return web.json_response({"name": "x", "tags": ["a"]})
            challenge = f'Bearer realm="{registry.url}/token",service="x"'
            return web.Response(status=401, headers={"WWW-Authenticate": challenge})

        registry.faults.append(fault)
        target = RegistryTarget("c", registry.url, "team/app", None, None, None, None, None, WatchSettings())
        watching = asyncio.create_task(watch())
        async with target.client() as client:
            for number in range(20):
                await client.list_tags(f"team/app{number}")
        running = False
        await watching
    assert worst < 0.1
    until(lambda: masker.patterns)
    assert len(masker.patterns) <= MAX_TOKENS
    assert max(map(len, masker.patterns)) <= 2 * KEPT_CHARACTERS
