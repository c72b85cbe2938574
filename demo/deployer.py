# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A receiver that does what a trigger is for: it pulls the image that was announced, by its digest."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from tests.harness import images
from tests.harness.receiver import Received, Receiver

if TYPE_CHECKING:
    from pathlib import Path

    from tests.harness.docker_registry import DockerRegistry

__all__ = ["HOOK", "Deployer"]

HOOK = "/hook"


class Deployer:
    """
    Answers a webhook at once and then pulls ``repo_full_name@digest`` with skopeo.

    :param registry: where images come from
    :param folder: for what is pulled
    """

    def __init__(self, registry: DockerRegistry, folder: Path) -> None:
        self._registry = registry
        self._folder = folder
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="deployer")
        self._pulls: list[tuple[Received, Future[str]]] = []
        self._lock = threading.Lock()
        self.receiver = Receiver(on_request=self._take)

    def __enter__(self) -> Deployer:
        self.receiver.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.receiver.stop()
        self._pool.shutdown(cancel_futures=True)

    def _take(self, request: Received) -> None:
        with self._lock:
            self._pulls.append((request, self._pool.submit(self._pull, request, len(self._pulls))))

    def _pull(self, request: Received, number: int) -> str:
        notification = request.json()
        repository = notification["repository"]["repo_full_name"]
        digest = notification["push_data"]["digest"]
        return images.pull(self._registry, repository, digest, self._folder / f"pulled-{number}")

    def count(self) -> int:
        """Tell how many webhooks came in so far."""
        return len(self.receiver.received())

    def wait_for(self, number: int, timeout: float = 60.0) -> tuple[Received, str]:
        """
        Wait for a webhook, and give it with the digest of what was pulled because of it.

        :param number: counted from 1
        :param timeout: seconds
        """
        self.receiver.wait_for(number, timeout)
        with self._lock:
            request, pulled = self._pulls[number - 1]
        return request, pulled.result(timeout)
