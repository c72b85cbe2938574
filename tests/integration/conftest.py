# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""What the tests of the tasks share: a registry, a receiver, and Connections to both."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness import images
from tests.harness.docker_registry import DockerRegistry
from tests.harness.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_numbers = itertools.count()


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with DockerRegistry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Define a Connection for one test."""

    def define(conn_id: str, **values: Any) -> None:
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(values))

    return define


@pytest.fixture
def allow_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__REGISTRY_TRIGGERS__ALLOWED_NETWORKS", "127.0.0.0/8")


@pytest.fixture
def chain(
    registry: DockerRegistry, receiver: Receiver, connect: Callable[..., None], allow_loopback: None
) -> Chain:
    """A repository and a receiver of the test's own, behind the default Connections."""
    connect(
        "registry_default",
        conn_type="oci_registry",
        host="127.0.0.1",
        port=registry.port,
        extra={"scheme": "http"},
    )
    connect(
        "webhook_default",
        conn_type="webhook",
        schema="http",
        host="127.0.0.1",
        port=receiver.port,
        extra={"path": "/hook"},
    )
    return Chain(registry, receiver, f"team/app{next(_numbers)}")


class Chain:
    """What is at the two ends of a chain of tasks."""

    def __init__(self, registry: DockerRegistry, receiver: Receiver, repository: str) -> None:
        self.registry = registry
        self.receiver = receiver
        self.repository = repository
        self._labels = itertools.count()

    def push(self, *tags: str) -> str:
        """Push a new image under these tags; give its digest."""
        image = images.Image(f"{self.repository}-{next(self._labels)}")
        return images.put_image(self.registry, image, self.repository, tags)

    def bodies(self, path: str = "/hook") -> list[Any]:
        """Give the JSON that was received."""
        return [item.json() for item in self.receiver.received(path)]
