# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""What a watcher announced lately, written down before it is announced."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk.execution_time.context import AssetStateStoreAccessor

__all__ = ["KEY", "SETTLED_AFTER", "Outbox"]

KEY = "announced"

SETTLED_AFTER = 120.0
"""Seconds. A watcher outlives the pause of its only consumer by less: until the Dag file is parsed again."""

MAX_KEPT = 500
"""Pushes that are kept; of more within :data:`SETTLED_AFTER` the oldest are let go."""

MAX_VALUE = 40 * 1024
"""Bytes of JSON of one stored value."""


class Outbox:
    """
    The pushes that a watcher announced in the last two minutes, kept in the state of its asset.

    A watcher that begins announces them again, with the same ids, before it asks the registry. So a push
    that a poll has seen is not lost with the triggerer, also when its tag points elsewhere by then. And
    nothing is lost with a watcher that Airflow has detached from its asset, as it does when the only consumer
    is paused: events of its last moments are confirmed and stored for nobody.

    :param store: state of the asset
    """

    def __init__(self, store: AssetStateStoreAccessor) -> None:
        self._store = store
        self._kept: dict[str, dict[str, Any]] = {}
        self._since: dict[str, float] = {}
        self._again: list[dict[str, Any]] = []

    async def load(self) -> None:
        """Read what an earlier watcher has left; it is to be announced again."""
        first = await self._store.aget(KEY)
        values = [first, *[await self._store.aget(f"{KEY}.{number}") for number in range(1, _parts(first))]]
        self._kept = _by_id(push for value in values for push in _pushes(value))
        self._again = list(self._kept.values())
        self._since = dict.fromkeys(self._kept, time.monotonic())

    def take(self, wanted: Callable[[dict[str, Any]], bool] = lambda _: True) -> list[dict[str, Any]]:
        """
        Give what is to be announced again, once.

        :param wanted: tells which of it
        """
        parts: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
        for push in self._again:
            parts[wanted(push)].append(push)
        self._again = parts[False]
        return parts[True]

    async def add(self, payloads: Iterable[dict[str, Any]]) -> None:
        """
        Write down what is about to be announced.

        :param payloads: the JSON of notifications
        """
        new = {key: push for key, push in _by_id(payloads).items() if key not in self._kept}
        if not new:
            return
        self._since |= dict.fromkeys(new, time.monotonic())
        await self._keep({**self._unsettled(), **new})

    async def settle(self) -> None:
        """Forget all once this watcher has lived long enough since each."""
        if self._kept and not self._unsettled():
            await self._keep({})

    def _unsettled(self) -> dict[str, dict[str, Any]]:
        settled_before = time.monotonic() - SETTLED_AFTER
        return {key: push for key, push in self._kept.items() if self._since[key] >= settled_before}

    async def _keep(self, pushes: dict[str, dict[str, Any]]) -> None:
        kept = dict(list(pushes.items())[-MAX_KEPT:])
        await self._write(list(kept.values()))
        self._kept = kept
        self._since = {key: self._since[key] for key in kept}

    async def _write(self, pushes: list[dict[str, Any]]) -> None:
        parts: list[Any] = _split(pushes)
        first, *rest = parts
        for number, part in enumerate(rest, start=1):
            await self._store.aset(f"{KEY}.{number}", {"pushes": part})
        # A process killed in between leaves old parts beside new ones: whole pushes, told apart by their ids.
        await self._store.aset(KEY, {"parts": 1 + len(rest), "pushes": first})


def _split(pushes: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    parts: list[list[dict[str, Any]]] = [[]]
    size = 0
    for push in pushes:
        length = len(json.dumps(push))
        if parts[-1] and size + length > MAX_VALUE:
            parts.append([])
            size = 0
        parts[-1].append(push)
        size += length
    return parts


def _parts(first: Any) -> int:
    parts = first.get("parts") if isinstance(first, Mapping) else None
    return min(parts, MAX_KEPT) if isinstance(parts, int) else 1


def _pushes(value: Any) -> Iterator[dict[str, Any]]:
    found = value.get("pushes") if isinstance(value, Mapping) else None
    yield from (push for push in (found if isinstance(found, list) else ()) if _is_push(push))


def _is_push(value: Any) -> bool:
    try:
        event, pushed = value["event"], value["push_data"]
        texts = (event["id"], event["epoch"], pushed["tag"], pushed["digest"])
        return all(isinstance(text, str) for text in texts) and isinstance(event["generation"], int)
    except (KeyError, TypeError):
        return False


def _by_id(payloads: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {payload["event"]["id"]: payload for payload in payloads}
