# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Asset events that Airflow leaves behind: those that came in while a run was being made."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.common.state_store import load_chunked, save_chunked
from airflow_registry_triggers.matching.inputs import CONF_KEY, InputItem, flattened, numbered
from airflow_registry_triggers.notification import InvalidNotification, Notification

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Asset, Context

__all__ = ["is_repository", "missed_events", "notifications_of_event", "notifications_of_events"]

ASSET_SCHEME = "oci://"

LATE = "late"

SKEW = timedelta(seconds=2)
"""By how much the clocks of scheduler and triggerer may differ."""


def missed_events(context: Context, assets: Sequence[Asset]) -> list[InputItem]:
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
    kept: list[list[Any]] | None = load_chunked(store, LATE) if is_repeated else None
    if kept is not None:
        return [InputItem(*parts) for parts in kept]
    if run.clear_number:
        # Its beginning is now that of the repeated run, and what has come since has had its own runs.
        return []
    began = run.start_date or datetime.now(UTC)
    events = [(asset, event) for asset in assets for event in _events(asset, run.run_after, began + SKEW)]
    events.sort(key=lambda pair: pair[1].timestamp)
    late = (incoming for asset, event in events for incoming in notifications_of_event(asset, event))
    found = [incoming for incoming in late if _is_notification(incoming.value)]
    if found:
        save_chunked(store, LATE, found)
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


def notifications_of_events(context: Context) -> list[InputItem]:
    """
    Give the payloads of the asset events that began the run, oldest first.

    One run may have many: Airflow puts the events that came in while it was busy into one run. Events of
    assets that are no repositories are none of ours. Those that Airflow left behind when it made the run
    are among them.

    :param context: Airflow's context
    """
    triggering = context.get("triggering_asset_events") or {}
    events = {asset: of_asset for asset, of_asset in triggering.items() if is_repository(asset)}
    found: list[tuple[Any, list[InputItem]]] = [
        (getattr(event, "timestamp", None), notifications_of_event(asset, event))
        for asset, of_asset in events.items()
        for event in of_asset
    ]
    if all(timestamp is not None for timestamp, _ in found):
        found.sort(key=lambda item: item[0])
    own = [incoming for _, of_event in found for incoming in of_event]
    return [*own, *missed_events(context, list(events))]


def notifications_of_event(asset: Any, event: Any) -> list[InputItem]:
    """
    Give what one event carries. A run may meet an event that is another's too: what identifies it is its own.

    :param asset: the asset
    :param event: one of its events
    """
    source = f"{asset.uri}@{getattr(event, 'timestamp', None)}"
    return numbered(flattened(notification_of_extra(event.extra)), source)


def is_repository(asset: Any) -> bool:
    """
    Tell whether an asset is a repository.

    :param asset: an asset, or an alias
    """
    return str(getattr(asset, "uri", "")).startswith(ASSET_SCHEME)


def notification_of_extra(extra: Any) -> Any:
    """
    Take the notification out of an event: made by the watcher, or by hand over REST.

    :param extra: the event's extra
    """
    if isinstance(extra, Mapping) and "push_data" not in extra:
        for key in ("payload", CONF_KEY):
            if key in extra:
                return extra[key]
    return extra
