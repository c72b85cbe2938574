# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Which assets are watched through a stream at this moment."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_registry_triggers.tag_rule import TagRule

__all__ = ["StreamKey", "Subscription", "subscriptions_of", "watching"]

StreamKey = tuple[str, str, str]
"""Kind, Connection, repository."""


@dataclass(eq=False, slots=True)
class Subscription:
    """
    An asset that is watched. With each trigger that joins it is another one: the trigger before it may have
    been detached from the asset a while ago, and what it took since is to be announced again.

    :param asset: its name
    :param rule: which of its tags are watched
    :param triggers: how many triggers watch it
    """

    asset: str
    rule: TagRule
    triggers: int = 0


# The producer is made from one trigger's arguments; what the others of the stream watch stands here.
_streams: dict[StreamKey, dict[tuple[str, TagRule], Subscription]] = {}


@contextlib.contextmanager
def watching(key: StreamKey, asset: str, rule: TagRule) -> Iterator[None]:
    """
    Be one of those whom a stream polls for.

    :param key: the stream
    :param asset: name of the asset
    :param rule: which of its tags are watched
    """
    of_stream = _streams.setdefault(key, {})
    before = of_stream.get((asset, rule))
    of_stream[asset, rule] = Subscription(asset, rule, 1 + (before.triggers if before else 0))
    try:
        yield
    finally:
        of_stream[asset, rule].triggers -= 1
        if not of_stream[asset, rule].triggers:
            del of_stream[asset, rule]
        if not of_stream and _streams.get(key) is of_stream:
            del _streams[key]


def subscriptions_of(key: StreamKey) -> list[Subscription]:
    """
    Tell whom a stream polls for.

    :param key: the stream
    """
    return list(_streams.get(key, {}).values())
