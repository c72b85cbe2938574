# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Names of repositories and registries: the repository of a Dag author, the base URL of a registry."""

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

__all__ = ["RepositoryReference", "base_of", "registry_name"]

_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class RepositoryReference:
    """
    A repository, and the registry's host where the reference names one.

    :param host: ``host[:port]``, None where the Connection tells it
    :param name: full name of the repository, ``namespace/name``
    """

    host: str | None
    name: str

    @classmethod
    def parse(cls, text: str) -> RepositoryReference:
        """
        Read ``team/app``, ``ghcr.io/team/app`` or ``oci://ghcr.io/team/app``.

        As in an image reference, the first part is a host when it has a dot or a colon or is
        ``localhost``.

        :param text: what the Dag author wrote
        :raises ValueError: it is no repository; the text says which rule
        """
        if not isinstance(text, str) or not text:
            raise ValueError(f"repository={text!r}: expected text such as 'team/app' or 'ghcr.io/team/app'")
        scheme, separator, rest = text.rpartition("://")
        if separator and scheme.lower() != "oci":
            raise ValueError(
                f"repository={_shown(text)}: only oci:// may stand before it; "
                "the scheme of the registry belongs in the Connection"
            )
        host, name = _split_host(rest)
        _check(text, host, name)
        if host and is_docker_hub(host):
            host, name = DOCKER_HUB_HOST, docker_hub_repository(name)
        return cls(host.lower() if host else None, name)

    def __str__(self) -> str:
        return f"{self.host}/{self.name}" if self.host else self.name


def _split_host(text: str) -> tuple[str | None, str]:
    first, slash, rest = text.partition("/")
    if slash and ("." in first or ":" in first or first.lower() == "localhost"):
        return first, rest
    return None, text


def _check(text: str, host: str | None, name: str) -> None:
    if "@" in text:
        raise ValueError(
            f"repository={_shown(text)}: leave out digests and credentials; "
            "a login belongs in the Connection, a digest is what is being watched for"
        )
    if host and not _HOST.fullmatch(host):
        raise ValueError(f"repository={text!r}: {host!r} is no host or host:port")
    if ":" in name:
        raise ValueError(f"repository={text!r}: leave the tag out; use tags=[...] or tag_regex=...")
    if not is_repository(name):
        raise ValueError(
            f"repository={text!r}: {name!r} is no repository name; parts of a-z 0-9 with single . _ or - "
            f"inside, separated by /, at most {MAX_REPOSITORY_LENGTH} characters, lower case"
        )


def _shown(text: str) -> str:
    # What stands before an @ may be a password.
    return repr(text if "@" not in text else "…@" + text.rpartition("@")[2])


def base_of(text: str) -> URL:
    """
    Read the base URL of a registry.

    :param text: such as ``https://registry.example.com`` or ``http://[::1]:5000/prefix``
    :raises ValueError: it is no such URL; the text leaves out what may be a password
    """
    url = _parsed(text)
    if url is None or url.scheme not in ("http", "https") or not url.host:
        raise ValueError(
            f"base URL {_without_login(text)!a}: expected http:// or https://, a host, and a port if needed"
        )
    if url.user is not None or url.password is not None:
        raise ValueError(
            f"base URL {_without_login(text)!a}: leave the login out of it; give username and password"
        )
    if url.query_string or url.fragment:
        raise ValueError(f"base URL {_without_login(text)!a}: a query or fragment has no meaning here")
    return url.with_path(url.raw_path.rstrip("/") or "/", encoded=True)


def registry_name(base: URL) -> str:
    """
    Name a registry as in ids and events: ``host[:port][/prefix]``.

    :param base: what :func:`base_of` gave
    """
    return f"{base.host_port_subcomponent}{base.raw_path.rstrip('/')}"


def _parsed(text: object) -> URL | None:
    if not isinstance(text, str) or not text.isprintable() or " " in text:
        return None
    try:
        url = URL(text)
        _ = url.port
    except ValueError:
        return None
    return None if url.port == 0 else url


def _without_login(text: object) -> str:
    """Leave out of a URL what may be a secret: a login, a query, a fragment."""
    before, at, after = str(text).partition("?")[0].partition("#")[0].rpartition("@")
    scheme = before.partition("://")[0]
    return f"{scheme}://...@{after}" if at else after
