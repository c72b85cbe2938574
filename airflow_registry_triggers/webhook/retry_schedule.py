# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The waits between the attempts of a delivery."""

from __future__ import annotations

import random as _random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MAX_RETRY_AFTER", "RETRY_WAITS", "Wait", "next_wait"]

RETRY_WAITS = (5.0, 30.0, 120.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0)
"""Seconds before the first, second, ... retry, before jitter."""

MAX_RETRY_AFTER = 86400.0
"""Longest Retry-After in seconds; a longer one makes the delivery final."""

RATE_LIMIT_WAIT = 60.0
"""Shortest wait in seconds after a 429 without Retry-After."""

JITTER = 0.2


@dataclass(frozen=True, slots=True)
class Wait:
    """
    The wait before the next attempt.

    :param seconds: seconds; the receiver's Retry-After if the delivery is final
    :param reason: source of the number
    :param is_final: True if the delivery is not retried
    """

    seconds: float
    reason: str
    is_final: bool = False


def next_wait(
    retry_number: int,
    retry_after: float | None = None,
    status: int | str | None = None,
    random: Callable[[], float] = _random.random,
) -> Wait:
    """
    Return the wait before a retry.

    The scheduled wait has a jitter of 20 % in both directions. A Retry-After has jitter only upwards,
    because a retry must not be earlier than the receiver requested.

    :param retry_number: 1 for the first retry; the last wait repeats after the eighth
    :param retry_after: Retry-After in seconds, None without one
    :param status: HTTP status, or the error class
    :param random: returns a number from 0 to 1
    """
    own = RETRY_WAITS[min(max(retry_number, 1), len(RETRY_WAITS)) - 1]
    if retry_after is None:
        seconds = own * (1 - JITTER + 2 * JITTER * random())
        if str(status) == "429" and seconds < RATE_LIMIT_WAIT:
            seconds = RATE_LIMIT_WAIT * (1 + JITTER * random())
            return Wait(seconds, f"retry {retry_number}: 429 without Retry-After, at least 60 s")
        return Wait(seconds, f"retry {retry_number}: {own:g} s ± 20 %")
    if retry_after > MAX_RETRY_AFTER:
        return Wait(retry_after, f"Retry-After of {retry_after:.0f} s exceeds 24 h", is_final=True)
    longest = max(own, retry_after)
    reason = f"retry {retry_number}: Retry-After {retry_after:.0f} s, scheduled wait {own:g} s"
    return Wait(longest * (1 + JITTER * random()), reason)
