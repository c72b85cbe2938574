# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A proxy that hands bytes on and counts the requests among them; requests without a body only."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter

__all__ = ["CountingProxy"]


class CountingProxy(threading.Thread):
    """
    Stands between a client and a server, in a thread of its own.

    :param port: of the server, on 127.0.0.1
    """

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.requests: Counter[str] = Counter()
        self.port = 0
        self._target = port
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()

    def __enter__(self) -> CountingProxy:
        self.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self.join()

    def run(self) -> None:
        """Serve until it is told to stop."""
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self._target)
        back = asyncio.create_task(_copy(from_server, writer))
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.requests[_kind(head)] += 1
                to_server.write(head)
                await to_server.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            back.cancel()
            to_server.close()
            writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()


def _kind(head: bytes) -> str:
    method, path, _ = head.split(b" ", 2)
    if b"/tags/list" in path:
        return "list"
    return method.decode() if b"/manifests/" in path else "other"
