# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""One round of polls for several rules: each question is asked once."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from airflow_registry_triggers.registry.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from airflow_registry_triggers.registry.client import RegistryClient
    from airflow_registry_triggers.registry.http.pagination import Listing

__all__ = ["CachingClient"]

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class CachingClient:
    """
    A client that gives the same answer to the same question, for as long as one round lasts.

    Only questions one after another are shared: the polls of a round do not run at once.

    :param client: an open client
    """

    def __init__(self, client: RegistryClient) -> None:
        self._client = client
        self._listings: dict[str, Listing | RegistryError] = {}
        self._digests: dict[tuple[str, str], str | RegistryError | None] = {}

    @property
    def registry(self) -> str:
        """See :attr:`RegistryClient.registry`."""
        return self._client.registry

    @property
    def in_flight(self) -> int:
        """See :attr:`RegistryClient.in_flight`."""
        return self._client.in_flight

    def forget(self) -> None:
        """Let the next questions be asked anew."""
        self._listings.clear()
        self._digests.clear()

    async def list(self, repository: str) -> Listing:
        """
        See :meth:`RegistryClient.list`.

        :param repository: full name of the repository
        """
        return await _once(self._listings, repository, lambda: self._client.list(repository))

    async def digest(self, repository: str, tag: str) -> str | None:
        """
        See :meth:`RegistryClient.digest`.

        :param repository: full name of the repository
        :param tag: the tag
        """
        return await _once(self._digests, (repository, tag), lambda: self._client.digest(repository, tag))


async def _once(
    answers: dict[Question, Answer | RegistryError], question: Question, ask: Callable[[], Awaitable[Answer]]
) -> Answer:
    """Ask, unless there is an answer; a fault is one too."""
    if question not in answers:
        try:
            answers[question] = await ask()
        except RegistryError as error:
            answers[question] = error
    answer = answers[question]
    if isinstance(answer, RegistryError):
        raise answer
    return answer
