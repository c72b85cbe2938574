# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Debian's tinyproxy: a real HTTP proxy, with CONNECT."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

import pytest

from tests.harness.processes import Process, find_program, free_port, wait_until

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["TinyProxy"]

_CONFIG = """
Port {port}
Listen 127.0.0.1
Timeout 10
MaxClients 50
LogLevel Info
{lines}
"""


class TinyProxy:
    """
    A proxy on a free port.

    :param folder: configuration and log
    :param lines: more lines of its configuration, such as ``BasicAuth user password``
    """

    def __init__(self, folder: Path, *lines: str) -> None:
        try:
            program = find_program("tinyproxy", "TINYPROXY")
        except FileNotFoundError as error:
            pytest.skip(str(error))
        self.host, self.port = "127.0.0.1", free_port()
        self.url = f"http://{self.host}:{self.port}"
        config = folder / f"tinyproxy-{self.port}.conf"
        config.write_text(_CONFIG.format(port=self.port, lines="\n".join(lines)), encoding="utf-8")
        log = folder / f"tinyproxy-{self.port}.log"
        self.process = Process("tinyproxy", [program, "-d", "-c", str(config)], log)

    def __enter__(self) -> TinyProxy:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> TinyProxy:
        """Start it, and wait until it accepts connections."""
        self.process.start()
        wait_until(self._accepts, 60, f"tinyproxy at {self.url}", interval=0.05, process=self.process)
        return self

    def stop(self) -> None:
        """Stop it; the port and the configuration stay."""
        self.process.stop()

    @property
    def log(self) -> str:
        """Return what it has logged: the requests that it forwarded."""
        return self.process.log.read_text(errors="replace")

    def _accepts(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((self.host, self.port), 1):
            return True
        return False
