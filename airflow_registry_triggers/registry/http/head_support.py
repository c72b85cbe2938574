# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Whether HEAD can be believed: GET is the truth, HEAD only saves its cost."""

from __future__ import annotations

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
    and HEAD worked for none within the last hour. HEAD is tried again once an hour.
    """

    def __init__(self) -> None:
        self._worked_at = -_RECHECK
        self._proofs: set[tuple[str, str]] = set()
        self._get_until = 0.0
        self._ghosts: OrderedDict[tuple[str, str], float] = OrderedDict()

    @property
    def uses_get(self) -> bool:
        """Whether GET is sent without a HEAD before it."""
        return time.monotonic() < self._get_until

    def worked(self, repository: str, tag: str) -> None:
        """Record that HEAD returned a digest."""
        self._worked_at = time.monotonic()
        self._proofs.clear()
        self._get_until = 0.0
        self._ghosts.pop((repository, tag), None)

    def only_get_worked(self, repository: str, tag: str) -> None:
        """Record that HEAD failed and GET returned a digest."""
        self._ghosts.pop((repository, tag), None)
        now = time.monotonic()
        if now - self._worked_at < _RECHECK:
            return
        self._proofs.add((repository, tag))
        # After an hour, one more failure of HEAD is enough: the three proofs are kept.
        if len(self._proofs) >= _PROOFS:
            self._get_until = now + _RECHECK

    def get_failed(self) -> None:
        """Record that GET did not return a digest either."""
        if len(self._proofs) < _PROOFS:
            self._proofs.clear()

    def is_ghost(self, repository: str, tag: str) -> bool:
        """Return True if GET answered 404 for a listed tag within the last hour."""
        found_at = self._ghosts.get((repository, tag))
        return found_at is not None and time.monotonic() - found_at < _RECHECK

    def add_ghost(self, repository: str, tag: str) -> None:
        """Record that GET answered 404."""
        self._ghosts[repository, tag] = time.monotonic()
        self._ghosts.move_to_end((repository, tag))
        while len(self._ghosts) > _MAX_GHOSTS:
            self._ghosts.popitem(last=False)
