# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""From a push that was found to the notification that says so."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import pendulum

from airflow_registry_triggers.notification import Notification, push_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_registry_triggers.registry.watermark import TagState

__all__ = ["DEFAULT_FACTS", "NotificationBuilder", "Push"]

DEFAULT_FACTS = {
    "date_created": "",
    "region": "",
    "repo_authentication_type": "NO_CERTIFIED",
    "repo_origin_type": "NO_CERTIFIED",
    "repo_type": "PRIVATE",
}
"""What the OCI distribution API cannot tell of a repository, and what stands there where nobody does."""


class Push(NamedTuple):
    """
    A tag that has come to point at another digest.

    :param mark: the tag as it is now
    :param previous: what it pointed at before; None for a new tag
    :param pushed_at: the registry's time, seconds since 1970; None where it does not tell
    """

    mark: TagState
    previous: str | None
    pushed_at: float | None


class NotificationBuilder:
    """
    Writes the notifications of one poll.

    :param registry: its name, ``host[:port][/prefix]``
    :param repository: full name of the repository
    :param timezone: time zone of ``pushed_at``
    :param facts: values for the keys of :data:`DEFAULT_FACTS`
    :param now: time of detection, with its time zone
    :raises ValueError: an unknown time zone, fact or kind of time
    """

    def __init__(
        self, registry: str, repository: str, timezone: str, facts: Mapping[str, str], now: datetime
    ) -> None:
        unknown = sorted(set(facts) - set(DEFAULT_FACTS))
        if unknown:
            raise ValueError(
                f"repository_facts: {', '.join(map(repr, unknown))} is none of {', '.join(DEFAULT_FACTS)}"
            )
        if now.tzinfo is None:
            raise ValueError(f"now={now!r}: a time zone is needed, such as datetime.now(timezone.utc)")
        self._registry = registry
        self._repository = repository
        self._zone = _zone(timezone)
        self._facts = {**DEFAULT_FACTS, **facts}
        self._now = now

    def in_order(self, pushes: Iterable[Push]) -> list[Push]:
        """Put pushes into the order of their times; of one time, that of their tags."""
        return sorted(pushes, key=lambda push: (self._time(push), push.mark.tag))

    def notification(self, push: Push, epoch: str) -> Notification:
        """
        Write one.

        :param push: what was found
        :param epoch: the watermark's
        """
        tag, generation, digest = push.mark
        registry, repository = self._registry, self._repository
        return Notification(
            {
                "push_data": {"digest": digest, "pushed_at": self._local(push), "tag": tag},
                "repository": self._repository_data(),
                "event": {
                    "id": push_id(epoch, registry, repository, tag, generation, digest or ""),
                    "registry": registry,
                    "action": "new" if push.previous is None else "updated",
                    "previous_digest": push.previous,
                    "detected_at": self._now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                    "epoch": epoch,
                    "generation": generation,
                },
            }
        )

    def _time(self, push: Push) -> float:
        return self._now.timestamp() if push.pushed_at is None else push.pushed_at

    def _local(self, push: Push) -> str:
        return str(pendulum.from_timestamp(self._time(push), tz=self._zone).format("YYYY-MM-DD HH:mm:ss"))

    def _repository_data(self) -> dict[str, str]:
        namespace, _, name = self._repository.rpartition("/")
        facts = self._facts
        return {
            "date_created": facts["date_created"],
            "name": name,
            "namespace": namespace,
            "region": facts["region"],
            "repo_authentication_type": facts["repo_authentication_type"],
            "repo_full_name": self._repository,
            "repo_origin_type": facts["repo_origin_type"],
            "repo_type": facts["repo_type"],
        }


def _zone(name: str) -> Any:
    try:
        return pendulum.timezone(name)
    except (ValueError, TypeError, OSError):
        pass
    raise ValueError(f"timezone={name!r}: unknown; give a name such as 'UTC' or 'Europe/Berlin'")
