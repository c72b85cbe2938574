# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
The routes of the access log.

Airflow mounts a plugin's app without a check of its own. Each route here requires a login, and checks with
the auth manager that the user may read the XComs and the logs of the Dags in its answer.
"""

from __future__ import annotations

from typing import Annotated, Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.common.db.common import SessionDep  # noqa: TC002 - FastAPI reads annotations
from airflow.api_fastapi.core_api.security import GetUserDep, get_user, requires_access_dag
from fastapi import Depends, FastAPI, HTTPException, Query, Response, status

from airflow_registry_triggers.access_log.entries import BODY_FIELDS
from airflow_registry_triggers.access_log.query import (
    Cursor,
    InvalidFilter,
    filter_of_tests,
    parse_time,
    results_of,
    statuses_of,
)
from airflow_registry_triggers.access_log.query import Query as HistoryQuery
from airflow_registry_triggers.access_log.reader import read_page, read_task_instance
from airflow_registry_triggers.access_log.related import Related, image_page, related_to
from airflow_registry_triggers.overview.reader import match_of
from airflow_registry_triggers.plugins.models import AccessLogDetails, AccessLogEntry, AccessLogPage
from airflow_registry_triggers.plugins.permissions import Permissions
from airflow_registry_triggers.plugins.script import script
from airflow_registry_triggers.plugins.trigger_routes import router as trigger_router

__all__ = ["app"]

MAX_LIMIT = 200

_TIME = (
    "ISO 8601, or an age: 15m, 6h, 7d. An entry is stored when the try of its task ends, which is later "
    "than its request_time"
)

# PostgreSQL rejects NUL.
_Id = Annotated[str, Query(max_length=250, pattern=r"^[^\x00]*$")]

# Checked for the Dag in the query, or for Dags in general if the query names no Dag.
_may_read_some = [
    Depends(requires_access_dag(method="GET", access_entity=DagAccessEntity.XCOM)),
    Depends(requires_access_dag(method="GET", access_entity=DagAccessEntity.TASK_LOGS)),
]

# Pages of its own documentation would need no login; openapi.py adds the routes to the api-server's OpenAPI.
app = FastAPI(
    title="Access log of container registry triggers",
    openapi_url=None,
    docs_url=None,
    redoc_url=None,
    dependencies=[Depends(get_user)],
)
app.include_router(trigger_router)


@app.get("/access_log.js", include_in_schema=False)
def get_script() -> Response:
    """Return the page's script. Its address changes with its content."""
    headers = {"Cache-Control": "private, max-age=86400", "X-Content-Type-Options": "nosniff"}
    return Response(script(), media_type="text/javascript", headers=headers)


def _query(
    status: Annotated[
        list[str], Query(description="200, timeout, untriggered, ...; 2xx, error, verdict")
    ] = [],  # noqa: B006
    dag_id: _Id | None = None,
    run_id: _Id | None = None,
    task_id: _Id | None = None,
    map_index: Annotated[int | None, Query(ge=-1, lt=2**31)] = None,
    since: Annotated[str | None, Query(description=f"stored at this time or later: {_TIME}")] = None,
    until: Annotated[str | None, Query(description=f"stored before this time: {_TIME}")] = None,
    trigger: Annotated[str, Query(max_length=500, description="part of it, or =name for all of it")] = "",
    repository: Annotated[str, Query(max_length=500, description="part of it, or =name for all of it")] = "",
    tag: Annotated[str, Query(max_length=500, description="part of it, or =tag for all of it")] = "",
    result: Annotated[list[str], Query(description="failed, retrying, delivered, untriggered, ...")] = [],  # noqa: B006
    tests: Annotated[str, Query(max_length=500, description="records of tests: hide or only")] = "",
    notification_id: Annotated[str, Query(max_length=500, description="all records of one push")] = "",
    digest: Annotated[str, Query(max_length=500, description="the whole digest")] = "",
) -> HistoryQuery:
    try:
        results, statuses = results_of(result, statuses_of(status))
        return HistoryQuery(
            statuses=statuses,
            results=results,
            tests=filter_of_tests(tests),
            notification_id=notification_id,
            digest=digest,
            dag_id=dag_id,
            run_id=run_id,
            task_id=task_id,
            map_index=map_index,
            since=parse_time("since", since),
            until=parse_time("until", until),
            trigger=trigger,
            repository=repository,
            tag=tag,
        )
    except InvalidFilter as error:
        raise _bad_request(error) from None


def _cursor(cursor: Annotated[str | None, Query(max_length=2000)] = None) -> Cursor | None:
    try:
        return Cursor.decode(cursor) if cursor else None
    except InvalidFilter as error:
        raise _bad_request(error) from None


def _bad_request(error: InvalidFilter) -> HTTPException:
    return HTTPException(status.HTTP_400_BAD_REQUEST, str(error))


@app.get("/access-log", dependencies=_may_read_some, tags=["Access Log"])
def get_access_log(
    user: GetUserDep,
    session: SessionDep,
    response: Response,
    query: Annotated[HistoryQuery, Depends(_query)],
    cursor: Annotated[Cursor | None, Depends(_cursor)],
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 50,
    bodies: Annotated[bool, Query(description="include headers and bodies")] = False,
) -> AccessLogPage:
    """
    List the access log, newest first: every verdict of a trigger and every attempt of a delivery, of the
    Dags whose XComs and logs the user may read.
    """
    permissions = Permissions(user, session)
    page = read_page(
        session,
        query,
        limit=limit,
        cursor=cursor,
        bodies=bodies,
        dag_ids=permissions.dag_ids(),
        unreadable=permissions.unreadable,
    )
    _keep_private(response)
    return AccessLogPage(
        entries=[_entry(entry, bodies=bodies) for entry in page.entries],
        next_cursor=page.next_cursor,
        searched_all=page.searched_all,
    )


@app.get("/access-log/entry", dependencies=_may_read_some, tags=["Access Log"])
def get_access_log_entry(
    user: GetUserDep,
    session: SessionDep,
    response: Response,
    dag_id: _Id,
    run_id: _Id,
    task_id: _Id,
    trigger_log_id: Annotated[str, Query(max_length=500)],
    map_index: Annotated[int, Query(ge=-1, lt=2**31)] = -1,
    status_code: Annotated[
        str, Query(max_length=50, description="distinguishes records with the same trigger_log_id")
    ] = "",
) -> AccessLogDetails:
    """
    Return one entry with its request, its response and its links. For a delivery that was retried since,
    return its latest attempt.
    """
    permissions = Permissions(user, session)

    def is_wanted(entry: dict[str, Any]) -> bool:
        return _delivery(entry["trigger_log_id"]) == _delivery(trigger_log_id)

    entries = []
    if not permissions.unreadable({dag_id}):
        entries = read_task_instance(session, dag_id, run_id, task_id, map_index, is_wanted)
    found = [entry for entry in entries if is_wanted(entry)]
    if not found:
        raise HTTPException(
            status.HTTP_404_NOT_FOUND,
            "The entry does not exist. Its task may be running again, or the XComs were cleaned up",
        )
    entry = max(found, key=lambda item: _likeness(item, trigger_log_id, status_code))
    related = related_to(session, dag_id, run_id, entry["notification_id"])
    if related.asset_id is not None and not permissions.may_see_asset(related.asset_id):
        related = Related(run_started_at=related.run_started_at)
    match_task_id = match_of(session, dag_id, task_id, entry["trigger_name"])
    _keep_private(response)
    return _details(permissions, entry, entries, related, match_task_id)


def _delivery(trigger_log_id: str) -> str:
    """Return the id without the number of the try."""
    return trigger_log_id.partition("/")[0]


def _likeness(entry: dict[str, Any], trigger_log_id: str, status_code: str) -> tuple[bool, bool]:
    return entry["trigger_log_id"] == trigger_log_id, entry["status_code"] == status_code


def _details(
    permissions: Permissions,
    entry: dict[str, Any],
    entries: list[dict[str, Any]],
    related: Related,
    match_task_id: str,
) -> AccessLogDetails:
    dag_id = entry["dag_id"]
    return AccessLogDetails(
        entry=_entry(entry, bodies=True),
        run_started_at=related.run_started_at,
        deliveries=len({_delivery(item["trigger_log_id"]) for item in entries if item["trigger_url"]}),
        may_redeliver=permissions.may(dag_id, "PUT", DagAccessEntity.TASK_INSTANCE),
        may_test=permissions.may(dag_id, "POST", DagAccessEntity.RUN),
        match_task_id=match_task_id,
        image_page=image_page(entry["registry"], entry["repository"], entry["tag"]),
        asset_id=related.asset_id,
        asset_uri=related.asset_uri,
        asset_event_id=related.asset_event_id,
    )


def _entry(entry: dict[str, Any], *, bodies: bool) -> AccessLogEntry:
    shown = entry if bodies else {key: value for key, value in entry.items() if key not in BODY_FIELDS}
    return AccessLogEntry(**shown)


def _keep_private(response: Response) -> None:
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
