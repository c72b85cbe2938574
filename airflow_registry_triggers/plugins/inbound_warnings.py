# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Warnings about rejected webhooks: one for each Connection and reason in five minutes."""

from __future__ import annotations

import logging
import time

__all__ = ["InboundWarnings"]

INTERVAL = 300.0
"""Seconds between two warnings of one Connection and reason."""

MAX_REASONS = 10_000

log = logging.getLogger(__name__)


class InboundWarnings:
    """Log each reason at most once in :data:`INTERVAL`; a flood of webhooks must not flood the log."""

    def __init__(self) -> None:
        self._logged: dict[tuple[str, str], float] = {}

    def add(self, conn_id: str, reason: str) -> None:
        """
        Log a warning, unless it was logged a short time ago.

        :param conn_id: an existing Connection; empty if there is none, since a sender chooses the id
        :param reason: a text without any part of a webhook
        """
        now = time.monotonic()
        if now - self._logged.get((conn_id, reason), -INTERVAL) < INTERVAL:
            return
        if len(self._logged) >= MAX_REASONS:
            self._logged.clear()
        self._logged[conn_id, reason] = now
        log.warning("%s: %s", f"Connection {conn_id!r}" if conn_id else "registry-webhooks", reason)
