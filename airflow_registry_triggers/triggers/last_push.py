# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The last push of an asset, announced again by a watcher that begins soon after it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk.execution_time.context import AssetStateStoreAccessor

__all__ = ["LastPush"]

KEY = "last_push"

SETTLED_AFTER = 120.0
"""Seconds. A watcher outlives the pause of its only consumer by less: until the Dag file is parsed again."""


class LastPush:
    """
    What was announced last, for as long as it may have been announced to nobody.

    When a Dag is paused its watcher goes on until the Dag's file is parsed again (30 s by default). Airflow
    stores the events of that time and starts nothing for them, not even once the Dag is unpaused: they would
    wait for the next push. So the watcher that begins next announces the last one again, which brings the
    others along. Its id is the same, and who has seen it drops it.

    :param store: state of the asset
    """

    def __init__(self, store: AssetStateStoreAccessor) -> None:
        self._store = store
        self._kept = False
        self._again: dict[str, Any] | None = None
        self._since = 0.0

    async def load(self) -> None:
        """Read what an earlier watcher has left."""
        kept = await self._store.aget(KEY)
        if isinstance(kept, dict) and "push_data" in kept:
            self._again, self._kept, self._since = kept, True, time.monotonic()

    async def remember(self, payload: dict[str, Any]) -> None:
        """
        Keep what was announced.

        :param payload: the notification's JSON
        """
        await self._store.aset(KEY, payload)
        self._again, self._kept, self._since = None, True, time.monotonic()

    def take(self) -> dict[str, Any] | None:
        """Give what is to be announced again, once."""
        again, self._again = self._again, None
        return again

    async def settle(self) -> None:
        """Forget it when this watcher has lived long enough since."""
        if self._kept and time.monotonic() - self._since > SETTLED_AFTER:
            await self._store.aset(KEY, {})
            self._kept = False
