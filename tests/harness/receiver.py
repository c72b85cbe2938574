# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A real HTTP server that keeps what it received and answers as a test says."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from tests.harness.processes import free_port, wait_until

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Answer", "Received", "Receiver"]


@dataclass(frozen=True)
class Answer:
    """
    What the receiver does with one request.

    :param status: HTTP status
    :param headers: of the answer
    :param body: of the answer
    :param delay: seconds before it
    :param held: event that it waits for, a minute at most
    :param close: close the connection in place of an answer
    :param reset: reset the connection (RST) in place of an answer
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay: float = 0.0
    held: threading.Event | None = None
    close: bool = False
    reset: bool = False


@dataclass(frozen=True)
class Received:
    """
    One request: ``path`` with its query, headers as they came, the raw body, and when (``time.time()``).
    """

    method: str
    path: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    at: float
    status: int | None

    def header(self, name: str) -> str | None:
        """Give the first value of a header, whatever its case."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def json(self) -> Any:
        """Read the body as JSON; objects keep the order of their keys."""
        return json.loads(self.body)


class Receiver:
    """
    A server in threads on 127.0.0.1.

    A path that nothing was said of answers 200. The answers of a script are used one after the other,
    and the last one from then on.

    :param port: default a free one above 1024, which the port rules allow for http
    :param host: address to bind
    :param context: TLS of the server
    :param on_request: called with each request after it was kept and before it is answered
    """

    def __init__(
        self,
        *,
        port: int | None = None,
        host: str = "127.0.0.1",
        context: ssl.SSLContext | None = None,
        on_request: Callable[[Received], None] | None = None,
    ) -> None:
        self.host = host
        self.port = port or free_port(host)
        self.scheme = "https" if context else "http"
        self._context = context
        self._on_request = on_request
        self._lock = threading.Lock()
        self._received: list[Received] = []
        self._scripts: dict[str, list[Answer]] = {}
        self._server: _Server | None = None

    def __enter__(self) -> Receiver:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Base URL, without a slash at its end."""
        return f"{self.scheme}://{self.host}:{self.port}"

    def start(self) -> Receiver:
        """Listen, once more after it was stopped; what was received stays."""
        self._server = _Server((self.host, self.port), self, self._context)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Close the port."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def script(self, path: str, *answers: Answer | int) -> None:
        """
        Say what a path answers from now on.

        :param path: without a query
        :param answers: one for each request, the last one for all further ones; a number is a status
        """
        steps = [Answer(status=step) if isinstance(step, int) else step for step in answers]
        with self._lock:
            self._scripts[path] = steps or [Answer()]

    def received(self, path: str | None = None) -> list[Received]:
        """
        Give what came in, oldest first.

        :param path: only this one, without a query
        """
        with self._lock:
            return [item for item in self._received if path in (None, item.path.partition("?")[0])]

    def forget(self) -> None:
        """Drop what came in so far."""
        with self._lock:
            self._received.clear()

    def wait_for(self, count: int, timeout: float = 60.0, path: str | None = None) -> list[Received]:
        """
        Wait until at least so many requests came in, and give them.

        :param count: how many
        :param timeout: seconds
        :param path: count only this one
        :raises TimeoutError: fewer came
        """

        def enough() -> list[Received]:
            items = self.received(path)
            return items if len(items) >= count else []

        try:
            return wait_until(enough, timeout, f"{count} requests at {self.url}{path or ''}", interval=0.02)
        except TimeoutError as error:
            raise TimeoutError(f"{error}; {len(self.received(path))} came") from None

    def _take(self, method: str, path: str, headers: Sequence[tuple[str, str]], body: bytes) -> Answer:
        at = time.time()
        with self._lock:
            steps = self._scripts.get(path.partition("?")[0], [Answer()])
            answer = steps.pop(0) if len(steps) > 1 else steps[0]
            status = None if answer.close or answer.reset else answer.status
            item = Received(method, path, tuple(headers), body, at, status)
            self._received.append(item)
        if self._on_request:
            self._on_request(item)
        return answer


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], receiver: Receiver, context: ssl.SSLContext | None) -> None:
        self.receiver = receiver
        self.context = context
        super().__init__(address, _Handler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        # The handshake belongs to the connection's thread: a client that never speaks must not stop accept().
        if self.context:
            request = self.context.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that go away are what is tested."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""

    def _handle(self) -> None:
        body = self._read_body()
        answer = self.server.receiver._take(self.command, self.path, self.headers.items(), body)
        time.sleep(answer.delay)
        if answer.held:
            answer.held.wait(60)
        if answer.reset:
            self._reset()
        elif answer.close:
            self.close_connection = True
        else:
            self._send(answer)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _handle

    def _read_body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            chunks = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(chunks)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if "content-length" not in {name.lower() for name in answer.headers}:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def _reset(self) -> None:
        # Lingering for no time makes close() send RST.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True
