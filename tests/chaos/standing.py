# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
Digests that push mode must deliver: those that stood while the api-server answered and a watcher ran.

With a poll every 10 minutes, a webhook is the only sign of a push. It needs the api-server, and the hint
needs a watcher; the first poll of a watcher finds the digests that stand at that moment.
"""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from tests.harness.processes import wait_until
from tests.harness.push_mode import send_webhook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future

    from tests.chaos.cluster import Cluster
    from tests.chaos.ledger import State

__all__ = ["STANDS", "Outage", "Outages", "full_polls", "stood"]

STANDS = 5.0
"""Seconds for which a digest must stand: the webhook, the hint, and the polls of the hint after 0, 1 and 4 s."""

_LISTING = re.compile(r'\[([^]]+)\] "GET /v2/(\S+)/tags/list')


class Outage(NamedTuple):
    """Time from a kill until the killed process works again (``time.time()``)."""

    begin: float
    end: float


class Outages:
    """
    Record for how long killed api-servers and triggerers were missing.

    :param running: the installation
    :param repository: the watched repository
    """

    def __init__(self, running: Cluster, repository: str) -> None:
        self._running = running
        self._repository = repository
        self._pool = ThreadPoolExecutor(8)
        self._api_servers: list[tuple[float, Future[float]]] = []
        self._triggerers: list[float] = []

    def record(self, at: float, component: str) -> None:
        """Record a kill; call it at once, while the api-server does not answer."""
        if component == "api-server":
            self._api_servers.append((at, self._pool.submit(self._wait_for_answer)))
        elif component == "triggerer":
            self._triggerers.append(at)

    def all(self) -> list[Outage]:
        """Return the outages, after each api-server has answered."""
        polls = full_polls(self._running, self._repository)
        # The registry's log has whole seconds, and a next watcher needs several: the end of the second counts.
        watchers = [
            Outage(at, min((poll + 1 for poll in polls if poll > at), default=inf)) for at in self._triggerers
        ]
        return sorted([*watchers, *self.of_api_servers()])

    def of_api_servers(self) -> list[Outage]:
        """Return the outages of the api-server."""
        return [Outage(at, answered.result()) for at, answered in self._api_servers]

    def _wait_for_answer(self) -> float:
        url = self._running.airflow.home.url

        def answers() -> bool:
            try:
                return send_webhook(url, b'{"events": []}').status == 202
            except OSError:
                return False

        wait_until(answers, 120, "the api-server to answer", interval=0.2)
        return time.time()


def full_polls(running: Cluster, repository: str) -> list[float]:
    """Return the times of the full polls of a repository, in whole seconds, from the registry's log."""
    log = running.registry.log.path.read_text(errors="replace")
    return [
        datetime.strptime(at, "%d/%b/%Y:%H:%M:%S %z").timestamp()
        for at, name in _LISTING.findall(log)
        if name == repository
    ]


def stood(outages: Iterable[Outage]) -> Callable[[State], bool]:
    """
    Return the condition on states that must be delivered: they stood for STANDS seconds without an outage.

    :param outages: of api-server and watcher
    """
    known = sorted(outages)

    def must(state: State) -> bool:
        at = state.since
        while late := [outage.end for outage in known if outage.begin < at + STANDS and at < outage.end]:
            at = max(late)
        return state.until >= at + STANDS

    return must
