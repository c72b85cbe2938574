# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The texts of registry errors in task logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_registry_triggers.registry.errors import RegistryError

__all__ = ["CAUSES", "check_characters", "described"]

CAUSES = {
    "name": "the registry's name does not resolve",
    "tls": "no trusted TLS connection",
    "proxy": "the proxy failed",
    "credentials": "login refused",
    "not_a_registry": "not a container registry",
    "no_such_repository": "no such repository",
    "unavailable": "the registry does not answer",
    "rate_limited": "rate limited",
    "refused_answer": "the answer cannot be used",
    "storm": "storm held",
}
"""Kind of a registry error to the first words of its text: a task log cuts a line after 80 characters."""

_NAMED_BY_CAUSE = ("credentials", "no_such_repository")
"""Kinds whose cause and status say what the first sentence of the error says."""

_CONTROL_NAMES = {"\n": "a line feed", "\r": "a carriage return", "\t": "a tab", "\0": "a NUL"}


def described(error: RegistryError, place: str, base_url: str, *, names_login: bool) -> str:
    """
    Return the text of an error: the cause first, then the place, the advice, and the kind that the docs list.

    :param place: Connection, login, registry and repository
    :param base_url: URL of the registry
    :param names_login: whether the error's first sentence names the source of the login, so that it is kept
    """
    status = f" (HTTP {error.status})" if error.status else ""
    text = f", {error.kind}: {error}"
    if error.status and error.kind in _NAMED_BY_CAUSE and not names_login:
        advice = str(error).partition(". ")[2] or str(error)
        text = f". {advice} ({error.kind}, {base_url})"
    return f"{CAUSES[error.kind]}{status}: {place}{text}"


def check_characters(username: str | None, password: str | None) -> None:
    """
    Check the login of a Connection.

    :raises RegistryError: ``credentials``, if login or password contain a control character
    """
    from airflow_registry_triggers.registry.errors import RegistryError

    for name, value in (("login", username), ("password", password)):
        found = next((char for char in value or "" if ord(char) < 32 or ord(char) == 127), None)
        if found is not None:
            shown = _CONTROL_NAMES.get(found, f"the control character U+{ord(found):04X}")
            raise RegistryError(
                f"the {name} of the Connection contains {shown}, often the end of a line that was copied "
                f"with it. Enter the {name} again without it",
                kind="credentials",
            )
