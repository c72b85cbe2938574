# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The grammar of what is asked for and of what is told: repositories, tags, digests."""

from __future__ import annotations

import re

__all__ = ["checked_repository", "checked_tag", "is_digest", "is_referrer", "is_tag"]

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
