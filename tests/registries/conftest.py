# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The registries that the suite runs against. Each one is started once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from tests.harness.docker_registry import DockerRegistry
from tests.harness.images import Image, put_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from airflow_registry_triggers.registry.client import RegistryClient


@dataclass
class Subject:
    """
    A registry under test.

    :param name: for reports
    :param server: the running registry, which clients read
    :param source: the registry that images are pushed to; another one for a cache
    :param limits: check of the suite to the property of this registry that rules it out
    :param tokens: whether it wants bearer tokens
    """

    name: str
    server: Any
    source: Any
    limits: Mapping[str, str] = field(default_factory=dict)
    tokens: bool = False

    def client(self, password: str | None = None, *, anonymous: bool = False) -> RegistryClient:
        """Return a client of the package, with the registry's login."""
        from airflow_registry_triggers.registry.client import RegistryClient

        user, right = self.server.credentials or (None, None)
        login = {} if anonymous else {"username": user, "password": password or right}
        return RegistryClient(self.server.url, ca_file=self.server.ca_file, **login)

    def push(self, content: str, repository: str, *tags: str) -> str:
        """Push an image under some tags and return its digest."""
        return put_image(self.source, Image(content), repository, tags)

    def make_private(self, repository: str) -> None:
        """Let only logins read a repository, on a registry that publishes new repositories."""
        if hasattr(self.source, "make_private"):
            self.source.make_private(repository)


def _docker_registry(folder: Path) -> DockerRegistry:
    return DockerRegistry(folder, protected=True)


def _zuul_registry(folder: Path) -> Any:
    from tests.harness.zuul_registry import ZuulRegistry

    return ZuulRegistry(folder)


def _token_registry(folder: Path) -> Any:
    from tests.harness.token_registry import TokenRegistry

    return TokenRegistry(folder, trustme.CA())


def _nginx(folder: Path) -> Any:
    from tests.harness.nginx import NginxRegistry

    return NginxRegistry(folder, trustme.CA())


def _pulp(folder: Path) -> Any:
    from tests.harness.pulp import Pulp

    return Pulp(folder)


_BASIC = "it wants a Basic login, which does not expire"
_SERVERS: dict[str, tuple[Callable[[Path], AbstractContextManager[Any]], dict[str, str], bool]] = {
    "docker-registry": (_docker_registry, {"token": _BASIC}, False),
    "zuul-registry": (
        _zuul_registry,
        {"token": "its tokens have no end"},
        True,
    ),
    "docker-registry-with-tokens": (_token_registry, {}, True),
    "nginx": (_nginx, {"token": _BASIC}, False),
    "pulp": (_pulp, {"token": "its tokens live for at least a minute"}, True),
}
_QUICK = ("docker-registry", "zuul-registry")
CACHE = "pull-through-cache"

_LONG = pytest.mark.registries


@pytest.fixture(
    scope="module",
    params=[
        *_QUICK,
        *(pytest.param(name, marks=_LONG) for name in _SERVERS if name not in _QUICK),
        pytest.param(CACHE, marks=_LONG),
    ],
)
def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    name = request.param
    folder = tmp_path_factory.mktemp(name)
    if name == CACHE:
        with DockerRegistry(folder / "upstream") as upstream:
            settings = {"proxy": {"remoteurl": upstream.url}}
            with DockerRegistry(folder / "cache", settings=settings) as cache:
                limits = {
                    "login": "the cache has the login of its upstream, and asks for none",
                    "token": "no login",
                    "restart": "a cache that restarts is a restart of the upstream's reader, not of the upstream",
                }
                yield Subject(name, cache, upstream, limits)
        return
    make, limits, tokens = _SERVERS[name]
    with make(folder) as server:
        yield Subject(name, server, server, limits, tokens)


@pytest.fixture(autouse=True)
def _within_limits(request: pytest.FixtureRequest) -> None:
    marker = request.node.get_closest_marker("check")
    if marker is None or "subject" not in request.fixturenames:
        return
    reason = request.getfixturevalue("subject").limits.get(marker.args[0])
    if reason:
        pytest.skip(f"limit of this registry: {reason}")
