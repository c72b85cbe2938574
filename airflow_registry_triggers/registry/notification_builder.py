# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The notification of a push."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import pendulum

from airflow_registry_triggers.notification import Notification, hex32
from airflow_registry_triggers.oci_names import image_reference

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_registry_triggers.registry.watermark import TagState

__all__ = ["DEFAULT_FACTS", "NotificationBuilder", "Push", "push_id"]

DEFAULT_FACTS = {
    "date_created": "",
    "region": "",
    "repo_authentication_type": "NO_CERTIFIED",
    "repo_origin_type": "NO_CERTIFIED",
    "repo_type": "PRIVATE",
}
"""Facts about a repository that the OCI distribution API does not return, with their defaults."""


def push_id(epoch: str, registry: str, repository: str, tag: str, generation: int, digest: str) -> str:
    """
    Return the id of one push: the same push has the same id after a crash, a retry or a clear.

    :param epoch: random value stored with the first baseline, so that ids do not repeat after lost state
    :param registry: host of the registry, with its port where it is not the default
    :param generation: number of changes of the tag; tells A, B, A apart
    :return: 32 hexadecimal digits
    """
    return hex32(epoch, registry, repository, tag, generation, digest)


class Push(NamedTuple):
    """
    A tag that points to a new digest.

    :param state: the tag after the push
    :param previous: its digest before the push; None for a new tag
    :param pushed_at: the registry's time, in seconds since the epoch; None if it is not known
    """

    state: TagState
    previous: str | None
    pushed_at: float | None


class NotificationBuilder:
    """
    Build the notifications of one poll.

    :param registry: name of the registry, ``host[:port][/prefix]``
    :param repository: full name of the repository
    :param timezone: time zone of ``pushed_at``
    :param facts: values for the keys of :data:`DEFAULT_FACTS`
    :param now: time of detection, with its time zone
    :raises ValueError: the time zone or a fact is not known, or the time lacks a time zone
    """

    def __init__(
        self, registry: str, repository: str, timezone: str, facts: Mapping[str, str], now: datetime
    ) -> None:
        unknown = sorted(set(facts) - set(DEFAULT_FACTS))
        if unknown:
            raise ValueError(
                f"repository_facts: {', '.join(map(repr, unknown))} is not known. Use "
                f"{', '.join(DEFAULT_FACTS)}"
            )
        if now.tzinfo is None:
            raise ValueError(f"now={now!r} lacks a time zone. Use datetime.now(timezone.utc)")
        self._registry = registry
        self._repository = repository
        self._zone = _zone(timezone)
        self._repository_data = _repository_data(repository, {**DEFAULT_FACTS, **facts})
        self._now = now.timestamp()
        self._detected_at = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        # Without times in the listing, all pushes of a poll have the same time.
        self._local = lru_cache(maxsize=16)(self._formatted)

    def in_order(self, pushes: Iterable[Push]) -> list[Push]:
        """Return the pushes ordered by time, then by tag."""
        return sorted(pushes, key=lambda push: (self._time(push), push.state.tag))

    def notification(self, push: Push, epoch: str) -> Notification:
        """
        Build the notification of one push.

        :param push: the push
        :param epoch: epoch of the watermark
        """
        tag, generation, digest = push.state
        registry, repository = self._registry, self._repository
        return Notification(
            {
                "push_data": {"digest": digest, "pushed_at": self._local(self._time(push)), "tag": tag},
                "repository": self._repository_data,
                "event": {
                    "id": push_id(epoch, registry, repository, tag, generation, digest or ""),
                    "registry": registry,
                    "action": "new" if push.previous is None else "updated",
                    "previous_digest": push.previous,
                    "detected_at": self._detected_at,
                    "epoch": epoch,
                    "generation": generation,
                    "image": image_reference(registry, repository, digest or ""),
                },
            }
        )

    def _time(self, push: Push) -> float:
        return self._now if push.pushed_at is None else push.pushed_at

    def _formatted(self, seconds: float) -> str:
        return datetime.fromtimestamp(seconds, self._zone).strftime("%Y-%m-%d %H:%M:%S")


def _repository_data(repository: str, facts: Mapping[str, str]) -> dict[str, str]:
    namespace, _, name = repository.rpartition("/")
    return {
        "date_created": facts["date_created"],
        "name": name,
        "namespace": namespace,
        "region": facts["region"],
        "repo_authentication_type": facts["repo_authentication_type"],
        "repo_full_name": repository,
        "repo_origin_type": facts["repo_origin_type"],
        "repo_type": facts["repo_type"],
    }


def _zone(name: str) -> Any:
    try:
        return pendulum.timezone(name)
    except (ValueError, TypeError, OSError):
        pass
    raise ValueError(f"timezone={name!r} is not known. Use a name such as 'UTC' or 'Europe/Berlin'")
