# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The access record: the result of a match, or of an attempt to deliver."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypedDict

from airflow_registry_triggers.access_record.limits import LIMITS, shortened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_registry_triggers.notification import Notification
    from airflow_registry_triggers.tag_rule import TagRule

__all__ = [
    "BODY_LEFT_OUT",
    "LOG_EVENT",
    "RETRY_NOTE",
    "VERDICTS",
    "XCOM_PREFIX",
    "AccessRecord",
    "AccessRecordDict",
    "RecordSummary",
    "Status",
    "utc_now",
]

LOG_EVENT = "access"
"""The ``event`` of each record's line in the task log."""

LOG_PREFIX = "access_"
"""Prefix of every field in the log, because Airflow has fields of its own on each line."""

XCOM_PREFIX = "access_log."
"""Prefix of the XCom keys; the status follows, so that one status is one indexed query."""

BODY_LEFT_OUT = "[left out: the task's access records exceed 1 MiB]"

RETRY_NOTE = "a retry is due at "
"""Start of the note about the next try, at the end of a reason."""


class Status(StrEnum):
    """The status words; an attempt that got an answer has the HTTP status instead."""

    TRIGGERED = "triggered"
    UNTRIGGERED = "untriggered"
    DUPLICATE = "duplicate"
    MALFORMED = "malformed"
    BLOCKED = "blocked"
    DRY_RUN = "dry_run"
    TIMEOUT = "timeout"
    DNS_ERROR = "dns_error"
    CONNECTION_REFUSED = "connection_refused"
    CONNECTION_RESET = "connection_reset"
    UNREACHABLE = "unreachable"
    TLS_ERROR = "tls_error"
    PROTOCOL_ERROR = "protocol_error"


VERDICTS = (Status.TRIGGERED, Status.UNTRIGGERED, Status.DUPLICATE, Status.MALFORMED)
"""Statuses of a match; all others belong to a delivery. A delivery also records malformed values."""


class AccessRecordDict(TypedDict):
    """The JSON form of an access record."""

    trigger_name: str
    status_code: str
    trigger_log_id: str
    trigger_url: str
    trigger_type: str
    trigger_tag: str
    repo_event: str
    request_time: str
    request_headers: dict[str, str]
    request_body: str
    response_headers: dict[str, str]
    response_body: str
    notification_id: str
    registry: str
    repository: str
    tag: str
    digest: str
    reason: str
    duration_ms: int | None
    ambiguous: bool
    try_number: int
    attempts: list[dict[str, Any]]


class RecordSummary(TypedDict):
    """One delivery in the return value of a delivery task; ``id`` is the notification's."""

    id: str
    repository: str
    tag: str
    digest: str
    status_code: str
    reason: str


def utc_now() -> str:
    """Return the time as ISO 8601 in UTC with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRecord:
    """
    One entry of the access log, with the field names of a registry's own trigger log in snake case.

    :param status_code: the HTTP status, or one of :class:`Status`
    :param trigger_log_id: the webhook-id and the try; the notification's id for a match
    :param trigger_url: URL of the receiver, redacted
    :param repo_event: ``new`` or ``updated``
    :param request_time: ISO 8601, UTC
    :param registry: host of the registry, empty where the notification does not name it
    :param reason: one sentence that explains the status
    :param duration_ms: milliseconds from the name lookup to the last byte read; None for a match
    :param ambiguous: whether bytes were sent and no status came back
    :param attempts: the earlier tries of the same delivery, oldest first
    :param next_try_at: ISO 8601, UTC; empty if no retry follows or the task's own settings decide
    :param retries_left: retries of the task after this try, None where no retry follows
    :param is_test: whether the run tests the trigger: its conf had the notification
    """

    trigger_name: str
    status_code: str
    trigger_log_id: str
    trigger_url: str = ""
    trigger_type: str = ""
    trigger_tag: str = ""
    repo_event: str = ""
    request_time: str = field(default_factory=utc_now)
    request_headers: Mapping[str, str] = field(default_factory=dict)
    request_body: str = ""
    response_headers: Mapping[str, str] = field(default_factory=dict)
    response_body: str = ""
    notification_id: str = ""
    registry: str = ""
    repository: str = ""
    tag: str = ""
    digest: str = ""
    reason: str = ""
    duration_ms: int | None = None
    ambiguous: bool = False
    try_number: int = 1
    attempts: Sequence[Mapping[str, Any]] = ()
    next_try_at: str = ""
    retries_left: int | None = None
    is_test: bool = False

    def __post_init__(self) -> None:
        for name, limit in LIMITS.items():
            object.__setattr__(self, name, shortened(getattr(self, name), limit))

    @classmethod
    def of(
        cls, notification: Notification, *, status_code: str, trigger_name: str, **values: Any
    ) -> AccessRecord:
        """Make a record of a notification; ``values`` are further fields of the record."""
        known = {
            "trigger_log_id": notification.id or "",
            "trigger_type": notification.trigger.get("type", ""),
            "trigger_tag": notification.trigger.get("tag", ""),
            "repo_event": notification.action,
            "notification_id": notification.id or "",
            "registry": notification.registry,
            "repository": notification.repository,
            "tag": notification.tag,
            "digest": notification.digest or "",
        }
        return cls(status_code=status_code, trigger_name=trigger_name, **{**known, **values})

    @classmethod
    def of_verdict(
        cls,
        notification: Notification,
        *,
        status_code: str,
        reason: str,
        trigger_name: str,
        rule: TagRule,
        try_number: int,
        is_test: bool = False,
    ) -> AccessRecord:
        """
        Make the record of a match.

        :param status_code: ``triggered``, ``untriggered`` or ``duplicate``
        :param rule: the rule that was applied
        """
        return cls.of(
            notification,
            status_code=status_code,
            trigger_name=trigger_name,
            reason=reason,
            trigger_type=rule.trigger_type,
            trigger_tag=rule.trigger_tag,
            try_number=try_number,
            is_test=is_test,
        )

    @classmethod
    def of_malformed(
        cls, value_id: str, *, reason: str, trigger_name: str, try_number: int, is_test: bool = False
    ) -> AccessRecord:
        """
        Make the record of a value that is not a notification.

        :param value_id: id of the value, from its source and position
        """
        return cls(
            status_code=Status.MALFORMED,
            trigger_name=trigger_name,
            trigger_log_id=value_id,
            notification_id=value_id,
            reason=reason,
            try_number=try_number,
            is_test=is_test,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, :class:`AccessRecordDict`, and of the optional fields those that are set."""
        values = {name: getattr(self, name) for name in _NAMES if self._has(name)}
        values["status_code"] = str(self.status_code)
        values["attempts"] = [dict(attempt) for attempt in self.attempts]
        return values

    def to_attempt(self) -> dict[str, Any]:
        """Return the fields that later records of the same delivery list under ``attempts``."""
        kept = ("try_number", "status_code", "request_time", "duration_ms", "reason", "ambiguous")
        return {name: getattr(self, name) for name in kept}

    def summary(self) -> RecordSummary:
        """Return the fields that a delivery task returns."""
        return RecordSummary(
            id=self.notification_id,
            repository=self.repository,
            tag=self.tag,
            digest=self.digest,
            status_code=str(self.status_code),
            reason=self.reason,
        )

    def log_fields(self) -> dict[str, Any]:
        """
        Return the flat fields of the log line.

        Headers and attempts become JSON text: Airflow's masker stops at depth 5 of a structure, and
        JSON in ASCII cannot start a line.
        """
        flat: dict[str, Any] = {}
        for name in filter(self._has, _LOG_ORDER):
            value = getattr(self, name)
            flat[LOG_PREFIX + name] = value if isinstance(value, str | int | None) else json.dumps(value)
        return flat

    def _has(self, name: str) -> bool:
        return name not in _OPTIONAL or not any(getattr(self, name) is empty for empty in ("", None, False))

    def without_bodies(self) -> AccessRecord:
        """Return a copy whose bodies are replaced by a note."""
        return replace(
            self,
            request_body=self.request_body and BODY_LEFT_OUT,
            response_body=self.response_body and BODY_LEFT_OUT,
        )

    def without_headers(self) -> AccessRecord:
        """Return a copy without headers and attempts, whose bodies are replaced by a note."""
        return replace(self.without_bodies(), request_headers={}, response_headers={}, attempts=())


_OPTIONAL = ("next_try_at", "retries_left", "is_test")
_NAMES = tuple(item.name for item in fields(AccessRecord))

# A log line is cut at the right edge of the page, so the fields that people look for come first.
_FIRST = (
    "status_code",
    "repository",
    "tag",
    "reason",
    "trigger_name",
    "trigger_url",
    "duration_ms",
    "try_number",
)
_LAST = ("request_headers", "response_headers", "request_body", "response_body", "attempts")
_LOG_ORDER = (*_FIRST, *(name for name in _NAMES if name not in (*_FIRST, *_LAST)), *_LAST)
