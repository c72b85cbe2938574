# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""What an answer of a registry means."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.oci_names import is_digest
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.http.request import shown

if TYPE_CHECKING:
    from yarl import URL

    from airflow_registry_triggers.registry.http.rate_limits import Pause
    from airflow_registry_triggers.registry.http.request import Answer

__all__ = ["checked_digest", "digest_of_manifest", "error_of", "is_registry", "no_registry"]


def is_registry(answer: Answer) -> bool:
    """
    Tell a registry's answer from a web page: a header that most send, or JSON.

    :param answer: to any question
    """
    told = answer.headers.get("Docker-Distribution-Api-Version", "")
    return told.startswith("registry/2") or _json(answer.body) is not None


def checked_digest(told: str, url: URL) -> str:
    """
    Give back the digest that a header tells.

    :param told: value of the header
    :param url: what was asked
    :raises RegistryError: it is no digest
    """
    if is_digest(told):
        return told
    raise RegistryError(
        f"{shown(url)}: {told[:100]!a} is no digest; the tag stays as it was remembered",
        kind="refused_answer",
        status=200,
    )


def digest_of_manifest(answer: Answer, url: URL) -> str:
    """
    Make the digest of a manifest.

    :param answer: with the manifest as its body
    :param url: what was asked
    :raises RegistryError: it is no manifest, or another one than the answer's header tells
    """
    told = answer.headers.get("Docker-Content-Digest", "")
    algorithm = "sha512" if told.startswith("sha512:") else "sha256"
    digest = f"{algorithm}:{hashlib.new(algorithm, answer.body).hexdigest()}"
    if not isinstance(_json(answer.body), dict) or (told and told != digest):
        raise RegistryError(
            f"{shown(url)}: the answer is no manifest, or not the one that its digest tells; "
            "the tag stays as it was remembered",
            kind="refused_answer",
            status=200,
        )
    return digest


def error_of(answer: Answer, url: URL, pause: Pause) -> RegistryError:
    """
    Say what a status means that answers no question.

    :param answer: with a status that is not expected
    :param url: what was asked
    :param pause: for how long the registry is left alone
    """
    status = answer.status
    if status == 429 or (status == 503 and "Retry-After" in answer.headers):
        return pause.error(status)
    if status >= 500 or status == 408:
        kind, advice = "unavailable", "asked again at the next poll"
    elif status == 403:
        kind, advice = "credentials", "check whether the login may read this"
    else:
        kind, advice = "refused_answer", "check the base URL and the repository's name"
    return RegistryError(f"{shown(url)}: answered {status}; {advice}", kind=kind, status=status)


def no_registry(url: URL, problem: str) -> RegistryError:
    """
    Say that something else than a registry answers.

    :param url: what was asked
    :param problem: what came instead
    """
    return RegistryError(
        f"{shown(url)}: {problem}, not as a registry does; check host, port and path of the base URL",
        kind="not_a_registry",
    )


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
