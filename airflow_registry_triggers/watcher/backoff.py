# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""What goes wrong while watching: said once, and how long to wait."""

from __future__ import annotations

import logging
import random

from airflow_registry_triggers.registry.errors import RegistryError

__all__ = ["FIRST_BACK_OFF", "FailureBackoff"]

log = logging.getLogger(__name__)

FIRST_BACK_OFF = 5.0

MAX_BACK_OFF = 300.0
"""Seconds, the longest pause after errors of our own choice."""

MAX_ASKED = 3600.0
"""Seconds, the longest pause that a registry may ask for."""


class FailureBackoff:
    """
    Says once what is wrong and once that it is over.

    :param what: what is being done, for the log
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._kind: str | None = None
        self.failures = 0

    def began(self, error: Exception, interval: float) -> float:
        """
        Say what is wrong, unless that was said; give the seconds to wait.

        :param error: what went wrong
        :param interval: seconds between two polls when all is well
        """
        kind = getattr(error, "kind", type(error).__name__)
        if kind != self._kind:
            log.error("%s: %s; going on", self._what, _text_of(error))
        self._kind = kind
        back_off = min(max(interval, FIRST_BACK_OFF) * 2.0 ** min(self.failures, 10), MAX_BACK_OFF)
        self.failures += 1
        asked: float = getattr(error, "retry_after", None) or 0.0
        return max(back_off * random.uniform(0.8, 1.2), min(asked, MAX_ASKED))

    def ended(self) -> None:
        """Say that all is well again, if it was not."""
        if self._kind is not None:
            log.info("%s is well again", self._what)
        self._kind = None
        self.failures = 0


def _text_of(error: Exception) -> str:
    if isinstance(error, RegistryError | ValueError):
        return str(error)
    return f"{type(error).__name__}: {error}"
