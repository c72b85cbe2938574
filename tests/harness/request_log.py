# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The requests that a server under test has logged."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from tests.harness.processes import wait_until

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["AccessLogLine", "LoggingServer", "RequestLog"]

_MARK = "after-all-requests-so-far="
_numbers = itertools.count()


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
        """Return a match for each request, oldest first, without the marks of :meth:`LoggingServer.requests`."""
        return [match for match in self._pattern.finditer(self._text()) if _MARK not in match["path"]]

    def has(self, path: str) -> bool:
        """Return True if a request for a path has been logged, whatever it begins with."""
        return any(match["path"].endswith(path) for match in self._pattern.finditer(self._text()))

    def _text(self) -> str:
        with self.path.open("rb") as log:
            log.seek(self._seen)
            return log.read().decode(errors="replace")


class LoggingServer:
    """
    A server that is started and stopped as a context manager, and whose log names its requests.

    docker-registry and zuul-registry log a request before they answer it. For a server that does so after
    the answer, ``logs_late`` is set, and ``send`` sends a request by which the log is waited for.
    """

    log: RequestLog
    logs_late = False

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
        """Return the requests since the start or the last ``forget_requests``, oldest first."""
        self._finish_log()
        return [AccessLogLine(m["method"], m["path"], int(m["status"])) for m in self.log.matches()]

    def forget_requests(self) -> None:
        """Leave the requests so far out of ``requests()``."""
        self._finish_log()
        self.log.forget()

    def send(self, path: str) -> object:
        """Send a request whose answer does not matter."""
        raise NotImplementedError

    def _finish_log(self) -> None:
        if self.logs_late:
            path = f"/v2/?{_MARK}{next(_numbers)}"
            self.send(path)
            wait_until(lambda: self.log.has(path), 60, f"{path} in {self.log.path}", interval=0.005)
