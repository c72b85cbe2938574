# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""What an answer means, and when to try again."""

from __future__ import annotations

import random as _random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

__all__ = [
    "MAX_RETRY_AFTER",
    "RETRY_WAITS",
    "Outcome",
    "Wait",
    "check_success_statuses",
    "heeds_retry_after",
    "judge_status",
    "next_wait",
]

RETRY_WAITS = (5.0, 30.0, 120.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0)
"""Seconds before the first, second, ... retry, before jitter."""

MAX_RETRY_AFTER = 86400.0
"""Seconds a receiver may ask to wait; beyond it the delivery is final."""

RATE_LIMIT_WAIT = 60.0
"""Seconds to wait at least after a 429 that does not say how long."""

JITTER = 0.2

# Standard Webhooks 1.0.0 and CloudEvents HTTP webhook 1.0: other 4xx and 3xx are final.
_RETRIED_4XX = frozenset({408, 425, 429})
_FINAL_5XX = frozenset({501, 505, 510, 511})


class Outcome(Enum):
    """What an attempt means for its delivery."""

    DELIVERED = "delivered"
    RETRY = "retry"
    FINAL = "final"
    GONE = "gone"


def judge_status(status: int, success_statuses: Iterable[int] = ()) -> Outcome:
    """
    Judge an HTTP status.

    :param status: 200 to 599; an interim answer (1xx) is none
    :param success_statuses: statuses that count as delivered besides 2xx
    :raises ValueError: ``status`` is no final HTTP status
    """
    if not _is_status(status):
        raise ValueError(f"status {status!r}: expected a number from 200 to 599")
    if status < 300 or status in success_statuses:
        return Outcome.DELIVERED
    if status == 410:
        return Outcome.GONE
    retried = status in _RETRIED_4XX if status < 500 else status not in _FINAL_5XX
    return Outcome.RETRY if retried else Outcome.FINAL


def check_success_statuses(success_statuses: Iterable[int]) -> tuple[int, ...]:
    """
    Check the statuses that a caller lets count as delivered.

    :param success_statuses: statuses from 200 to 599, such as ``[409]``
    :return: the same, each once
    :raises ValueError: one is no final HTTP status
    """
    if isinstance(success_statuses, str | bytes | int) or not isinstance(success_statuses, Iterable):
        raise ValueError(f"success_statuses={success_statuses!r}: expected a list of numbers, such as [409]")
    statuses = list(success_statuses)
    for status in statuses:
        if not _is_status(status):
            raise ValueError(
                f"success_statuses: {status!r} is no final HTTP status; numbers from 200 to 599 may be listed"
            )
    return tuple(dict.fromkeys(statuses))


def heeds_retry_after(status: int) -> bool:
    """
    Tell whether Retry-After means something with a status: 408, 425, 429 and 5xx.

    :param status: the HTTP status
    """
    return status in _RETRIED_4XX or 500 <= status <= 599


@dataclass(frozen=True, slots=True)
class Wait:
    """
    How long to wait before the next try.

    :param seconds: seconds; what the receiver asked for where it is final
    :param reason: where the number comes from
    :param is_final: whether there is to be no further try
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
    Choose the wait before a retry.

    The own wait is jittered by 20 % both ways; one that the receiver asked for only upwards, since a retry
    must not come earlier than asked.

    :param retry_number: 1 for the first retry; beyond the eighth the last wait stays
    :param retry_after: seconds the receiver asked for, None where it did not
    :param status: the HTTP status, or the class of the error
    :param random: gives a number from 0 to 1
    """
    own = RETRY_WAITS[min(max(retry_number, 1), len(RETRY_WAITS)) - 1]
    if retry_after is None:
        seconds = own * (1 - JITTER + 2 * JITTER * random())
        if str(status) == "429" and seconds < RATE_LIMIT_WAIT:
            seconds = RATE_LIMIT_WAIT * (1 + JITTER * random())
            return Wait(seconds, f"retry {retry_number}: 429 without Retry-After, at least 60 s")
        return Wait(seconds, f"retry {retry_number}: {own:g} s, give or take 20 %")
    if retry_after > MAX_RETRY_AFTER:
        return Wait(retry_after, f"Retry-After asks for {retry_after:.0f} s, more than 24 h", is_final=True)
    longest = max(own, retry_after)
    asked = f"Retry-After asks for {retry_after:.0f} s"
    return Wait(longest * (1 + JITTER * random()), f"retry {retry_number}: {asked}, own wait {own:g} s")


def _is_status(status: object) -> bool:
    return isinstance(status, int) and not isinstance(status, bool) and 200 <= status <= 599
