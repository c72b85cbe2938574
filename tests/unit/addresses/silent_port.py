# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A port that does not answer: neither a connection nor a refusal."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def silent_port(host: str, port: int) -> Iterator[None]:
    """Listen with a queue that is full, so that the system drops each attempt to connect."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex((host, port))
        yield
