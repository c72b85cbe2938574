# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A server that sends bytes as a test wrote them: heads that no HTTP library would send."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from tests.unit.loop_clock import advance, settle

Script = Callable[["Talk"], Awaitable[None]]


@dataclass
class Talk:
    """One request, and the connection that it came on."""

    method: str
    path: str
    head: str
    writer: asyncio.StreamWriter
    reader: asyncio.StreamReader
    number: int
    """Of the request on this server, from 1."""
    keeps: bool = False
    """Whether the connection stays open after the script."""

    async def send(self, *parts: bytes, pause: float = 0) -> None:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()
            await asyncio.sleep(pause)

    async def hold(self, passes: float = 0) -> None:
        """
        Keep the connection open and silent until the client closes it.

        :param passes: seconds by which the clock of the loop moves, after the client has read what was sent
        """
        if passes:
            await settle()
            advance(passes)
        await self.reader.read()


@dataclass
class RawServer:
    """Follows its script for each request, and records all of them."""

    script: Script
    host: str = "127.0.0.1"
    ssl: Any = None
    port: int = 0
    """A host with several addresses needs a given port, or each address gets another one."""
    requests: list[Talk] = field(default_factory=list)
    connections: int = 0
    received: bytes = b""
    """All bytes that arrived, of requests or not."""

    async def __aenter__(self) -> RawServer:
        self._server = await asyncio.start_server(self._serve, self.host, self.port, ssl=self.ssl)
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"{'https' if self.ssl else 'http'}://{self.host}:{self.port}"
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def asked(self) -> list[tuple[str, str]]:
        """Method and path of each request."""
        return [(talk.method, talk.path) for talk in self.requests]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        with contextlib.suppress(OSError, asyncio.CancelledError):
            while await self._one(reader, writer):
                pass
        with contextlib.suppress(OSError):
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            self.received += error.partial
            return False
        self.received += head
        method, path, _ = head.split(b"\r\n")[0].decode().split(" ")
        talk = Talk(method, path, head.decode("latin-1"), writer, reader, len(self.requests) + 1)
        self.requests.append(talk)
        await self.script(talk)
        return talk.keeps


def reply(status: int, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Text", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def says(
    *parts: bytes, pause: float = 0, holds: bool = False, passes: float = 0, keeps: bool = False
) -> Script:
    """Send these parts for each request, then close, or stay silent, or wait for the next request."""

    async def script(talk: Talk) -> None:
        await talk.send(*parts, pause=pause)
        if holds:
            await talk.hold(passes)
        talk.keeps = keeps

    return script


def by_method(**replies: bytes) -> Script:
    """Send a reply that depends on the method, and keep the connection; a HEAD gets no body."""

    async def script(talk: Talk) -> None:
        answer = replies[talk.method]
        await talk.send(answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if talk.method == "HEAD" else answer)
        talk.keeps = True

    return script
