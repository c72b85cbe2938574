# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The errors of a login that a registry or its token service rejects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.http.connection_errors import proxy_refused
from airflow_registry_triggers.registry.http.responses import is_from_proxy, not_a_registry

if TYPE_CHECKING:
    from yarl import URL

    from airflow_registry_triggers.registry.http.credentials import Credentials
    from airflow_registry_triggers.registry.http.rate_limits import Pause
    from airflow_registry_triggers.registry.http.request import Answer

__all__ = ["no_token_error", "unauthorized_error"]


def no_token_error(answer: Answer, credentials: Credentials, pause: Pause) -> RegistryError:
    """
    Return the error for an answer of a token service that is not a token.

    :param credentials: of the request
    :param pause: of the registry
    """
    status = answer.status
    if is_from_proxy(answer):
        return not_a_registry(answer, f"answered {status} with an HTML page instead of a token")
    if status in (429, 503):
        return pause.error(status)
    if status >= 500:
        kind, advice = "unavailable", "It failed"
    elif credentials.source:
        return _rejected(answer, credentials)
    elif credentials.is_anonymous:
        kind, advice = "credentials", "Set a login on the Connection, or check the repository's name"
    else:
        kind, advice = "credentials", "Check username and password"
        if status == 403:
            advice = f"{advice}, and whether they are allowed to read the repository"
        advice = f"{advice}.{credentials.hint}".rstrip(".")
    return RegistryError(
        f"{answer.where}: the token service answered {status}. {advice}.",
        kind=kind,
        status=status,
        everywhere=True,
    )


def unauthorized_error(
    answer: Answer, credentials: Credentials, registry: URL, answered: str
) -> RegistryError:
    """
    Return the error for a request that is answered with 401 in the end.

    :param credentials: of the Connection
    :param registry: origin of the registry
    :param answered: origin that answered, as errors show it
    """
    if is_from_proxy(answer):
        return proxy_refused(401, answer.where)
    if answer.is_elsewhere and not credentials.is_anonymous:
        text = (
            f"{answered} answered 401 after a redirect from {registry}. The login is only sent to "
            "the Connection's host. Set the host to the final address."
        )
    elif credentials.is_anonymous:
        text = "answered 401 without a login. Set a login on the Connection, or check the repository's name."
    elif credentials.source:
        return _rejected(answer, credentials)
    else:
        text = f"answered 401, the login was rejected. Check username and password.{credentials.hint}"
    return RegistryError(f"{answer.where}: {text}", kind="credentials", status=401, everywhere=True)


def _rejected(answer: Answer, credentials: Credentials) -> RegistryError:
    return RegistryError(
        f"{answer.where}: credentials from {credentials.source} were rejected ({answer.status}). Check its "
        "permissions on the repository.",
        kind="credentials",
        status=answer.status,
        everywhere=True,
    )
