# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""What was pushed, what the watcher could see of it, and what arrived: lost, invented, repeated."""

from __future__ import annotations

import itertools
import re
import time
from collections import defaultdict
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

from tests.harness import images

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.harness.docker_registry import DockerRegistry
    from tests.harness.receiver import Received
    from tests.harness.request_log import AccessLogLine

__all__ = ["Ledger", "State", "Verdict", "stood_two_polls"]

_MANIFEST = re.compile(r"/v2/(?P<repository>.+)/manifests/(?P<tag>[^/:?]+)$")


@dataclass
class State:
    """What a tag pointed at for a while, and how many times the watcher asked meanwhile."""

    tag: str
    digest: str
    polls: int = 0
    last: bool = True
    since: float = 0.0
    until: float = inf
    """Before the push that replaced it (``time.time()``)."""


@dataclass(frozen=True)
class Verdict:
    """
    What came of a run.

    :param updates: tag updates that were made
    :param standing: states that must be delivered
    :param delivered: (tag, digest) that were delivered
    :param lost: states that stood and were not delivered
    :param invented: (tag, digest) that were delivered and never pushed
    :param repeated: ids that were delivered more than once, each with the times of its deliveries
    :param renamed: (tag, digest) that were delivered under more than one id
    :param overtaken: tags whose last update was not the last one delivered; repeats do not count
    """

    updates: int
    standing: int
    delivered: int
    lost: list[State] = field(default_factory=list)
    invented: list[tuple[str, str]] = field(default_factory=list)
    repeated: dict[str, list[float]] = field(default_factory=dict)
    renamed: list[tuple[str, str]] = field(default_factory=list)
    overtaken: list[str] = field(default_factory=list)

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


def stood_two_polls(state: State) -> bool:
    """Return whether a watcher saw a state in two polls, or can still see it."""
    return state.polls >= 2 or state.last


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
        self._times: list[tuple[float, float]] = []

    def baseline(self, tags: Iterable[str]) -> None:
        """Push what is there before the watcher begins; it is not remembered as pushed."""
        for tag in tags:
            images.put_image(self._registry, images.Image(f"baseline-{tag}"), self.repository, [tag])

    def push(self, tag: str) -> str:
        """Let a tag point at an image it never pointed at; give the digest."""
        image = images.Image(f"{self.repository}:{tag}:{len(self.pushed)}")
        images.put_image(self._registry, image, self.repository, [])
        began = time.time()
        digest = images.put_image(self._registry, image, self.repository, [tag])
        self._times.append((began, time.time()))
        self.pushed.append((tag, digest))
        return digest

    def states(self) -> list[State]:
        """
        Tell from the registry's own log how long each state stood.

        The log has the pushes and the watcher's questions in their order, so no clock is compared.
        """
        states = states_of(self._registry.requests(), self.repository, self.pushed)
        following: dict[str, float] = {}
        for state, (began, ended) in reversed(list(zip(states, self._times, strict=True))):
            state.since, state.until = ended, following.get(state.tag, inf)
            following[state.tag] = began
        return states

    def verdict(
        self, received: Iterable[Received], must: Callable[[State], bool] = stood_two_polls
    ) -> Verdict:
        """
        Judge a run that has settled.

        :param received: what the receiver got
        :param must: whether a state must be delivered
        """
        standing = [state for state in self.states() if must(state)]
        by_id: dict[str, list[float]] = defaultdict(list)
        ids: dict[tuple[str, str], set[str]] = defaultdict(set)
        for item in received:
            body, name = item.json()["push_data"], str(item.header("webhook-id"))
            by_id[name].append(item.at)
            ids[body["tag"], body["digest"]].add(name)
        return Verdict(
            updates=len(self.pushed),
            standing=len(standing),
            delivered=len(ids),
            lost=[state for state in standing if (state.tag, state.digest) not in ids],
            invented=[key for key in ids if key not in set(self.pushed)],
            repeated={name: at for name, at in by_id.items() if len(at) > 1},
            renamed=[key for key, names in ids.items() if len(names) > 1],
            # A dictionary keeps the order of the first deliveries.
            overtaken=sorted({tag for tag, _ in dict(ids.keys()).items() - dict(self.pushed).items()}),
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
