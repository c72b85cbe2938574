# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The column "watcher": the last report of each watcher, or the last run of each sensor."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.common.templating import is_literal
from airflow_registry_triggers.overview.queries import DEAD_AFTER
from airflow_registry_triggers.overview.sentences import ago, error_text, iso, polled_text
from airflow_registry_triggers.overview.states import watchers_of
from airflow_registry_triggers.overview.watching import repository_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_registry_triggers.overview.facts import AssetStatus, Facts, Trigger

__all__ = ["watcher_rows"]


def watcher_rows(trigger: Trigger, facts: Facts) -> Iterator[dict[str, Any]]:
    """Yield what watches for a trigger, as in the REST answer."""
    yield from _watchers(trigger, facts)
    yield from _sensors(trigger, facts)


def _watchers(trigger: Trigger, facts: Facts) -> Iterator[dict[str, Any]]:
    connections = {watched.asset: watched.conn_id for watched in trigger.dag.shape.watched}
    for asset, report in watchers_of(trigger, facts):
        yield {
            "asset": asset,
            "sensor": None,
            "repository": repository_of(asset),
            "registry_conn_id": connections.get(asset, ""),
            **_report(asset, report, facts),
        }


def _report(asset: str, report: AssetStatus | None, facts: Facts) -> dict[str, Any]:
    if report is None:
        text = "has not reported yet"
        return {**dict.fromkeys(_REPORT), "failures": 0, "is_dead": False, "note": "", "text": text}
    status = report.status
    is_dead = facts.now.timestamp() - report.at > DEAD_AFTER
    text = polled_text(status, facts.now)
    if status.error_kind is not None:
        text = error_text(status, repository_of(asset)).text(facts.now)
    if is_dead:
        text = f"{ago(facts.now.timestamp() - report.at)} ago, by a process that is dead: {text}"
    next_at = status.polled_at + status.next_in_s if status.polled_at else None
    return {
        "polled_at": _unix(status.polled_at),
        "error_kind": status.error_kind,
        "failing_since": _unix(status.failing_since),
        "failures": round(status.failures),
        "took_ms": round(status.took_ms),
        "next_at": _unix(next_at),
        "tags": status.tags,
        "requests": round(status.requests),
        "quota_left": status.quota_left,
        "note": status.note,
        "is_dead": is_dead,
        "text": text,
    }


_REPORT = (
    "polled_at", "error_kind", "failing_since", "took_ms", "next_at", "tags", "requests", "quota_left",
)  # fmt: skip


def _sensors(trigger: Trigger, facts: Facts) -> Iterator[dict[str, Any]]:
    for task_id in trigger.sensors:
        run = facts.sensors.get((trigger.dag.dag_id, task_id))
        fields = trigger.dag.shape.tasks[task_id].fields
        state = (run.state if run else None) or "no run yet"
        ended = run.ended_at if run else None
        age = f" {ago((facts.now - ended).total_seconds())} ago" if ended else ""
        repository = fields.get("repository")
        yield {
            **dict.fromkeys(_REPORT),
            "asset": None,
            "sensor": task_id,
            "repository": str(repository or "") if is_literal(repository) else "",
            "registry_conn_id": str(fields.get("registry_conn_id") or ""),
            "polled_at": iso(ended) if ended else None,
            "error_kind": "sensor" if state == "failed" else None,
            "failures": 0,
            "note": "",
            "is_dead": False,
            "text": f"sensor {task_id}: {state}{age}",
        }


def _unix(seconds: float | None) -> str | None:
    return None if seconds is None else iso(datetime.fromtimestamp(seconds, UTC))
