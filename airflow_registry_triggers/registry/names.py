# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The grammar of what is asked for and of what is told: base URLs, repositories, tags, digests."""

from __future__ import annotations

import re

from yarl import URL

__all__ = [
    "base_of",
    "checked_repository",
    "checked_tag",
    "is_digest",
    "is_referrer",
    "is_tag",
    "registry_name",
]

# OCI distribution spec 1.1, "Pulling manifests".
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_PART}(?:/{_PART})*")
# OCI image spec 1.1, "Registered algorithms"; each has one length, in lower case.
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
# OCI distribution spec 1.1, "Referrers tag schema"; cosign appends what it is.
_REFERRER = re.compile(r"sha256-[0-9a-f]{64}(?:\.(?:sig|att|sbom))?")


def is_tag(value: object) -> bool:
    """Tell whether a registry could hold this tag."""
    return isinstance(value, str) and _TAG.fullmatch(value) is not None


def is_digest(value: object) -> bool:
    """Tell whether this is a digest, ``sha256:`` or ``sha512:`` and its hexadecimal digits."""
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def is_referrer(tag: str) -> bool:
    """Tell whether a tag belongs to another image: its signature, attestation or bill of materials."""
    return _REFERRER.fullmatch(tag) is not None


def checked_repository(name: str) -> str:
    """
    Give back the name of a repository.

    :param name: ``namespace/name``
    :raises ValueError: no repository can be called so
    """
    if not isinstance(name, str) or len(name) > 255 or not _REPOSITORY.fullmatch(name):
        raise ValueError(
            f"repository {name!a}: a name has parts of a-z 0-9 with . _ or - between, separated by /, "
            "and at most 255 characters; give it as in 'team/app'"
        )
    return name


def checked_tag(tag: str) -> str:
    """
    Give back a tag.

    :param tag: the tag
    :raises ValueError: no tag can be called so
    """
    if not is_tag(tag):
        raise ValueError(
            f"tag {tag!a}: a tag has 1 to 128 of A-Z a-z 0-9 _ . - and begins with none of . and -"
        )
    return tag


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
