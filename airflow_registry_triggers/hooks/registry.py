# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The hook for container registries, and the settings that a registry's Connection contains."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.sdk import BaseHook
from airflow.sdk.log import mask_secret

from airflow_registry_triggers.hooks.connection_address import ConnectionAddress, parse_address
from airflow_registry_triggers.hooks.connection_extra import HTTP_OPTIONS, ConnectionExtra
from airflow_registry_triggers.oci_names import DOCKER_HUB_HOST, docker_hub_repository, is_docker_hub
from airflow_registry_triggers.registry.flapping import DEFAULT_FLAP_LIMIT
from airflow_registry_triggers.registry.names import RepositoryReference
from airflow_registry_triggers.registry.scope import FIRST_RUNS, FirstRun, checked_first_run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from airflow.sdk import Connection

    from airflow_registry_triggers.registry.client import RegistryClient
    from airflow_registry_triggers.registry.errors import RegistryError
    from airflow_registry_triggers.registry.poll import Poll
    from airflow_registry_triggers.registry.poll_memory import PollMemory
    from airflow_registry_triggers.registry.tag_source import TagSource
    from airflow_registry_triggers.registry.watermark import Watermark
    from airflow_registry_triggers.tag_rule import TagRule

__all__ = ["RegistryHook", "RegistryTarget", "WatchSettings", "target_of"]

Answer = TypeVar("Answer")

FACTS = ("date_created", "region", "repo_authentication_type", "repo_origin_type", "repo_type")
"""Keys of the Connection's extra that are copied into each notification's ``repository``."""

_FIELDS = frozenset(
    {
        *FACTS,
        "ca_file",
        "confirm_polls",
        "first_run",
        "flap_limit",
        "max_in_flight",
        "poll_interval",
        "proxy",
        "referrers",
        "scheme",
        "storm_limit",
        "timezone",
        "updates",
    }
)

_CONTROL_NAMES = {"\n": "a line feed", "\r": "a carriage return", "\t": "a tab", "\0": "a NUL"}


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """
    Settings for watching repositories. They are set on the Connection, so that all Dags agree on them.

    :param poll_interval: seconds between two polls of a watcher
    :param first_run: mode of a watcher's first poll
    :param updates: whether a known tag with another digest is a push
    :param referrers: whether tags of signatures, attestations and SBOMs are watched
    :param storm_limit: maximum number of notifications of one poll
    :param confirm_polls: polls in a row that must find a digest before it counts
    :param flap_limit: pushes of one tag within an hour, after which they are limited; 0 for no limit
    :param timezone: time zone of ``pushed_at``
    :param facts: facts about the repositories that the registry does not return
    """

    poll_interval: float = 60.0
    first_run: FirstRun = "baseline"
    updates: bool = True
    referrers: bool = False
    storm_limit: int = 500
    confirm_polls: int = 1
    flap_limit: int = DEFAULT_FLAP_LIMIT
    timezone: str = "UTC"
    facts: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_extra(cls, extra: Mapping[str, Any], conn_id: str) -> WatchSettings:
        """
        Read the extra of a Connection.

        :param extra: the extra as a mapping
        :param conn_id: id of the Connection, for errors
        :raises ValueError: a value is not valid
        """
        read = ConnectionExtra(extra, conn_id)
        first_run = read.text("first_run", "baseline")
        if first_run not in FIRST_RUNS:
            raise read.wrong("first_run", " or ".join(FIRST_RUNS))
        return cls(
            poll_interval=read.number("poll_interval", 60.0, at_least=1.0),
            first_run=checked_first_run(first_run),
            updates=read.flag("updates", True),
            referrers=read.flag("referrers", False),
            storm_limit=read.integer("storm_limit", 500, at_least=1),
            confirm_polls=read.integer("confirm_polls", 1, at_least=1),
            flap_limit=read.integer("flap_limit", DEFAULT_FLAP_LIMIT, at_least=0),
            timezone=read.text("timezone", "UTC"),
            facts={name: read.text(name) for name in FACTS if read.has(name)},
        )


@dataclass(frozen=True, slots=True)
class RegistryTarget:
    """
    A registry with its login, and a repository of it.

    :param conn_id: id of the Connection
    :param base_url: scheme, host, port and path prefix of the registry
    :param repository: full name of the repository
    :param proxy: URL of the proxy; None for the environment's
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

        self._check_login()
        return RegistryClient(
            self.base_url,
            username=self.username,
            password=self.password,
            ca_file=self.ca_file,
            max_in_flight=self.max_in_flight,
            proxy=self.proxy,
            on_secret=mask_secret,
        )

    async def poll(
        self,
        watermark: Watermark,
        rule: TagRule,
        first_run: FirstRun | None = None,
        memory: PollMemory | None = None,
    ) -> Poll:
        """
        Find the pushes since the watermark.

        :param watermark: the stored watermark
        :param rule: the watched tags
        :param first_run: mode of the first poll; default the Connection's
        :param memory: memory of the earlier polls; changed in place
        :raises RegistryError: the registry could not be read
        """
        async with self.client() as client:
            return await self.poll_with(client, watermark, rule, first_run, memory)

    async def poll_with(
        self,
        client: TagSource,
        watermark: Watermark,
        rule: TagRule,
        first_run: FirstRun | None = None,
        memory: PollMemory | None = None,
    ) -> Poll:
        """
        Find the pushes since the watermark with an open client; see :meth:`poll`.

        :param client: the client
        :param watermark: the stored watermark
        :param rule: the watched tags
        :param first_run: mode of the first poll; default the Connection's
        :param memory: memory of the earlier polls; changed in place
        """
        from airflow_registry_triggers.registry.poll import poll

        settings = self.settings
        return await poll(
            client,
            self.repository,
            watermark,
            rule,
            first_run or settings.first_run,
            updates=settings.updates,
            referrers=settings.referrers,
            storm_limit=settings.storm_limit,
            confirm_polls=settings.confirm_polls,
            flap_limit=settings.flap_limit,
            timezone=settings.timezone,
            repository_facts=settings.facts,
            memory=memory,
        )

    def describe(self, error: RegistryError) -> str:
        """Return the text of an error with the Connection, the URL and the kind of the error."""
        return f"Connection {self.conn_id!r}, {self.base_url}, {error.kind}: {error}"

    def _check_login(self) -> None:
        from airflow_registry_triggers.registry.errors import RegistryError

        for name, value in (("login", self.username), ("password", self.password)):
            found = next((char for char in value or "" if ord(char) < 32 or ord(char) == 127), None)
            if found is not None:
                shown = _CONTROL_NAMES.get(found, f"the control character U+{ord(found):04X}")
                raise RegistryError(
                    f"the {name} of the Connection contains {shown}, often the end of a line that was copied "
                    f"with it. Enter the {name} again without it",
                    kind="credentials",
                )


class RegistryHook(BaseHook):
    """
    Read a container registry through an ``oci_registry``, ``docker`` or ``http`` Connection.

    :param registry_conn_id: id of the Connection
    """

    conn_name_attr = "registry_conn_id"
    default_conn_name = "registry_default"
    conn_type = "oci_registry"
    hook_name = "Container Registry (OCI)"

    def __init__(self, registry_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.registry_conn_id = registry_conn_id

    def list_tags(self, repository: str) -> list[str]:
        """
        Return all tags of a repository, in the registry's order.

        :param repository: ``team/app``, or with a host, ``ghcr.io/team/app``
        :raises RegistryFault: the registry's setup is wrong, so a retry does not help
        :raises RegistryError: the registry could not be read now
        """
        return asyncio.run(_list_tags(self.target(repository)))

    async def alist_tags(self, repository: str) -> list[str]:
        """
        Return all tags of a repository, from a coroutine; see :meth:`list_tags`.

        :param repository: ``team/app``, or with a host, ``ghcr.io/team/app``
        """
        return await _list_tags(await self.atarget(repository))

    def get_digest(self, repository: str, tag: str) -> str | None:
        """
        Return the digest of a tag, or None if the tag does not exist.

        :param repository: ``team/app``, or with a host, ``ghcr.io/team/app``
        :param tag: the tag
        :raises RegistryFault: the registry's setup is wrong, so a retry does not help
        :raises RegistryError: the registry could not be read now
        """
        return asyncio.run(_get_digest(self.target(repository), tag))

    async def aget_digest(self, repository: str, tag: str) -> str | None:
        """
        Return the digest of a tag, from a coroutine; see :meth:`get_digest`.

        :param repository: ``team/app``, or with a host, ``ghcr.io/team/app``
        :param tag: the tag
        """
        return await _get_digest(await self.atarget(repository), tag)

    def target(self, repository: str | None = None) -> RegistryTarget:
        """
        Read the Connection.

        :param repository: ``team/app``, or with a host, ``ghcr.io/team/app``
        :raises ValueError: the Connection or the repository is not valid
        """
        return target_of(self.get_connection(self.registry_conn_id), repository)

    async def atarget(self, repository: str | None = None) -> RegistryTarget:
        """
        Read the Connection from a coroutine.

        :param repository: ``team/app``, or with a host, ``ghcr.io/team/app``
        :raises ValueError: the Connection or the repository is not valid
        """
        return target_of(await self.aget_connection(self.registry_conn_id), repository)

    def get_conn(self) -> RegistryClient:
        """Return a client of the registry, to be used as an async context manager."""
        return self.target().client()

    def test_connection(self) -> tuple[bool, str]:
        """Check that a registry answers and accepts the login. The text names the part that failed."""
        from airflow_registry_triggers.registry.errors import RegistryError

        async def check(target: RegistryTarget) -> str:
            async with target.client() as client:
                return await client.check()

        try:
            target = self.target()
            remark = asyncio.run(check(target))
        except RegistryError as error:
            return False, f"{error.kind}: {error}"
        except ValueError as error:
            return False, str(error)
        text = f"{target.registry} answers as a container registry"
        return True, f"{text}. {remark}" if remark else text


async def _list_tags(target: RegistryTarget) -> list[str]:
    return await _named_errors(target, lambda client: client.list_tags(target.repository))


async def _get_digest(target: RegistryTarget, tag: str) -> str | None:
    return await _named_errors(target, lambda client: client.digest(target.repository, tag))


async def _named_errors(
    target: RegistryTarget, request: Callable[[RegistryClient], Awaitable[Answer]]
) -> Answer:
    """Send a request; an error names the Connection, and is one that ends the task if a retry cannot help."""
    from airflow_registry_triggers.exceptions import RegistryFault
    from airflow_registry_triggers.registry.errors import RegistryError

    try:
        async with target.client() as client:
            return await request(client)
    except RegistryError as error:
        text = target.describe(error)
        if not error.transient:
            raise RegistryFault(text) from None
        raise RegistryError(
            text, kind=error.kind, retry_after=error.retry_after, status=error.status
        ) from None


def target_of(connection: Connection, repository: str | None = None) -> RegistryTarget:
    """
    Read a Connection, and let Airflow mask its secrets in logs.

    :param connection: an ``oci_registry``, ``docker`` or ``http`` Connection
    :param repository: ``team/app``, or with a host, ``ghcr.io/team/app``
    :raises ValueError: the Connection or the repository is not valid
    """
    conn_id = str(connection.conn_id)
    read = ConnectionExtra(connection.extra_dejson, conn_id)
    _mask_secrets(connection, read)
    reference = RepositoryReference.parse(repository) if repository else None
    address = _address(connection, read)
    return RegistryTarget(
        conn_id=conn_id,
        base_url=_base_url(address, conn_id, reference.host if reference else None),
        repository=_repository(reference, address),
        username=connection.login or None,
        password=connection.password or None,
        ca_file=read.text("ca_file") or None,
        max_in_flight=read.integer("max_in_flight", 0, at_least=1) or None,
        proxy=_proxy(connection, read, address.scheme),
        settings=WatchSettings.from_extra(read.extra, conn_id),
    )


def _mask_secrets(connection: Connection, read: ConnectionExtra) -> None:
    """Mask the password, the login in its Basic form and, in an http Connection, the values of headers."""
    password = connection.password
    if password:
        pair = f"{connection.login or ''}:{password}".encode()
        mask_secret(password)
        mask_secret(base64.b64encode(pair).decode())
    if connection.conn_type != "http":
        return
    for name, value in read.extra.items():
        if name in _FIELDS or name in HTTP_OPTIONS:
            continue
        mask_secret(value)
        if not isinstance(value, str):
            raise ValueError(
                f"Connection {read.conn_id!r}: the extra {name!r} must be text. In an http Connection, each "
                "key of the extra is one header"
            )


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
    if is_docker_hub(authority):
        # The address that "docker login" uses is not the host that answers requests.
        return f"{address.scheme}://{DOCKER_HUB_HOST}"
    if not authority and not wanted:
        raise ValueError(
            f"Connection {conn_id!r} has no host. Set it, or write the host before the repository, such as "
            "'ghcr.io/team/app'"
        )
    if authority and wanted and wanted != authority:
        # The login of one registry must not be sent to another.
        raise ValueError(
            f"The repository is on {wanted}, but Connection {conn_id!r} is for {authority}. Use a Connection "
            "for that host, or one without a host"
        )
    parts = address.path_parts
    if parts and parts[-1] == "v2":
        parts.pop()
    return "/".join([f"{address.scheme}://{authority or wanted}", *parts])


def _proxy(connection: Connection, read: ConnectionExtra, scheme: str) -> str | None:
    """Return the proxy's URL; an http Connection may hold one for each scheme, as ``requests`` reads it."""
    proxies = read.extra.get("proxies")
    if connection.conn_type == "http" and isinstance(proxies, Mapping) and not read.has("proxy"):
        read = ConnectionExtra({"proxy": proxies.get(scheme)}, read.conn_id)
    return read.secret("proxy") or None
