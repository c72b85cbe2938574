# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""nginx in front of a registry: TLS, gzip and a path prefix, as companies publish one."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from tests.harness.docker_registry import DockerRegistry
from tests.harness.plain_http import request
from tests.harness.processes import Process, find_program, free_port, wait_until
from tests.harness.request_log import LoggingServer, RequestLog

if TYPE_CHECKING:
    from pathlib import Path

    import trustme

    from tests.harness.plain_http import Response

__all__ = ["NginxRegistry"]

_ACCESS = r"^(?P<method>[A-Z]+) (?P<path>\S+) (?P<status>\d{3}) (?P<connection>\d+)$"
_CONFIG = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log;
worker_processes 1;
events {{ worker_connections 512; }}
http {{
    access_log off;
    log_format requests '$request_method $request_uri $status $connection';
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    gzip on;
    gzip_types *;
    gzip_proxied any;
    gzip_min_length 1;
    keepalive_requests 100000;
    upstream registry {{ server {backend}; keepalive 32; }}
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {folder}/server.pem;
        ssl_certificate_key {folder}/server.key;
        client_max_body_size 0;
        access_log {folder}/requests.log requests;
        location {prefix}/ {{
            proxy_pass http://registry/;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
        }}
    }}
}}
"""


class NginxRegistry(LoggingServer):
    """
    A docker-registry behind nginx with TLS, gzip for every type, and a path prefix.

    :param folder: storage, configuration and logs
    :param ca: certificate authority of nginx's certificate
    """

    prefix = "/mirror"
    logs_late = True

    def __init__(self, folder: Path, ca: trustme.CA) -> None:
        self.folder = folder
        self.backend = DockerRegistry(folder / "backend", protected=True)
        self.port = free_port()
        self.host = self.backend.host
        self.url = f"https://127.0.0.1:{self.port}{self.prefix}"
        self.credentials = self.backend.credentials
        self.ca_file = str(folder / "ca.pem")
        self.log = RequestLog(folder / "requests.log", _ACCESS)
        self._write_certificate(ca)
        config = folder / "nginx.conf"
        config.write_text(
            _CONFIG.format(folder=folder, port=self.port, prefix=self.prefix, backend=self.backend.host)
        )
        program = find_program("nginx", "NGINX", [])
        self.process = Process("nginx", [program, "-c", str(config)], folder / "nginx.log")

    def _write_certificate(self, ca: trustme.CA) -> None:
        issued = ca.issue_cert("127.0.0.1", "localhost")
        (self.folder / "server.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        (self.folder / "server.key").write_bytes(issued.private_key_pem.bytes())
        ca.cert_pem.write_to_path(self.ca_file)

    def start(self) -> NginxRegistry:
        """Start both servers and wait until the registry answers through nginx."""
        self.backend.start()
        self.process.start()
        wait_until(self._answers, 60, f"nginx at {self.url}", process=self.process)
        self.forget_requests()
        return self

    def stop(self) -> None:
        """Stop both servers; the storage stays."""
        self.process.stop()
        self.backend.stop()

    def send(self, path: str) -> Response:
        """Send a request without a login through nginx."""
        return request("GET", self.url + path, context=self.context)

    def _answers(self) -> bool:
        try:
            return self.send("/v2/").status == 401
        except OSError:
            return False

    @property
    def context(self) -> ssl.SSLContext:
        """Trust in the certificate authority of nginx's certificate."""
        return ssl.create_default_context(cafile=self.ca_file)

    def request(
        self, method: str, path: str, *, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Response:
        """Send one request to the registry behind nginx."""
        return self.backend.request(method, path, body=body, headers=headers)

    def connections(self) -> int:
        """Return the number of TLS connections of these requests."""
        self._finish_log()
        return len({m["connection"] for m in self.log.matches()})

    def remove_tag(self, repository: str, tag: str) -> None:
        """Delete a tag from the storage of the registry."""
        self.backend.remove_tag(repository, tag)
