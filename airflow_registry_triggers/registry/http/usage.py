# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Count the requests of a piece of work, such as one poll, and keep the quota that the registry reported."""

from __future__ import annotations

import re
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Usage", "count_request", "metered"]

_QUOTA = re.compile(r"\s*(\d{1,9})\s*(?:[;,].*)?")


@dataclass(slots=True)
class Usage:
    """
    The requests of a piece of work.

    :param requests: number of answered requests, token requests included
    :param quota_left: requests that the registry still accepts, from ``RateLimit-Remaining``; None if no
        answer had the header
    """

    requests: int = 0
    quota_left: int | None = None


_current: ContextVar[Usage | None] = ContextVar("registry_usage", default=None)


@contextmanager
def metered() -> Iterator[Usage]:
    """Count the requests that this task, and the tasks it starts, send while the context is open."""
    usage = Usage()
    before = _current.set(usage)
    try:
        yield usage
    finally:
        _current.reset(before)


def count_request(headers: Mapping[str, str]) -> None:
    """
    Count one request for the work that sent it.

    :param headers: headers of the answer
    """
    usage = _current.get()
    if usage is None:
        return
    usage.requests += 1
    if found := _QUOTA.fullmatch(headers.get("ratelimit-remaining", "")):
        usage.quota_left = int(found[1])
