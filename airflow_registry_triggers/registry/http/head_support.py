# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Whether HEAD can be believed: GET is the truth, HEAD only saves its cost."""

from __future__ import annotations

import math
import time
from collections import OrderedDict

__all__ = ["HeadSupport"]

_RECHECK = 3600.0
_PROOFS = 3
_MAX_GHOSTS = 20_000


class HeadSupport:
    """
    The record of HEAD requests to one registry.

    GET replaces HEAD for the whole registry only after HEAD failed and GET worked for three tags in a row,
    and HEAD worked for none within the last hour. One HEAD is sent again once an hour.
    """

    def __init__(self) -> None:
        self._worked_at = -math.inf
        self._proofs: set[tuple[str, str]] = set()
        self._recheck_at: float | None = None
        self._ghosts: OrderedDict[tuple[str, str], tuple[float, int]] = OrderedDict()

    def skips_head(self) -> bool:
        """Return True if GET is sent without a HEAD before it; once an hour, one caller gets False."""
        if self._recheck_at is None:
            return False
        now = time.monotonic()
        if now < self._recheck_at:
            return True
        # The requests beside this one must not all repeat the HEAD.
        self._recheck_at = now + _RECHECK
        return False

    def worked(self, repository: str, tag: str) -> None:
        """Record that HEAD returned a digest."""
        self._worked_at = time.monotonic()
        self._proofs.clear()
        self._recheck_at = None
        self._ghosts.pop((repository, tag), None)

    def only_get_worked(self, repository: str, tag: str) -> None:
        """Record that HEAD failed, or was skipped, and GET returned a digest."""
        self._ghosts.pop((repository, tag), None)
        now = time.monotonic()
        if self._recheck_at is not None or now - self._worked_at < _RECHECK:
            return
        self._proofs.add((repository, tag))
        if len(self._proofs) >= _PROOFS:
            self._proofs.clear()
            self._recheck_at = now + _RECHECK

    def get_failed(self) -> None:
        """Record that GET did not return a digest either."""
        self._proofs.clear()

    def is_ghost(self, repository: str, tag: str, status: int) -> bool:
        """
        Return True if GET answered 404 for a listed tag within the last hour.

        :param status: of the HEAD that was just answered; a HEAD that fails in another way needs a GET
        """
        found_at, failed_with = self._ghosts.get((repository, tag), (-math.inf, 0))
        return status == failed_with and time.monotonic() - found_at < _RECHECK

    def add_ghost(self, repository: str, tag: str, status: int) -> None:
        """
        Record that GET answered 404.

        :param status: of the HEAD before it
        """
        self._ghosts[repository, tag] = (time.monotonic(), status)
        self._ghosts.move_to_end((repository, tag))
        while len(self._ghosts) > _MAX_GHOSTS:
            self._ghosts.popitem(last=False)
