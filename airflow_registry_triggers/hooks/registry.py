# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""From a Connection to a client of the registry, and to how its repositories are watched."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from airflow.sdk import BaseHook

from airflow_registry_triggers.hooks.connection_extra import ConnectionExtra
from airflow_registry_triggers.oci_names import DOCKER_HUB_HOST, is_docker_hub
from airflow_registry_triggers.registry.names import RepositoryReference

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from airflow.sdk import Connection

    from airflow_registry_triggers.registry.caching_client import CachingClient
    from airflow_registry_triggers.registry.client import RegistryClient
    from airflow_registry_triggers.registry.poll import Poll
    from airflow_registry_triggers.registry.watermark import Watermark
    from airflow_registry_triggers.tag_rule import TagRule

__all__ = ["RegistryHook", "RegistryTarget", "WatchSettings"]

FACTS = ("date_created", "region", "repo_authentication_type", "repo_origin_type", "repo_type")
"""Keys of the Connection's extra that go into each notification's ``repository``."""

FIRST_RUNS = ("baseline", "notify")


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """
    How a repository is watched; set on the Connection, so that every declaration of an asset is the same.

    :param poll_interval: seconds between two polls of a watcher, default 60
    :param first_run: ``baseline`` (remember what is there) or ``notify`` (announce it), of a watcher
    :param updates: whether a tag that moves is a push, or only a tag that is new
    :param referrers: whether tags of signatures, attestations and SBOMs are watched
    :param storm_limit: notifications that one poll may give
    :param timezone: time zone of ``pushed_at``
    :param facts: what the registry cannot tell of its repositories
    """

    poll_interval: float = 60.0
    first_run: str = "baseline"
    updates: bool = True
    referrers: bool = False
    storm_limit: int = 500
    timezone: str = "UTC"
    facts: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_extra(cls, extra: Mapping[str, Any], conn_id: str) -> WatchSettings:
        """
        Read the extra of a Connection.

        :param extra: the extra as a mapping
        :param conn_id: the Connection, for error texts
        :raises ValueError: a value that cannot be meant
        """
        read = ConnectionExtra(extra, conn_id)
        first_run = read.text("first_run", "baseline")
        if first_run not in FIRST_RUNS:
            raise read.wrong("first_run", "baseline or notify")
        return cls(
            poll_interval=read.number("poll_interval", 60.0, at_least=1.0),
            first_run=first_run,
            updates=read.flag("updates", True),
            referrers=read.flag("referrers", False),
            storm_limit=int(read.number("storm_limit", 500, at_least=1)),
            timezone=read.text("timezone", "UTC"),
            facts={name: read.text(name, "") for name in FACTS if extra.get(name)},
        )


@dataclass(frozen=True, slots=True)
class RegistryTarget:
    """
    What a Connection and a repository give together: whom to ask, and as whom.

    :param base_url: scheme, host, port and path prefix of the registry
    :param repository: full name of the repository
    """

    base_url: str
    repository: str
    username: str | None
    password: str | None = field(repr=False)
    ca_file: str | None
    max_in_flight: int | None
    settings: WatchSettings

    def client(self) -> RegistryClient:
        """Make the client, to be used as an async context manager."""
        from airflow_registry_triggers.registry.client import RegistryClient

        return RegistryClient(
            self.base_url,
            username=self.username,
            password=self.password,
            ca_file=self.ca_file,
            max_in_flight=self.max_in_flight,
        )

    async def poll(self, watermark: Watermark, rule: TagRule, first_run: str | None = None) -> Poll:
        """
        Ask once which pushes are new.

        :param watermark: what has been handed on
        :param rule: which tags are asked about
        :param first_run: ``baseline`` or ``notify``; default the Connection's
        :raises RegistryError: the registry did not answer as it must
        """
        async with self.client() as client:
            return await self.poll_with(client, watermark, rule, first_run)

    async def poll_with(
        self,
        client: RegistryClient | CachingClient,
        watermark: Watermark,
        rule: TagRule,
        first_run: str | None = None,
        unknown_before: Collection[str] = (),
    ) -> Poll:
        """
        Ask through a client that is open; see :meth:`poll`.

        :param client: the client
        :param watermark: what has been handed on
        :param rule: which tags are asked about
        :param first_run: ``baseline`` or ``notify``; default the Connection's
        :param unknown_before: tags of which it was said that they could not be read
        """
        from airflow_registry_triggers.registry.poll import poll

        settings = self.settings
        return await poll(
            cast("RegistryClient", client),
            self.repository,
            watermark,
            rule,
            first_run or settings.first_run,
            updates=settings.updates,
            referrers=settings.referrers,
            storm_limit=settings.storm_limit,
            timezone=settings.timezone,
            repository_facts=settings.facts,
            unknown_before=unknown_before,
        )


class RegistryHook(BaseHook):
    """
    Read a container registry through an ``oci_registry`` Connection; ``docker`` and ``http`` ones will do.

    :param registry_conn_id: the Connection
    """

    conn_name_attr = "registry_conn_id"
    default_conn_name = "registry_default"
    conn_type = "oci_registry"
    hook_name = "Container Registry (OCI)"

    def __init__(self, registry_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.registry_conn_id = registry_conn_id

    def target(self, repository: str | None = None) -> RegistryTarget:
        """
        Read the Connection.

        :param repository: the repository as a Dag author writes it
        :raises ValueError: the Connection or the repository cannot be used
        """
        return target_of(self.get_connection(self.registry_conn_id), repository)

    async def atarget(self, repository: str | None = None) -> RegistryTarget:
        """
        Read the Connection from a coroutine.

        :param repository: the repository as a Dag author writes it
        :raises ValueError: the Connection or the repository cannot be used
        """
        return target_of(await self.aget_connection(self.registry_conn_id), repository)

    def get_conn(self) -> RegistryClient:
        """Give a client of the registry."""
        return self.target().client()

    def test_connection(self) -> tuple[bool, str]:
        """Ask the registry who it is; says which part failed: name, TLS, credentials, not a registry."""
        from airflow_registry_triggers.registry.errors import RegistryError

        async def check() -> str:
            async with self.get_conn() as client:
                await client.check()
                return client.registry

        try:
            return True, f"{asyncio.run(check())} answers as a container registry"
        except RegistryError as error:
            return False, f"{error.kind}: {error}"
        except ValueError as error:
            return False, str(error)


def target_of(connection: Connection, repository: str | None = None) -> RegistryTarget:
    """
    Read a Connection.

    :param connection: an ``oci_registry``, ``docker`` or ``http`` Connection
    :param repository: the repository as a Dag author writes it
    :raises ValueError: the Connection or the repository cannot be used
    """
    conn_id = str(connection.conn_id)
    extra = connection.extra_dejson
    reference = RepositoryReference.parse(repository) if repository else None
    read = ConnectionExtra(extra, conn_id)
    base_url = _base_url(connection, read, reference.host if reference else None)
    in_flight = read.number("max_in_flight", 0, at_least=1)
    return RegistryTarget(
        base_url=base_url,
        repository=reference.name if reference else "",
        username=connection.login or None,
        password=connection.password or None,
        ca_file=read.text("ca_file", "") or None,
        max_in_flight=int(in_flight) or None,
        settings=WatchSettings.from_extra(extra, conn_id),
    )


def _base_url(connection: Connection, read: ConnectionExtra, wanted_host: str | None) -> str:
    scheme, host, prefix = _connection_address(connection, read)
    if not host and not wanted_host:
        raise ValueError(
            f"Connection {read.conn_id!r} has no host; set it, or write the host before the repository "
            "(ghcr.io/team/app)"
        )
    if host and wanted_host and wanted_host != host.lower():
        # The login of one registry is not for another.
        raise ValueError(
            f"the repository is on {wanted_host}, but Connection {read.conn_id!r} is for {host}; "
            "name a Connection for that host, or one without a host"
        )
    if scheme not in ("http", "https"):
        raise ValueError(f"Connection {read.conn_id!r}: scheme {scheme!r} must be https or http")
    return f"{scheme}://{host or wanted_host}{prefix}"


def _connection_address(connection: Connection, read: ConnectionExtra) -> tuple[str, str, str]:
    """Give scheme, host with port, and path prefix."""
    text = (connection.host or "").strip()
    default = "https"
    if connection.conn_type == "http":  # as its own provider reads it
        default = connection.schema or "http"
    scheme = read.text("scheme", default).lower()
    if "://" in text:
        scheme, _, text = text.partition("://")
    if "@" in text or any(mark in text for mark in "?# \\"):
        raise ValueError(f"Connection {read.conn_id!r}: the host must be host, host:port or host/prefix")
    host, _, prefix = text.partition("/")
    if host.count(":") > 1 and not host.startswith("["):
        host = f"[{host}]"
    if connection.port and urlsplit(f"//{host}").port is None:
        host = f"{host}:{connection.port}"
    if is_docker_hub(host):
        # What a docker Connection names for logging in is not the host that answers.
        host, prefix = DOCKER_HUB_HOST, ""
    prefix = prefix.strip("/").removesuffix("v2").strip("/")
    return scheme.lower(), host, f"/{prefix}" if prefix else ""
