# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The login that a registry's Connection refers to: a cloud Connection or a Docker configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret

from airflow_registry_triggers.hooks.clouds.hosts import CLOUD_HOSTS, REGISTRY_NAMES
from airflow_registry_triggers.hooks.connection_extra import ConnectionExtra

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from airflow.sdk import Connection

    from airflow_registry_triggers.hooks.connection_address import ConnectionAddress
    from airflow_registry_triggers.registry.http.credentials import Login

__all__ = [
    "LOGIN_FIELDS",
    "acloud_connection",
    "check_login_fields",
    "cloud_connection",
    "is_cloud",
    "login_of",
]

CLOUD = "credentials_conn_id"
DOCKER_CONFIG = "docker_config"
ALIBABA_INSTANCE = "alibaba_instance_id"

SECTION = "registry_triggers"
HELPERS = "credential_helpers"

LOGIN_FIELDS = (CLOUD, DOCKER_CONFIG, ALIBABA_INSTANCE)
"""Keys of the extra that select a login."""

_docker_logins: dict[str, Login] = {}


def is_cloud(connection: Connection) -> bool:
    """Return True if the Connection is a cloud's, used in place of a registry's."""
    return connection.conn_type in CLOUD_HOSTS


def cloud_connection(connection: Connection, get: Callable[[str], Connection]) -> Connection | None:
    """
    Return the cloud Connection that a registry's Connection refers to, None without one.

    :param connection: the registry's Connection, or a cloud's, which refers to itself
    :param get: reads a Connection
    :raises ValueError: it does not exist, or its type is not a cloud's
    """
    if is_cloud(connection):
        return connection
    cloud_id = _cloud_id(connection)
    if not cloud_id:
        return None
    try:
        return _checked(get(cloud_id), connection)
    except AirflowNotFoundException:
        raise _missing(connection, cloud_id) from None


async def acloud_connection(
    connection: Connection, get: Callable[[str], Awaitable[Connection]]
) -> Connection | None:
    """
    Return the cloud Connection from a coroutine; see :func:`cloud_connection`.

    :param connection: the registry's Connection, or a cloud's, which refers to itself
    :param get: reads a Connection
    """
    if is_cloud(connection):
        return connection
    cloud_id = _cloud_id(connection)
    if not cloud_id:
        return None
    try:
        return _checked(await get(cloud_id), connection)
    except AirflowNotFoundException:
        raise _missing(connection, cloud_id) from None


def check_login_fields(connection: Connection, read: ConnectionExtra) -> None:
    """
    Check that a Connection has at most one login.

    :param read: its extra
    :raises ValueError: login and password are set beside a field that selects a login, or two are set
    """
    fields = [name for name in (CLOUD, DOCKER_CONFIG) if read.text(name)]
    if len(fields) > 1:
        raise ValueError(
            f"Connection {read.conn_id!r}: {CLOUD} and {DOCKER_CONFIG} exclude each other. Remove one of them"
        )
    if fields and (connection.login or connection.password):
        raise ValueError(
            f"Connection {read.conn_id!r}: login and password must be empty with {fields[0]}. Remove "
            f"them, or remove {fields[0]}"
        )
    if read.text(ALIBABA_INSTANCE) and not read.text(CLOUD):
        raise ValueError(
            f"Connection {read.conn_id!r}: {ALIBABA_INSTANCE} requires {CLOUD}. Set both, or none"
        )


def login_of(
    connection: Connection,
    read: ConnectionExtra,
    address: ConnectionAddress,
    repository: str | None,
    authority: str,
    cloud: Connection | None,
) -> Login | None:
    """
    Return the login that the Connection refers to, None if its own login and password are used.

    :param connection: the registry's Connection
    :param read: its extra; empty if it is a cloud's Connection
    :param address: its address; empty if it is a cloud's Connection
    :param repository: the repository as written by the Dag author
    :param authority: ``host[:port]`` of the registry
    :param cloud: the result of :func:`cloud_connection`
    :raises ValueError: the cloud's token must not be sent to this host
    """
    if path := read.text(DOCKER_CONFIG):
        return _docker_login(path, read, authority)
    if cloud is None:
        if cloud_id := read.text(CLOUD):
            raise _missing(connection, cloud_id)
        return None
    if not address.host:
        _check_host(str(connection.conn_id), cloud, repository or "")
    from airflow_registry_triggers.hooks.cloud_login import credentials_for

    return credentials_for(cloud, authority, {**read.extra, "scheme": address.scheme})


def _docker_login(path: str, read: ConnectionExtra, authority: str) -> Login:
    from airflow_registry_triggers.registry.docker_config import DockerConfigFile, DockerConfigLogin

    is_azure = CLOUD_HOSTS["azure"].match(authority.partition(":")[0]) is not None
    file = DockerConfigFile(path, read.conn_id, allowed_helpers(), is_azure)
    login = DockerConfigLogin(file, authority, mask_secret)
    # A watcher compares its targets, and all of a host share the check of the file.
    return _docker_logins.setdefault(login.key, login)


def allowed_helpers() -> tuple[str, ...]:
    """
    Return ``[registry_triggers] credential_helpers``: names of the credential helpers that may be started.

    :raises ValueError: a name is not valid
    """
    from airflow.sdk.configuration import conf

    from airflow_registry_triggers.registry.credential_helper import HELPER_NAME

    names = [name.strip() for name in (conf.get(SECTION, HELPERS, fallback="") or "").split(",")]
    for name in names:
        if name and not HELPER_NAME.fullmatch(name):
            raise ValueError(
                f"[{SECTION}] {HELPERS}: {name!r} is not the name of a helper. Use names such as 'ecr-login'"
            )
    return tuple(sorted({name for name in names if name}))


def _cloud_id(connection: Connection) -> str:
    return ConnectionExtra(connection.extra_dejson, str(connection.conn_id)).text(CLOUD)


def _missing(connection: Connection, cloud_id: str) -> ValueError:
    return ValueError(
        f"Connection {connection.conn_id!r}: {CLOUD}={cloud_id!r} does not exist. Create it or correct the "
        "field."
    )


def _checked(cloud: Connection, connection: Connection) -> Connection:
    if not is_cloud(cloud):
        raise ValueError(
            f"Connection {connection.conn_id!r}: {CLOUD}={cloud.conn_id!r} is a Connection of type "
            f"{cloud.conn_type!r}. Use one of type {', '.join(CLOUD_HOSTS)}."
        )
    return cloud


def _check_host(conn_id: str, cloud: Connection, repository: str) -> None:
    """
    Refuse a host that the Dag author chose, unless it belongs to the cloud.

    The host is compared as it is written: a port, a trailing dot or upper case is refused.
    """
    host = repository.rpartition("://")[2].partition("/")[0]
    if CLOUD_HOSTS[str(cloud.conn_type)].match(host):
        return
    name = REGISTRY_NAMES[str(cloud.conn_type)]
    if conn_id == str(cloud.conn_id):
        advice = (
            f"Create a Connection of type oci_registry with this host and {CLOUD}={conn_id!r}, if the host "
            "is yours"
        )
    else:
        advice = f"Set the host of Connection {conn_id!r}, if it is yours"
    raise ValueError(
        f"Connection {conn_id!r}: {host!r} is not a host of {name}, so it receives no token of Connection "
        f"{str(cloud.conn_id)!r}. {advice}, or correct the repository."
    )
