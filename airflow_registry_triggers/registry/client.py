# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Tags and digests of any registry that speaks the OCI distribution API."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from yarl import URL

from airflow_registry_triggers.oci_names import checked_repository, checked_tag
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.http.auth import Credentials
from airflow_registry_triggers.registry.http.headers import next_link, parse_challenges
from airflow_registry_triggers.registry.http.pagination import KnownDigest, Listing, ListingReader, next_page
from airflow_registry_triggers.registry.http.rate_limits import Limits
from airflow_registry_triggers.registry.http.request import Answer, shown
from airflow_registry_triggers.registry.http.responses import (
    checked_digest,
    digest_of_manifest,
    error_of,
    is_registry,
    no_registry,
)
from airflow_registry_triggers.registry.http.session import Transport
from airflow_registry_triggers.registry.names import base_of, registry_name

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["ACCEPT", "KnownDigest", "Listing", "RegistryClient"]

ACCEPT = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
"""Sent with each question for a digest, always the same: the digest depends on it."""

_PAGE_SIZE = 1000  # Amazon refuses more, distribution 3 gives no more


class RegistryClient:
    """
    Reads one registry. Used as an async context manager.

    Connections, requests in flight, pauses and tokens are shared by all clients of the event loop with the
    same base URL and identity; the last one that is left closes the connections.

    :param base_url: such as ``https://registry.example.com`` or ``http://[::1]:5000/prefix``
    :param username: login, None for nobody's
    :param password: password or token; without a username it is sent to the registry as a bearer token
    :param ca_file: certificates, in PEM form, that are trusted besides the system's
    :param max_in_flight: requests that may be under way at once; default 10 where no address of the registry
        is globally routable, else 2
    :param limits: what is taken from the registry at most, and deadlines
    :raises ValueError: the base URL or the limit cannot be meant
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
    ) -> None:
        if max_in_flight is not None and max_in_flight < 1:
            raise ValueError(f"max_in_flight={max_in_flight!r}: at least 1 request must be allowed")
        self._base = base_of(base_url)
        self._root = f"{str(self._base).rstrip('/')}/v2/"
        self._credentials = Credentials(username, password)
        self._ca_file = ca_file
        self._max_in_flight = max_in_flight
        self._limits = limits or Limits()
        self._transport: Transport | None = None

    def __repr__(self) -> str:
        return f"RegistryClient({str(self._base)!r}, username={self._credentials.username!r})"

    @property
    def registry(self) -> str:
        """Name of the registry as in ids and events: ``host[:port][/prefix]``."""
        return registry_name(self._base)

    @property
    def in_flight(self) -> int:
        """Requests that may be under way at once, for all clients that share the connections."""
        return self._opened.in_flight

    async def __aenter__(self) -> Self:
        self._transport = await Transport.shared(
            self._base, self._credentials, self._ca_file, self._max_in_flight
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        transport, self._transport = self._opened, None
        await transport.leave()

    async def list_tags(self, repository: str) -> list[str]:
        """
        List the tags of a repository, all of them or none.

        :param repository: full name of the repository
        :raises RegistryError: a page could not be read
        :raises ValueError: no repository can be called so
        """
        return (await self.list(repository)).tags

    async def list(self, repository: str) -> Listing:
        """
        List the tags of a repository, with the digests where the registry's listing has them.

        A registry's bulk API that tells tags and digests at once (Docker Hub, Quay, Harbor) would be asked
        here: what follows needs no more than a :class:`Listing`.

        :param repository: full name of the repository
        :raises RegistryError: a page could not be read
        :raises ValueError: no repository can be called so
        """
        try:
            async with asyncio.timeout(self._limits.listing_seconds):
                return await self._listed(checked_repository(repository))
        except TimeoutError:
            pass
        raise RegistryError(
            f"{self._root}{repository}/tags/list: not all pages within {self._limits.listing_seconds:g} s",
            kind="unavailable",
        )

    async def digest(self, repository: str, tag: str) -> str | None:
        """
        Tell what a tag points at.

        :param repository: full name of the repository
        :param tag: the tag
        :return: None where there is no such tag (404)
        :raises RegistryError: it could not be found out
        :raises ValueError: no repository or tag can be called so
        """
        name = checked_repository(repository)
        url = URL(f"{self._root}{name}/manifests/{checked_tag(tag)}", encoded=True)
        memory = self._opened.memory
        if memory.head_tells is False:
            return await self._digest_of_body(url, name)
        answer = await self._ask("HEAD", url, name, ACCEPT, 0)
        told = answer.headers.get("Docker-Content-Digest")
        if answer.status == 200 and told is not None:
            memory.head_tells = True
            return checked_digest(told, url)
        if answer.status == 404:
            return None
        if answer.status not in (200, 405, 501):
            raise self._error(answer, url)
        digest = await self._digest_of_body(url, name)
        if digest and (memory.head_tells is None or answer.status != 200):
            memory.head_tells = False
        return digest

    async def check(self) -> None:
        """
        Find out whether a registry answers and takes the login.

        Without a login it is enough that the registry offers tokens: what nobody may read shows later.

        :raises RegistryError: ``name``, ``tls``, ``credentials``, ``not_a_registry``, ``unavailable``
        """
        url = URL(self._root, encoded=True)
        try:
            answer = await self._ask("GET", url, "", "application/json", self._limits.token_bytes)
        except RegistryError as error:
            if error.kind == "credentials" and self._offers_tokens_to_nobody:
                return
            if error.kind != "refused_answer":
                raise
            problem = RegistryError(str(error), kind="not_a_registry")
        else:
            if answer.status == 200 and (is_registry(answer) or not answer.body.strip()):
                return
            if answer.status == 403 or answer.status >= 500 or answer.status == 429:
                raise self._error(answer, url)
            problem = no_registry(url, f"answered {answer.status}")
        raise problem

    @property
    def _offers_tokens_to_nobody(self) -> bool:
        challenge = self._opened.memory.sign_in.challenge
        nobody = not self._credentials.username and not self._credentials.password
        return nobody and challenge is not None and challenge.scheme == "bearer"

    @property
    def _opened(self) -> Transport:
        if self._transport is None:
            raise RuntimeError(
                "use the client as a context manager: async with RegistryClient(...) as client"
            )
        return self._transport

    async def _ask(self, method: str, url: URL, repository: str, accept: str, max_bytes: int) -> Answer:
        transport = self._opened
        for last in (False, True):
            headers = {"Accept": accept}
            used = await transport.auth.header(repository)
            if used is not None:
                headers["Authorization"] = used
            answer = await transport.ask(method, url, headers, max_bytes, self._limits)
            if answer.status != 401:
                return answer
            challenges = parse_challenges(answer.values("WWW-Authenticate"))
            # What another origin asks for is not the registry's challenge: no login goes there.
            if last or answer.elsewhere or not transport.auth.learn(challenges, repository, used):
                break
        raise RegistryError(
            f"{shown(url)}: answered 401; check username and password, and whether they may read this",
            kind="credentials",
            status=401,
            everywhere=True,
        )

    async def _listed(self, repository: str) -> Listing:
        reader = ListingReader(self._limits)
        page: URL | None = URL(f"{self._root}{repository}/tags/list?n={_PAGE_SIZE}", encoded=True)
        while page is not None:
            reader.begin(page)
            answer = await self._ask("GET", page, repository, "application/json", self._limits.page_bytes)
            if answer.status != 200:
                raise await self._listing_error(answer, page)
            if not reader.take(answer.body):
                raise await self._unreadable(page)
            link = next_link(answer.values("Link"))
            page = next_page(page, link) if link is not None else None
        return reader.listing

    async def _digest_of_body(self, url: URL, repository: str) -> str | None:
        answer = await self._ask("GET", url, repository, ACCEPT, self._limits.manifest_bytes)
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise self._error(answer, url)
        return digest_of_manifest(answer, url)

    def _error(self, answer: Answer, url: URL) -> RegistryError:
        return error_of(answer, url, self._opened.memory.pause)

    async def _listing_error(self, answer: Answer, url: URL) -> RegistryError:
        if answer.status != 404:
            return self._error(answer, url)
        if not is_registry(answer) and not await self._looks_like_registry():
            return no_registry(url, "answered 404")
        return RegistryError(
            f"{shown(url)}: no such repository (404); check its name, and whether the login may see it",
            kind="no_such_repository",
            status=404,
        )

    async def _unreadable(self, url: URL) -> RegistryError:
        if not await self._looks_like_registry():
            return no_registry(url, "no list of tags")
        return RegistryError(
            f"{shown(url)}: the answer is no list of tags; nothing that is remembered changes",
            kind="refused_answer",
            status=200,
        )

    async def _looks_like_registry(self) -> bool:
        try:
            await self.check()
        except RegistryError as error:
            return error.kind != "not_a_registry"
        return True
