# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The requests that a server under test has logged."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["AccessLogLine", "LoggingServer", "RequestLog"]


@dataclass(frozen=True, slots=True)
class AccessLogLine:
    """One request as the server logged it; ``path`` with its query."""

    method: str
    path: str
    status: int


class RequestLog:
    """
    The log file of a server, read from a place onwards.

    :param path: the file
    :param pattern: matches a request, with the groups ``method``, ``path`` and ``status``
    """

    def __init__(self, path: Path, pattern: str) -> None:
        self.path = path
        self._pattern = re.compile(pattern, re.MULTILINE)
        self._seen = 0

    def forget(self) -> None:
        """Leave out the requests so far."""
        self._seen = self.path.stat().st_size

    def matches(self) -> list[re.Match[str]]:
        """Return a match for each request, oldest first."""
        with self.path.open("rb") as log:
            log.seek(self._seen)
            return list(self._pattern.finditer(log.read().decode(errors="replace")))


class LoggingServer:
    """A server that is started and stopped as a context manager, and whose log names its requests."""

    log: RequestLog

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> object:
        """Start the server and wait until it answers."""
        raise NotImplementedError

    def stop(self) -> None:
        """Stop the server; its storage stays."""
        raise NotImplementedError

    def requests(self) -> list[AccessLogLine]:
        """Return the requests logged since the start or the last ``forget_requests``, oldest first."""
        return [AccessLogLine(m["method"], m["path"], int(m["status"])) for m in self.log.matches()]

    def forget_requests(self) -> None:
        """Leave the requests so far out of ``requests()``."""
        self.log.forget()
