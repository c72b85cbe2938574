# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""What a Dag author writes for a repository, taken apart."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["RepositoryReference"]

# OCI distribution spec 1.1, "Pulling manifests": the grammar of <name>.
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::[0-9]{1,5})?")
_MAX_NAME = 255

# Docker's short names: the name in a reference is not the host that answers.
_DOCKER_HUB = {"docker.io", "index.docker.io", "registry-1.docker.io"}
DOCKER_HUB_HOST = "registry-1.docker.io"


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
        if host and host.lower() in _DOCKER_HUB:
            host, name = DOCKER_HUB_HOST, name if "/" in name else f"library/{name}"
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
    if len(name) > _MAX_NAME or not _NAME.fullmatch(name):
        raise ValueError(
            f"repository={text!r}: {name!r} is no repository name; parts of a-z 0-9 with single . _ or - "
            f"inside, separated by /, at most {_MAX_NAME} characters, lower case"
        )


def _shown(text: str) -> str:
    # What stands before an @ may be a password.
    return repr(text if "@" not in text else "…@" + text.rpartition("@")[2])
