# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The hook for container registries."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from airflow.sdk import BaseHook

from airflow_registry_triggers.hooks.connection_extra import without_conn_id
from airflow_registry_triggers.hooks.registry_login import acloud_connection, cloud_connection
from airflow_registry_triggers.hooks.registry_target import RegistryTarget, target_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from airflow_registry_triggers.registry.client import RegistryClient

__all__ = ["RegistryHook"]

Answer = TypeVar("Answer")


class RegistryHook(BaseHook):
    """
    Read a container registry through an ``oci_registry``, ``docker`` or ``http`` Connection, or a cloud's.

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
        connection = self.get_connection(self.registry_conn_id)
        return target_of(connection, repository, cloud_connection(connection, self.get_connection))

    async def atarget(self, repository: str | None = None) -> RegistryTarget:
        """
        Read the Connection from a coroutine.

        :param repository: ``team/app``, or with a host, ``ghcr.io/team/app``
        :raises ValueError: the Connection or the repository is not valid
        """
        connection = await self.aget_connection(self.registry_conn_id)
        cloud = await acloud_connection(connection, self.aget_connection)
        return target_of(connection, repository, cloud)

    def get_conn(self) -> RegistryClient:
        """Return a client of the registry, to be used as an async context manager."""
        return self.target().client()

    def test_connection(self) -> tuple[bool, str]:
        """Check that a registry answers and accepts the login. The text names the part that failed."""
        from airflow_registry_triggers.registry.errors import RegistryError

        async def check(target: RegistryTarget) -> tuple[str, bool]:
            async with target.client() as client:
                return await client.check(), client.is_signed_in

        try:
            target = self.target()
            remark, is_signed_in = asyncio.run(check(target))
        except RegistryError as error:
            return False, f"{error.kind}: {without_conn_id(str(error), self.registry_conn_id)}"
        except ValueError as error:
            return False, without_conn_id(str(error), self.registry_conn_id)
        login = f"signed in as {target.username}" if is_signed_in and target.username else "anonymous"
        if is_signed_in and not target.username:
            login = f"signed in with {target.login_source}" if target.login_source else "signed in"
        text = f"{login}: {target.registry} answers as a container registry"
        if (target.username or target.login_source) and not is_signed_in:
            text = f"{text}. It asks for no login, so the login was not checked"
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
