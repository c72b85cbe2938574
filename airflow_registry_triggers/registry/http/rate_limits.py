# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""How much is asked of a registry, and how much is taken from it."""

from __future__ import annotations

import asyncio
import ipaddress
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_registry_triggers.registry.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["MAX_PAUSE", "MAX_WAIT", "Limits", "Pause", "default_in_flight"]

MAX_PAUSE = 3600.0
"""Seconds for which a registry is left alone at most, whatever it asks for."""

MAX_WAIT = 5.0
"""Seconds of a pause that are waited out; a longer one is an error that tells how long."""


@dataclass(frozen=True, slots=True)
class Limits:
    """
    What is taken from a registry at most; more is an error, never a list that is cut off.

    :param pages: pages of one listing
    :param tags: tags of one listing
    :param idle_pages: pages in a row that bring no new tag
    :param page_bytes: bytes of one page, after decompression
    :param manifest_bytes: bytes of a manifest; registries commonly take up to 4 MiB
    :param token_bytes: bytes of a token service's answer
    :param seconds: seconds for one request, from the connection to the last byte
    :param connect_seconds: seconds until there is a connection
    :param listing_seconds: seconds for all pages of a listing
    """

    pages: int = 5_000
    tags: int = 200_000
    idle_pages: int = 10
    page_bytes: int = 16 << 20
    manifest_bytes: int = 4 << 20
    token_bytes: int = 1 << 20
    seconds: float = 30.0
    connect_seconds: float = 10.0
    listing_seconds: float = 900.0


class Pause:
    """
    The time for which one registry is left alone.

    :param registry: how the registry is called in an error
    """

    def __init__(self, registry: str) -> None:
        self._registry = registry
        self._until = 0.0
        self._begun = 0.0
        self._times = 0

    @property
    def remaining(self) -> float:
        """Seconds that are left, 0 where there is no pause."""
        return max(0.0, self._until - time.monotonic())

    def begin(self, told: float | None, started: float) -> None:
        """
        Leave the registry alone for what it told, and at least for the back-off (1 s, 2 s, 4 s, ... ± 25 %).

        :param told: seconds that the registry told
        :param started: when the request was sent, by the monotonic clock; of several that were under way
            together only one lengthens the back-off
        """
        now = time.monotonic()
        if started >= self._begun:
            self._times += 1
            self._begun = now
        back_off = 2.0 ** min(self._times - 1, 12) * random.uniform(0.75, 1.25)
        self._until = max(self._until, now + min(MAX_PAUSE, max(told or 0.0, back_off)))

    def over(self, started: float) -> None:
        """
        Begin the back-off anew: a request went well.

        :param started: when that was sent
        """
        if self._times and started >= self._begun:
            self._times = 0

    async def wait(self) -> None:
        """
        Wait for the end of a short pause.

        :raises RegistryError: ``rate_limited``, for a longer one
        """
        while (remaining := self.remaining) > 0:
            if remaining > MAX_WAIT:
                raise self.error()
            await asyncio.sleep(remaining)

    def error(self, status: int | None = None) -> RegistryError:
        """
        Say that the registry wants to be left alone.

        :param status: the answer that said so, None where nothing was sent
        """
        why = f"answered {status}" if status else "asked for a pause"
        return RegistryError(
            f"{self._registry}: {why}; nothing is asked of it for {self.remaining:.0f} s. Where that happens "
            "often, poll less often, sign in, or lower max_in_flight",
            kind="rate_limited",
            retry_after=self.remaining,
            status=status,
            everywhere=True,
        )


def default_in_flight(addresses: Iterable[str]) -> int:
    """
    Tell how many requests may be under way at once: 10 on a network of one's own, 2 on the internet.

    :param addresses: what the registry's name resolves to; nothing counts as the internet
    """
    found = [ipaddress.ip_address(address.partition("%")[0]) for address in addresses]
    return 10 if found and not any(address.is_global for address in found) else 2
