# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""What the user of a request may do, as Airflow's auth manager says."""

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
"""What must be readable of a Dag: itself, and the two places where access records are."""


class Permissions:
    """
    Asks for one request; the team of a Dag is looked up once, and so is whether it may be read.

    :param user: as the auth manager knows it
    :param session: of the metadata database
    """

    def __init__(self, user: Any, session: Session) -> None:
        self._user = user
        self._session = session
        self._teams: dict[str, str | None] = {}
        self._readable: dict[str, bool] = {}

    def dag_ids(self) -> set[str]:
        """Give the Dags that may be read, whatever is in them."""
        return get_auth_manager().get_authorized_dag_ids(user=self._user, session=self._session)

    def unreadable(self, dag_ids: set[str]) -> set[str]:
        """
        Give those whose access records may not be read.

        :param dag_ids: the Dags
        """
        new = sorted(dag_ids - self._readable.keys())
        # Together first: some auth managers ask over the network, and mostly all is allowed.
        if new and self._may_read(new):
            self._readable.update(dict.fromkeys(new, True))
        else:
            self._readable.update({dag_id: self._may_read([dag_id]) for dag_id in new})
        return {dag_id for dag_id in dag_ids if not self._readable[dag_id]}

    def may(self, dag_id: str, method: Any, entity: DagAccessEntity) -> bool:
        """
        Tell whether something may be done with a Dag.

        :param dag_id: the Dag
        :param method: of HTTP
        :param entity: what of the Dag
        """
        return get_auth_manager().is_authorized_dag(
            method=method, access_entity=entity, details=self._details([dag_id])[0], user=self._user
        )

    def may_see_asset(self, asset_id: int) -> bool:
        """
        Tell whether an asset may be read.

        :param asset_id: its number
        """
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
