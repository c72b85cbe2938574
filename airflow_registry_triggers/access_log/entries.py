# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""An entry as the page shows it: a record, its task instance, and its result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_registry_triggers.access_record import RETRY_NOTE, VERDICTS, AccessRecord, Status
from airflow_registry_triggers.webhook.outcome import Outcome, classify_status

__all__ = ["BODY_FIELDS", "ENDED", "reason_of", "records_of", "result_of"]

BODY_FIELDS = ("request_headers", "request_body", "response_headers", "response_body")
"""Fields that are returned for an opened entry only."""

ENDED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
"""States in which Airflow does not retry a task instance."""


def records_of(value: object, status_code: str) -> list[dict[str, Any]]:
    """
    Return the records in the value of an XCom.

    Any task may push an XCom under any key, so every field is checked: values that are not records are left
    out, and missing fields are empty.

    :param value: value from the XCom backend
    :param status_code: status from the XCom's key
    """
    if not isinstance(value, list | tuple):
        return []
    return [_record(item, status_code) for item in value if isinstance(item, Mapping)]


def _record(item: Mapping[Any, Any], status_code: str) -> dict[str, Any]:
    known = AccessRecord(trigger_name="", status_code=status_code, trigger_log_id="", request_time="")
    record = {name: _like(empty, item.get(name, empty)) for name, empty in known.to_dict().items()}
    record["status_code"] = status_code
    duration = item.get("duration_ms")
    record["duration_ms"] = duration if isinstance(duration, int) and not isinstance(duration, bool) else None
    record["attempts"] = [_attempt(attempt) for attempt in record["attempts"] if isinstance(attempt, Mapping)]
    left = item.get("retries_left")
    record["next_try_at"] = _text(item.get("next_try_at"))
    record["retries_left"] = left if isinstance(left, int) and not isinstance(left, bool) else None
    record["is_test"] = item.get("is_test") is True
    return record


def _like(empty: Any, value: Any) -> Any:
    """Return the value if it has the type of the field, or the field's empty value."""
    if isinstance(empty, str):
        return _text(value)
    if isinstance(empty, bool):
        return value is True
    if isinstance(empty, int):
        return value if isinstance(value, int) else empty
    if isinstance(empty, Mapping):
        return {_text(key): _text(text) for key, text in value.items()} if isinstance(value, Mapping) else {}
    return value if isinstance(value, list | tuple) else empty


def _text(value: Any) -> str:
    # JSON can carry half of a surrogate pair, which cannot be encoded in a response.
    return ("" if value is None else str(value)).encode("utf-8", "replace").decode()


def _attempt(attempt: Mapping[Any, Any]) -> dict[str, Any]:
    duration, number = attempt.get("duration_ms"), attempt.get("try_number")
    return {
        "try_number": number if isinstance(number, int) else None,
        "status_code": _text(attempt.get("status_code")),
        "request_time": _text(attempt.get("request_time")),
        "duration_ms": duration if isinstance(duration, int) else None,
        "reason": _text(attempt.get("reason")),
        "ambiguous": attempt.get("ambiguous") is True,
    }


def result_of(record: Mapping[str, Any], state: str | None) -> str:
    """
    Return the result of a record: its verdict, ``delivered``, ``retrying``, ``failed`` or its own status.

    :param record: JSON form of the record
    :param state: state of the task instance
    """
    code = record["status_code"]
    if code in VERDICTS or code in (Status.BLOCKED, Status.DRY_RUN):
        return str(code)
    outcome = _outcome(code)
    if outcome is Outcome.RETRY:
        # A task that succeeded here was marked by a person: otherwise Airflow would have retried it.
        return "failed" if state in ENDED else "retrying"
    # A task succeeds only if it delivered everything; success_statuses may add statuses to 2xx.
    return "delivered" if outcome is Outcome.DELIVERED or state == "success" else "failed"


def reason_of(record: Mapping[str, Any], state: str | None) -> str:
    """
    Return the reason of a record, without its note about a retry if the task has ended.

    A person may mark a task as success or failed while Airflow waits for its next try.

    :param record: JSON form of the record
    :param state: state of the task instance
    """
    reason = str(record["reason"])
    return reason.partition(f"; {RETRY_NOTE}")[0] if state in ENDED else reason


def _outcome(code: str) -> Outcome:
    try:
        return classify_status(int(code))
    except ValueError:
        return Outcome.RETRY
