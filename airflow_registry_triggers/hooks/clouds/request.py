# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The input and the outcome of one request for credentials, the same for every cloud."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import Connection

__all__ = ["CloudFailure", "CloudRequest", "CloudToken", "shown"]

_MAX_SHOWN = 300
_LONG = re.compile(r"[A-Za-z0-9_+/=.~%-]{64,}")
_MIN_SECRET = 6


@dataclass(frozen=True, slots=True)
class CloudRequest:
    """
    A request for the credentials of one registry.

    :param connection: the cloud Connection, already read
    :param host: ``host[:port]`` of the registry
    :param scheme: ``https`` or ``http``, of the registry
    :param ca_file: PEM file for TLS connections to the registry; empty for the system's certificates
    :param proxy: URL of the proxy to the registry; empty for the environment's
    :param instance_id: id of an Enterprise instance of Alibaba
    :param kept: objects of the SDK that the next fetch of this login uses too
    """

    connection: Connection = field(repr=False)
    host: str
    scheme: str = "https"
    ca_file: str = ""
    proxy: str = field(default="", repr=False)
    instance_id: str = ""
    kept: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def extra(self) -> Mapping[str, Any]:
        """The extra of the cloud Connection."""
        return self.connection.extra_dejson

    def text(self, *names: str) -> str:
        """
        Return the first of some keys of the cloud Connection's extra that is set, empty if none is.

        :raises CloudFailure: a value is not text
        """
        for name in names:
            value = self.extra.get(name)
            if value not in (None, ""):
                if not isinstance(value, str):
                    raise CloudFailure(f"{name} in the extra must be text", advice="Correct the extra.")
                return value
        return ""


@dataclass(frozen=True, slots=True)
class CloudToken:
    """
    Credentials as a cloud issues them.

    :param lifetime: seconds from now; None if the cloud does not state it
    """

    username: str
    password: str = field(repr=False)
    lifetime: float | None


class CloudFailure(Exception):
    """
    A cloud issued no credentials.

    :param detail: the cloud's code and message
    :param kind: ``credentials``, or ``unavailable`` if a later request can succeed
    :param advice: the action that fixes it
    """

    def __init__(
        self, detail: str, kind: str = "credentials", advice: str = "Check its permissions."
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.kind = kind
        self.advice = advice


def shown(text: object, connection: Connection) -> str:
    """
    Return a cloud's message as errors show it: one line, shortened, without secrets.

    :param text: the message
    :param connection: the cloud Connection, whose values are replaced
    """
    line = " ".join(str(text).split())
    for secret in sorted(set(_secrets(connection)), key=len, reverse=True):
        line = line.replace(secret, "***")
    line = "".join(char if char.isprintable() else "?" for char in _LONG.sub("***", line))
    return line if len(line) <= _MAX_SHOWN else f"{line[:_MAX_SHOWN]}…"


def _secrets(connection: Connection) -> Iterator[str]:
    yield from _texts(connection.password)
    for name, value in connection.extra_dejson.items():
        if name.endswith(("_path", "_name", "_id")):
            continue
        if any(word in name.lower() for word in ("secret", "key", "token", "password", "proxy")):
            yield from _texts(value)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str) and len(value) >= _MIN_SECRET:
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
