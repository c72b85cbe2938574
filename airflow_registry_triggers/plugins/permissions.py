# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The permissions of a request's user, from Airflow's auth manager."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import (
    AssetDetails,
    DagAccessEntity,
    DagDetails,
)
from airflow.models.dag import DagModel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow.api_fastapi.auth.managers.models.batch_apis import IsAuthorizedDagRequest
    from sqlalchemy.orm import Session

__all__ = ["Permissions"]

_READ = (None, DagAccessEntity.XCOM, DagAccessEntity.TASK_LOGS)
"""The user must be allowed to read the Dag, and the two places where access records are stored."""


class Permissions:
    """
    The permissions of a user. Answers about a Dag are cached for one request.

    :param user: the user object of the auth manager
    :param session: session of the metadata database
    """

    def __init__(self, user: Any, session: Session) -> None:
        self._user = user
        self._session = session
        self._teams: dict[str, str | None] = {}
        self._readable: dict[str, bool] = {}

    def dag_ids(self) -> set[str]:
        """Return the Dags that the user may read."""
        return get_auth_manager().get_authorized_dag_ids(user=self._user, session=self._session)

    def unreadable(self, dag_ids: set[str]) -> set[str]:
        """
        Return the Dags whose access records the user may not read.

        :param dag_ids: Dags to check
        """
        new = sorted(dag_ids - self._readable.keys())
        # One batch first: some auth managers use the network, and usually every Dag is allowed.
        if new and self._may_read(new):
            self._readable.update(dict.fromkeys(new, True))
        else:
            self._readable.update({dag_id: self._may_read([dag_id]) for dag_id in new})
        return {dag_id for dag_id in dag_ids if not self._readable[dag_id]}

    def may(self, dag_id: str, method: Any, entity: DagAccessEntity) -> bool:
        """
        Return True if the user may use a method on a part of a Dag.

        :param method: HTTP method
        :param entity: part of the Dag
        """
        return get_auth_manager().is_authorized_dag(
            method=method, access_entity=entity, details=self._details([dag_id])[0], user=self._user
        )

    def may_see_asset(self, asset_id: int) -> bool:
        """Return True if the user may read an asset."""
        details = AssetDetails(id=str(asset_id))
        return get_auth_manager().is_authorized_asset(method="GET", details=details, user=self._user)

    def _may_read(self, dag_ids: list[str]) -> bool:
        asked: list[IsAuthorizedDagRequest] = [
            {"method": "GET", "access_entity": entity, "details": details}
            for details in self._details(dag_ids)
            for entity in _READ
        ]
        return get_auth_manager().batch_is_authorized_dag(asked, user=self._user)

    def _details(self, dag_ids: Iterable[str]) -> list[DagDetails]:
        dag_ids = list(dag_ids)
        unknown = [dag_id for dag_id in dag_ids if dag_id not in self._teams]
        if unknown:
            found = DagModel.get_dag_id_to_team_name_mapping(unknown, session=self._session)
            self._teams.update({dag_id: found.get(dag_id) for dag_id in unknown})
        return [DagDetails(id=dag_id, team_name=self._teams[dag_id]) for dag_id in dag_ids]
