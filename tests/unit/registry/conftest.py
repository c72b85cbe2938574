# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""What the tests of the registry share."""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING, Any

import pytest

from airflow_registry_triggers.registry.http import session
from tests.unit.registry.scripted_registry import ScriptedRegistry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture
async def registry() -> AsyncIterator[ScriptedRegistry]:
    async with ScriptedRegistry().served() as served:
        yield served


def is_address(host: Any) -> bool:
    try:
        ipaddress.ip_address(str(host).partition("%")[0])
    except ValueError:
        return False
    return True


@pytest.fixture(autouse=True)
def no_resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    """No name but localhost resolves, and that at once, whatever the resolver of the machine does."""
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        if host is None or host == "localhost" or is_address(host):
            return real(host, *arguments, **options)
        str(host).encode("idna")  # raises UnicodeError as the system's lookup does
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    """Each test meets its registry for the first time, also where a port comes back."""
    session.forget_everything()
    yield
    assert not any(session._transports.values()), "a client was left open"
