# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""An entry of the history as it is shown: a record, the task instance it is of, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_registry_triggers.access_log.query import VERDICTS
from airflow_registry_triggers.access_record import AccessRecord
from airflow_registry_triggers.webhook.outcome import Outcome, judge_status

__all__ = ["BODY_FIELDS", "ENDED", "records_of", "result_of"]

BODY_FIELDS = ("request_headers", "request_body", "response_headers", "response_body")
"""What is only given when an entry is opened."""

ENDED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
"""States in which a task instance will not be tried again."""


def records_of(value: object, status_code: str) -> list[dict[str, Any]]:
    """
    Read an XCom's value: what is no list of records is left out, what is missing in one is empty.

    Any task may push an XCom of any name, so that nothing is taken for granted.

    :param value: as the XCom backend gave it
    :param status_code: from the key
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
    return record


def _like(empty: Any, value: Any) -> Any:
    """Give a value of the type that a field has; a hand-made record may have any."""
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
    # Half of a surrogate pair, which JSON can carry, is no text that an answer could.
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
    Say what became of it: a verdict, ``delivered``, ``retrying``, ``failed`` or ``blocked``.

    :param record: its JSON form
    :param state: of the task instance
    """
    code = record["status_code"]
    if code in VERDICTS or code == "blocked":
        return str(code)
    outcome = _outcome(code)
    if outcome is Outcome.RETRY:
        # Also where the task succeeded: by hand, since by itself it would have tried again.
        return "failed" if state in ENDED else "retrying"
    # A task succeeds only when all was delivered; its author may have said which statuses besides 2xx do.
    return "delivered" if outcome is Outcome.DELIVERED or state == "success" else "failed"


def _outcome(code: str) -> Outcome:
    try:
        return judge_status(int(code))
    except ValueError:
        return Outcome.RETRY
