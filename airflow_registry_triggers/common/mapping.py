# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Dynamic task mapping: whether a task instance is mapped, and how long a list may be to map over it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.exceptions import TooManyToMap

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["check_mappable", "is_mapped"]


def is_mapped(ti: Any) -> bool:
    """
    Return True if a task instance belongs to a mapped task.

    :param ti: a task instance, or the key of one; Airflow gives unmapped ones the index -1, or None
    """
    return ti.map_index is not None and ti.map_index >= 0


def check_mappable(context: Context, number: int) -> None:
    """
    Check that a task that is mapped over this one can take the return value.

    Airflow refuses a longer list only when it is pushed, after the task did its work and stored its state.

    :param number: items of the return value
    :raises TooManyToMap: if there are more items than ``[core] max_map_length``
    """
    task, ti = context["task"], context["ti"]
    if is_mapped(ti) or next(iter(task.iter_mapped_dependants()), None) is None:
        return
    from airflow.sdk.configuration import conf

    limit = conf.getint("core", "max_map_length", fallback=1024)
    if number > limit:
        raise TooManyToMap(
            f"task {task.task_id!r} would return {number} items, and Airflow maps over at most {limit}: "
            "raise [core] max_map_length, or replace .expand() by one task that takes the whole list"
        )
