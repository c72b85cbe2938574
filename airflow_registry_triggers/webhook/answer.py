# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
The head of a receiver's answer, read so that a faulty header never hides the status.

Receivers and proxies send ``Content-Length`` twice, header lines without a colon, or ``Transfer-Encoding``
beside ``Content-Length``. A strict parser rejects such an answer, and the webhook would be sent twice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

__all__ = ["MAX_HEAD", "MAX_READ", "Answer", "AnswerHead"]

MAX_READ = 64 * 1024
"""Bytes of an answer's body that are read."""

MAX_HEAD = 2 * MAX_READ
"""Bytes of a status line and its headers; a longer head is not HTTP that this module accepts."""

_STATUS_LINE = re.compile(rb"HTTP/1\.[01][ \t]+([0-9]{3})(?:[ \t].*)?", re.DOTALL)
_SWITCHING_PROTOCOLS = 101
_BEGINNING = b"HTTP/1."


@dataclass(slots=True)
class Answer:
    """
    The answer of a receiver.

    :param status: the status as a number, also outside 200 to 599
    :param headers: names and values in the order of arrival
    :param body: the bytes that were read, not decompressed
    :param cut: reason why the body is incomplete; empty if it is complete
    """

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    cut: str = ""

    def header(self, name: str) -> str:
        """
        Return a header's value; several values are joined with commas, a missing header is empty.

        :param name: in lower case
        """
        return ", ".join(value for known, value in self.headers if known.lower() == name)


class AnswerHead:
    """Reader of a status line and headers; it skips interim answers (1xx)."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._size = 0
        self._status: int | None = None
        self._headers: list[tuple[str, str]] = []
        self.is_complete = False
        self.is_broken = False
        """True if the bytes are not HTTP, or the head exceeds :data:`MAX_HEAD`."""

    def feed(self, data: bytes) -> bytes:
        """
        Read more bytes.

        :return: the bytes after the head, empty while the head is incomplete
        """
        self._buffer += data
        start = 0
        while not (self.is_complete or self.is_broken):
            end = self._buffer.find(b"\n", start)
            if end < 0:
                break
            self._read_line(bytes(self._buffer[start:end]).removesuffix(b"\r"))
            self._size += end + 1 - start
            start = end + 1
        rest = bytes(self._buffer[start:]) if self.is_complete else b""
        del self._buffer[: len(self._buffer) if self.is_complete else start]
        if self._status is None and not _begins_http(self._buffer):
            self.is_broken = True
        if self._size + len(self._buffer) > MAX_HEAD:
            self.is_complete, self.is_broken = False, True
        return rest

    def answer(self, cut: str = "") -> Answer | None:
        """
        Return the answer without a body, None if no status decides yet.

        A status of 200 to 599 decides as soon as its line was read. Any other one takes a complete head.

        :param cut: reason why the body is missing
        """
        if self._status is None or self.is_broken:
            return None
        is_final = 200 <= self._status <= 599
        return Answer(self._status, self._headers, cut=cut) if is_final or self.is_complete else None

    def framing(self) -> bytes:
        """
        Return a head for a strict parser: the status and one statement of the body's length.

        RFC 9112, 6.3: chunked wins over a length. Of several lengths the smallest is used, because
        waiting for more could take until the deadline.
        """
        lines = [b"HTTP/1.1 %d X" % (self._status or 0)]
        lengths = _lengths(self._headers)
        if _is_chunked(self._headers):
            lines.append(b"Transfer-Encoding: chunked")
        elif lengths:
            lines.append(b"Content-Length: %d" % min(lengths))
        return b"\r\n".join([*lines, b"", b""])

    def _read_line(self, line: bytes) -> None:
        if self._status is None:
            self._read_status(line)
        elif not line:
            self._end()
        elif line[:1] in b" \t" and self._headers:  # folded, RFC 9112, 5.2
            name, value = self._headers[-1]
            self._headers[-1] = (name, f"{value} {_text(line.strip())}")
        else:
            name_bytes, colon, value_bytes = line.partition(b":")
            if colon:
                self._headers.append((_text(name_bytes.strip()), _text(value_bytes.strip(b" \t"))))

    def _read_status(self, line: bytes) -> None:
        match = _STATUS_LINE.fullmatch(line)
        if match:
            self._status = int(match[1])
        elif line:  # an empty line before the status line is tolerated, RFC 9112, 2.2
            self.is_broken = True

    def _end(self) -> None:
        if self._status is not None and 100 <= self._status < 200 and self._status != _SWITCHING_PROTOCOLS:
            self._status, self._size = None, 0
            self._headers.clear()
        else:
            self.is_complete = True


def _begins_http(buffer: bytearray) -> bool:
    begun = bytes(buffer.lstrip(b"\r\n")[: len(_BEGINNING)])
    return _BEGINNING.startswith(begun)


def _lengths(headers: list[tuple[str, str]]) -> set[int]:
    values = [value for name, value in headers if name.lower() == "content-length"]
    parts = [part.strip() for value in values for part in value.split(",")]
    return {int(part) for part in parts if part.isascii() and part.isdigit() and len(part) < 19}


def _is_chunked(headers: list[tuple[str, str]]) -> bool:
    codings = [value.lower() for name, value in headers if name.lower() == "transfer-encoding"]
    return ",".join(codings).rpartition(",")[2].strip() == "chunked"


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
