# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A docker-registry that wants bearer tokens, with a token server in this process."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from tests.harness.docker_registry import PASSWORD, USER, DockerRegistry
from tests.harness.token_account import TokenAccount

if TYPE_CHECKING:
    from pathlib import Path

    import trustme

    from tests.harness.plain_http import Response

__all__ = ["TokenRegistry"]

SERVICE = "docker-registry"
ISSUER = "tests"
_LEEWAY = 60  # seconds by which docker-registry 2.8 still accepts an expired token


class TokenServer:
    """
    Issues tokens that docker-registry accepts, each for a few seconds only.

    :param folder: for the certificate
    :param ca: certificate authority of the key that signs
    :param lifetime: seconds that the registry accepts a token
    """

    def __init__(self, folder: Path, ca: trustme.CA, lifetime: int) -> None:
        issued = ca.issue_cert("tokens.test")
        self.bundle = folder / "token-ca.pem"
        folder.mkdir(parents=True, exist_ok=True)
        ca.cert_pem.write_to_path(str(self.bundle))
        self._lifetime = lifetime
        self._key = issued.private_key_pem.bytes()
        self._chain = [
            base64.b64encode(
                x509.load_pem_x509_certificate(blob.bytes()).public_bytes(serialization.Encoding.DER)
            ).decode()
            for blob in issued.cert_chain_pems
        ]
        self.issued: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.realm = f"http://127.0.0.1:{self._server.server_port}/token"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                expected = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
                allowed = self.headers.get("Authorization") == expected
                scopes = parse_qs(urlsplit(self.path).query).get("scope", [])
                body = json.dumps(server.answer(scopes) if allowed else {"details": "unauthorized"}).encode()
                self.send_response(200 if allowed else 401)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def answer(self, scopes: list[str]) -> dict[str, object]:
        """Return the token server's answer for some scopes."""
        access = []
        for scope in " ".join(scopes).split():
            kind, _, rest = scope.partition(":")
            name, _, actions = rest.rpartition(":")
            access.append({"type": kind, "name": name, "actions": actions.split(",")})
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "sub": USER,
            "aud": SERVICE,
            "iat": now - _LEEWAY,
            "nbf": now - _LEEWAY,
            "exp": now - _LEEWAY + self._lifetime,
            "jti": hashlib.sha256(f"{now}{len(self.issued)}".encode()).hexdigest(),
            "access": access,
        }
        token = jwt.encode(claims, self._key, algorithm="ES256", headers={"x5c": self._chain})
        self.issued.append(" ".join(scopes))
        return {"token": token, "expires_in": self._lifetime}

    def start(self) -> None:
        """Answer requests from now on."""
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Close the port."""
        self._server.shutdown()
        self._server.server_close()


class TokenRegistry(DockerRegistry):
    """
    A docker-registry with tokens.

    :param folder: storage, configuration and log
    :param ca: certificate authority of the key that signs the tokens
    :param lifetime: seconds that a token is valid
    """

    def __init__(self, folder: Path, ca: trustme.CA, lifetime: int = 12) -> None:
        self.tokens = TokenServer(folder, ca, lifetime)
        settings = {
            "auth": {
                "token": {
                    "realm": self.tokens.realm,
                    "service": SERVICE,
                    "issuer": ISSUER,
                    "rootcertbundle": str(self.tokens.bundle),
                }
            }
        }
        super().__init__(folder, settings=settings)
        self.tokens.start()

    @property
    def credentials(self) -> tuple[str, str]:
        """User and password at the token server."""
        return (USER, PASSWORD)

    def request(
        self, method: str, path: str, *, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Response:
        """Send one request with a token that allows reading and writing."""
        return TokenAccount(self.url, self.credentials).request(method, path, body=body, headers=headers)

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self.tokens.stop()
