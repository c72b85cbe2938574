# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
The head of a registry's answer, read so that a faulty header never hides the status.

Proxies and registries send ``Content-Length`` twice, lines without a colon, or headers of 9,000 bytes. A
strict parser rejects the whole answer then. Here the head is read first; the parser receives only the lines
that it accepts.
"""

from __future__ import annotations

import re

from airflow_registry_triggers.registry.http.headers import MAX_HEADER

__all__ = ["MAX_HEAD", "HeadReader", "cut_off", "repaired"]

MAX_HEAD = 2 * MAX_HEADER
"""Bytes of a status line and its headers that are kept; the lines beyond them are skipped."""

_END = re.compile(rb"\r?\n\r?\n")
_STATUS = re.compile(rb"(HTTP/1\.[01])[ \t]+([1-9][0-9]{2})([ \t][^\n]*)?")
_REASON = re.compile(rb"[\x20-\x7e]{1,256}")
_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*:[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
_BEGINNING = b"HTTP/"
_FRAMING = {b"content-length", b"transfer-encoding"}
_CLOSE = (b"Connection", b"close")


class HeadReader:
    """
    Collect a head from the portions in which it arrives. Interim answers (1xx) are skipped.

    :attr:`head` is complete after :meth:`feed` returned the bytes behind it.
    """

    def __init__(self) -> None:
        self._kept = bytearray()
        self._overlap = b""

    @property
    def head(self) -> bytes:
        """Status line and header lines, without the line ends behind them."""
        if len(self._kept) >= MAX_HEAD:
            return self.whole_lines  # the last line may be cut
        return bytes(self._kept.rstrip(b"\r\n"))

    @property
    def whole_lines(self) -> bytes:
        """The part of an incomplete head whose lines are complete."""
        return bytes(self._kept).rpartition(b"\n")[0].rstrip(b"\r\n")

    @property
    def is_http(self) -> bool:
        """Whether the bytes so far can be the beginning of an HTTP answer."""
        return _BEGINNING.startswith(self._kept[: len(_BEGINNING)])

    def feed(self, data: bytes) -> bytes | None:
        """
        Read more bytes.

        :return: the bytes behind the head, None while the head is incomplete
        """
        if not self._kept:
            data = data.lstrip(b"\r\n")  # tolerated, RFC 9112 2.2
        window = self._overlap + data
        at, new = 0, len(self._overlap)
        while (end := _END.search(window, at)) is not None:
            self._keep(window[new : end.start()])
            if not self._is_interim:
                return window[end.end() :]
            self._kept.clear()
            at = new = end.end()
        self._keep(window[new : new + MAX_HEAD])
        self._overlap = window[max(at, len(window) - 3) :]
        return None

    def _keep(self, data: bytes) -> None:
        self._kept += data[: MAX_HEAD - len(self._kept)]

    @property
    def _is_interim(self) -> bool:
        status = _STATUS.match(self._kept)
        return status is not None and status[2].startswith(b"1") and status[2] != b"101"


def repaired(head: bytes) -> bytes | None:
    """
    Return a head that a strict parser accepts, None if the status line is not HTTP/1.

    :param head: status line and header lines, without the empty line
    """
    found = _parsed(head)
    return None if found is None else _written(found[0], _with_one_length(found[1]))


def cut_off(head: bytes) -> bytes | None:
    """
    Return the head of an answer that broke off, with a body that never comes; None without a status line.

    :param head: status line and header lines so far, each of them complete
    """
    found = _parsed(head)
    if found is None:
        return None
    kept = [(name, value) for name, value in found[1] if name.lower() not in _FRAMING | {b"connection"}]
    return _written(found[0], [*kept, (b"Content-Length", b"1"), _CLOSE])


def _parsed(head: bytes) -> tuple[bytes, list[tuple[bytes, bytes]]] | None:
    status_line, *lines = re.split(rb"\r?\n", head)
    status = _STATUS.fullmatch(status_line)
    if status is None:
        return None
    headers: list[tuple[bytes, bytes]] = []
    for line in lines:
        if line[:1] in (b" ", b"\t") and headers:  # folded, RFC 9112 5.2
            headers[-1] = (headers[-1][0], (headers[-1][1] + b" " + line.strip())[:MAX_HEADER])
        elif found := _LINE.fullmatch(line[:MAX_HEADER]):
            headers.append((found[1], found[2].strip()))
    if status[2] != b"101":
        # With these, the parser takes the body for another protocol.
        headers = [(name, value) for name, value in headers if name.lower() != b"upgrade"]
    reason = status[3] if _REASON.fullmatch(status[3] or b"") else b" X"
    return b"%s %s%s" % (status[1], status[2], reason), headers


def _written(status_line: bytes, headers: list[tuple[bytes, bytes]]) -> bytes:
    return b"\r\n".join([status_line, *(b"%s: %s" % header for header in headers)])


def _with_one_length(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Resolve contradictions on the length (RFC 9112 6.3): chunked wins, else equal lengths are one."""
    framing = {name.lower() for name, _ in headers} & _FRAMING
    if not framing:
        return headers
    others = [(name, value) for name, value in headers if name.lower() not in _FRAMING]
    if _values(headers, b"transfer-encoding")[-1:] == [b"chunked"]:
        return [*others, (b"Transfer-Encoding", b"chunked")]
    lengths = set(_values(headers, b"content-length"))
    if len(lengths) == 1 and (length := lengths.pop()).isdigit() and len(length) < 19:
        return [*others, (b"Content-Length", length)]
    # The end of the body is not known: the connection is its end.
    return [header for header in others if header[0].lower() != b"connection"] + [_CLOSE]


def _values(headers: list[tuple[bytes, bytes]], wanted: bytes) -> list[bytes]:
    values = [value for name, value in headers if name.lower() == wanted]
    return [part.strip().lower() for value in values for part in value.split(b",")]
