# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The assets that each shared stream of this triggerer process watches at the moment."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_registry_triggers.tag_rule import TagRule

__all__ = ["StreamKey", "Subscription", "notified_of_joins", "subscriptions_of", "watching"]

StreamKey = tuple[str, str, str]
"""Kind, Connection, repository."""


@dataclass(eq=False, slots=True)
class Subscription:
    """
    An asset that is watched.

    Each Airflow trigger that joins makes another subscription. Airflow may have detached the trigger before
    it from the asset before; the watcher then emits again what that trigger took.

    :param asset: name of the asset
    :param rule: rule on the tags that are watched
    :param trigger_id: id of the Airflow trigger that joined last; None outside of a triggerer
    :param triggers: number of Airflow triggers that watch the asset
    :param newest: order of the tags of which only the greatest is watched; None to watch all of them
    """

    asset: str
    rule: TagRule
    trigger_id: int | None = None
    triggers: int = 0
    newest: str | None = None


# Airflow makes the producer from the arguments of one trigger; all triggers of the stream register here.
_streams: dict[StreamKey, dict[tuple[str, TagRule], Subscription]] = {}


_on_join: dict[StreamKey, Callable[[], None]] = {}


@contextlib.contextmanager
def notified_of_joins(key: StreamKey, notify: Callable[[], None]) -> Iterator[None]:
    """
    Call a function whenever an asset joins a stream, as long as the context is open.

    Its first poll must not wait for the stream's next one: in push mode the interval may be an hour.

    :param key: the stream
    :param notify: called in the event loop
    """
    _on_join[key] = notify
    try:
        yield
    finally:
        if _on_join.get(key) is notify:
            del _on_join[key]


@contextlib.contextmanager
def watching(
    key: StreamKey, asset: str, rule: TagRule, trigger_id: int | None = None, newest: str | None = None
) -> Iterator[None]:
    """
    Register an asset with a stream while the context is open.

    :param key: the stream
    :param asset: name of the asset
    :param rule: rule on the tags that are watched
    :param trigger_id: id of the Airflow trigger
    :param newest: order of the tags of which only the greatest is watched; part of the asset's name
    """
    of_stream = _streams.setdefault(key, {})
    before = of_stream.get((asset, rule))
    triggers = 1 + (before.triggers if before else 0)
    of_stream[asset, rule] = Subscription(asset, rule, trigger_id, triggers, newest)
    if notify := _on_join.get(key):
        notify()
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
    Return the subscriptions of a stream.

    :param key: the stream
    """
    return list(_streams.get(key, {}).values())
