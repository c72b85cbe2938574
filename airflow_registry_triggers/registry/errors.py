# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""What can go wrong while a registry is read, told apart by what helps."""

from __future__ import annotations

__all__ = ["KINDS", "RegistryError", "StormHeld"]

KINDS = {
    "name": True,
    "tls": False,
    "credentials": False,
    "not_a_registry": False,
    "no_such_repository": False,
    "unavailable": True,
    "rate_limited": True,
    "refused_answer": True,
    "storm": False,
}
"""Each kind, and whether another poll may go well with nobody doing anything."""


class RegistryError(Exception):
    """
    A registry could not be read. Nothing that is remembered changes because of it.

    ::

        RegistryError
        ├── kind "name"                 the host's name does not resolve          transient
        ├── kind "tls"                  no TLS, or a certificate that is refused
        ├── kind "credentials"          401 or 403, or no token to be had
        ├── kind "not_a_registry"       something else answers there
        ├── kind "no_such_repository"   the registry does not know it
        ├── kind "unavailable"          no connection, a time-out, a 5xx          transient
        ├── kind "rate_limited"         429, 503, or paused because of one        transient
        ├── kind "refused_answer"       over a limit, a bad link, a loop          transient
        └── StormHeld (kind "storm")    more pushes at once than may be announced

    :param text: one sentence: the URL without secrets, what was wrong, what to do
    :param kind: one of :data:`KINDS`
    :param retry_after: seconds after which another request is welcome, where the registry told
    :param status: HTTP status of the answer, None where there was none
    :param everywhere: whether each other request would meet the same at this moment
    """

    def __init__(
        self,
        text: str,
        *,
        kind: str,
        retry_after: float | None = None,
        status: int | None = None,
        everywhere: bool = False,
    ) -> None:
        super().__init__(text)
        self.kind = kind
        self.retry_after = retry_after
        self.status = status
        self.everywhere = everywhere

    @property
    def transient(self) -> bool:
        """Whether another poll may go well with nobody doing anything."""
        return KINDS[self.kind]


class StormHeld(RegistryError):
    """
    One poll found more pushes than may be announced at once; none is, and none is forgotten.

    :param count: how many there are
    :param limit: how many there may be
    :param repository: full name of the repository
    """

    def __init__(self, count: int, limit: int, repository: str) -> None:
        super().__init__(
            f"{repository}: {count} pushes at once, more than storm_limit={limit}: all are held, none is "
            f"lost. To let them through, set storm_limit to {count} or more in the extra of the registry's "
            "Connection",
            kind="storm",
        )
        self.count = count
        self.limit = limit
