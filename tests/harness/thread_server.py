# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""An HTTP server in a thread, for the endpoints that an SDK calls."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlsplit

from tests.harness.plain_http import Response

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

__all__ = ["ScriptedServer", "Seen", "Server", "json_answer"]


def json_answer(document: Any, status: int = 200) -> Response:
    """Return an answer with a JSON document."""
    return Response(status, {"content-type": "application/json"}, json.dumps(document).encode())


class Server:
    """
    A server in a thread, whose ``answer`` is called for each request.

    :param context: for TLS
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                headers = {name.lower(): value for name, value in self.headers.items()}
                answer = server.answer(self.command, self.path, headers, body)
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    if name not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                        self.send_header(name, value)
                stated = answer.headers.get("content-length") if self.command == "HEAD" else None
                self.send_header("Content-Length", stated or str(len(answer.body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer.body)

            do_GET = do_HEAD = do_POST = answer

            def log_message(self, *_: object) -> None:
                pass

        class Threads(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

        self._server = Threads(("127.0.0.1", 0), Handler)
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.port}"

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Response:
        """Return the answer to a request."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclass(frozen=True)
class Seen:
    """One request as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def query(self) -> dict[str, str]:
        """The first value of each key of the query."""
        return {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}

    @property
    def form(self) -> dict[str, str]:
        """The first value of each key of the body."""
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}


class ScriptedServer(Server):
    """
    A server whose answers a test gives.

    :param script: returns the answer to a request
    :param context: for TLS
    """

    def __init__(self, script: Callable[[Seen], Response], context: ssl.SSLContext | None = None) -> None:
        super().__init__(context)
        self.script = script
        self.seen: list[Seen] = []

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Response:
        """Ask the script."""
        seen = Seen(method, path, headers, body)
        self.seen.append(seen)
        return self.script(seen)
