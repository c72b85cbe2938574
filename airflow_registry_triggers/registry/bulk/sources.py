# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The API of one registry: its sessions, and the end of its use after answers that it does not confirm."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from yarl import URL

from airflow_registry_triggers.registry.bulk import azure, docker_hub, ecr, harbor, quay
from airflow_registry_triggers.registry.bulk.reported import ApiRefused
from airflow_registry_triggers.registry.bulk.session import ApiSession
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.http.session import Transport

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from airflow_registry_triggers.registry.bulk.ecr import ListImages
    from airflow_registry_triggers.registry.bulk.reported import ReportedTag
    from airflow_registry_triggers.registry.http.rate_limits import Limits
    from airflow_registry_triggers.registry.http.session_state import Options

__all__ = ["APIS", "Api", "RegistryApi"]

_MAX_CLOSED = 1024
_UNREACHABLE_SECONDS = 300.0
_NO_CONNECTION = frozenset({"name", "tls", "proxy", "unavailable"})

log = logging.getLogger(__name__)


class _Kind(NamedTuple):
    pages: Callable[[Any, str], AsyncIterator[list[ReportedTag]]]
    page_size: int
    is_newest_first: bool


APIS = {
    "azure": _Kind(azure.pages, azure.PAGE_SIZE, True),
    "docker_hub": _Kind(docker_hub.pages, docker_hub.PAGE_SIZE, True),
    "ecr": _Kind(ecr.pages, ecr.PAGE_SIZE, False),
    "quay": _Kind(quay.pages, quay.PAGE_SIZE, True),
    "harbor": _Kind(harbor.pages, harbor.PAGE_SIZE, False),
}
"""The APIs by their names in the Connection's field ``api``."""


@dataclass(frozen=True, slots=True)
class Api:
    """
    The choice of an API.

    :param name: a key of :data:`APIS`
    :param token: OAuth token of Quay
    :param list_images: the call of ECR's API
    :param hub: address of Docker Hub's API
    """

    name: str
    token: str = field(default="", repr=False)
    list_images: ListImages | None = None
    hub: str = docker_hub.HOST


class RegistryApi:
    """
    The API of one registry, for one client.

    :param api: the choice
    :param transport: connections to the registry
    :param options: settings of the transport
    :param limits: limits of answers, and deadlines
    """

    def __init__(self, api: Api, transport: Transport, options: Options, limits: Limits) -> None:
        self._kind = APIS[api.name]
        self._choice = api
        self._transport = transport
        self._options = options
        self._limits = limits
        self._hub: Transport | None = None
        # A corrected token may be accepted although an earlier one was not.
        self._closed_as = f"{api.name} {sha256(api.token.encode()).hexdigest()[:8]}"

    @property
    def api(self) -> str:
        """Name of the API."""
        return self._choice.name

    @property
    def page_size(self) -> int:
        """Tags of a full page."""
        return self._kind.page_size

    @property
    def is_newest_first(self) -> bool:
        """Whether the tags are ordered by the time of their last change."""
        return self._kind.is_newest_first

    def is_open(self, repository: str) -> bool:
        """Return True if the API can be used for a repository."""
        closed, now = self._transport.memory.closed_apis, time.monotonic()
        return all(closed.get((self._closed_as, name), 0.0) <= now for name in (repository, ""))

    def close_for(self, repository: str, why: str, seconds: float = float("inf")) -> None:
        """
        Stop using the API, and log it once for each registry.

        :param repository: full name of the repository; empty for all of the registry
        :param why: the problem
        :param seconds: time for which this holds; default: until the process ends
        """
        closed = self._transport.memory.closed_apis
        is_new = not any(name == self._closed_as for name, _ in closed)
        while len(closed) >= _MAX_CLOSED:
            del closed[next(iter(closed))]
        closed[self._closed_as, repository] = time.monotonic() + seconds
        until = "until this process ends" if seconds == float("inf") else f"for {seconds / 60:g} minutes"
        log.log(
            logging.WARNING if is_new else logging.DEBUG,
            "%s. Polls %s do not use the API %r %s and request each tag. To turn the API off, set api to oci "
            "on the Connection",
            why.rstrip("."),
            f"of {repository}" if repository else f"of {self._options.base.host}",
            self.api,
            until,
        )

    async def pages(self, repository: str) -> AsyncGenerator[list[ReportedTag], None]:
        """
        Yield the pages of a listing.

        :param repository: full name of the repository
        :raises ApiRefused: the API does not list the repository
        :raises RegistryError: a page could not be read now
        """
        try:
            async for page in self._kind.pages(await self._session(), repository):
                yield page
        except RegistryError as error:
            if self.api != "docker_hub" or error.status is not None or error.kind not in _NO_CONNECTION:
                raise
            # The registry itself has another host, which may be reachable although this one is not.
            self.close_for("", str(error), _UNREACHABLE_SECONDS)
            raise ApiRefused(str(error)) from None

    async def close(self) -> None:
        """Close the connections that the registry itself does not use."""
        hub, self._hub = self._hub, None
        if hub is not None:
            await hub.leave()

    async def _session(self) -> Any:
        base = self._options.base
        match self.api:
            case "ecr":
                return self._choice.list_images
            case "docker_hub":
                return await self._hub_session()
            case "quay":
                return ApiSession(self._transport, base, self._limits, self._api_token)
            case "harbor":
                return ApiSession(self._transport, base, self._limits, self._basic)
        return ApiSession(self._transport, base, self._limits)

    async def _hub_session(self) -> ApiSession:
        base, options = URL(self._choice.hub), self._options
        if self._hub is None:
            self._hub = await Transport.shared(replace(options, base=base, max_in_flight=None))
        token = docker_hub.HubToken(self._hub, base, options.login, self._limits, options.on_token)
        return ApiSession(self._hub, base, self._limits, token.header, token.drop)

    async def _api_token(self) -> str | None:
        return f"Bearer {self._choice.token}" if self._choice.token else None

    async def _basic(self) -> str | None:
        credentials = await self._options.login.current()
        return credentials.basic
