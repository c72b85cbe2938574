# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The real registry (CNCF distribution) on 127.0.0.1."""

from __future__ import annotations

import json
import shutil
import ssl
from typing import TYPE_CHECKING

from tests.harness.plain_http import Response, request
from tests.harness.processes import Process, find_program, free_port, wait_until
from tests.harness.request_log import LoggingServer, RequestLog

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import trustme

__all__ = ["PASSWORD", "USER", "DockerRegistry"]

USER = "robot"
PASSWORD = "registry-password"
# bcrypt of PASSWORD: the registry takes no other scheme, and the standard library cannot make it.
_HTPASSWD = f"{USER}:$2y$05$qWc0Xo9vR3uJmZ1sT8yLae8dpPAEBXn.Unk3ghRxWdd/KcCTRDM36\n"

_ACCESS = r'^\S+ - \S+ \[[^]]+\] "(?P<method>[A-Z]+) (?P<path>\S+) HTTP/[0-9.]+" (?P<status>\d{3}) '


class DockerRegistry(LoggingServer):
    """
    A registry with its storage in a folder; it can be stopped and started again on the same port.

    :param folder: for storage, configuration and log
    :param port: default a free one
    :param protected: whether it wants USER and PASSWORD (Basic)
    :param ca: a certificate authority; the registry then speaks TLS with a certificate of it
    :param settings: further sections of the registry's configuration, such as ``proxy``
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        protected: bool = False,
        ca: trustme.CA | None = None,
        settings: Mapping[str, object] | None = None,
    ) -> None:
        self.folder = folder
        self.ca_file = str(folder / "ca.pem") if ca else None
        self.port = port or free_port()
        self.protected = protected
        self.scheme = "https" if ca else "http"
        self._ca = ca
        self._settings = settings or {}
        self.log = RequestLog(folder / "registry.log", _ACCESS)
        folder.mkdir(parents=True, exist_ok=True)
        program = find_program("docker-registry", "DOCKER_REGISTRY")
        self.process = Process("docker-registry", [program, "serve", str(self._configure())], self.log.path)

    @property
    def host(self) -> str:
        """Address and port, as in an image reference."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Base URL, without a slash at its end."""
        return f"{self.scheme}://{self.host}"

    @property
    def storage(self) -> Path:
        """Folder the registry keeps its repositories in."""
        return self.folder / "storage"

    @property
    def credentials(self) -> tuple[str, str] | None:
        """User and password, None where it wants none."""
        return (USER, PASSWORD) if self.protected else None

    def _configure(self) -> Path:
        http: dict[str, object] = {"addr": self.host}
        config: dict[str, object] = {
            "version": "0.1",
            "log": {"level": "error", "accesslog": {"disabled": False}},
            "storage": {
                "filesystem": {"rootdirectory": str(self.storage)},
                "delete": {"enabled": True},
                "cache": {"blobdescriptor": "inmemory"},
            },
            "http": http,
        }
        if self._ca:
            http["tls"] = self._write_certificate(self._ca)
        if self.protected:
            users = self.folder / "htpasswd"
            users.write_text(_HTPASSWD)
            config["auth"] = {"htpasswd": {"realm": "tests", "path": str(users)}}
        config.update(self._settings)
        path = self.folder / "config.yml"
        path.write_text(json.dumps(config, indent=1))  # YAML is a superset of JSON
        return path

    def _write_certificate(self, ca: trustme.CA) -> dict[str, str]:
        issued = ca.issue_cert("127.0.0.1", "localhost")
        certificate, key = self.folder / "server.pem", self.folder / "server.key"
        certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        key.write_bytes(issued.private_key_pem.bytes())
        ca.cert_pem.write_to_path(str(self.folder / "ca.pem"))
        return {"certificate": str(certificate), "key": str(key)}

    def start(self) -> DockerRegistry:
        """Start it, once more after it was stopped, and wait until it answers."""
        self.process.start()
        wait_until(self._answers, 60, f"the registry at {self.url}", process=self.process)
        self.forget_requests()
        return self

    def stop(self) -> None:
        """End it; what was pushed stays."""
        self.process.stop()

    def _answers(self) -> bool:
        try:
            return self.request("GET", "/v2/").status in {200, 401}
        except OSError:
            return False

    def request(
        self, method: str, path: str, *, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Response:
        """
        Send one request to the registry, with its credentials where it wants some.

        :param method: HTTP method
        :param path: from /v2/ on
        :param body: what is sent
        :param headers: of the request
        """
        context = None
        if self._ca:
            context = ssl.create_default_context()
            self._ca.configure_trust(context)
        return request(
            method, self.url + path, body=body, headers=headers, credentials=self.credentials, context=context
        )

    def remove_tag(self, repository: str, tag: str) -> None:
        """
        Take a tag away and leave what it pointed at: this registry has no request for that.

        :param repository: full name
        :param tag: the tag
        """
        shutil.rmtree(self._manifests(repository) / "tags" / tag)

    def empty(self) -> None:
        """Take all repositories away, as when a registry is replaced by a new one."""
        shutil.rmtree(self.storage / "docker", ignore_errors=True)

    def _manifests(self, repository: str) -> Path:
        return self.storage / "docker/registry/v2/repositories" / repository / "_manifests"
