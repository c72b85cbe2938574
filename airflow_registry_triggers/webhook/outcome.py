# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The meaning of an HTTP status for a delivery."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

__all__ = ["Outcome", "check_success_statuses", "classify_status", "honors_retry_after"]

# Standard Webhooks 1.0.0 and CloudEvents HTTP webhook 1.0: other 4xx and 3xx are final.
_RETRIED_4XX = frozenset({408, 425, 429})
_FINAL_5XX = frozenset({501, 505, 510, 511})


class Outcome(Enum):
    """The consequence of an attempt for its delivery."""

    DELIVERED = "delivered"
    RETRY = "retry"
    FINAL = "final"
    GONE = "gone"


def classify_status(status: int, success_statuses: Iterable[int] = ()) -> Outcome:
    """
    Return the outcome of an HTTP status.

    :param status: 200 to 599; an interim status (1xx) is not an answer
    :param success_statuses: statuses that count as delivered in addition to 2xx
    :raises ValueError: the status is outside 200 to 599
    """
    if not _is_status(status):
        raise ValueError(f"status {status!r} is not a number from 200 to 599")
    if status < 300 or status in success_statuses:
        return Outcome.DELIVERED
    if status == 410:
        return Outcome.GONE
    retried = status in _RETRIED_4XX if status < 500 else status not in _FINAL_5XX
    return Outcome.RETRY if retried else Outcome.FINAL


def check_success_statuses(success_statuses: Iterable[int]) -> tuple[int, ...]:
    """
    Return the statuses that a caller counts as delivered, each once.

    :param success_statuses: statuses from 200 to 599, such as ``[409]``
    :raises ValueError: a status is outside 200 to 599
    """
    if isinstance(success_statuses, str | bytes | int) or not isinstance(success_statuses, Iterable):
        raise ValueError(f"success_statuses={success_statuses!r} must be a list of numbers, such as [409]")
    statuses = list(success_statuses)
    for status in statuses:
        if not _is_status(status):
            raise ValueError(
                f"success_statuses: {status!r} is not an HTTP status; list numbers from 200 to 599"
            )
    return tuple(dict.fromkeys(statuses))


def honors_retry_after(status: int) -> bool:
    """
    Return True if Retry-After has a meaning with a status: 408, 425, 429 and 5xx.

    :param status: HTTP status
    """
    return status in _RETRIED_4XX or 500 <= status <= 599


def _is_status(status: object) -> bool:
    return isinstance(status, int) and not isinstance(status, bool) and 200 <= status <= 599
