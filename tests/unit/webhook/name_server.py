# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A name server on loopback with scripted answers, and the look-up that asks it."""

from __future__ import annotations

import socket
import struct
import threading
from ipaddress import ip_address

A, AAAA = 1, 28


class NameServer:
    """
    Answers each look-up of a name with the next of its answers, the last one for ever.

    :param answers: name to a list of look-ups, each a list of addresses; None answers nothing at all
    """

    def __init__(self, answers: dict[str, list[list[str] | None]]) -> None:
        self._answers = answers
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._address = self._socket.getsockname()
        self.queries: list[tuple[str, int]] = []

    def __enter__(self) -> NameServer:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        # To itself: close() alone does not wake a thread in recvfrom.
        self._socket.sendto(b"", self._address)

    def look_up(self, host: str, port: int) -> list[str]:
        """Ask for both kinds of addresses, as getaddrinfo does."""
        return [address for kind in (A, AAAA) for address in self._ask(host, kind)]

    def lookups(self, name: str) -> int:
        return sum(asked == name and kind == A for asked, kind in self.queries)

    def _ask(self, host: str, kind: int) -> list[str]:
        labels = b"".join(bytes([len(label)]) + label for label in host.rstrip(".").encode().split(b"."))
        query = struct.pack("!6H", 7, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", kind, 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(60)
            asking.sendto(query, self._address)
            return list(_addresses(asking.recv(4096), len(query)))

    def _serve(self) -> None:
        with self._socket:
            while True:
                query, asker = self._socket.recvfrom(4096)
                if not query:
                    return
                reply = self._reply(query)
                if reply is not None:
                    self._socket.sendto(reply, asker)

    def _reply(self, query: bytes) -> bytes | None:
        name, end = _name(query)
        kind = struct.unpack_from("!H", query, end)[0]
        self.queries.append((name, kind))
        turn = sum(asked == (name, kind) for asked in self.queries) - 1
        script = self._answers.get(name, [[]])
        answer = script[min(turn, len(script) - 1)]
        if answer is None:
            return None
        family = 4 if kind == A else 6
        records = b"".join(
            struct.pack("!3HIH", 0xC00C, kind, 1, 0, len(packed)) + packed
            for packed in (ip_address(text).packed for text in answer if ip_address(text).version == family)
        )
        count = sum(ip_address(text).version == family for text in answer)
        return query[:2] + struct.pack("!5H", 0x8180, 1, count, 0, 0) + query[12 : end + 4] + records


def _name(message: bytes) -> tuple[str, int]:
    labels, at = [], 12
    while message[at]:
        labels.append(message[at + 1 : at + 1 + message[at]].decode())
        at += 1 + message[at]
    return ".".join(labels), at + 1


def _addresses(reply: bytes, at: int) -> list[str]:
    found = []
    for _ in range(struct.unpack_from("!H", reply, 6)[0]):
        size = struct.unpack_from("!H", reply, at + 10)[0]
        found.append(str(ip_address(reply[at + 12 : at + 12 + size])))
        at += 12 + size
    return found
