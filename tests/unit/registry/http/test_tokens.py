# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Tokens: parsing, and a store whose bounds no registry can move."""

from __future__ import annotations

import base64
import json
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_registry_triggers.registry.client import RegistryClient
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.http import session
from airflow_registry_triggers.registry.http.tokens import Token, TokenStore, parse_token
from tests.unit.registry.raw_server import RawServer, Talk, reply

SCOPE = "repository:team/app:pull"
IDENTITY = ("http://registry.example", "hash")


def life_of(document: object) -> float | None:
    """Return the seconds for which a token of this document is used."""
    now = time.monotonic()
    token = parse_token(json.dumps(document).encode(), SCOPE, now)
    return None if token is None else round(token.good_until - now, 3)


def jwt(**claims: object) -> str:
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in ({}, claims)
    ]
    return ".".join([*parts, "signature"])


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"token": "t", "expires_in": 300}, 290),
        ({"token": "t", "expires_in": "300"}, 290),
        ({"token": "t", "expires_in": " 300 "}, 290),
        ({"token": "t", "expires_in": "300.5"}, 290.5),
        ({"token": "t", "expires_in": 8}, 4),  # half of a short life
        ({"token": "t"}, 50),
        ({"token": "t", "expires_in": "soon"}, 50),
        ({"token": "t", "expires_in": -5}, 50),
        ({"token": "t", "expires_in": 0}, 50),
        ({"token": "t", "expires_in": True}, 50),
        ({"token": "t", "expires_in": [300]}, 50),
        ({"token": "t", "expires_in": 43_200}, 3590),  # an hour at most
        ({"token": "t", "expires_in": 10**8}, 3590),
        ({"token": "t", "expires_in": 1e308}, 50),
        ({"token": None, "access_token": "t", "expires_in": 300}, 290),
        ({"access_token": "t", "refresh_token": "r", "expires_in": 300}, 290),
        ({"token": jwt(exp=time.time() + 10**8)}, 3590),
        ({"token": jwt(exp="tomorrow")}, 50),
        ({"token": "a.b.c"}, 50),
        ({}, None),
        ({"token": 7}, None),
        ({"token": "a b"}, None),
        ({"token": "a\r\nX: y"}, None),
        ({"token": "t" * 32_769}, None),
        ([], None),
    ],
)
def test_parse_token_of_a_document_returns_its_life(document: object, expected: float | None) -> None:
    assert life_of(document) == expected


def test_parse_token_without_expires_in_reads_the_end_of_a_jwt() -> None:
    life = life_of({"token": jwt(exp=time.time() + 600)})
    assert life is not None
    assert 585 <= life <= 590
    life = life_of({"token": jwt(exp=time.time() + 7200)})
    assert life == 3590


@given(
    st.binary(max_size=60)
    | st.recursive(st.none() | st.floats() | st.text(max_size=5), st.lists).map(
        lambda value: json.dumps({"token": "t", "expires_in": value}).encode()
    )
)
def test_parse_token_of_any_body_lives_for_at_most_an_hour(body: bytes) -> None:
    now = time.monotonic()
    token = parse_token(body, SCOPE, now)
    assert token is None or now <= token.good_until <= now + 3600


def test_token_repr_hides_it() -> None:
    assert "planted" not in repr(Token("Bearer planted", SCOPE, 0.0))


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3), st.booleans()), max_size=200))
def test_token_store_keeps_one_token_for_a_repository_and_stays_within_its_bound(
    steps: list[tuple[int, int, bool]],
) -> None:
    store, model = TokenStore(10), {}
    for number, scope, drops in steps:
        key = (IDENTITY, "http://registry.example", f"team/app{number}")
        token = Token(f"Bearer {number}", f"scope{scope}", time.monotonic() + 100)
        if drops:
            known = model.pop(key, None)
            store.drop(key, known or token)
        else:
            store.put(key, token)
            model[key] = token
        assert len(store) <= 10
        assert store.get(key, f"scope{scope}") is (None if drops else token)
        assert store.get(key, "another scope") is None


def test_token_store_with_a_token_that_ended_returns_none() -> None:
    store = TokenStore()
    key = (IDENTITY, "o", "r")
    store.put(key, Token("Bearer t", SCOPE, time.monotonic() - 1))
    assert store.get(key, SCOPE) is None


def test_token_store_drops_only_the_token_that_was_refused() -> None:
    store = TokenStore()
    key = (IDENTITY, "o", "r")
    old, new = (Token(f"Bearer {name}", SCOPE, time.monotonic() + 9) for name in ("old", "new"))
    store.put(key, new)
    store.drop(key, old)
    assert store.get(key, SCOPE) is new


def test_token_store_by_default_keeps_1000_tokens() -> None:
    store = TokenStore()
    for number in range(1_100):
        store.put((IDENTITY, "o", f"r{number}"), Token("Bearer t", SCOPE, time.monotonic() + 9))
    assert len(store) == 1_000


async def test_client_of_a_registry_with_endless_scopes_and_large_tokens_keeps_a_bounded_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """1,000 tokens of 8 KB for each poll stayed for ever."""
    store = TokenStore(50)
    monkeypatch.setattr(session, "_tokens", store)
    scopes: list[str] = []

    async def script(talk: Talk) -> None:
        talk.keeps = True
        if talk.path.startswith("/token"):
            scopes.append(talk.path)
            body = json.dumps({"token": f"{len(scopes)}".ljust(8_000, "x"), "expires_in": 10**8}).encode()
            await talk.send(reply(200, body))
        elif "authorization" in talk.head.lower() and talk.number % 2:
            await talk.send(reply(200, b'{"name":"x","tags":["v1"]}'))
        else:
            challenge = f'Bearer realm="{server.url}/token",scope="repository:r{talk.number}:pull"'
            await talk.send(reply(401, b"{}", f"WWW-Authenticate: {challenge}"))

    async with RawServer(script) as server, RegistryClient(server.url, max_in_flight=10) as client:
        for number in range(60):
            with suppress(RegistryError):
                await client.list_tags(f"team/app{number}")
    assert len(scopes) >= 60
    assert len(store) <= 50
    assert max(token.good_until for token in store._tokens.values()) <= time.monotonic() + 3600
