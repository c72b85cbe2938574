# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The meaning of a registry's answer."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.oci_names import is_digest
from airflow_registry_triggers.registry.errors import RegistryError

if TYPE_CHECKING:
    from airflow_registry_triggers.registry.http.rate_limits import Pause
    from airflow_registry_triggers.registry.http.request import Answer

__all__ = [
    "ACCEPT",
    "digest_in_header",
    "digest_of_manifest",
    "error_of",
    "head_error",
    "is_from_proxy",
    "is_registry",
    "may_get_help",
    "not_a_registry",
]

ACCEPT = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
"""Sent with every request for a digest, always the same: the digest depends on it."""

_DIGEST = "Docker-Content-Digest"
_SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+"
# The login and the rate: GET would fail in the same way.
_NOT_ABOUT_HEAD = {401, 429}
_MAX_PARSED = 256 * 1024


def is_registry(answer: Answer) -> bool:
    """Return True if a registry answered: it sent the API's header, or JSON."""
    version = answer.headers.get("Docker-Distribution-Api-Version", "")
    return version.startswith("registry/2") or _json(answer.body) is not None


def may_get_help(status: int) -> bool:
    """
    Return True if GET might return a manifest although HEAD failed.

    :param status: of the answer to HEAD
    """
    return 200 <= status < 300 or status == 501 or (400 <= status < 500 and status not in _NOT_ABOUT_HEAD)


def digest_in_header(answer: Answer) -> str | None:
    """Return the digest in the header; None if there is none, several, or an invalid one."""
    values = answer.values(_DIGEST)
    return values[0] if len(values) == 1 and is_digest(values[0]) else None


def digest_of_manifest(answer: Answer) -> str:
    """
    Return the digest of the manifest in an answer to GET.

    :raises RegistryError: the body is not a manifest, or not the one of the answer's header
    """
    header = digest_in_header(answer)
    if not _is_object(answer.body):
        raise _refused(answer, "the body is not a manifest")
    if _is_schema_1(answer):
        # A signed manifest of schema 1: its digest is the hash without the signatures.
        if header is None:
            raise _refused(answer, f"a manifest of schema 1 without {_DIGEST}")
        return header
    algorithm = "sha512" if header and header.startswith("sha512:") else "sha256"
    digest = f"{algorithm}:{hashlib.new(algorithm, answer.body).hexdigest()}"
    if header is not None and header != digest:
        raise _refused(answer, f"the body does not have the digest of the header {_DIGEST}")
    return digest


def is_from_proxy(answer: Answer) -> bool:
    """Return True if a proxy answered itself: a web page, without the header that proxies add to others'."""
    return answer.through_proxy and _is_html(answer) and "Via" not in answer.headers


def error_of(answer: Answer, pause: Pause) -> RegistryError:
    """
    Return the error for a status that is not expected.

    :param pause: of the registry
    """
    status = answer.status
    if status == 429 or (status == 503 and "Retry-After" in answer.headers):
        return pause.error(status)
    if answer.through_proxy and _is_html(answer):
        return _by_proxy(answer, f"answered {status} with an HTML page")
    if status >= 500 or status == 408:
        kind, advice = "unavailable", "The registry or a server in front of it failed"
    elif status == 403:
        kind, advice = "credentials", "Check whether the Connection's login is allowed to read this"
    else:
        kind, advice = "refused_answer", "Check the Connection's host and the repository's name"
    return RegistryError(f"{answer.where}: answered {status}. {advice}.", kind=kind, status=status)


def head_error(answer: Answer, pause: Pause) -> RegistryError:
    """
    Return the error for a HEAD that no GET may follow.

    :param pause: of the registry
    """
    if answer.status >= 300:
        return error_of(answer, pause)
    return RegistryError(
        f"{answer.where}: HEAD returned no valid digest, and Docker Hub counts GET as a pull. The stored "
        "digest of the tag does not change.",
        kind="refused_answer",
        status=answer.status,
    )


def not_a_registry(answer: Answer, problem: str) -> RegistryError:
    """
    Return the error for an answer of another kind of server.

    :param problem: the difference to a registry's answer
    """
    if answer.through_proxy and _is_html(answer):
        return _by_proxy(answer, problem)
    return RegistryError(
        f"{answer.where}: {problem}; this is not a registry. Check the Connection's host, port and path.",
        kind="not_a_registry",
    )


def _by_proxy(answer: Answer, problem: str) -> RegistryError:
    return RegistryError(
        f"{answer.where}: {problem}. The proxy probably answered instead of the registry. Check the "
        "proxy, and that it allows this host.",
        kind="proxy",
        status=answer.status,
        everywhere=True,
    )


def _is_html(answer: Answer) -> bool:
    is_html = "html" in answer.headers.get("Content-Type", "").lower()
    return is_html or answer.body[:200].lstrip().lower().startswith((b"<!doctype html", b"<html"))


def _refused(answer: Answer, problem: str) -> RegistryError:
    if answer.through_proxy and _is_html(answer):
        return _by_proxy(answer, problem)
    return RegistryError(
        f"{answer.where}: {problem}. The stored digest of the tag does not change.",
        kind="refused_answer",
        status=answer.status,
    )


def _is_schema_1(answer: Answer) -> bool:
    """Return True for a manifest of schema 1, also one that is sent under a general media type."""
    if answer.headers.get("Content-Type", "").strip().lower().startswith(_SCHEMA_1):
        return True
    manifest = (
        _json(answer.body) if b'"signatures"' in answer.body and len(answer.body) <= _MAX_PARSED else None
    )
    return isinstance(manifest, dict) and manifest.get("schemaVersion") == 1 and "signatures" in manifest


def _is_object(body: bytes) -> bool:
    # Parsing 4 MiB would block the event loop; the digest covers the content anyway.
    if len(body) > _MAX_PARSED:
        return body.lstrip()[:1] == b"{"
    return isinstance(_json(body), dict)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
