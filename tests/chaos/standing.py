# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
Digests that push mode must deliver: those that stood while the api-server answered and a watcher ran.

With a poll every 10 minutes, a webhook is the only sign of a push. It needs the api-server, and the hint
needs a watcher; the first poll of a watcher finds the digests that stand at that moment.
"""

from __future__ import annotations

import re
from datetime import datetime
from math import inf
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.chaos.cluster import Cluster
    from tests.chaos.ledger import State

__all__ = ["STANDS", "Outage", "Outages", "full_polls", "stood"]

STANDS = 5.0
"""Seconds for which a digest must stand: the webhook, the hint, and the polls of the hint after 0, 1 and 4 s."""

_ANSWER = re.compile(r"^(\S+) .*path=/registry-webhooks/\S+ .*status_code=202", re.MULTILINE)
_LISTING = re.compile(r'\[([^]]+)\] "GET /v2/(\S+)/tags/list')


class Outage(NamedTuple):
    """Time from a kill until the killed process works again (``time.time()``)."""

    begin: float
    end: float


class Outages:
    """
    The outages of killed api-servers and triggerers, from the logs of api-server and registry.

    :param running: the installation
    :param repository: the watched repository
    """

    def __init__(self, running: Cluster, repository: str) -> None:
        self._running = running
        self._repository = repository
        self._kills: dict[str, list[float]] = {"api-server": [], "triggerer": []}

    def record(self, at: float, component: str) -> None:
        """Record a kill; those of other components do not count."""
        self._kills.get(component, []).append(at)

    def all(self) -> list[Outage]:
        """Return the outages; one that has not ended yet has no end."""
        # The registry's log has whole seconds, and a next watcher needs several: the end of the second counts.
        polls = [at + 1 for at in full_polls(self._running, self._repository)]
        return sorted([*_until_next(self._kills["triggerer"], polls), *self.of_api_servers()])

    def of_api_servers(self) -> list[Outage]:
        """Return the outages of the api-server: each ends with an answer to a webhook of the registry."""
        return _until_next(self._kills["api-server"], _answers(self._running))


def _until_next(begins: Iterable[float], ends: list[float]) -> list[Outage]:
    return [Outage(at, min((end for end in ends if end > at + 1), default=inf)) for at in begins]


def _answers(running: Cluster) -> list[float]:
    """Return the times of the api-server's answers to webhooks."""
    log = running.airflow.processes["api-server"].log.read_text(errors="replace")
    return [datetime.fromisoformat(at).timestamp() for at in _ANSWER.findall(log)]


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
