# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The layer between a socket and aiohttp's parser: the status of an answer decides, whatever follows it."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp
from aiohttp.http_exceptions import BadStatusLine

from airflow_registry_triggers.registry.http.response_head import MAX_HEAD, HeadReader, cut_off, repaired

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection

__all__ = ["MAX_LINES", "PROGRESS", "Progress", "RepairedResponse"]

MAX_LINES = MAX_HEAD // 4
"""Header lines that fit into a head."""

_EMPTY_LINE = b"\r\n\r\n"
_TLS_ALERT = b"\x15\x03"


@dataclass(slots=True)
class Progress:
    """
    The progress of one request.

    :param decides_at: the event loop's time at which the status decides, if the head is not complete then
    :param is_sent: whether a connection, over a proxy and with TLS, was open and the request was sent
    :param speaks_tls: whether the port answered a plain request with TLS
    """

    decides_at: float
    is_sent: bool = False
    speaks_tls: bool = False


PROGRESS: ContextVar[Progress] = ContextVar("registry_request_progress")
"""The request of the current task. aiohttp creates responses itself, so no argument leads there."""


class RepairedResponse(aiohttp.ClientResponse):
    """An answer whose head is repaired, and whose status stands even if a faulty header or body follows."""

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        """Read the head through :class:`HeadReader` instead of directly from the socket."""
        progress = PROGRESS.get()
        progress.is_sent = True
        transport, protocol = connection.transport, connection.protocol
        if transport is None or protocol is None:
            return await super().start(connection)
        stream = _AnswerStream(transport, protocol, progress, self._break_off)
        transport.set_protocol(stream)
        try:
            started = await super().start(connection)
        finally:
            stream.stop_timer()
        if stream.is_broken:
            self._break_off()
        return started

    def _break_off(self) -> None:
        if self.content is not None:  # None before the start
            self.content.set_exception(aiohttp.ClientPayloadError("the body is not valid"))


class _AnswerStream(asyncio.Protocol):
    """The protocol of a connection from one request to the next one."""

    def __init__(
        self,
        transport: asyncio.Transport,
        inner: ResponseHandler,
        progress: Progress,
        on_broken: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._inner = inner
        self._progress = progress
        self._on_broken = on_broken
        self._head: HeadReader | None = HeadReader()
        self._timer: asyncio.TimerHandle | None = None
        self._drops = False
        self.is_broken = False
        self.eof_received = inner.eof_received  # type: ignore[method-assign]
        self.pause_writing = inner.pause_writing  # type: ignore[method-assign]
        self.resume_writing = inner.resume_writing  # type: ignore[method-assign]

    def data_received(self, data: bytes) -> None:
        """Pass a body on unchanged, and a head after its repair."""
        if self._head is not None:
            self._read_head(self._head, data)
        elif not (self._drops or self.is_broken):
            self._forward(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Keep the status of a head that the peer never completed."""
        self.stop_timer()
        if self._head is not None:
            self._cut_off()
        self._inner.connection_lost(exc)

    def stop_timer(self) -> None:
        """Stop waiting for the rest of a head."""
        if self._timer is not None:
            self._timer.cancel()

    def _read_head(self, reader: HeadReader, data: bytes) -> None:
        self._progress.speaks_tls = self._progress.speaks_tls or data.startswith(_TLS_ALERT)
        rest = reader.feed(data)
        if not reader.is_http:
            self._refuse()
        elif rest is not None:
            self._take(repaired(reader.head), rest)
        elif self._timer is None:
            # Only an incomplete head needs a timer, which costs more than reading a whole one.
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(self._progress.decides_at, self._cut_off)

    def _take(self, head: bytes | None, rest: bytes) -> None:
        if head is None:
            self._refuse()
            return
        self._head = None
        self._forward(head + _EMPTY_LINE)
        if rest:
            # Apart from the head: the parser drops a whole read if a chunk in it is broken.
            self._forward(rest)

    def _refuse(self) -> None:
        self._head, self._drops = None, True
        self._inner.set_exception(BadStatusLine("not an HTTP answer"))

    def _forward(self, data: bytes) -> None:
        if not self.is_broken:
            self._inner.data_received(data)
        if self._inner.exception() is not None:
            self.is_broken = True
            self._on_broken()

    def _cut_off(self) -> None:
        fixed = cut_off(self._head.whole_lines) if self._head is not None else None
        if fixed is not None:
            self._head, self._drops = None, True
            self._inner.data_received(fixed + _EMPTY_LINE)
