# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The address of a Connection: scheme, host, port, path and query, wherever its fields contain them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_registry_triggers.registry.names import normalized_host

if TYPE_CHECKING:
    from airflow.sdk import Connection

__all__ = ["DEFAULT_PORTS", "NO_ADDRESS", "ConnectionAddress", "parse_address"]

DEFAULT_PORTS = {"http": 80, "https": 443}
"""The port of a URL without one, by scheme."""


@dataclass(frozen=True, slots=True)
class ConnectionAddress:
    """
    The address of a Connection, normalized so that addresses can be compared.

    :param scheme: lower case
    :param host: lower case, IDNA form, no trailing dot, IPv6 in brackets; empty without a host
    :param port: None for the default port of the scheme
    :param path: path of the host field, as written
    :param query: query of the host field, as written, without the question mark; it may be secret
    """

    scheme: str
    host: str
    port: int | None
    path: str
    query: str

    @property
    def authority(self) -> str:
        """The host, with the port if it is not the default one."""
        return self.host if self.port is None else f"{self.host}:{self.port}"

    @property
    def path_parts(self) -> list[str]:
        """The parts of the path that are not empty."""
        return [part for part in self.path.split("/") if part]


NO_ADDRESS = ConnectionAddress(scheme="https", host="", port=None, path="", query="")
"""The address of a Connection without a host."""


def parse_address(connection: Connection, default_scheme: str) -> ConnectionAddress:
    """
    Read the address of a Connection.

    The host field may hold a whole URL; its scheme precedes ``default_scheme``, and its port must not differ
    from the Port field.

    :param connection: a Connection of any type
    :param default_scheme: scheme of a host field without one
    :raises ValueError: the address is not valid; the error quotes no login and no query
    """
    text = (connection.host or "").strip()
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = default_scheme, text
    authority, path, query = _split(rest)
    if "@" in authority:
        raise ValueError(
            f"Connection {connection.conn_id!r}: the host must be host, host:port or host/path without a "
            "login. Use the fields Login and Password"
        )
    if "#" in rest or "\\" in rest or " " in rest or not rest.isprintable():
        raise ValueError(
            f"Connection {connection.conn_id!r}: the host must be host, host:port or host/path, without "
            "spaces, backslashes, control characters and fragments"
        )
    host, port = _split_authority(authority, connection)
    return ConnectionAddress(
        scheme=scheme.lower(),
        host=host,
        port=None if port == DEFAULT_PORTS.get(scheme.lower()) else port,
        path=path,
        query=query,
    )


def _split(rest: str) -> tuple[str, str, str]:
    before, _, query = rest.partition("?")
    authority, slash, path = before.partition("/")
    return authority, slash + path, query


def _split_authority(authority: str, connection: Connection) -> tuple[str, int | None]:
    conn_id, field_port = connection.conn_id, connection.port or None
    if not authority:
        return "", field_port
    host, port = authority, ""
    # An IPv6 address may be written without brackets, as the host field of Airflow accepts it.
    if authority.startswith("[") or authority.count(":") == 1:
        at = authority.find(":", authority.find("]") + 1)
        host, port = (authority, "") if at < 0 else (authority[:at], authority[at + 1 :])
    normalized = normalized_host(host)
    if normalized is None or (port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536)):
        raise ValueError(f"Connection {conn_id!r}: the host {authority!r} is not a valid host or host:port")
    if port and field_port and int(port) != field_port:
        raise ValueError(
            f"Connection {conn_id!r}: the host has the port {port}, the field Port has {field_port}. Remove "
            "one of them"
        )
    return normalized, int(port) if port else field_port
