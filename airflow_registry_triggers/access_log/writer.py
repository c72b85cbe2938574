# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Where a task writes its access records: its log, and XCom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.access_record import LOG_EVENT, AccessRecord, by_status_code, within_limit
from airflow_registry_triggers.common.metrics import count_record
from airflow_registry_triggers.webhook.redaction.fields import escape_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow.sdk import Context

__all__ = ["log_record", "push_records"]


def log_record(log: Any, record: AccessRecord) -> None:
    """
    Write one flat structured line, and count the record in Airflow's metrics.

    :param log: the task's structured logger
    :param record: the record
    """
    # What a pusher, a receiver or a conf wrote must not start a line nor turn one around.
    fields = {
        name: value if _is_plain(value) else escape_text(value) for name, value in record.log_fields().items()
    }
    log.info(LOG_EVENT, **fields)
    count_record(record)


def _is_plain(value: Any) -> bool:
    return not isinstance(value, str) or (value.isascii() and value.isprintable() and "::" not in value)


def push_records(context: Context, records: Iterable[AccessRecord]) -> list[dict[str, Any]]:
    """
    Push the records of this try under ``access_log.<status_code>``.

    Each key is written once: of one key and task instance Airflow keeps the last value only.

    :param context: Airflow's context
    :param records: all records of the try
    :return: the records in their JSON form
    """
    kept = within_limit(records)
    for key, group in by_status_code(kept).items():
        context["ti"].xcom_push(key=key, value=group)
    return kept
