# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The grammar of names, tags and digests, and the names of Docker Hub."""

from __future__ import annotations

import re

__all__ = [
    "DOCKER_HUB_HOST",
    "MAX_REPOSITORY_LENGTH",
    "checked_repository",
    "checked_tag",
    "docker_hub_repository",
    "image_reference",
    "is_digest",
    "is_docker_hub",
    "is_referrer",
    "is_repository",
    "is_tag",
]

# OCI distribution spec 1.1, "Pulling manifests".
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
# OCI image spec 1.1, "Registered algorithms". Each algorithm has one length, in lower case.
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
# OCI distribution spec 1.1, "Referrers tag schema". cosign appends the kind of the artifact.
_REFERRER = re.compile(r"sha256-[0-9a-f]{64}(?:\.(?:sig|att|sbom))?")

MAX_REPOSITORY_LENGTH = 255
"""Characters of a repository's name."""

DOCKER_HUB_HOST = "registry-1.docker.io"
"""Host that answers for Docker Hub."""

# Names that image references, `docker login` and the web pages use; only DOCKER_HUB_HOST answers requests.
_DOCKER_HUB_ALIASES = {
    "docker.io",
    "hub.docker.com",
    "index.docker.io",
    "registry.hub.docker.com",
    DOCKER_HUB_HOST,
}


def is_tag(value: object) -> bool:
    """Return True if the value is a valid tag."""
    return isinstance(value, str) and _TAG.fullmatch(value) is not None


def is_digest(value: object) -> bool:
    """Return True if the value is a digest: ``sha256:`` or ``sha512:`` and its hexadecimal digits."""
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def is_referrer(tag: str) -> bool:
    """Return True if the tag belongs to another image: its signature, attestation or bill of materials."""
    return _REFERRER.fullmatch(tag) is not None


def is_repository(value: object) -> bool:
    """Return True if the value is a valid name of a repository, such as ``team/app``."""
    if not isinstance(value, str) or len(value) > MAX_REPOSITORY_LENGTH:
        return False
    return _REPOSITORY.fullmatch(value) is not None


def checked_repository(name: str) -> str:
    """
    Return the name of a repository unchanged.

    :param name: ``namespace/name``
    :raises ValueError: the name is not valid
    """
    if not is_repository(name):
        raise ValueError(
            f"repository {name!a} is not a valid name. Use lower-case letters and digits, with '.', '_' or "
            f"'-' between them, in parts separated by '/', at most {MAX_REPOSITORY_LENGTH} characters, "
            "for example 'team/app'"
        )
    return name


def checked_tag(tag: str) -> str:
    """
    Return the tag unchanged.

    :raises ValueError: the tag is not valid
    """
    if not is_tag(tag):
        raise ValueError(
            f"tag {tag!a} is not a valid tag. Use 1 to 128 characters of A-Z a-z 0-9 _ . -, "
            "the first of them not '.' or '-'"
        )
    return tag


def is_docker_hub(host: str) -> bool:
    """
    Return True if the host is a name of Docker Hub.

    :param host: the host, in any case, with or without the port 443
    """
    return host.lower().removesuffix(":443").rstrip(".") in _DOCKER_HUB_ALIASES


def docker_hub_repository(name: str) -> str:
    """
    Return the full name of a repository on Docker Hub: ``nginx`` is ``library/nginx``.

    :param name: the name as written in an image reference
    """
    return name if "/" in name else f"library/{name}"


def image_reference(registry: str, repository: str, digest: str) -> str:
    """Return ``registry/repository@digest``; the registry of Docker Hub is ``docker.io`` there."""
    return f"{'docker.io' if is_docker_hub(registry) else registry}/{repository}@{digest}"
