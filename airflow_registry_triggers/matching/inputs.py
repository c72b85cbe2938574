# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Read the notifications of a task from its argument, the run's conf, or the asset events of the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_registry_triggers.common.mapping import is_mapped
from airflow_registry_triggers.exceptions import InvalidArgument
from airflow_registry_triggers.matching.asset_events import CONF_KEY, notifications_of_events
from airflow_registry_triggers.matching.items import InputItem, MalformedMessage, flattened, numbered
from airflow_registry_triggers.notification import InvalidNotification, Notification, fallback_id

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow.sdk import Context

__all__ = ["Inputs", "Problem", "RunMode", "id_source", "notifications_of_conf", "read_inputs", "run_mode"]

DRY_RUN_KEY = "dry_run"
"""Key of a run's conf beside the notification: true evaluates everything and sends nothing."""


class RunMode(NamedTuple):
    """
    The purpose of a run.

    :param is_test: whether the run's conf has a notification, to test the trigger
    :param is_dry_run: whether the test sends nothing
    """

    is_test: bool = False
    is_dry_run: bool = False


class Problem(NamedTuple):
    """
    A value that is not a notification.

    :param id: id of the value, the same in a retry
    :param reason: the position among all values, the key at fault and the first characters of the value
    """

    id: str
    reason: str


class Inputs(NamedTuple):
    """
    All values that reached a task.

    :param valid: the notifications, each with an id
    :param problems: the other values
    :param is_test: whether the run's conf carried the values, to test the trigger
    """

    valid: list[Notification]
    problems: list[Problem]
    is_test: bool = False


def read_inputs(context: Context, given: Any) -> Inputs:
    """
    Read the notifications of a task.

    :param given: the task's argument; None reads the run's conf, or else the asset events of the run
    """
    if given is not None:
        return _read(numbered(flattened(given), id_source(context)))
    tested = notifications_of_conf(context)
    if tested is not None:
        return _read(numbered(tested, id_source(context)))._replace(is_test=True)
    return _read(notifications_of_events(context))


def run_mode(context: Context) -> RunMode:
    """
    Return the purpose of a run, from its conf.

    :raises InvalidArgument: ``dry_run`` is not true or false; a misread value would send real webhooks
    """
    if notifications_of_conf(context) is None:
        return RunMode()
    value = context["dag_run"].conf.get(DRY_RUN_KEY, False)  # type: ignore[union-attr]
    if not isinstance(value, bool):
        raise InvalidArgument(
            f"{DRY_RUN_KEY}={value!r:.60} in the run's conf must be true or false, without quotes. Nothing "
            "was sent; trigger the Dag again with a corrected conf"
        )
    return RunMode(True, value)


def notifications_of_conf(context: Context) -> list[Any] | None:
    """Return the values in the run's conf, None if the conf does not test the trigger."""
    conf = getattr(context.get("dag_run"), "conf", None)
    if not isinstance(conf, Mapping) or CONF_KEY not in conf:
        return None
    return flattened(conf[CONF_KEY])


def id_source(context: Context) -> str:
    """Return the source of values without an id: the run, and the instance of a mapped task."""
    ti, run_id = context["ti"], str(context["run_id"])
    return f"{run_id}/{ti.map_index}" if is_mapped(ti) else run_id


def _read(items: Iterable[InputItem]) -> Inputs:
    inputs = Inputs([], [])
    for number, (value, source, position) in enumerate(items, start=1):
        if isinstance(value, MalformedMessage):
            reason = f"value {number}: not a known webhook: {value.reason}"
            inputs.problems.append(Problem(fallback_id(source, position), reason))
            continue
        try:
            inputs.valid.append(Notification.from_dict(value).with_fallback_id(source, position))
        except InvalidNotification as error:
            inputs.problems.append(Problem(fallback_id(source, position), f"value {number}: {error}"))
    return inputs
