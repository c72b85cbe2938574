# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Whether something watches for a trigger: its watchers and their triggerers, or the runs of its sensors."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow_registry_triggers.overview.sentences import Sentence, ago, plain

if TYPE_CHECKING:
    from airflow_registry_triggers.overview.facts import AssetFacts, AssetStatus, Facts, Trigger

__all__ = ["DEFAULT_INTERVAL", "repository_of", "why_not_watched"]

DEFAULT_INTERVAL = 60.0
"""Seconds between two polls while no report names them."""

INTERVALS = 3
GRACE = 60.0
"""A report is late after three intervals and these seconds."""


def repository_of(asset: str) -> str:
    """Return the repository in the name of an asset, ``team/app @ registry_default (tag_regex: v.*)``."""
    return asset.partition(" @ ")[0]


def why_not_watched(trigger: Trigger, facts: Facts) -> Sentence | None:
    """Return why nothing watches for a trigger, or None if something does."""
    assets = facts.assets.get(trigger.dag.dag_id, [])
    if trigger.sensors:
        return _why_no_sensor_runs(trigger, facts)
    if not assets:
        return None
    if (sentence := _why_no_triggerer(facts)) is not None:
        return sentence
    return next(filter(None, (_why_asset_is_not_watched(asset, facts) for asset in assets)), None)


def _why_no_triggerer(facts: Facts) -> Sentence | None:
    last, running = facts.heartbeats.last, facts.heartbeats.running
    if last is None:
        return Sentence("No triggerer has ever run. Start one: airflow triggerer.")
    if _is_alive(running, facts):
        return None
    return Sentence(f"No triggerer is alive; the last heartbeat was {_age(last, facts)} ago.")


def _why_asset_is_not_watched(asset: AssetFacts, facts: Facts) -> Sentence | None:
    name = plain(repository_of(asset.name))
    if asset.created_at is None:
        return Sentence(
            f"The watcher of {name} does not exist yet. Airflow creates it when it parses the Dag file."
        )
    report = facts.statuses.get(asset.name)
    age = (facts.now - asset.created_at).total_seconds()
    has_triggerer = asset.is_running and _is_alive(asset.heartbeat, facts)
    if not has_triggerer and age > GRACE:
        return Sentence(f"No triggerer that is alive runs the watcher of {name}.")
    if report is None or report.status.polled_at is None:
        is_late = age > INTERVALS * DEFAULT_INTERVAL + GRACE
        unreadable = " A stored status cannot be read." if facts.unreadable else ""
        return Sentence(f"The watcher of {name} has not reported yet.{unreadable}") if is_late else None
    return _why_late(name, report, facts)


def _why_late(name: str, report: AssetStatus, facts: Facts) -> Sentence | None:
    status = report.status
    polled_at = status.polled_at or 0.0
    if facts.now.timestamp() - polled_at <= INTERVALS * status.next_in_s + GRACE:
        return None
    return Sentence(
        f"The watcher of {name} polled at {{0}} and has not reported since.",
        (datetime.fromtimestamp(polled_at, UTC),),
    )


def _why_no_sensor_runs(trigger: Trigger, facts: Facts) -> Sentence | None:
    """Return why the sensors are late; the interval is the time between two scheduled runs."""
    due = trigger.dag.next_run_at
    if due is None:
        return None
    runs = [facts.sensors.get((trigger.dag.dag_id, task_id)) for task_id in trigger.sensors]
    last = max((run.scheduled_at for run in runs if run and run.scheduled_at), default=None)
    if last is None:
        is_late = (facts.now - due).total_seconds() > INTERVALS * GRACE
        return Sentence("The first run was due at {0}. Is a scheduler alive?", (due,)) if is_late else None
    interval = (due - last).total_seconds()
    if interval <= 0 or (facts.now - last).total_seconds() <= INTERVALS * interval + GRACE:
        return None
    return Sentence("The last run was due at {0}, more than 3 schedule intervals ago.", (last,))


def _is_alive(heartbeat: datetime | None, facts: Facts) -> bool:
    return heartbeat is not None and (facts.now - heartbeat).total_seconds() <= facts.heartbeat_limit


def _age(time: datetime, facts: Facts) -> str:
    return ago((facts.now - time).total_seconds())
