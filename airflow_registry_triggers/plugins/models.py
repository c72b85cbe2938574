# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The answers of the routes, as the OpenAPI describes them."""

from __future__ import annotations

from pydantic import BaseModel, Field

__all__ = ["AccessLogAttempt", "AccessLogDetails", "AccessLogEntry", "AccessLogPage"]


class AccessLogAttempt(BaseModel):
    """An earlier attempt of the same delivery."""

    try_number: int | None
    status_code: str
    request_time: str
    duration_ms: int | None
    reason: str
    ambiguous: bool


class AccessLogEntry(BaseModel):
    """One entry: the access record, its task instance, and its result."""

    result: str = Field(
        description="triggered, untriggered, duplicate, malformed, blocked, dry_run, delivered, retrying, "
        "or failed"
    )
    status_code: str = Field(description="HTTP status, verdict, blocked, or class of the error")
    reason: str
    request_time: str = Field(description="ISO 8601, UTC")
    duration_ms: int | None
    trigger_name: str
    trigger_type: str
    trigger_tag: str
    trigger_url: str = Field(description="secrets are masked; empty for a verdict")
    trigger_log_id: str = Field(description="webhook-id and try; the notification's id for a verdict")
    repo_event: str
    notification_id: str
    registry: str = Field(description="host of the registry; empty if the notification has none")
    repository: str
    tag: str
    digest: str
    ambiguous: bool = Field(description="request bytes were sent, but no status was received")
    try_number: int
    attempts: list[AccessLogAttempt] = Field(description="earlier attempts, oldest first")
    next_try_at: str = Field(default="", description="ISO 8601, UTC; empty if no retry follows")
    retries_left: int | None = Field(default=None, description="of a delivery that Airflow retries")
    is_test: bool = Field(default=False, description="the run tests the trigger")
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    task_state: str | None
    request_headers: dict[str, str] | None = Field(
        default=None, description="with bodies=true; secrets masked"
    )
    request_body: str | None = Field(default=None, description="with bodies=true; secrets masked")
    response_headers: dict[str, str] | None = Field(
        default=None, description="with bodies=true; secrets masked"
    )
    response_body: str | None = Field(default=None, description="with bodies=true; secrets masked")


class AccessLogPage(BaseModel):
    """A page of entries."""

    entries: list[AccessLogEntry]
    next_cursor: str | None = Field(description="cursor of the next page; null at the end")
    searched_all: bool = Field(
        description="false if reading stopped before the page was full; continue with next_cursor"
    )


class AccessLogDetails(BaseModel):
    """An opened entry."""

    entry: AccessLogEntry
    deliveries: int = Field(description="notifications that the task sends again after a clear")
    run_started_at: str | None = Field(default=None, description="ISO 8601; null before the run starts")
    may_redeliver: bool
    may_test: bool
    match_task_id: str = Field(description="match task whose rule decided; empty if the Dag does not show it")
    image_page: str | None
    asset_id: int | None
    asset_uri: str
    asset_event_id: int | None
