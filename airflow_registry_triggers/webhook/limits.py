# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""How long one attempt may take."""

from __future__ import annotations

__all__ = ["DEFAULT_TIMEOUT", "MAX_TIMEOUT", "MIN_TIMEOUT", "check_timeout"]

DEFAULT_TIMEOUT = 15.0
"""Seconds from the look-up to the last byte read."""

MIN_TIMEOUT, MAX_TIMEOUT = 1.0, 60.0


def check_timeout(timeout: float) -> float:
    """
    Check the seconds of one attempt.

    :param timeout: seconds, 1 to 60
    :raises ValueError: it is no number, or outside these
    """
    number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
    if not number or not MIN_TIMEOUT <= timeout <= MAX_TIMEOUT:
        raise ValueError(f"request_timeout={timeout!r} must be a number of seconds from 1 to 60")
    return float(timeout)
