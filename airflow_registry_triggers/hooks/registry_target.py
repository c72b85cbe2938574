# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The registry, the login and the settings that a Connection and a repository give together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow.sdk.log import mask_secret

from airflow_registry_triggers.hooks.connection_address import (
    DEFAULT_PORTS,
    NO_ADDRESS,
    ConnectionAddress,
    parse_address,
)
from airflow_registry_triggers.hooks.connection_extra import ConnectionExtra
from airflow_registry_triggers.hooks.connection_secrets import mask_connection_secrets
from airflow_registry_triggers.hooks.registry_api import ApiChoice, api_choice
from airflow_registry_triggers.hooks.registry_error_texts import check_characters, described
from airflow_registry_triggers.hooks.registry_login import (
    check_login_fields,
    is_cloud,
    login_of,
)
from airflow_registry_triggers.hooks.token_masks import mask_token
from airflow_registry_triggers.hooks.watch_settings import WatchSettings
from airflow_registry_triggers.oci_names import DOCKER_HUB_HOST, docker_hub_repository, is_docker_hub
from airflow_registry_triggers.registry.names import RepositoryReference

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow.sdk import Connection

    from airflow_registry_triggers.registry.client import RegistryClient
    from airflow_registry_triggers.registry.errors import RegistryError
    from airflow_registry_triggers.registry.http.credentials import Login
    from airflow_registry_triggers.registry.poll import Poll
    from airflow_registry_triggers.registry.poll_memory import PollMemory
    from airflow_registry_triggers.registry.scope import FirstRun
    from airflow_registry_triggers.registry.tag_source import TagSource
    from airflow_registry_triggers.registry.watermark import Watermark
    from airflow_registry_triggers.tag_rule import TagRule

__all__ = ["RegistryTarget", "target_of"]


@dataclass(frozen=True, slots=True)
class RegistryTarget:
    """
    A registry with its login, and a repository of it.

    :param conn_id: id of the Connection
    :param base_url: scheme, host, port and path prefix of the registry
    :param repository: full name of the repository
    :param proxy: URL of the proxy; None for the environment's
    :param login: source of credentials that expire, in place of user name and password
    :param api: the registry's own API
    """

    conn_id: str
    base_url: str
    repository: str
    username: str | None
    password: str | None = field(repr=False)
    ca_file: str | None
    max_in_flight: int | None
    proxy: str | None = field(repr=False)
    settings: WatchSettings
    login: Login | None = None
    api: ApiChoice = field(default_factory=ApiChoice)

    @property
    def registry(self) -> str:
        """Name of the registry as in ids and notifications: ``host[:port][/prefix]``."""
        from airflow_registry_triggers.registry.names import base_of, registry_name

        return registry_name(base_of(self.base_url))

    def client(self) -> RegistryClient:
        """
        Return a client, to be used as an async context manager. Airflow masks its tokens in logs.

        :raises RegistryError: ``credentials``, if login or password contain a control character
        """
        from airflow_registry_triggers.registry.client import RegistryClient

        check_characters(self.username, self.password)
        return RegistryClient(
            self.base_url,
            username=self.username,
            password=self.password,
            ca_file=self.ca_file,
            max_in_flight=self.max_in_flight,
            proxy=self.proxy,
            login=self.login,
            on_secret=mask_secret,
            on_token=mask_token,
            api=self.api.for_client(self.login),
        )

    async def poll(
        self,
        watermark: Watermark,
        rule: TagRule,
        first_run: FirstRun | None = None,
        memory: PollMemory | None = None,
        *,
        newest: str | None = None,
        only: Collection[str] | None = None,
    ) -> Poll:
        """
        Find the pushes since the watermark.

        :param watermark: the stored watermark
        :param rule: the watched tags
        :param first_run: mode of the first poll; default the Connection's
        :param memory: memory of the earlier polls; changed in place
        :param only: tags that a hint names; these alone are requested
        :param newest: order of the tags of which only the greatest is watched; None to watch all of them
        :raises RegistryError: the registry could not be read
        """
        async with self.client() as client:
            return await self.poll_with(client, watermark, rule, first_run, memory, newest=newest, only=only)

    async def poll_with(
        self,
        client: TagSource,
        watermark: Watermark,
        rule: TagRule,
        first_run: FirstRun | None = None,
        memory: PollMemory | None = None,
        *,
        newest: str | None = None,
        recheck_interval: float = 0.0,
        only: Collection[str] | None = None,
    ) -> Poll:
        """
        Find the pushes since the watermark with an open client; see :meth:`poll`.

        :param client: the client
        :param watermark: the stored watermark
        :param rule: the watched tags
        :param first_run: mode of the first poll; default the Connection's
        :param memory: memory of the earlier polls; changed in place
        :param newest: order of the tags of which only the greatest is watched; None to watch all of them
        :param recheck_interval: seconds in which each known tag is requested at least once; 0 for every poll
        :param only: tags that a hint names; these alone are requested
        """
        from airflow_registry_triggers.registry.poll import poll

        settings = self.settings
        return await poll(
            client,
            self.repository,
            watermark,
            rule,
            first_run or settings.first_run,
            newest=newest,
            updates=settings.updates,
            referrers=settings.referrers,
            storm_limit=settings.storm_limit,
            confirm_polls=settings.confirm_polls,
            flap_limit=settings.flap_limit,
            recheck_interval=recheck_interval,
            timezone=settings.timezone,
            repository_facts=settings.facts,
            memory=memory,
            only=only,
        )

    def describe(self, error: RegistryError) -> str:
        """Return the text of an error: the cause first, then the Connection, the login, and the advice."""
        return described(
            error,
            f"Connection {self.conn_id!r}, {self._login_name} at {self.registry}"
            + (f", repository {self.repository}" if self.repository else ""),
            self.base_url,
            names_login=self.login is not None,
        )

    @property
    def login_source(self) -> str:
        """The Connection or the file that the login comes from; empty for the Connection's own."""
        return getattr(self.login, "source", "")

    @property
    def _login_name(self) -> str:
        return self.username or (f"login of {self.login_source}" if self.login_source else "anonymous")


def target_of(
    connection: Connection, repository: str | None = None, cloud: Connection | None = None
) -> RegistryTarget:
    """
    Read a Connection, and let Airflow mask its secrets in logs.

    :param connection: an ``oci_registry``, ``docker`` or ``http`` Connection, or a cloud's
    :param repository: ``team/app``, or with a host, ``ghcr.io/team/app``
    :param cloud: the cloud Connection that ``credentials_conn_id`` names
    :raises ValueError: the Connection or the repository is not valid
    """
    conn_id = str(connection.conn_id)
    if is_cloud(connection):  # its fields describe the cloud, not a registry
        cloud, read, address = connection, ConnectionExtra({}, conn_id), NO_ADDRESS
    else:
        read = ConnectionExtra(connection.extra_dejson, conn_id)
        mask_connection_secrets(connection, read, mask_secret)
        check_login_fields(connection, read)
        address = _address(connection, read)
    reference = RepositoryReference.parse(repository) if repository else None
    base_url = _base_url(address, conn_id, reference.host if reference else None)
    login = login_of(connection, read, address, repository, _authority(base_url), cloud)
    return RegistryTarget(
        conn_id=conn_id,
        base_url=base_url,
        repository=_repository(reference, address),
        username=None if login else connection.login or None,
        password=None if login else connection.password or None,
        ca_file=read.text("ca_file") or None,
        max_in_flight=read.integer("max_in_flight", 0, at_least=1) or None,
        proxy=_proxy(connection, read, address.scheme),
        settings=WatchSettings.from_extra(
            read.extra, conn_id, has_hints=connection.conn_type == "oci_registry"
        ),
        login=login,
        api=api_choice(read, base_url, login, has_login=bool(connection.login)),
    )


def _authority(base_url: str) -> str:
    return base_url.partition("://")[2].partition("/")[0]


def _repository(reference: RepositoryReference | None, address: ConnectionAddress) -> str:
    if reference is None:
        return ""
    return docker_hub_repository(reference.name) if is_docker_hub(address.host) else reference.name


def _address(connection: Connection, read: ConnectionExtra) -> ConnectionAddress:
    default = "https"
    if connection.conn_type == "http":  # as the http provider reads it
        default = connection.schema or "http"
    address = parse_address(connection, read.text("scheme", default))
    if address.query:
        raise ValueError(f"Connection {read.conn_id!r}: the host must be host, host:port or host/prefix")
    if address.scheme not in ("http", "https"):
        raise ValueError(f"Connection {read.conn_id!r}: the scheme {address.scheme!r} must be https or http")
    return address


def _base_url(address: ConnectionAddress, conn_id: str, wanted: str | None) -> str:
    authority = address.authority if address.host else ""
    is_hub = is_docker_hub(authority)
    if not authority and not wanted:
        raise ValueError(
            f"Connection {conn_id!r} has no host. Set it, or write the host before the repository, such as "
            "'ghcr.io/team/app'"
        )
    if authority and wanted and not (is_docker_hub(wanted) if is_hub else _is_same(wanted, address)):
        # The login of one registry must not be sent to another.
        raise ValueError(
            f"The repository is on {wanted}, but Connection {conn_id!r} is for {authority}. Use a Connection "
            "for that host, or one without a host"
        )
    if is_hub:
        # The address that "docker login" uses is not the host that answers requests.
        return f"{address.scheme}://{DOCKER_HUB_HOST}"
    parts = address.path_parts
    if parts and parts[-1] == "v2":
        parts.pop()
    return "/".join([f"{address.scheme}://{authority or wanted}", *parts])


def _is_same(wanted: str, address: ConnectionAddress) -> bool:
    """
    Compare the host of a repository with the Connection's; both can write the default port or leave it out.

    :param wanted: ``host[:port]``, normalized; the port 443 is left out
    """
    port = address.port or DEFAULT_PORTS[address.scheme]
    return wanted == f"{address.host}:{port}" or (wanted == address.host and address.port in (None, 443))


def _proxy(connection: Connection, read: ConnectionExtra, scheme: str) -> str | None:
    """Return the proxy's URL; an http Connection may hold one for each scheme, as ``requests`` reads it."""
    proxies = read.extra.get("proxies")
    if connection.conn_type == "http" and isinstance(proxies, Mapping) and not read.has("proxy"):
        read = ConnectionExtra({"proxy": proxies.get(scheme)}, read.conn_id)
    return read.secret("proxy") or None
