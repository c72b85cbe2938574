# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Pulp's container registry on 127.0.0.1: bearer tokens, and manifests behind a redirect to another port."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.harness.plain_http import request
from tests.harness.postgres import Postgres
from tests.harness.processes import Process, find_program, free_port, tail, wait_until
from tests.harness.request_log import LoggingServer, RequestLog
from tests.harness.token_account import TokenAccount

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.harness.plain_http import Response

__all__ = ["Pulp"]

_ROOT = Path(__file__).resolve().parents[2]
_PLACES = [_ROOT / ".venv-servers/pulp/bin"]
_ACCESS = r'"(?P<method>[A-Z]+) (?P<path>/v2/\S*) HTTP/[0-9.]+" (?P<status>\d{3})'
_UNDER_WAY = {"waiting", "running", "canceling"}
PASSWORD = "pulp-password"


class Pulp(LoggingServer):
    """
    A Pulp of one API process, one content process and one worker, with a PostgreSQL of its own.

    :param folder: settings, storage and logs
    :param token_lifetime: seconds that a token is valid
    """

    ca_file: str | None = None
    logs_late = True

    def __init__(self, folder: Path, token_lifetime: int = 300) -> None:
        self.folder = folder
        self.postgres = Postgres()
        self.port, self._content_port = free_port(), free_port()
        self.host = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.host}"
        self.credentials = ("admin", PASSWORD)
        self.log = RequestLog(folder / "api.log", _ACCESS)
        self._environment = self._configure(token_lifetime)
        self._account = TokenAccount(self.url, self.credentials)
        self._api = self._process("pulpcore-api", "-b", self.host, "--access-logfile", "-", "-t", "120")
        self._content = self._process("pulpcore-content", "-b", f"127.0.0.1:{self._content_port}")
        self._worker = self._process("pulpcore-worker")

    def _configure(self, token_lifetime: int) -> Mapping[str, str]:
        for name in ("media", "tmp", "static"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "database.key").write_bytes(Fernet.generate_key())
        self._write_token_keys()
        authority = self.postgres.url.partition("://")[2]
        login, _, place = authority.partition("@")
        user, _, password = login.partition(":")
        host_port, _, database = place.partition("/")
        host, _, port = host_port.partition(":")
        settings = {
            "SECRET_KEY": "tests",
            "DEPLOY_ROOT": str(self.folder),
            "MEDIA_ROOT": str(self.folder / "media"),
            "STATIC_ROOT": str(self.folder / "static"),
            "WORKING_DIRECTORY": str(self.folder / "tmp"),
            "FILE_UPLOAD_TEMP_DIR": str(self.folder / "tmp"),
            "DB_ENCRYPTION_KEY": str(self.folder / "database.key"),
            "CONTENT_ORIGIN": f"http://127.0.0.1:{self._content_port}",
            "ANALYTICS": False,
            "DATABASES": {
                "default": {
                    "ENGINE": "django.db.backends.postgresql",
                    "HOST": host,
                    "PORT": port,
                    "USER": user,
                    "PASSWORD": password,
                    "NAME": database,
                }
            },
            "TOKEN_SERVER": f"{self.url}/token/",
            "TOKEN_SIGNATURE_ALGORITHM": "ES256",
            "TOKEN_EXPIRATION_TIME": token_lifetime,
            "PUBLIC_KEY_PATH": str(self.folder / "token.pub"),
            "PRIVATE_KEY_PATH": str(self.folder / "token.key"),
        }
        path = self.folder / "settings.py"
        path.write_text("".join(f"{name} = {value!r}\n" for name, value in settings.items()))
        return {**os.environ, "PULP_SETTINGS": str(path), "PULP_ALLOW_RUNNING_AS_ROOT": "1"}

    def _write_token_keys(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        (self.folder / "token.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption(),
            )
        )
        (self.folder / "token.pub").write_bytes(
            key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )

    def _process(self, name: str, *arguments: str) -> Process:
        log = self.folder / f"{name.removeprefix('pulpcore-')}.log"
        return Process(
            name, [find_program(name, "PULP_BIN", _PLACES), *arguments], log, env=dict(self._environment)
        )

    def _manage(self, *arguments: str) -> None:
        log = self.folder / "manager.log"
        with log.open("ab") as output:
            done = subprocess.run(
                [find_program("pulpcore-manager", "PULP_BIN", _PLACES), *arguments],
                env=dict(self._environment),
                stdout=output,
                stderr=output,
                timeout=600,
                check=False,
            )
        if done.returncode:
            raise RuntimeError(f"pulpcore-manager {arguments[0]} failed:\n{tail(log)}")

    def __enter__(self) -> Pulp:
        try:
            self.postgres.__enter__()
            self._manage("migrate", "--noinput")
            self._manage("reset-admin-password", "--password", PASSWORD)
            return self.start()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self.postgres.close()

    def start(self) -> Pulp:
        """Start the three processes, also after they were stopped, and wait until the registry answers."""
        for process in (self._api, self._content, self._worker):
            process.start()
        wait_until(self._answers, 120, f"Pulp at {self.url}", process=self._api)
        self.forget_requests()
        return self

    def stop(self) -> None:
        """Stop the three processes; database and storage stay."""
        for process in (self._worker, self._content, self._api):
            process.stop()

    def _answers(self) -> bool:
        try:
            status = request("GET", f"{self.url}/pulp/api/v3/status/").json()
            content = status.get("online_content_apps") and status.get("online_workers")
            return bool(content) and self.request("GET", "/v2/").status == 200
        except (OSError, ValueError, RuntimeError):
            return False

    def request(
        self, method: str, path: str, *, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Response:
        """Send one request to the registry with a token that allows reading and writing."""
        return self._account.request(method, path, body=body, headers=headers)

    def send(self, path: str) -> Response:
        """Send a request without a login to the registry."""
        return request("GET", self.url + path)

    def api(self, method: str, path: str, body: bytes | None = None) -> Response:
        """
        Send one request to Pulp's own API.

        :param path: below ``/pulp/api/v3``
        """
        return request(
            method,
            f"{self.url}/pulp/api/v3{path}",
            body=body,
            headers={"Content-Type": "application/json"},
            credentials=self.credentials,
        )

    def remove_tag(self, repository: str, tag: str) -> None:
        """Delete a tag; its manifest stays."""
        href = self._found("/repositories/container/container/", repository)
        self._finish(self.api("POST", f"{href}untag/", json.dumps({"tag": tag}).encode()))

    def make_private(self, repository: str) -> None:
        """Let only logins read a repository; a push creates it for everybody."""
        href = self._found("/distributions/container/container/", repository)
        self._finish(self.api("PATCH", href, json.dumps({"private": True}).encode()))

    def _found(self, path: str, name: str) -> str:
        found = self.api("GET", f"{path}?name={name}").json()["results"]
        if len(found) != 1:
            raise RuntimeError(f"{path} of Pulp has {len(found)} entries named {name!r}")
        return str(found[0]["pulp_href"]).removeprefix("/pulp/api/v3")

    def sync(self, repository: str, upstream_url: str) -> None:
        """
        Copy a repository from another registry, far quicker than pushing its tags.

        :param repository: full name, there and here
        :param upstream_url: base URL of a registry without a login
        """
        remote = {"name": repository, "url": upstream_url, "upstream_name": repository, "policy": "on_demand"}
        remote_href = self._created("/remotes/container/container/", remote)
        place = self._created("/repositories/container/container/", {"name": f"synced/{repository}"})
        body = json.dumps({"remote": remote_href}).encode()
        self._finish(self.api("POST", f"{place.removeprefix('/pulp/api/v3')}sync/", body))
        published = {"name": repository, "base_path": repository, "repository": place}
        body = json.dumps(published).encode()
        self._finish(self.api("POST", "/distributions/container/container/", body))

    def _created(self, path: str, values: dict[str, str]) -> str:
        answer = self.api("POST", path, json.dumps(values).encode())
        if answer.status != 201:
            raise RuntimeError(f"POST {path}: {answer.status} {answer.body[:200]!r}")
        return str(answer.json()["pulp_href"])

    def _finish(self, answer: Response) -> None:
        """Wait for the end of a task that an answer names."""
        if answer.status != 202:
            raise RuntimeError(f"Pulp answered {answer.status} {answer.body[:200]!r}")
        path = answer.json()["task"].removeprefix("/pulp/api/v3")
        wait_until(
            lambda: self.api("GET", path).json()["state"] not in _UNDER_WAY, 600, f"Pulp's task {path}"
        )
        task = self.api("GET", path).json()
        if task["state"] != "completed":
            raise RuntimeError(f"Pulp's task {path} is {task['state']}: {task.get('error')}")
