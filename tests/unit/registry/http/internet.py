# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""An internet of the tests: names, public and internal addresses, and servers that answer for them.

Only the two ends are replaced: the answer of the system's resolver, and the address that a socket connects
to. Everything between them, with all checks, is the code that ships.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

PUBLIC = "93.184.216.34"
OTHER_PUBLIC = "151.101.1.69"


@dataclass
class Internet:
    """
    :param names: addresses by name; of several lists each lookup takes one, the last one stays
    :param routes: port on this machine by address; an address without one goes to ``fallback``
    :param dialed: each address that a connection was opened to
    """

    names: dict[str, list[list[str]]] = field(default_factory=dict)
    routes: dict[str, int] = field(default_factory=dict)
    fallback: int = 0
    dialed: list[str] = field(default_factory=list)
    looked_up: list[str] = field(default_factory=list)

    def add(self, name: str, *answers: list[str]) -> None:
        """Let a name resolve."""
        self.names[name] = list(answers)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> Internet:
        real_lookup = socket.getaddrinfo
        loop_class = asyncio.SelectorEventLoop
        real_connect = loop_class.sock_connect
        internet = self

        def getaddrinfo(host: Any, port: Any, *args: Any, **options: Any) -> Any:
            name = str(host).lower().rstrip(".")
            internet.looked_up.append(name)
            if name not in internet.names:
                return real_lookup(host, port, *args, **options)
            answers = internet.names[name]
            found = answers.pop(0) if len(answers) > 1 else answers[0]
            return [
                (
                    socket.AF_INET6 if ":" in address else socket.AF_INET,
                    socket.SOCK_STREAM,
                    socket.IPPROTO_TCP,
                    "",
                    (address, port, 0, 0) if ":" in address else (address, port),
                )
                for address in found
            ]

        async def sock_connect(loop: Any, sock: socket.socket, address: Any) -> None:
            internet.dialed.append(address[0])
            port = internet.routes.get(address[0], internet.fallback)
            if (
                ipaddress.ip_address(address[0].partition("%")[0]).is_loopback
                and address[0] not in internet.routes
            ):
                await real_connect(loop, sock, address)
            elif port and sock.family == socket.AF_INET6:
                await real_connect(loop, sock, ("::1", port))
            elif port:
                await real_connect(loop, sock, ("127.0.0.1", port))
            else:
                raise OSError(errno.ENETUNREACH, "no route")

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        monkeypatch.setattr(loop_class, "sock_connect", sock_connect)
        return self
