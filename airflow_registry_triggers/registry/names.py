# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Names of repositories and registries: the reference in a Dag, and the base URL of a registry."""

from __future__ import annotations

import re
from dataclasses import dataclass

from yarl import URL

from airflow_registry_triggers.oci_names import (
    DOCKER_HUB_HOST,
    MAX_REPOSITORY_LENGTH,
    docker_hub_repository,
    is_docker_hub,
    is_repository,
)
from airflow_registry_triggers.registry.errors import INVALID_URL

__all__ = ["RepositoryReference", "base_of", "normalized_host", "registry_name"]

_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?)")
_MAX_HOST = 253
_PORT = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class RepositoryReference:
    """
    A repository, and the host of its registry if the reference names one.

    :param host: ``host[:port]``, None if the Connection names the host
    :param name: full name of the repository, ``namespace/name``
    """

    host: str | None
    name: str

    @classmethod
    def parse(cls, text: str) -> RepositoryReference:
        """
        Read ``team/app``, ``ghcr.io/team/app`` or ``oci://ghcr.io/team/app``.

        As in an image reference, the first part is a host if it contains a dot or a colon or is
        ``localhost``.

        :param text: the repository as written in a Dag
        :raises ValueError: the text is not a repository
        """
        if not isinstance(text, str) or not text:
            raise ValueError(f"repository={text!r} is not valid. Use 'team/app' or 'ghcr.io/team/app'")
        if "@" in text:
            raise ValueError(
                f"repository={_redacted(text)} contains a digest or a login. Remove the digest; set a login "
                "on the Connection"
            )
        scheme, separator, rest = text.rpartition("://")
        if separator and scheme.lower() != "oci":
            raise ValueError(
                f"repository={text!r}: only oci:// can precede it. Set the scheme on the Connection"
            )
        host, name = _split_host(rest)
        host = _checked_host(text, host)
        _check_name(text, name)
        if host and is_docker_hub(host):
            host, name = DOCKER_HUB_HOST, docker_hub_repository(name)
        return cls(host, name)

    def __str__(self) -> str:
        if self.host is None:
            return self.name
        # "mirror:443" and "mirror." are the host mirror, which without its port is read as a part of a name.
        return f"{self.host}/{self.name}" if _is_host(self.host) else f"{self.host}:443/{self.name}"


def normalized_host(host: str) -> str | None:
    """
    Return a host in lower case, in IDNA form and without a trailing dot; an IPv6 address in its brackets.

    :param host: a host name or an IP address, without a port
    :return: None if the host is not valid
    """
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host.removesuffix(".")
    try:
        encoded = URL.build(scheme="http", host=bare).host_subcomponent if bare else None
    except ValueError:
        return None
    if encoded is None or len(encoded) > _MAX_HOST or ".." in encoded or not _HOST.fullmatch(encoded):
        return None
    return encoded.lower()


def _split_host(text: str) -> tuple[str | None, str]:
    first, slash, rest = text.partition("/")
    return (first, rest) if slash and _is_host(first) else (None, text)


def _is_host(first: str) -> bool:
    return "." in first or ":" in first or first.lower() == "localhost"


def _checked_host(text: str, authority: str | None) -> str | None:
    if authority is None:
        return None
    host, port = _split_port(authority)
    normalized = normalized_host(host)
    if normalized is None or (port is not None and not _PORT.fullmatch(port)):
        raise ValueError(f"repository={text!r}: {authority!r} is not a host or host:port")
    # Registries use https unless the Connection says otherwise, and 443 is its default port.
    return normalized if port in (None, "443") else f"{normalized}:{port}"


def _split_port(authority: str) -> tuple[str, str | None]:
    if authority.endswith("]"):
        return authority, None
    host, colon, port = authority.rpartition(":")
    return (host, port) if colon else (authority, None)


def _check_name(text: str, name: str) -> None:
    if ":" in name:
        raise ValueError(f"repository={text!r} contains a tag. Use tags=[...] or tag_regex=... instead")
    if not is_repository(name):
        raise ValueError(
            f"repository={text!r}: {name!r} is not a valid name of a repository. Use lower-case letters and "
            "digits, with '.', '_' or '-' between them, in parts separated by '/', at most "
            f"{MAX_REPOSITORY_LENGTH} characters, for example 'team/app'"
        )


def _redacted(text: str) -> str:
    # The text before an @ may be a password.
    return repr("…@" + text.rpartition("@")[2])


def base_of(text: str) -> URL:
    """
    Read the base URL of a registry.

    :param text: such as ``https://registry.example.com`` or ``http://[::1]:5000/prefix``
    :raises ValueError: the text is not such a URL; the error does not quote a password
    """
    url = _parsed(text)
    if url is None or url.scheme not in ("http", "https") or not url.host:
        raise ValueError(
            f"base URL {_without_login(text)!a} is not valid. Use http:// or https:// with a host, "
            "and a port if needed"
        )
    if url.user is not None or url.password is not None:
        raise ValueError(
            f"base URL {_without_login(text)!a} contains a login. Use the arguments username and password"
        )
    if url.query_string or url.fragment:
        raise ValueError(f"base URL {_without_login(text)!a} contains a query or a fragment. Remove it")
    return url.with_path(url.raw_path.rstrip("/") or "/", encoded=True)


def registry_name(base: URL) -> str:
    """
    Return the name of a registry as in ids and events: ``host[:port][/prefix]``.

    :param base: the result of :func:`base_of`
    """
    return f"{base.host_port_subcomponent}{base.raw_path.rstrip('/')}"


def _parsed(text: object) -> URL | None:
    if not isinstance(text, str) or not text.isprintable() or " " in text:
        return None
    try:
        url = URL(text)
        _ = url.port
    except INVALID_URL:
        return None
    return None if url.port == 0 else url


def _without_login(text: object) -> str:
    """Return a URL without the parts that may be secret: login, query and fragment."""
    before, at, after = str(text).partition("?")[0].partition("#")[0].rpartition("@")
    scheme = before.partition("://")[0]
    return f"{scheme}://...@{after}" if at else after
