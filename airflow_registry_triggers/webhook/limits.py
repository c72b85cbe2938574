# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The time limit of one attempt."""

from __future__ import annotations

__all__ = ["DEFAULT_TIMEOUT", "MAX_TIMEOUT", "MIN_TIMEOUT", "check_timeout"]

DEFAULT_TIMEOUT = 15.0
"""Seconds from the lookup to the last byte that is read."""

MIN_TIMEOUT, MAX_TIMEOUT = 1.0, 60.0


def check_timeout(timeout: float) -> float:
    """
    Return the time limit of one attempt as a float.

    :param timeout: seconds, 1 to 60
    :raises ValueError: the value is not a number from 1 to 60
    """
    number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
    if not number or not MIN_TIMEOUT <= timeout <= MAX_TIMEOUT:
        raise ValueError(f"request_timeout={timeout!r} must be a number of seconds from 1 to 60")
    return float(timeout)
