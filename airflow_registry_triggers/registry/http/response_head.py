# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
Repair of response heads, so that a status that was read is never lost to a faulty header.

Proxies and registries send ``Content-Length`` twice, lines without a colon, or headers of 9,000 bytes. The
parser of aiohttp rejects the whole answer then. Here the head is read first, up to 128 KiB; the parser
receives only the lines that it accepts.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler

from airflow_registry_triggers.registry.http.headers import MAX_HEADER

__all__ = ["MAX_HEAD", "RepairingConnector", "repaired"]

MAX_HEAD = 2 * MAX_HEADER
"""Bytes of a status line and its headers; the lines beyond them are not read."""

_END = re.compile(rb"\r?\n\r?\n")
_STATUS = re.compile(rb"HTTP/1\.[01] +([1-9][0-9]{2})(?: [^\r\n]*)?")
_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*:[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
_PARSER_LIMITS = {"max_line_size": MAX_HEADER, "max_field_size": MAX_HEADER, "max_headers": MAX_HEAD // 4}
_CUT_OFF = b"Content-Length: 0\r\nConnection: close\r\n"


def repaired(head: bytes) -> bytes | None:
    """
    Return a head that a strict parser accepts, None if the status line is not HTTP/1.

    :param head: status line and header lines, without the empty line
    """
    status_line, *lines = re.split(rb"\r?\n", head)
    if not _STATUS.fullmatch(status_line):
        return None
    headers: list[tuple[bytes, bytes]] = []
    for line in lines:
        if line[:1] in (b" ", b"\t") and headers:  # folded, RFC 9112 5.2
            headers[-1] = (headers[-1][0], headers[-1][1] + b" " + line.strip())
        elif found := _LINE.fullmatch(line[: MAX_HEADER - 2]):
            headers.append((found[1], found[2].strip()))
    kept = _with_one_length(headers)
    return b"\r\n".join([status_line[: MAX_HEADER - 2], *(b"%s: %s" % header for header in kept)])


def _with_one_length(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Resolve contradictions on the length (RFC 9112 6.3): chunked wins, else equal lengths are one."""
    named = {name.lower() for name, _ in headers}
    if b"content-length" not in named:
        return headers
    lengths = {
        part.strip()
        for name, value in headers
        if name.lower() == b"content-length"
        for part in value.split(b",")
    }
    others = [(name, value) for name, value in headers if name.lower() != b"content-length"]
    if b"transfer-encoding" in named:
        return others
    if len(lengths) == 1 and (length := lengths.pop()).isdigit() and len(length) < 19:
        return [*others, (b"Content-Length", length)]
    # The end of the body is not known: the connection is its end.
    return [header for header in others if header[0].lower() != b"connection"] + [(b"Connection", b"close")]


class _RepairingHandler(ResponseHandler):
    """The protocol of one connection; it holds a head back until it is complete."""

    _head: bytearray | None = None
    _drops_rest = False

    def set_response_params(self, **parameters: Any) -> None:
        """Prepare for the next answer on this connection."""
        self._head = bytearray()
        self._drops_rest = False
        limits = {name: value for name, value in _PARSER_LIMITS.items() if name in parameters}
        super().set_response_params(**(parameters | limits))

    def data_received(self, data: bytes) -> None:
        """Pass a body on unchanged, and a head after its repair."""
        if self._drops_rest:
            return
        if self._head is None or self._parser is None:
            super().data_received(data)
            return
        searched = max(0, len(self._head) - 3)
        self._head += data
        if not b"HTTP/".startswith(self._head[:5]):
            self._pass_through()
        else:
            self._take_heads(searched)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Keep the status of a head that the peer never completed."""
        if self._head:
            self._cut_off()
        super().connection_lost(exc)

    def _take_heads(self, searched: int) -> None:
        while self._head is not None:
            end = _END.search(self._head, searched)
            if end is None:
                if len(self._head) > MAX_HEAD:
                    self._cut_off()
                return
            head, rest = bytes(self._head[: end.start()]), bytes(self._head[end.end() :])
            status = _STATUS.match(head)
            if status and status[1].startswith(b"1") and status[1] != b"101":
                self._head, searched = bytearray(rest), 0  # an interim answer
                continue
            fixed = repaired(head)
            if fixed is None:
                self._pass_through()
            else:
                self._head = None
                super().data_received(fixed + b"\r\n\r\n" + rest)

    def _pass_through(self) -> None:
        data, self._head = bytes(self._head or b""), None
        super().data_received(data)

    def _cut_off(self) -> None:
        lines, self._head = bytes(self._head or b"").rpartition(b"\n")[0], None
        fixed = repaired(lines.rstrip(b"\r"))
        if fixed is None:
            super().data_received(lines)
            return
        self._drops_rest = True
        kept = [
            line
            for line in fixed.split(b"\r\n")
            if not line.lower().startswith((b"content-length:", b"transfer-encoding:", b"connection:"))
        ]
        super().data_received(b"\r\n".join(kept) + b"\r\n" + _CUT_OFF + b"\r\n")


class RepairingConnector(aiohttp.TCPConnector):
    """A connector whose connections repair the heads of answers."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        # aiohttp has no public way to choose the protocol of a connection.
        self._factory = partial(_RepairingHandler, loop=self._loop)  # type: ignore[assignment]
