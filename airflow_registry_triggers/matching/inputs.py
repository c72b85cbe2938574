# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Where a task's notifications come from: its argument, the run's conf, the asset events that began it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_registry_triggers.notification import InvalidNotification, Notification

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = [
    "CONF_KEY",
    "InputItem",
    "flattened",
    "id_source",
    "notifications_of_conf",
    "numbered",
    "parsed",
]

CONF_KEY = "notification"
"""Key of a run's conf that holds a notification, for a test of the trigger."""


class InputItem(NamedTuple):
    """
    What a task was given, one value of it.

    :param value: the JSON of a notification, if it is one
    :param source: what it came with, such as the run or an asset event
    :param position: its place among those that came along
    """

    value: Any
    source: str
    position: int


def notifications_of_conf(context: Context) -> list[Any] | None:
    """
    Give what the run's conf holds, None where it holds no notification.

    :param context: Airflow's context
    """
    conf = getattr(context.get("dag_run"), "conf", None)
    if not isinstance(conf, Mapping) or CONF_KEY not in conf:
        return None
    return flattened(conf[CONF_KEY])


def numbered(values: Iterable[Any], source: str) -> list[InputItem]:
    """
    Say of each value what it came with.

    :param values: what came in
    :param source: what they came with
    """
    return [InputItem(value, source, position) for position, value in enumerate(values)]


def flattened(value: Any) -> list[Any]:
    """
    Give one notification, a list, or a mapped task's list of lists as one list.

    :param value: what a task was given
    """
    if value is None:
        return []
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        return [value]
    flat: list[Any] = []
    for item in value:
        if isinstance(item, Mapping | str | bytes) or not isinstance(item, Iterable):
            flat.append(item)
        else:
            flat.extend(item)
    return [item for item in flat if item is not None]


def id_source(context: Context) -> str:
    """
    Name what notifications without an id came with: the run, and the instance of a mapped task.

    :param context: Airflow's context
    """
    map_index = context["ti"].map_index
    run_id = str(context["run_id"])
    return run_id if map_index is None or map_index < 0 else f"{run_id}/{map_index}"


def parsed(values: Iterable[InputItem]) -> Iterator[tuple[Notification | None, str]]:
    """
    Read each value; one without an id gets one from what it came with and its position there.

    :param values: what came in
    :return: the notification and no text, or none and what is wrong with it
    """
    for number, (value, source, position) in enumerate(values, start=1):
        try:
            yield Notification.from_dict(value).with_fallback_id(source, position), ""
        except InvalidNotification as error:
            yield None, f"number {number}: {error}"
