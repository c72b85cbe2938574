# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Read the asset events of a run, those included that Airflow leaves out of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.common.chunked_values import load_chunked, save_chunked
from airflow_registry_triggers.common.known_assets import triggering_events
from airflow_registry_triggers.matching.items import InputItem, flattened, numbered
from airflow_registry_triggers.matching.queue_events import items_of_queue_event
from airflow_registry_triggers.notification import InvalidNotification, Notification

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow.sdk import Asset, Context

__all__ = [
    "CONF_KEY",
    "is_repository",
    "left_out_events",
    "missed_events",
    "notifications_of_event",
    "notifications_of_events",
]

CONF_KEY = "notification"
"""Key of a run's conf, or of an event made by hand, that holds a notification or a list."""

ASSET_SCHEME = "oci://"

MISSED = "missed"

SKEW = timedelta(seconds=2)
"""The largest difference between the clocks of scheduler and triggerer."""


def missed_events(context: Context, assets: Sequence[Asset]) -> list[InputItem]:
    """
    Return the notifications of events that were stored before the run started and are not among its own.

    Airflow 3.3 gives a run the events up to the first one that requested it, and does not start another run
    for those that follow before this run starts: they would wait for the next event, however long
    (https://github.com/apache/airflow/issues/56050). Two pushes in a short time are enough.

    The next run's events include them too, where they are duplicates. Malformed values are left to that run.
    A retry and a clear return the same notifications.

    :param assets: the assets whose events started the run
    """
    run: Any = context.get("dag_run")
    if not assets or run is None:
        return []
    store = context["task_state_store"]
    is_repeated = run.clear_number or context["ti"].try_number > 1
    kept: list[list[Any]] | None = load_chunked(store, MISSED) if is_repeated else None
    if kept is not None:
        return [InputItem(*parts) for parts in kept]
    if run.clear_number:
        # The run's start is now that of the clear; later events have had runs of their own.
        return []
    started = run.start_date or datetime.now(UTC)
    found = _valid_items(assets, run.run_after, started + SKEW)
    if found:
        save_chunked(store, MISSED, found)
    return found


def left_out_events(context: Context, assets: Sequence[Asset]) -> list[Any]:
    """
    Return the events that :func:`missed_events` reads, for a task that may read an event twice.

    :param assets: the assets whose events started the run
    """
    run: Any = context.get("dag_run")
    if run is None or run.clear_number:
        return []
    until = (run.start_date or datetime.now(UTC)) + SKEW
    known = [asset for asset in assets if getattr(asset, "uri", "")]
    return [event for asset in known for event in _events(asset, run.run_after, until)]


def _valid_items(assets: Iterable[Asset], after: datetime, until: datetime) -> list[InputItem]:
    events = [(asset, event) for asset in assets for event in _events(asset, after, until)]
    events.sort(key=lambda pair: pair[1].timestamp)
    items = (item for asset, event in events for item in notifications_of_event(asset, event))
    return [item for item in items if _is_notification(item.value)]


def _events(asset: Asset, after: datetime, until: datetime) -> list[Any]:
    """
    Read an asset's events of a time span, without its first moment.

    ``InletEventsAccessors`` is not a public name of Airflow 3.3. A task can read events of its inlets only,
    and the assets that start a run are unknown where inlets are declared.
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
    Return the values of the asset events that started the run, oldest event first.

    One run may have many events: Airflow gives it all that were stored while the previous run was active.
    Events of other assets count if a queue of registries' webhooks stored them.
    """
    found: list[tuple[Any, list[InputItem]]] = []
    assets: dict[Any, None] = {}
    for asset, of_asset in triggering_events(context):
        for event in of_asset:
            items = notifications_of_event(asset, event)
            found.append((getattr(event, "timestamp", None), items))
            if items or is_repository(asset):
                assets[asset] = None
    if all(timestamp is not None for timestamp, _ in found):
        found.sort(key=lambda item: item[0])
    own = [item for _, of_event in found for item in of_event]
    return [*own, *missed_events(context, list(assets))]


def notifications_of_event(asset: Any, event: Any) -> list[InputItem]:
    """
    Return the values of one event: the watcher emits a list of all pushes of one poll, a queue its messages.

    Two runs may read the same event. The source names the event and not the run, so that a value without an
    id gets the same id in both.
    """
    if not is_repository(asset):
        return items_of_queue_event(asset, event) if getattr(asset, "uri", "") else []
    source = f"{asset.uri}@{getattr(event, 'timestamp', None)}"
    return numbered(flattened(_payload(event.extra)), source)


def is_repository(asset: Any) -> bool:
    """
    Return True if an asset is a repository.

    :param asset: an asset or an asset alias
    """
    return str(getattr(asset, "uri", "")).startswith(ASSET_SCHEME)


def _payload(extra: Any) -> Any:
    """Return the part of an event's extra that the watcher, or a person over REST, filled."""
    if isinstance(extra, Mapping) and "push_data" not in extra:
        for key in ("payload", CONF_KEY):
            if key in extra:
                return extra[key]
    return extra
