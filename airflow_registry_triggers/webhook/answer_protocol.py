# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The layer between a socket and aiohttp's parser, which receives a clean head and then the body."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp

from airflow_registry_triggers.webhook.answer import MAX_READ, AnswerHead

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection

__all__ = ["StatusFirstResponse"]


class StatusFirstResponse(aiohttp.ClientResponse):
    """
    An answer whose status stands, even if a faulty header or body follows.

    aiohttp's parser drops the status if the same read brings a broken body, and it never ends that body.
    """

    is_broken = False

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        """Read the head through :class:`AnswerHead` instead of directly from the socket."""
        transport, protocol = connection.transport, connection.protocol
        if transport is None or protocol is None:
            return await super().start(connection)
        feed = _HeadFirst(self.new_head(), transport, protocol, self._end_body)
        transport.set_protocol(feed)
        started = await super().start(connection)
        if feed.is_broken:
            self._end_body()
        return started

    def new_head(self) -> AnswerHead:
        """Return the reader of the head. A subclass returns the one that its exchange knows."""
        return AnswerHead()

    def _end_body(self) -> None:
        self.is_broken = True
        if self.content is not None:  # None before the start
            self.content.feed_eof()


class _HeadFirst(asyncio.Protocol):
    def __init__(
        self,
        head: AnswerHead,
        transport: asyncio.Transport,
        inner: ResponseHandler,
        on_broken: Callable[[], None],
    ) -> None:
        self._head = head
        self._transport = transport  # keeps the transport alive
        self._inner = inner
        self._on_broken = on_broken
        self._left = MAX_READ
        self.is_broken = False
        self.connection_lost = inner.connection_lost  # type: ignore[method-assign]
        self.eof_received = inner.eof_received  # type: ignore[method-assign]
        self.pause_writing = inner.pause_writing  # type: ignore[method-assign]
        self.resume_writing = inner.resume_writing  # type: ignore[method-assign]

    def data_received(self, data: bytes) -> None:
        if self.is_broken:
            return
        if self._head.is_complete:
            self._forward(data)
        else:
            self._read_head(data)

    def _read_head(self, data: bytes) -> None:
        rest = self._head.feed(data)
        answer = self._head.answer()
        if self._head.is_broken or (self._head.is_complete and answer and not 200 <= answer.status <= 599):
            self.is_broken = True
            self._inner.set_exception(aiohttp.http_exceptions.BadStatusLine("not an HTTP answer"))
        elif self._head.is_complete:
            self._inner.data_received(self._head.framing())
            self._forward(rest)

    def _forward(self, data: bytes) -> None:
        first, rest = data[: self._left], data[self._left :]
        self._left -= len(first)
        for part in (*_portions(first), rest):
            if part and not self.is_broken:
                self._inner.data_received(part)
                self._check()

    def _check(self) -> None:
        if self._inner.exception() is not None:
            self.is_broken = True
            self._on_broken()


def _portions(data: bytes) -> Iterator[bytes]:
    # aiohttp drops the whole read that has a broken chunk; line by line, the chunks before it are kept.
    yield from data.splitlines(keepends=True)
