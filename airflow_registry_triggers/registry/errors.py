# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Errors of reading a registry, classified by the action that fixes them."""

from __future__ import annotations

__all__ = ["INVALID_URL", "KINDS", "RegistryError", "StormHeld"]

INVALID_URL = (ValueError, IndexError)
"""What yarl raises for a text that is not a URL; IndexError for ``http://[]@``."""

KINDS = {
    "name": True,
    "tls": False,
    "proxy": True,
    "credentials": False,
    "not_a_registry": False,
    "no_such_repository": False,
    "unavailable": True,
    "rate_limited": True,
    "refused_answer": True,
    "storm": False,
}
"""Each kind, and whether a later poll can succeed without a change to the configuration."""


class RegistryError(Exception):
    """
    The registry could not be read. The stored state does not change.

    ::

        RegistryError
        ├── kind "name"                 the host's name does not resolve              transient
        ├── kind "tls"                  no TLS on the port, or an untrusted certificate
        ├── kind "proxy"                the proxy is down or answers itself           transient
        ├── kind "credentials"          401 or 403, no token, or an invalid login
        ├── kind "not_a_registry"       another kind of server answers
        ├── kind "no_such_repository"   the registry answers 404 to the listing
        ├── kind "unavailable"          no connection, a timeout, a 5xx               transient
        ├── kind "rate_limited"         429, 503, or a pause because of one           transient
        ├── kind "refused_answer"       over a limit, a forbidden link, a loop        transient
        └── StormHeld (kind "storm")    more pushes in one poll than storm_limit

    :param text: the URL without secrets, the problem, and the action that fixes it
    :param kind: a key of :data:`KINDS`
    :param retry_after: seconds until the registry accepts requests again, if it sent them
    :param status: HTTP status of the answer, None if there was no answer
    :param everywhere: whether every other request to the registry would fail in the same way now
    :param transient: overrides the value of :data:`KINDS`
    """

    def __init__(
        self,
        text: str,
        *,
        kind: str,
        retry_after: float | None = None,
        status: int | None = None,
        everywhere: bool = False,
        transient: bool | None = None,
    ) -> None:
        super().__init__(text)
        self.kind = kind
        self.retry_after = retry_after
        self.status = status
        self.everywhere = everywhere
        self._transient = KINDS[kind] if transient is None else transient

    @property
    def transient(self) -> bool:
        """Whether a later poll can succeed without a change to the configuration."""
        return self._transient


class StormHeld(RegistryError):
    """
    One poll found more pushes than ``storm_limit``. All are held; none is lost.

    :param count: number of pushes found
    :param limit: the configured ``storm_limit``
    :param repository: full name of the repository
    """

    def __init__(self, count: int, limit: int, repository: str) -> None:
        super().__init__(
            f"{repository}: one poll found {count} pushes, more than storm_limit={limit}. All are held, none "
            f"is lost. To send them, set storm_limit to {count} or more in the extra of the registry's "
            "Connection",
            kind="storm",
        )
        self.count = count
        self.limit = limit
