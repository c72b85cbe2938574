# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
The routes of the page "Triggers".

As for the access log, a user sees the triggers of Dags whose XComs and task logs he or she may read.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.common.db.common import SessionDep  # noqa: TC002 - FastAPI reads annotations
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from airflow.utils.session import create_session
from fastapi import APIRouter, BackgroundTasks, Depends, HTTPException, Query, Response, status

from airflow_registry_triggers.access_log.query import InvalidFilter
from airflow_registry_triggers.oci_names import is_tag
from airflow_registry_triggers.overview.match import would_match
from airflow_registry_triggers.overview.queries import delete_dead_values
from airflow_registry_triggers.overview.reader import Filters, read_page, states_of, trigger_of
from airflow_registry_triggers.overview.serialized import TemplatedRule
from airflow_registry_triggers.plugins.permissions import Permissions
from airflow_registry_triggers.plugins.trigger_models import TriggerList, TriggerRow, WouldMatch

__all__ = ["router"]

MAX_LIMIT = 200

# PostgreSQL rejects NUL.
_Id = Annotated[str, Query(max_length=250, pattern=r"^[^\x00]*$")]

router = APIRouter(
    prefix="/triggers",
    tags=["Registry Triggers"],
    dependencies=[
        Depends(requires_access_dag(method="GET", access_entity=DagAccessEntity.XCOM)),
        Depends(requires_access_dag(method="GET", access_entity=DagAccessEntity.TASK_LOGS)),
    ],
)


@router.get("")
def get_triggers(
    user: GetUserDep,
    session: SessionDep,
    response: Response,
    background: BackgroundTasks,
    state: Annotated[list[str], Query(description="states to show; several with a comma")] = [],  # noqa: B006
    dag_id: _Id | None = None,
    repository: Annotated[str, Query(max_length=500, description="part of it, or =name for all of it")] = "",
    problems: Annotated[bool, Query(description="only states that need a person")] = False,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 50,
    cursor: Annotated[str | None, Query(max_length=2000)] = None,
) -> TriggerList:
    """List the triggers of the Dags that the user may read, each with its state as one sentence."""
    permissions = Permissions(user, session)
    try:
        page = read_page(
            session,
            Filters(
                states=states_of(word for item in state for word in item.split(",") if word),
                dag_id=dag_id or None,
                repository=repository,
                problems=problems,
            ),
            limit=limit,
            cursor=cursor or None,
            dag_ids=permissions.dag_ids(),
            unreadable=permissions.unreadable,
        )
    except InvalidFilter as error:
        raise HTTPException(status.HTTP_400_BAD_REQUEST, str(error)) from None
    if page.dead_keys:
        # After the answer, so that no page waits for a write.
        background.add_task(_delete, page.dead_keys)
    _keep_private(response)
    return TriggerList(
        triggers=[_row(row, permissions) for row in page.rows],
        next_cursor=page.next_cursor,
        counts=page.counts,
        unreadable_status_values=page.unreadable,
    )


@router.get("/match")
def get_match(
    user: GetUserDep,
    session: SessionDep,
    response: Response,
    dag_id: _Id,
    task_id: _Id,
    tag: Annotated[str, Query(max_length=500)],
    repository: Annotated[str, Query(max_length=500, description="empty for any that is watched")] = "",
) -> WouldMatch:
    """Return whether a push of a tag would trigger, from the serialized rule. Nothing runs."""
    trigger = None
    if not Permissions(user, session).unreadable({dag_id}):
        trigger = trigger_of(session, dag_id, task_id)
    if trigger is None or trigger.kind == "held":
        raise HTTPException(status.HTTP_404_NOT_FOUND, "No match task or sensor has this id.")
    if not is_tag(tag):
        raise HTTPException(
            status.HTTP_400_BAD_REQUEST,
            f"tag={tag[:130]!a} is not a valid tag. Use 1 to 128 characters of A-Z a-z 0-9 _ . -, "
            "the first of them not '.' or '-'.",
        )
    try:
        answer = would_match(trigger, tag, repository)
    except TemplatedRule as error:
        raise HTTPException(status.HTTP_409_CONFLICT, str(error)) from None
    except ValueError as error:
        raise HTTPException(status.HTTP_409_CONFLICT, f"The rule is not valid: {error}") from None
    _keep_private(response)
    return WouldMatch(**answer)


def _row(row: dict[str, Any], permissions: Permissions) -> TriggerRow:
    return TriggerRow(**row, may_test=permissions.may(row["dag_id"], "POST", DagAccessEntity.RUN))


def _delete(keys: list[str]) -> None:
    with create_session() as session:
        delete_dead_values(session, keys, datetime.now(UTC))


def _keep_private(response: Response) -> None:
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
