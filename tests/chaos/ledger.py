# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""What was pushed, what the watcher could see of it, and what arrived: lost, invented, repeated."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.harness import images

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.harness.docker_registry import DockerRegistry
    from tests.harness.receiver import Received
    from tests.harness.request_log import AccessLogLine

__all__ = ["Ledger", "State", "Verdict"]

_MANIFEST = re.compile(r"/v2/(?P<repository>.+)/manifests/(?P<tag>[^/:?]+)$")


@dataclass
class State:
    """What a tag pointed at for a while, and how many times the watcher asked meanwhile."""

    tag: str
    digest: str
    polls: int = 0
    last: bool = True


@dataclass(frozen=True)
class Verdict:
    """
    What came of a run.

    :param updates: tag updates that were made
    :param standing: states that stood for at least two polls, or stand still
    :param delivered: (tag, digest) that were delivered
    :param lost: states that stood and were not delivered
    :param invented: (tag, digest) that were delivered and never pushed
    :param repeated: ids that were delivered more than once, each with the times of its deliveries
    :param renamed: (tag, digest) that were delivered under more than one id
    """

    updates: int
    standing: int
    delivered: int
    lost: list[State] = field(default_factory=list)
    invented: list[tuple[str, str]] = field(default_factory=list)
    repeated: dict[str, list[float]] = field(default_factory=dict)
    renamed: list[tuple[str, str]] = field(default_factory=list)

    def repeated_without(self, causes: Iterable[float], within: float) -> dict[str, list[float]]:
        """
        Give the repeats between whose deliveries none of these times lies.

        :param causes: when something happened that excuses a repeat (``time.time()``)
        :param within: seconds before a delivery in which a cause counts
        """
        times = list(causes)

        def excused(first: float, second: float) -> bool:
            return any(first <= at + 1 and second - within <= at <= second for at in times)

        return {
            key: at
            for key, at in self.repeated.items()
            if not all(excused(a, b) for a, b in itertools.pairwise(at))
        }


class Ledger:
    """
    Pushes to a repository, one after the other, and remembers them.

    :param registry: where to
    :param repository: full name
    """

    def __init__(self, registry: DockerRegistry, repository: str) -> None:
        self._registry = registry
        self.repository = repository
        self.pushed: list[tuple[str, str]] = []

    def baseline(self, tags: Iterable[str]) -> None:
        """Push what is there before the watcher begins; it is not remembered as pushed."""
        for tag in tags:
            images.put_image(self._registry, images.Image(f"baseline-{tag}"), self.repository, [tag])

    def push(self, tag: str) -> str:
        """Let a tag point at an image it never pointed at; give the digest."""
        label = f"{self.repository}:{tag}:{len(self.pushed)}"
        digest = images.put_image(self._registry, images.Image(label), self.repository, [tag])
        self.pushed.append((tag, digest))
        return digest

    def states(self) -> list[State]:
        """
        Tell from the registry's own log how long each state stood.

        The log has the pushes and the watcher's questions in their order, so no clock is compared.
        """
        return states_of(self._registry.requests(), self.repository, self.pushed)

    def verdict(self, received: Iterable[Received]) -> Verdict:
        """
        Judge a run that has settled.

        :param received: what the receiver got
        """
        states = self.states()
        must = [state for state in states if state.polls >= 2 or state.last]
        by_id: dict[str, list[float]] = defaultdict(list)
        ids: dict[tuple[str, str], set[str]] = defaultdict(set)
        for item in received:
            body, name = item.json()["push_data"], str(item.header("webhook-id"))
            by_id[name].append(item.at)
            ids[body["tag"], body["digest"]].add(name)
        return Verdict(
            updates=len(self.pushed),
            standing=len(must),
            delivered=len(ids),
            lost=[state for state in must if (state.tag, state.digest) not in ids],
            invented=[key for key in ids if key not in set(self.pushed)],
            repeated={name: at for name, at in by_id.items() if len(at) > 1},
            renamed=[key for key, names in ids.items() if len(names) > 1],
        )


def states_of(
    lines: Iterable[AccessLogLine], repository: str, pushed: Iterable[tuple[str, str]]
) -> list[State]:
    """
    Read states out of an access log.

    :param lines: the log, from the first of these pushes on
    :param repository: full name
    :param pushed: (tag, digest) in the order of the pushes
    """
    waiting = iter(pushed)
    states: list[State] = []
    current: dict[str, State] = {}
    for line in lines:
        found = _MANIFEST.fullmatch(line.path.partition("?")[0])
        if not found or found["repository"] != repository:
            continue
        tag = found["tag"]
        if line.method == "PUT" and line.status == 201:
            pushed_tag, digest = next(waiting)
            assert pushed_tag == tag, f"the log has a push of {tag} where {pushed_tag} was pushed"
            if tag in current:
                current[tag].last = False
            current[tag] = State(tag, digest)
            states.append(current[tag])
        elif line.method == "HEAD" and line.status == 200 and tag in current:
            current[tag].polls += 1
    return states
