# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Limits on requests to a registry and on its answers, and pauses that it asks for."""

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
"""Longest pause in seconds, even if the registry asks for more."""

MAX_WAIT = 5.0
"""Longest pause in seconds that a request waits for. A longer pause is an error with its length."""


@dataclass(frozen=True, slots=True)
class Limits:
    """
    Limits on the answers of a registry. Exceeding one is an error; nothing is truncated.

    :param pages: pages of one listing
    :param tags: tags of one listing
    :param idle_pages: pages in a row without a new tag
    :param page_bytes: bytes of one page, after decompression
    :param page_elements: JSON elements of one page, counted before it is parsed
    :param manifest_bytes: bytes of a manifest; most registries accept up to 4 MiB
    :param token_bytes: bytes of an answer of a token service
    :param seconds: seconds for one request, from the connection to the last byte
    :param connect_seconds: seconds for TCP and TLS handshake
    :param listing_seconds: seconds for all pages of a listing
    """

    pages: int = 5_000
    tags: int = 200_000
    idle_pages: int = 10
    page_bytes: int = 16 << 20
    page_elements: int = 1_000_000
    manifest_bytes: int = 4 << 20
    token_bytes: int = 1 << 20
    seconds: float = 30.0
    connect_seconds: float = 10.0
    listing_seconds: float = 900.0


class Pause:
    """
    A pause of one registry, with back-off.

    :param registry: the registry's name in errors
    """

    def __init__(self, registry: str) -> None:
        self._registry = registry
        self._until = 0.0
        self._begun = 0.0
        self._times = 0

    @property
    def remaining(self) -> float:
        """Seconds until the pause ends, 0 without a pause."""
        return max(0.0, self._until - time.monotonic())

    def begin(self, requested: float | None, started: float) -> None:
        """
        Pause for the requested time, at least for the back-off (1 s, 2 s, 4 s, ... ± 25 %).

        :param requested: seconds that the registry asked for
        :param started: monotonic time when the request was sent; requests that were sent before the pause
            began do not lengthen the back-off
        """
        now = time.monotonic()
        if started >= self._begun:
            self._times += 1
            self._begun = now
        back_off = 2.0 ** min(self._times - 1, 12) * random.uniform(0.75, 1.25)
        self._until = max(self._until, now + min(MAX_PAUSE, max(requested or 0.0, back_off)))

    def over(self, started: float) -> None:
        """
        Reset the back-off after a successful request.

        :param started: monotonic time when the request was sent
        """
        if self._times and started >= self._begun:
            self._times = 0

    async def wait(self) -> None:
        """
        Wait until a short pause ends.

        :raises RegistryError: ``rate_limited``, if the pause is longer than :data:`MAX_WAIT`
        """
        while (remaining := self.remaining) > 0:
            if remaining > MAX_WAIT:
                raise self.error()
            await asyncio.sleep(remaining)

    def error(self, status: int | None = None) -> RegistryError:
        """
        Return the error for a paused registry.

        :param status: status of the answer that began the pause, None if no request was sent
        """
        why = f"answered {status}" if status else "asked for a pause"
        return RegistryError(
            f"{self._registry}: {why}. No request is sent to it for {self.remaining:.0f} s. If this happens "
            "often, increase poll_interval, set a login, or lower max_in_flight",
            kind="rate_limited",
            retry_after=self.remaining,
            status=status,
            everywhere=True,
        )


def default_in_flight(addresses: Iterable[str]) -> int:
    """
    Return the default number of requests in flight: 10 for a private network, 2 for the internet.

    :param addresses: the registry's addresses; an empty list counts as the internet
    """
    found = [ipaddress.ip_address(address.partition("%")[0]) for address in addresses]
    return 10 if found and not any(address.is_global for address in found) else 2
