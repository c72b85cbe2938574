# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The settings for watching repositories, from a registry's Connection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.hooks.connection_extra import ConnectionExtra
from airflow_registry_triggers.registry.flapping import DEFAULT_FLAP_LIMIT
from airflow_registry_triggers.registry.scope import FIRST_RUNS, FirstRun, checked_first_run

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FACTS", "WEBHOOK_SECRETS", "WatchSettings"]

FACTS = ("date_created", "region", "repo_authentication_type", "repo_origin_type", "repo_type")
"""Keys of the Connection's extra that are copied into each notification's ``repository``."""


WEBHOOK_SECRETS = ("webhook_secret", "previous_webhook_secret")
"""Keys of the Connection's extra that a registry's webhook must prove to know."""


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
    :param recheck_interval: seconds in which a watcher requests each known tag once; 0 for every poll
    :param webhook_hints: whether the registry's own webhooks start polls: ``webhook_secret`` is set
    :param queue_hints: whether ``RegistryHintOperator`` may start polls
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
    recheck_interval: float = 0.0
    webhook_hints: bool = False
    queue_hints: bool = False
    timezone: str = "UTC"
    facts: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_extra(cls, extra: Mapping[str, Any], conn_id: str, *, has_hints: bool = True) -> WatchSettings:
        """
        Read the extra of a Connection.

        :param extra: the extra as a mapping
        :param conn_id: id of the Connection, for errors
        :param has_hints: whether the type of the Connection has the fields of push mode
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
            recheck_interval=read.number("recheck_interval", 0.0, at_least=0.0),
            # A secret that is too short must not stop the watcher: only the endpoint checks it.
            webhook_hints=has_hints and read.has("webhook_secret"),
            queue_hints=has_hints and read.flag("queue_hints", False),
            timezone=read.text("timezone", "UTC"),
            facts={name: read.text(name) for name in FACTS if read.has(name)},
        )
