# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""One entry of the access history: a verdict, or an attempt to deliver."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow_registry_triggers.notification import Notification
    from airflow_registry_triggers.tag_rule import TagRule

__all__ = ["LOG_EVENT", "XCOM_PREFIX", "AccessRecord", "by_status_code", "utc_now", "within_limit"]

LOG_EVENT = "access"
"""The ``event`` of each record's line in the task log."""

LOG_PREFIX = "access_"
"""Prefix of every field in the log: Airflow has fields of its own on each line."""

XCOM_PREFIX = "access_log."
"""Prefix of the XCom keys; the status code follows, so that one status is one indexed query."""

LIST_LIMIT = 1024 * 1024
"""Bytes of JSON that one task's list may take; beyond it bodies are left out."""

BODY_LEFT_OUT = "[left out: the task's access records exceed 1 MiB]"


def utc_now() -> str:
    """Give the time as ISO 8601 in UTC with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRecord:
    """
    One entry of the access history, with the field names of a registry's own trigger log in snake case.

    :param status_code: the HTTP status, a verdict (``triggered``, ``untriggered``, ``duplicate``),
        ``blocked``, or the error's class, such as ``timeout``
    :param trigger_log_id: the webhook-id and the try; the event's id for a verdict
    :param trigger_url: where it went, masked
    :param repo_event: ``new`` or ``updated``
    :param request_time: ISO 8601, UTC
    :param registry: its host, empty where the notification does not tell
    :param reason: one sentence that says why
    :param duration_ms: milliseconds from the look-up to the last byte read; None for a verdict
    :param ambiguous: whether bytes were sent and no status came back
    :param attempts: the earlier tries of the same delivery, oldest first
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

    @classmethod
    def of(
        cls, notification: Notification, *, status_code: str, trigger_name: str, **values: Any
    ) -> AccessRecord:
        """
        Make a record about a notification.

        :param notification: what was judged or sent
        :param status_code: see the class
        :param trigger_name: name of the trigger
        :param values: further fields
        """
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
    ) -> AccessRecord:
        """
        Make the record of a verdict.

        :param notification: what was judged
        :param status_code: ``triggered``, ``untriggered`` or ``duplicate``
        :param reason: why
        :param trigger_name: name of the trigger
        :param rule: the rule that judged
        :param try_number: try of the task
        """
        return cls.of(
            notification,
            status_code=status_code,
            trigger_name=trigger_name,
            reason=reason,
            trigger_type=rule.trigger_type,
            trigger_tag=rule.trigger_tag,
            try_number=try_number,
        )

    def to_dict(self) -> dict[str, Any]:
        """Give the JSON form, in the order of the fields."""
        values = {name: getattr(self, name) for name in _NAMES}
        values["attempts"] = [dict(attempt) for attempt in self.attempts]
        return values

    def summary(self) -> dict[str, Any]:
        """Give what a later try keeps of this one."""
        kept = ("try_number", "status_code", "request_time", "duration_ms", "reason", "ambiguous")
        return {name: getattr(self, name) for name in kept}

    def log_fields(self) -> dict[str, Any]:
        """
        Give the flat fields of the log line.

        Headers and attempts become JSON text: nested values are cut by Airflow's masker at depth 5, and
        JSON in ASCII cannot start a line.
        """
        flat: dict[str, Any] = {}
        for name in _NAMES:
            value = getattr(self, name)
            flat[LOG_PREFIX + name] = value if isinstance(value, str | int | None) else json.dumps(value)
        return flat

    def without_bodies(self) -> AccessRecord:
        """Give a copy that says that its bodies were left out."""
        return replace(
            self,
            request_body=self.request_body and BODY_LEFT_OUT,
            response_body=self.response_body and BODY_LEFT_OUT,
        )


_NAMES = tuple(item.name for item in fields(AccessRecord))


def within_limit(records: Iterable[AccessRecord], limit: int = LIST_LIMIT) -> list[dict[str, Any]]:
    """
    Give a task's records as JSON below a size: from the one that would exceed it on, bodies are left out.

    :param records: the records
    :param limit: bytes of JSON
    """
    kept: list[dict[str, Any]] = []
    size = 0
    for record in records:
        fields_of = record.to_dict()
        size += len(json.dumps(fields_of))
        kept.append(fields_of if size <= limit else record.without_bodies().to_dict())
    return kept


def by_status_code(records: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """
    Group records as they are pushed to XCom.

    :param records: the records of one try, as JSON
    :return: XCom key to list of records
    """
    groups: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        groups.setdefault(XCOM_PREFIX + record["status_code"], []).append(record)
    return groups
