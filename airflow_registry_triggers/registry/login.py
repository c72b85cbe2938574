# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Credentials that expire: fetched once for all that wait, and renewed before they end."""

from __future__ import annotations

import asyncio
import logging
import time
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from airflow_registry_triggers.registry.http.credentials import Credentials

__all__ = ["FetchedCredentials", "RenewableCredentials"]

log = logging.getLogger(__name__)

RENEW_AT = 0.8
"""Part of the lifetime after which credentials are renewed."""

UNKNOWN_LIFETIME = 60.0
"""Seconds, for credentials without a lifetime or with one that is over."""

MAX_LIFETIME = 86_400.0
"""Seconds; a longer lifetime counts as this one."""

RETRY_AFTER = 30.0
"""Seconds from a failed renewal to the next one, while the earlier credentials are valid."""

TOO_YOUNG = 5.0
"""Seconds within which rejected credentials are not fetched again."""

PATIENCE = 5.0
"""Seconds that a request waits for a renewal, while the earlier credentials are valid."""


@dataclass(frozen=True, slots=True)
class FetchedCredentials:
    """
    The result of a fetch.

    :param credentials: the credentials
    :param lifetime: seconds from now; None if it is not known
    """

    credentials: Credentials
    lifetime: float | None


@dataclass(frozen=True, slots=True)
class _Held:
    """Credentials in use, with monotonic times."""

    credentials: Credentials
    fetched_at: float
    renew_at: float
    good_until: float


@dataclass(slots=True)
class _Fetch:
    task: asyncio.Task[_Held]
    began: float


class RenewableCredentials:
    """
    Credentials that are fetched when they are needed, and again at 80 % of their lifetime.

    All requests that need new credentials share one fetch. If it fails while the earlier credentials are
    valid, those stay in use and the next fetch follows after 30 s.

    :param key: a hash that stays the same when the credentials are renewed
    :param fetch: return new credentials, or raise an error whose text can be shown
    """

    def __init__(self, key: str, fetch: Callable[[], Awaitable[FetchedCredentials]]) -> None:
        self._key = key
        self._fetch = fetch
        self._held: _Held | None = None
        self._retry_at = 0.0
        # A worker may run several event loops one after another, each with a fetch of its own.
        self._fetches: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Fetch] = (
            weakref.WeakKeyDictionary()
        )

    @property
    def key(self) -> str:
        """The hash that identifies shared state."""
        return self._key

    def __repr__(self) -> str:
        return f"{type(self).__name__}(key={self._key[:12]!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RenewableCredentials) and other._key == self._key

    def __hash__(self) -> int:
        return hash(self._key)

    async def current(self) -> Credentials:
        """
        Return credentials that are valid now.

        :raises Exception: the error of the fetch, if there are no valid credentials
        """
        held, now = self._held, time.monotonic()
        if held is not None and now < max(held.renew_at, min(self._retry_at, held.good_until)):
            return held.credentials
        fetch = self._shared_fetch()
        await asyncio.wait({fetch.task}, timeout=_patience(fetch, held, now))
        if fetch.task.done() and not fetch.task.cancelled() and fetch.task.exception() is None:
            return fetch.task.result().credentials
        if held is not None and held is self._held and time.monotonic() < held.good_until:
            return held.credentials
        try:
            return (await asyncio.shield(fetch.task)).credentials
        except Exception as error:
            raise error.with_traceback(None) from None  # shared by all that wait

    def reject(self, used: Credentials) -> bool:
        """
        Drop credentials that the registry rejected with 401.

        :param used: the credentials of the request; others that replaced them are kept
        :return: whether the request is worth repeating, with new credentials
        """
        held = self._held
        if held is None or held.credentials != used:
            return True  # an equal 401 of another request came first
        if time.monotonic() - held.fetched_at < TOO_YOUNG:
            return False
        self._held = None
        return True

    def _shared_fetch(self) -> _Fetch:
        loop = asyncio.get_running_loop()
        running = self._fetches.get(loop)
        if running is None or running.task.done():
            running = self._fetches[loop] = _Fetch(loop.create_task(self._fetched()), time.monotonic())
            running.task.add_done_callback(self._finish)
        return running

    async def _fetched(self) -> _Held:
        fetched = await self._fetch()
        lifetime = fetched.lifetime
        if lifetime is None or not lifetime > 0:
            lifetime = UNKNOWN_LIFETIME
        lifetime, now = min(lifetime, MAX_LIFETIME), time.monotonic()
        held = _Held(fetched.credentials, now, now + RENEW_AT * lifetime, now + lifetime)
        self._held = held
        return held

    def _finish(self, task: asyncio.Task[_Held]) -> None:
        # The task refers to its loop, which would keep the entry alive.
        self._fetches.pop(task.get_loop(), None)
        error = None if task.cancelled() else task.exception()
        held, now = self._held, time.monotonic()
        if error is None or held is None or now >= held.good_until:
            return
        self._retry_at = now + RETRY_AFTER
        log.warning("%s The earlier credentials are valid for %.0f s more.", error, held.good_until - now)


def _patience(fetch: _Fetch, held: _Held | None, now: float) -> float | None:
    """Return the seconds to wait for a fetch, None if there is nothing else to use."""
    if held is None or now >= held.good_until:
        return None
    return max(0.0, min(fetch.began + PATIENCE, held.good_until) - now)
