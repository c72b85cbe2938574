# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
The routes of the access log.

Airflow mounts a plugin's app without any check of its own: each route here asks for a login, and asks the
auth manager whether the user may read the XComs and the logs of the Dags that it answers about.
"""

from __future__ import annotations

from typing import Annotated, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.common.db.common import SessionDep  # noqa: TC002 - FastAPI reads annotations
from airflow.api_fastapi.core_api.security import GetUserDep, get_user, requires_access_dag
from airflow.models.dag import DagModel
from fastapi import Depends, FastAPI, HTTPException, Query, Response, status

from airflow_registry_triggers.history.entries import BODY_FIELDS
from airflow_registry_triggers.history.filters import Cursor, InvalidFilter, parse_time, statuses_of
from airflow_registry_triggers.history.filters import Query as HistoryQuery
from airflow_registry_triggers.history.read import read_page, read_task_instance
from airflow_registry_triggers.history.related import Related, image_page, related_to
from airflow_registry_triggers.plugins.models import AccessLogDetails, AccessLogEntry, AccessLogPage
from airflow_registry_triggers.plugins.script import script

__all__ = ["app"]

MAX_LIMIT = 200

_READ = (None, DagAccessEntity.XCOM, DagAccessEntity.TASK_LOGS)
"""What must be readable of a Dag: itself, and the two places where access records are."""

# Asked of the Dag in the query, and of Dags in general where it names none.
_may_read_some = [
    Depends(requires_access_dag(method="GET", access_entity=DagAccessEntity.XCOM)),
    Depends(requires_access_dag(method="GET", access_entity=DagAccessEntity.TASK_LOGS)),
]

# Its own pages of documentation would ask for no login; openapi.py describes it in the api-server's.
app = FastAPI(
    title="Access log of container registry triggers",
    openapi_url=None,
    docs_url=None,
    redoc_url=None,
    dependencies=[Depends(get_user)],
)


@app.get("/access_log.js", include_in_schema=False)
def get_script() -> Response:
    """Give the page's script; its address changes with it."""
    headers = {"Cache-Control": "private, max-age=86400", "X-Content-Type-Options": "nosniff"}
    return Response(script(), media_type="text/javascript", headers=headers)


def _query(
    status: Annotated[
        list[str], Query(description="200, timeout, untriggered, ...; 2xx, error, verdict")
    ] = [],  # noqa: B006
    dag_id: Annotated[str | None, Query(max_length=250)] = None,
    run_id: Annotated[str | None, Query(max_length=250)] = None,
    task_id: Annotated[str | None, Query(max_length=250)] = None,
    map_index: Annotated[int | None, Query(ge=-1, lt=2**31)] = None,
    since: Annotated[str | None, Query(description="ISO 8601, or 15m, 6h, 7d ago")] = None,
    until: Annotated[str | None, Query(description="ISO 8601, or 15m, 6h, 7d ago")] = None,
    trigger: Annotated[str, Query(max_length=500, description="a part of it; =name is the whole")] = "",
    repository: Annotated[str, Query(max_length=500, description="a part of it; =name is the whole")] = "",
    tag: Annotated[str, Query(max_length=500, description="a part of it; =tag is the whole")] = "",
) -> HistoryQuery:
    try:
        return HistoryQuery(
            statuses=statuses_of(status),
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
    bodies: Annotated[bool, Query(description="with headers and bodies")] = False,
) -> AccessLogPage:
    """
    List the access history, newest first: every verdict of a trigger and every delivery, of the Dags whose
    XComs and logs the user may read.
    """
    page = read_page(
        session,
        query,
        limit=limit,
        cursor=cursor,
        dag_ids=get_auth_manager().get_authorized_dag_ids(user=user, session=session),
        may_read=lambda dag_id: _may_read(user, dag_id),
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
    dag_id: Annotated[str, Query(max_length=250)],
    run_id: Annotated[str, Query(max_length=250)],
    task_id: Annotated[str, Query(max_length=250)],
    trigger_log_id: Annotated[str, Query(max_length=500)],
    map_index: Annotated[int, Query(ge=-1, lt=2**31)] = -1,
) -> AccessLogDetails:
    """
    Give one entry with its request and response, and what belongs to it. Of a delivery that was tried
    again since, its latest attempt.
    """
    entries = []
    if _may_read(user, dag_id):
        entries = read_task_instance(session, dag_id, run_id, task_id, map_index)
    # The try stands behind the id of the delivery.
    wanted = trigger_log_id.partition("/")[0]
    found = [item for item in entries if item["trigger_log_id"].partition("/")[0] == wanted]
    exact = [item for item in found if item["trigger_log_id"] == trigger_log_id]
    if not found:
        raise HTTPException(
            status.HTTP_404_NOT_FOUND,
            "no such entry: its task may be under way again, or the history cleaned",
        )
    entry = (exact or found)[0]
    related = related_to(session, dag_id, run_id, entry["notification_id"])
    _keep_private(response)
    return _details(user, entry, entries, related)


def _details(
    user: Any, entry: dict[str, Any], entries: list[dict[str, Any]], related: Related
) -> AccessLogDetails:
    dag_id = entry["dag_id"]
    may_see_assets = get_auth_manager().is_authorized_asset(method="GET", user=user)
    return AccessLogDetails(
        entry=_entry(entry, bodies=True),
        deliveries=len({item["trigger_log_id"].partition("/")[0] for item in entries if item["trigger_url"]}),
        may_redeliver=_may(user, dag_id, "PUT", DagAccessEntity.TASK_INSTANCE),
        may_test=_may(user, dag_id, "POST", DagAccessEntity.RUN),
        registry=related.registry,
        image_page=image_page(related.registry, entry["repository"], entry["tag"]),
        asset_id=related.asset_id if may_see_assets else None,
        asset_uri=related.asset_uri if may_see_assets else "",
        asset_event_id=related.asset_event_id if may_see_assets else None,
    )


def _entry(entry: dict[str, Any], *, bodies: bool) -> AccessLogEntry:
    shown = entry if bodies else {key: value for key, value in entry.items() if key not in BODY_FIELDS}
    return AccessLogEntry(**shown)


def _may_read(user: Any, dag_id: str) -> bool:
    return all(_may(user, dag_id, "GET", entity) for entity in _READ)


def _may(user: Any, dag_id: str, method: Any, entity: DagAccessEntity | None) -> bool:
    details = DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
    return get_auth_manager().is_authorized_dag(
        method=method, access_entity=entity, details=details, user=user
    )


def _keep_private(response: Response) -> None:
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
