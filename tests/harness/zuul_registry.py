# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""zuul-registry on 127.0.0.1: bearer tokens with a scope of its own, and 404 to any page size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from tests.harness.docker_registry import PASSWORD, USER
from tests.harness.processes import Process, find_program, free_port, wait_until
from tests.harness.request_log import LoggingServer, RequestLog
from tests.harness.token_account import TokenAccount

if TYPE_CHECKING:
    from tests.harness.plain_http import Response

__all__ = ["ZuulRegistry"]

_ROOT = Path(__file__).resolve().parents[2]
_ACCESS = r'"(?P<method>[A-Z]+) (?P<path>/v2/\S*) HTTP/[0-9.]+" (?P<status>\d{3})'


class ZuulRegistry(LoggingServer):
    """
    A zuul-registry with its storage in a folder, which can be stopped and started again on the same port.

    :param folder: storage, configuration and log
    """

    ca_file: str | None = None

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.host}"
        self.credentials = (USER, PASSWORD)
        self.log = RequestLog(folder / "registry.log", _ACCESS)
        folder.mkdir(parents=True, exist_ok=True)
        program = find_program("zuul-registry", "ZUUL_REGISTRY", [_ROOT / ".venv-servers/zuul-registry/bin"])
        self.process = Process("zuul-registry", [program, "-d", "-c", str(self._configure())], self.log.path)
        self._account = TokenAccount(self.url, self.credentials)

    def _configure(self) -> Path:
        storage = self.folder / "storage"
        storage.mkdir(exist_ok=True)
        config = {
            "registry": {
                "address": "127.0.0.1",
                "port": self.port,
                "public-url": self.url,
                "secret": "secret",
                "users": [
                    {"name": USER, "pass": PASSWORD, "access": "write"},
                    {"name": "reader", "pass": "reader-password", "access": "read"},
                ],
                "storage": {"driver": "filesystem", "root": str(storage)},
            }
        }
        path = self.folder / "registry.yaml"
        path.write_text(json.dumps(config))  # YAML is a superset of JSON
        return path

    def start(self) -> ZuulRegistry:
        """Start the server, also after it was stopped, and wait until it answers."""
        self.process.start()
        wait_until(self._answers, 60, f"the registry at {self.url}", process=self.process)
        self.forget_requests()
        return self

    def stop(self) -> None:
        """Stop the server; its storage stays."""
        self.process.stop()

    def _answers(self) -> bool:
        try:
            return self.request("GET", "/v2/").status in {200, 401}
        except OSError:
            return False

    def request(
        self, method: str, path: str, *, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Response:
        """Send one request with a token that allows reading and writing."""
        return self._account.request(method, path, body=body, headers=headers)

    def remove_tag(self, repository: str, tag: str) -> None:
        """Delete a tag from the storage: the server has no request for it."""
        (self.folder / "storage/_local/repos" / repository / "manifests" / tag).unlink()
