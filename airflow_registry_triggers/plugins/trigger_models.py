# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The answers of the routes of the page "Triggers", as the OpenAPI describes them."""

from __future__ import annotations

from pydantic import BaseModel, Field

__all__ = ["LastDelivery", "LastMatch", "LastPush", "RunCounts", "TriggerList", "TriggerRow", "WouldMatch"]


class LastPush(BaseModel):
    """The last push that the trigger saw; duplicates and dry runs do not count."""

    repository: str
    tag: str
    digest: str
    run_id: str
    at: str = Field(description="ISO 8601, UTC")


class LastMatch(BaseModel):
    """The result of the last match."""

    status: str = Field(description="triggered or untriggered")
    reason: str
    run_id: str
    at: str = Field(description="ISO 8601, UTC")


class LastDelivery(BaseModel):
    """The last delivery; of several in its run one that failed, if there is one."""

    status: str = Field(description="HTTP status, blocked, or class of the error")
    result: str = Field(description="delivered, retrying, failed or blocked")
    reason: str
    trigger_url: str = Field(description="secrets are masked")
    at: str | None = Field(description="ISO 8601, UTC; null if the record cannot be read")
    run_id: str | None
    task_id: str
    map_index: int


class RunCounts(BaseModel):
    """Runs within 24 hours."""

    delivered: int
    failed: int = Field(description="a run with two kinds of failures counts for each of them")
    untriggered: int


class Watcher(BaseModel):
    """The last report of a watcher, or the newest run of a sensor."""

    asset: str | None = Field(description="name of the watched asset; null for a sensor")
    sensor: str | None = Field(description="task id of the sensor; null for a watcher")
    repository: str
    registry_conn_id: str
    polled_at: str | None
    error_kind: str | None
    failing_since: str | None
    failures: int
    took_ms: int | None
    next_at: str | None
    tags: int | None
    requests: int | None
    quota_left: int | None
    note: str
    is_dead: bool = Field(description="the process that reported this has not written for an hour")
    text: str = Field(description="the column of the page, times in UTC")


class TriggerRow(BaseModel):
    """A trigger: a match task, a sensor without one, or a held trigger."""

    dag_id: str
    task_id: str
    trigger_name: str
    trigger_type: str = Field(description="ALL, TAG_LIST, TAG_REG_EXP or TAG_SEMVER; empty for a template")
    trigger_tag: str
    repositories: list[str]
    receiver: str | None = Field(description="URL without secrets, or id of the Connection")
    paused: bool
    state: str = Field(
        description="broken, paused, not_watched, registry_error, storm, baseline, untriggered, delivery, ok"
    )
    problem: bool = Field(description="a person has to do something")
    why: str = Field(description="the state as one sentence, times in UTC")
    why_form: str = Field(description="the sentence with {0}, {1}, ... for its times")
    why_times: list[str]
    last_push: LastPush | None
    last_match: LastMatch | None
    last_delivery: LastDelivery | None
    next_attempt_at: str | None
    runs_24h: RunCounts
    watchers: list[Watcher]
    may_test: bool = Field(description="the user may start a run of the Dag")


class TriggerList(BaseModel):
    """A page of triggers, sorted by state and name."""

    triggers: list[TriggerRow]
    next_cursor: str | None = Field(description="cursor of the next page; null at the end")
    counts: dict[str, int] = Field(description="triggers in each state, without the filter by state")
    unreadable_status_values: int


class WouldMatch(BaseModel):
    """Whether a push of a tag would trigger."""

    triggered: bool
    kind: str = Field(description="kind of the rule's decision, or not_watched")
    reason: str
