# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Write the access records of a task: a line in its log, a count in Airflow's metrics, and a list in XCom."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.access_record import LOG_EVENT, XCOM_PREFIX, AccessRecord
from airflow_registry_triggers.common.metrics import count_record
from airflow_registry_triggers.webhook.redaction.fields import escape_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow.sdk import Context

__all__ = ["LIST_LIMIT", "AccessLog", "by_xcom_key", "log_record", "within_limit"]

LIST_LIMIT = 1024 * 1024
"""Bytes of JSON of all records of one task instance."""


class AccessLog:
    """
    The access log of one try of a task.

    :param log: the task's structured logger
    """

    def __init__(self, context: Context, log: Any) -> None:
        self._context = context
        self._log = log

    def write(self, records: Sequence[AccessRecord]) -> None:
        """Log, count and store all records of the try."""
        for record in records:
            self.log(record)
        self.store(records)

    def log(self, record: AccessRecord) -> None:
        """Log and count one record; :meth:`store` follows with all of them."""
        log_record(self._log, record)

    def store(self, records: Iterable[AccessRecord]) -> None:
        """
        Store the records under the XCom keys ``access_log.<status>``.

        Airflow keeps one value for each key and task instance, so each list is written once. The result of
        the task matters more than its history: a list that cannot be stored is a warning.
        """
        for key, group in by_xcom_key(within_limit(records)).items():
            try:
                self._context["ti"].xcom_push(key=key, value=group)
            except Exception as error:
                self._log.warning(
                    "The access records could not be stored in XCom; this task log still has them",
                    xcom_key=key,
                    records=len(group),
                    error=f"{type(error).__name__}: {error}",
                )


def log_record(log: Any, record: AccessRecord) -> None:
    """
    Log one flat structured line, and count the record in Airflow's metrics.

    :param log: a structured logger
    """
    # Text of a pusher, a receiver or a conf must not start a line or change the direction of the text.
    fields = {
        name: value if _is_plain(value) else escape_text(value) for name, value in record.log_fields().items()
    }
    log.info(LOG_EVENT, **fields)
    count_record(record)


def _is_plain(value: Any) -> bool:
    return not isinstance(value, str) or (value.isascii() and value.isprintable() and "::" not in value)


def within_limit(records: Iterable[AccessRecord], limit: int = LIST_LIMIT) -> list[dict[str, Any]]:
    """
    Return a task's records as JSON within a size.

    The first records are kept whole while there is room; then bodies are left out, then headers and earlier
    attempts too. Records that do not fit even so are only counted, in one last record for each status.

    :param limit: bytes of JSON
    """
    given = list(records)
    least = [_size(record.without_headers()) for record in given]
    # Room for the last records, one for each status, that count the others.
    counted_size = sum(_size(_counted(record, len(given))) for record in _by_status(given).values())
    room = limit if sum(least) <= limit else limit - counted_size
    kept: list[dict[str, Any]] = []
    dropped: list[AccessRecord] = []
    still_needed = sum(least)
    for record, smallest in zip(given, least, strict=True):
        still_needed -= smallest
        if smallest > room:
            dropped.append(record)
            continue
        form, size = _largest_form(record, max(room - still_needed, smallest))
        room -= size
        kept.append(form)
    numbers = _counts(dropped)
    counted = [_counted(record, numbers[status]) for status, record in _by_status(dropped).items()]
    return [*kept, *(record.to_dict() for record in counted)]


def _largest_form(record: AccessRecord, room: int) -> tuple[dict[str, Any], int]:
    for form in (record, record.without_bodies()):
        size = _size(form)
        if size <= room:
            return form.to_dict(), size
    smallest = record.without_headers()
    return smallest.to_dict(), _size(smallest)


def _size(record: AccessRecord) -> int:
    return len(json.dumps(record.to_dict())) + len(", ")


def _by_status(records: Iterable[AccessRecord]) -> dict[str, AccessRecord]:
    """Return the first record of each status."""
    first: dict[str, AccessRecord] = {}
    for record in records:
        first.setdefault(str(record.status_code), record)
    return first


def _counts(records: Iterable[AccessRecord]) -> dict[str, int]:
    return dict(Counter(str(record.status_code) for record in records))


def _counted(record: AccessRecord, number: int) -> AccessRecord:
    return AccessRecord(
        trigger_name=record.trigger_name,
        status_code=str(record.status_code),
        trigger_log_id="",
        reason=f"{number} more records with this status are only in the task log: the list reached 1 MiB",
        try_number=record.try_number,
    )


def by_xcom_key(records: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """
    Group the JSON of records by the XCom key that stores them.

    :return: XCom key to list of records
    """
    groups: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        groups.setdefault(XCOM_PREFIX + record["status_code"], []).append(record)
    return groups
