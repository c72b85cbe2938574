# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Client of any registry that implements the OCI distribution API: tags and digests."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from yarl import URL

from airflow_registry_triggers.oci_names import checked_repository, checked_tag, is_docker_hub
from airflow_registry_triggers.registry.bulk.sources import RegistryApi
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.http.credentials import Credentials, Login
from airflow_registry_triggers.registry.http.pagination import KnownDigest, Listing
from airflow_registry_triggers.registry.http.proxies import parse_proxy
from airflow_registry_triggers.registry.http.rate_limits import Limits
from airflow_registry_triggers.registry.http.responses import (
    ACCEPT,
    digest_in_header,
    digest_of_manifest,
    error_of,
    head_error,
    is_from_proxy,
    is_registry,
    may_get_help,
    not_a_registry,
)
from airflow_registry_triggers.registry.http.session import Transport
from airflow_registry_triggers.registry.http.session_state import Options
from airflow_registry_triggers.registry.names import base_of, registry_name
from airflow_registry_triggers.registry.tag_lister import TagLister

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from airflow_registry_triggers.registry.bulk.sources import Api
    from airflow_registry_triggers.registry.http.request import Answer

__all__ = ["ACCEPT", "KnownDigest", "Listing", "RegistryClient"]


class RegistryClient:
    """
    Read one registry; used as an async context manager.

    Connections, requests in flight, pauses and tokens are shared by all clients of the event loop with the
    same base URL and login. The last client that exits closes the connections.

    :param base_url: such as ``https://registry.example.com`` or ``http://[::1]:5000/prefix``
    :param username: login, None for an anonymous client
    :param password: password or token; without a username it is sent to the registry as a bearer token
    :param ca_file: certificates in PEM form that are trusted in addition to the system's
    :param max_in_flight: requests in flight at once; default 10 if no address of the registry is public,
        else 2
    :param limits: limits of answers, and deadlines
    :param proxy: URL of an HTTP proxy for all requests; default ``HTTPS_PROXY``, ``HTTP_PROXY`` and
        ``NO_PROXY`` of the environment
    :param login: source of credentials that expire, in place of ``username`` and ``password``
    :param on_secret: called with each encoded login and each secret of a proxy, so that the caller can mask
        them in logs
    :param on_token: called with each token; default ``on_secret``. A registry chooses the size and the number
        of its tokens
    :param api: the registry's own API, which lists tags and digests together
    :raises ValueError: the base URL, the limit or the proxy is not valid
    """

    def __init__(
        self,
        base_url: str,
        username: str | None = None,
        password: str | None = None,
        ca_file: str | None = None,
        max_in_flight: int | None = None,
        *,
        limits: Limits | None = None,
        proxy: str | None = None,
        login: Login | None = None,
        on_secret: Callable[[str], None] | None = None,
        on_token: Callable[[str], None] | None = None,
        api: Api | None = None,
    ) -> None:
        if max_in_flight is not None and max_in_flight < 1:
            raise ValueError(f"max_in_flight={max_in_flight!r}: at least 1 request must be allowed")
        self._base = base_of(base_url)
        self._root = f"{str(self._base).rstrip('/')}/v2/"
        self._credentials = Credentials(username, password)
        self._options = Options(
            base=self._base,
            login=login or self._credentials,
            ca_file=ca_file,
            max_in_flight=max_in_flight,
            proxy=parse_proxy(proxy) if proxy else None,
            on_secret=on_secret or _ignore,
            on_token=on_token or on_secret or _ignore,
        )
        self._limits = limits or Limits()
        self._transport: Transport | None = None
        self._api = api
        self._bulk: RegistryApi | None = None

    def __repr__(self) -> str:
        return f"RegistryClient({str(self._base)!r}, username={self._credentials.username!r})"

    @property
    def registry(self) -> str:
        """Name of the registry in ids and events: ``host[:port][/prefix]``."""
        return registry_name(self._base)

    @property
    def in_flight(self) -> int:
        """Requests in flight at once, for all clients that share the connections."""
        return self._opened.in_flight

    @property
    def bulk(self) -> RegistryApi | None:
        """The registry's own API while the client is open, None without one."""
        return self._bulk

    def forget(self) -> None:
        """Do nothing, because this client does not cache answers."""

    async def __aenter__(self) -> Self:
        self._transport = await Transport.shared(self._options)
        if self._api is not None:
            self._bulk = RegistryApi(self._api, self._transport, self._options, self._limits)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        transport, self._transport = self._opened, None
        if self._bulk is not None:
            await self._bulk.close()
        await transport.leave()

    async def list_tags(self, repository: str) -> list[str]:
        """
        List all tags of a repository.

        :param repository: full name of the repository
        :raises RegistryError: a page could not be read; a partial listing is never returned
        :raises ValueError: the name of the repository is not valid
        """
        return (await self.list(repository)).tags

    async def list(self, repository: str) -> Listing:
        """
        List all tags of a repository, with the digests that the listing contains.

        :param repository: full name of the repository
        :raises RegistryError: a page could not be read
        :raises ValueError: the name of the repository is not valid
        """
        try:
            async with asyncio.timeout(self._limits.listing_seconds):
                return await self._lister.list(checked_repository(repository))
        except TimeoutError:
            pass
        raise RegistryError(
            f"{self._root}{repository}/tags/list: the listing took longer than "
            f"{self._limits.listing_seconds:g} s.",
            kind="unavailable",
        )

    async def digest(self, repository: str, tag: str, *, listed: bool = True) -> str | None:
        """
        Return the digest of a tag, None if the tag does not exist.

        HEAD is an optimisation, GET is the truth. A HEAD that fails in a way that GET might not is followed
        by a GET, except on Docker Hub, where GET counts as a pull.

        :param repository: full name of the repository
        :param listed: whether the tag is expected to exist, because a listing or a rule names it; if not, a
            404 to HEAD is final
        :raises RegistryError: the digest could not be read
        :raises ValueError: the name of the repository or the tag is not valid
        """
        name = checked_repository(repository)
        url = URL(f"{self._root}{name}/manifests/{checked_tag(tag)}", encoded=True)
        head = self._opened.memory.head
        if not self._is_docker_hub and head.skips_head():
            return await self._digest_by_get(url, name, tag)
        answer = await self._send("HEAD", url, name, ACCEPT, 0)
        digest = digest_in_header(answer) if answer.status == 200 else None
        if digest is not None:
            head.worked(name, tag)
            return digest
        counts_get = self._is_docker_hub or is_docker_hub(answer.url.host or "")
        is_final = answer.status == 404 and (not listed or counts_get)
        if is_final or head.is_ghost(name, tag, answer.status):
            return None
        if not counts_get and may_get_help(answer.status):
            return await self._digest_by_get(url, name, tag, answer.status)
        raise head_error(answer, self._opened.memory.pause)

    async def check(self) -> str:
        """
        Check that a registry answers and accepts the login.

        :return: a remark for the user, empty if there is none: the proxy, and an offer of a login. Without a
            login, a registry that offers one is accepted: its public repositories may be readable
        :raises RegistryError: each kind but those of a repository
        """
        remark = await self._checked()
        proxy = self._opened.proxy_name
        return f"{remark} Requests use the proxy {proxy}.".lstrip() if proxy else remark

    async def _checked(self) -> str:
        url = URL(self._root, encoded=True)
        try:
            answer = await self._send("GET", url, "", "application/json", self._limits.token_bytes)
        except RegistryError as error:
            is_refused = error.kind == "credentials" and error.status is not None
            if is_refused and self._is_anonymous and self._offers_login:
                return "It offers a login. Without one, only public repositories can be read."
            if error.kind != "refused_answer":
                raise
            problem = RegistryError(str(error), kind="not_a_registry")
        else:
            if answer.status == 200 and (is_registry(answer) or not answer.body.strip()):
                return ""
            if answer.status == 403 or answer.status >= 500 or answer.status == 429:
                raise self._error(answer)
            problem = not_a_registry(answer, f"answered {answer.status}")
        raise problem

    @property
    def is_signed_in(self) -> bool:
        """True if the registry has asked for a login since the client was opened, and the client has one."""
        return self._offers_login and not self._is_anonymous

    @property
    def _lister(self) -> TagLister:
        memory = self._opened.memory
        return TagLister(self._root, self._get_page, self._looks_like_registry, memory, self._limits)

    @property
    def _is_anonymous(self) -> bool:
        return self._options.login is self._credentials and self._credentials.is_anonymous

    @property
    def _offers_login(self) -> bool:
        return self._opened.memory.sign_in.challenge is not None

    @property
    def _is_docker_hub(self) -> bool:
        return is_docker_hub(self._base.host or "")

    @property
    def _opened(self) -> Transport:
        if self._transport is None:
            raise RuntimeError(
                "use the client as a context manager: async with RegistryClient(...) as client"
            )
        return self._transport

    async def _send(
        self, method: str, url: URL, repository: str, accept: str, max_bytes: int, shown: str = ""
    ) -> Answer:
        return await self._opened.send(method, url, repository, accept, max_bytes, self._limits, shown)

    async def _get_page(self, page: URL, repository: str, shown: str) -> Answer:
        return await self._send("GET", page, repository, "application/json", self._limits.page_bytes, shown)

    async def _digest_by_get(
        self, url: URL, repository: str, tag: str, head_status: int | None = None
    ) -> str | None:
        head = self._opened.memory.head
        answer = await self._send("GET", url, repository, ACCEPT, self._limits.manifest_bytes)
        if answer.status == 200:
            digest = digest_of_manifest(answer)
            head.only_get_worked(repository, tag)
            return digest
        head.get_failed()
        if answer.status == 404 and not is_from_proxy(answer):
            if head_status is not None:
                head.add_ghost(repository, tag, head_status)
            return None
        raise self._error(answer)

    def _error(self, answer: Answer) -> RegistryError:
        return error_of(answer, self._opened.memory.pause)

    async def _looks_like_registry(self) -> bool:
        try:
            await self.check()
        except RegistryError as error:
            if error.kind == "proxy":
                raise
            return error.kind != "not_a_registry"
        return True


def _ignore(value: str) -> None:
    """Accept a secret of a client whose caller does not mask logs."""
