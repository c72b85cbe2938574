# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Amazon's API on 127.0.0.1: moto, and a shim before it with tokens that are new, expire and can be refused."""

from __future__ import annotations

import base64
import itertools
import json
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.harness.plain_http import Response, request
from tests.harness.processes import Process, find_program, free_port, wait_until
from tests.harness.thread_server import Server

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["EcrGate", "EcrShim", "Moto"]

_ROOT = Path(__file__).resolve().parents[2]
_TOKEN_CALL = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"


class Moto:
    """
    A moto server.

    :param folder: for its log
    """

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        folder.mkdir(parents=True, exist_ok=True)
        program = find_program("moto_server", "MOTO_SERVER", [_ROOT / ".venv-servers/moto/bin"])
        self.process = Process(
            "moto", [program, "-H", "127.0.0.1", "-p", str(self.port)], folder / "moto.log"
        )

    def __enter__(self) -> Moto:
        self.process.start()
        wait_until(self._answers, 120, f"moto at {self.url}", process=self.process)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stop()

    def _answers(self) -> bool:
        try:
            return request("GET", f"{self.url}/moto-api/data.json").status == 200
        except OSError:
            return False


def error(code: str, message: str, status: int = 400) -> Response:
    """Return an error in the form of Amazon's JSON protocol."""
    body = json.dumps({"__type": code, "message": message}).encode()
    return Response(status, {"content-type": "application/x-amz-json-1.1"}, body)


@dataclass
class Issued:
    """A token, and the wall-clock time at which it expires."""

    token: str
    expires_at: float
    is_revoked: bool = False


class EcrShim(Server):
    """
    ECR's API: moto answers, and the shim replaces the token and the time of each answer.

    :param moto: the server behind
    :param lifetime: seconds that a token is valid
    """

    def __init__(self, moto: Moto, lifetime: float = 43_200.0) -> None:
        super().__init__()
        self.lifetime = lifetime
        self.issued: list[Issued] = []
        self.calls = 0
        self.fault: Callable[[], Response | None] = lambda: None
        self._moto = moto
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Response:
        """Let moto answer, and replace the token that it always returns."""
        if headers.get("x-amz-target") != _TOKEN_CALL:
            return self._forwarded(method, path, headers, body)
        with self._lock:
            self.calls += 1
        if (fault := self.fault()) is not None:
            return fault
        answer = self._forwarded(method, path, headers, body)
        document = answer.json()
        with self._lock:
            token = Issued(f"planted-ecr-token-{next(self._numbers)}-{'x' * 40}", time.time() + self.lifetime)
            self.issued.append(token)
        for data in document["authorizationData"]:
            data["authorizationToken"] = base64.b64encode(f"AWS:{token.token}".encode()).decode()
            data["expiresAt"] = token.expires_at
        return Response(200, answer.headers, json.dumps(document).encode())

    def accepts(self, authorization: str) -> bool:
        """Return True if a header contains a token that is valid now."""
        now = time.time()
        return any(
            authorization == "Basic " + base64.b64encode(f"AWS:{issued.token}".encode()).decode()
            for issued in self.issued
            if now < issued.expires_at and not issued.is_revoked
        )

    def revoke(self) -> None:
        """Make all tokens so far invalid."""
        for issued in self.issued:
            issued.is_revoked = True

    def secrets(self) -> list[str]:
        """Return each token, and its pair with the user in the form of a request."""
        tokens = [issued.token for issued in self.issued]
        return tokens + [base64.b64encode(f"AWS:{token}".encode()).decode() for token in tokens]

    def _forwarded(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Response:
        kept = {name: value for name, value in headers.items() if name not in ("host", "content-length")}
        return request(method, self._moto.url + path, body=body, headers=kept)


@dataclass(frozen=True)
class Passed:
    """One request at the gate."""

    method: str
    path: str
    status: int
    has_login: bool


class EcrGate(Server):
    """
    A registry as ECR's: it wants Basic with a token of the shim, and passes requests to a registry behind.

    :param shim: issues the tokens
    :param registry: base URL of the registry behind
    """

    def __init__(self, shim: EcrShim, registry: str) -> None:
        super().__init__()
        self.seen: list[Passed] = []
        self.is_closed = False
        self._shim = shim
        self._registry = registry

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Response:
        """Refuse a request without a valid token, or pass it on."""
        if self.is_closed or not self._shim.accepts(headers.get("authorization", "")):
            challenge = f'Basic realm="{self.url}/",service="ecr.amazonaws.com"'
            answer = Response(
                401, {"www-authenticate": challenge, "content-type": "text/plain"}, b"Not Authorized\n"
            )
        else:
            kept = {name: value for name, value in headers.items() if name in ("accept", "accept-encoding")}
            answer = request(method, self._registry + path, headers=kept)
        self.seen.append(Passed(method, path, answer.status, "authorization" in headers))
        return answer

    def count(self, method: str, status: int = 200) -> int:
        """Return the number of requests so far with this method and this status."""
        return sum(seen.method == method and seen.status == status for seen in self.seen)

    def rejected_logins(self) -> int:
        """Return the number of requests so far with a token that was not valid."""
        return sum(seen.has_login and seen.status == 401 for seen in self.seen)

    def forget(self) -> None:
        """Leave the requests so far out of the counts."""
        self.seen.clear()
