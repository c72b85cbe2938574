# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A server on a real socket that answers, or fails to, as it is told."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import ssl
import struct
import threading
from collections.abc import Awaitable, Callable

import pytest

from tests.unit.loop_clock import advance, settle

LOOPBACK = ("127.0.0.0/8",)
LIMIT = 30.0
"""The time limit of an attempt in these tests, in seconds."""

Script = Callable[["Conversation"], Awaitable[None]]


class Conversation:
    """One connection, after the request was read."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.request = b""

    async def read_request(self) -> None:
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = next(
            (
                int(line.split(b":")[1])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length:")
            ),
            0,
        )
        self.request = head + await self.reader.readexactly(length)

    async def send(self, *parts: bytes, pause: float = 0) -> None:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()
            await asyncio.sleep(pause)

    async def pass_time(self, seconds: float) -> None:
        """Let the client read what was sent, then move the clock of the loop forward."""
        await settle()
        advance(seconds)

    def reset(self) -> None:
        sock = self.writer.get_extra_info("socket")
        # SO_LINGER with zero seconds: close sends RST.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class ScriptedServer:
    """Accepts, reads the request (unless told not to) and follows its script."""

    def __init__(
        self,
        script: Script,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        context: ssl.SSLContext | None = None,
        reads: bool = True,
    ) -> None:
        self._script = script
        self._host = host
        self._port = port
        self._context = context
        self._reads = reads
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.connections = 0
        self.requests: list[bytes] = []

    @property
    def address(self) -> str:
        """Return the address to listen on, also before the start."""
        return self._host

    def use(self, context: ssl.SSLContext) -> None:
        """Set the TLS context before the start, where the certificate depends on the address."""
        self._context = context

    async def __aenter__(self) -> ScriptedServer:
        if self._server is not None:
            return self  # started before, to see whether it can be
        self._server = await asyncio.start_server(
            self._serve, self._host, self._port, ssl=self._context, limit=4 * 1024 * 1024
        )
        self.host, self.port = self._server.sockets[0].getsockname()[:2]
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}/hook"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        talk = Conversation(reader, writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            if self._reads:
                await talk.read_request()
                self.requests.append(talk.request)
            await self._script(talk)
        with contextlib.suppress(OSError):
            writer.close()


def answering(*parts: bytes, pause: float = 0, hold: float = 0) -> Script:
    """Send these parts, wait, and close."""

    async def script(talk: Conversation) -> None:
        await talk.send(*parts, pause=pause)
        await asyncio.sleep(hold)

    return script


def stalling(*parts: bytes, then: bytes = b"") -> Script:
    """
    Send these parts, and nothing more before the time limit of the client, which comes at once.

    :param then: a byte of it is sent each 0.1 s
    """

    async def script(talk: Conversation) -> None:
        await talk.send(*parts)
        await talk.pass_time(LIMIT + 1)
        await talk.send(*(b"%c" % byte for byte in then), pause=0.1)
        await asyncio.sleep(2 * LIMIT)

    return script


def response(status: int = 200, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Text", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def own_address() -> str:
    """Give an address of this machine's 127.0.0.0/8 where port 443 is most likely free."""
    numbers = random.SystemRandom()  # tests seed the module's own generator
    return f"127.{numbers.randint(1, 250)}.{numbers.randint(0, 250)}.{numbers.randint(2, 250)}"


async def https_server(
    script: Script, context: ssl.SSLContext | None, *, reads: bool = True
) -> ScriptedServer:
    """Give a server on port 443 of an address of its own, not yet started; skip where it may not be bound."""
    address = own_address()
    try:
        probe = await asyncio.start_server(lambda *_: None, address, 443)
    except PermissionError:
        pytest.skip("port 443 may not be bound by this user")
    probe.close()
    await probe.wait_closed()
    return ScriptedServer(script, host=address, port=443, context=context, reads=reads)


class BlockingTlsServer:
    """A server that sends its alerts: asyncio's drops the connection when a handshake fails."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self.host = own_address()
        self.requests: list[bytes] = []

    def __enter__(self) -> BlockingTlsServer:
        try:
            self._listening = socket.create_server((self.host, 443))
        except PermissionError:
            pytest.skip("port 443 may not be bound by this user")
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._thread.join(30)
        self._listening.close()

    def _serve(self) -> None:
        connection, _ = self._listening.accept()
        connection.settimeout(30)
        # A handshake while wrapping would close the socket when it fails.
        secure = self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        with secure, contextlib.suppress(OSError):
            try:
                secure.do_handshake()
                self.requests.append(secure.recv(65536))
                secure.sendall(response(200, b"fine"))
            except ssl.SSLError:
                # Read what is still coming: closing with unread bytes sends RST, which may overtake the alert.
                secure.shutdown(socket.SHUT_WR)
                while secure.recv(65536):
                    pass
