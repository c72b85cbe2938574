# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Back-off after failed polls: log an error once, wait longer each time, log the recovery once."""

from __future__ import annotations

import logging
import random
import time

from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.watcher.status_values import kind_of, note_of

__all__ = ["FIRST_BACK_OFF", "MAX_BACK_OFF", "FailureBackoff"]

log = logging.getLogger(__name__)

FIRST_BACK_OFF = 5.0

MAX_BACK_OFF = 300.0
"""Seconds, the longest back-off that the watcher chooses itself."""

MAX_RETRY_AFTER = 3600.0
"""Seconds, the longest ``Retry-After`` of a registry that the watcher respects."""


class FailureBackoff:
    """
    Count failures in a row and compute the pause after each.

    :param subject: the object that fails, at the beginning of each log line
    """

    def __init__(self, subject: str) -> None:
        self._subject = subject
        self._kind: str | None = None
        self.failures = 0
        self.missed_hint = False
        """Whether a hint waits for the next success; the interval, an hour at most, is too long for it."""
        self.error_kind: str | None = None
        self.failing_since: float | None = None
        """Time of the first failure in a row, in seconds since 1970."""
        self.note = ""
        """The redacted error, for the watcher's status."""
        self.pause = 0.0
        """Seconds from the last failure to the next try."""

    def record_failure(self, error: Exception, interval: float) -> float:
        """
        Log the error, unless the failure before it had the same kind; return the seconds to wait.

        :param error: reason of the failure
        :param interval: seconds between two polls without failures
        """
        kind = getattr(error, "kind", type(error).__name__)
        if kind != self._kind:
            log.error("%s: %s; the watcher retries", self._subject, _text_of(error))
        self._kind = kind
        self.error_kind, self.note = kind_of(error), note_of(error)
        self.failing_since = self.failing_since or time.time()
        first = FIRST_BACK_OFF if self.missed_hint else max(interval, FIRST_BACK_OFF)
        back_off = min(first * 2.0 ** min(self.failures, 10), MAX_BACK_OFF)
        self.failures += 1
        retry_after: float = getattr(error, "retry_after", None) or 0.0
        self.pause = max(back_off * random.uniform(0.8, 1.2), min(retry_after, MAX_RETRY_AFTER))
        return self.pause

    def record_success(self) -> None:
        """Log the recovery if there was a failure before it."""
        if self._kind is not None:
            log.info("%s: recovered after %d failures", self._subject, self.failures)
        self._kind = self.error_kind = self.failing_since = None
        self.note = ""
        self.failures = 0
        self.missed_hint = False


def _text_of(error: Exception) -> str:
    if isinstance(error, RegistryError | ValueError):
        return str(error)
    return f"{type(error).__name__}: {error}"
