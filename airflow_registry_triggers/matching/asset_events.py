# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Asset events that Airflow leaves behind: those that came in while a run was being made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.notification import InvalidNotification, Notification
from airflow_registry_triggers.matching.inputs import Incoming, notifications_of_event
from airflow_registry_triggers.common.state_store import recall, remember

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Asset, Context

__all__ = ["late_notifications"]

LATE = "late"

SKEW = timedelta(seconds=2)
"""By how much the clocks of scheduler and triggerer may differ."""


def late_notifications(context: Context, assets: Sequence[Asset]) -> list[Incoming]:
    """
    Give the payloads of events that came in before the run began and are not among those that began it.

    Airflow 3.3 makes a run of the events up to the moment the first of them asked for it, and then forgets
    that others have asked since: these would wait for the next event, however long
    (https://github.com/apache/airflow/issues/56050). Two tags of one push are enough for it.

    The next run's events have them too; what was passed on is a duplicate there, and what is no notification
    is left to it. A task that is tried again or cleared finds the same.

    :param context: Airflow's context
    :param assets: those that began the run
    """
    run: Any = context.get("dag_run")
    if not assets or run is None:
        return []
    store = context["task_state_store"]
    is_repeated = run.clear_number or context["ti"].try_number > 1
    kept: list[list[Any]] | None = recall(store, LATE) if is_repeated else None
    if kept is not None:
        return [Incoming(*parts) for parts in kept]
    if run.clear_number:
        # Its beginning is now that of the repeated run, and what has come since has had its own runs.
        return []
    began = run.start_date or datetime.now(UTC)
    events = [(asset, event) for asset in assets for event in _events(asset, run.run_after, began + SKEW)]
    events.sort(key=lambda pair: pair[1].timestamp)
    late = (incoming for asset, event in events for incoming in notifications_of_event(asset, event))
    found = [incoming for incoming in late if _is_notification(incoming.value)]
    if found:
        remember(store, LATE, found)
    return found


def _events(asset: Asset, after: datetime, until: datetime) -> list[Any]:
    """
    Read an asset's events of a span of time.

    ``InletEventsAccessors`` is no public name of Airflow 3.3; a task has it for its inlets only, and which
    assets begin a run is not known where inlets are declared.
    """
    from airflow.sdk.execution_time.context import InletEventsAccessors

    events = InletEventsAccessors([asset])[asset].after(after.isoformat()).before(until.isoformat())
    return [event for event in events if event.timestamp > after]


def _is_notification(value: Any) -> bool:
    try:
        Notification.from_dict(value)
    except InvalidNotification:
        return False
    return True
