# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
Write hints into the shared state, in the api-server.

No other module of push mode uses Airflow names that are not public, and no other module writes
``hints/webhooks``. An import error leaves the endpoint out; polls continue.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from airflow.models.asset import AssetModel
from airflow.state import AssetScope, get_state_backend
from airflow.utils.session import create_session
from sqlalchemy import select, update

from airflow_registry_triggers.common.state_store import STATE_ASSET, WEBHOOK_HINTS_KEY
from airflow_registry_triggers.inbound.hint_row import merge

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from airflow_registry_triggers.inbound.hint_row import Hints

__all__ = ["NoStateAsset", "check_database", "store_hints"]


class NoStateAsset(RuntimeError):
    """The shared state asset has no row: no Dag has a task of this package."""


def store_hints(hints: Hints) -> None:
    """
    Add hints to the row, in one transaction and under a lock: no api-server overwrites another's hints.

    :param hints: tags by Connection id and repository
    :raises NoStateAsset: the shared state asset has no row
    :raises Exception: the database is not available
    """
    with create_session() as session:
        scope, backend = AssetScope(asset_id=_locked_asset(session)), get_state_backend()
        # The value is read after the lock, so the hints of a concurrent writer are in it.
        row = _parsed(backend.get(scope, WEBHOOK_HINTS_KEY, session=session))
        merged = merge(row, hints, int(time.time() * 1000))
        backend.set(scope, WEBHOOK_HINTS_KEY, json.dumps(merged), session=session)


def check_database() -> None:
    """
    Raise an exception if the database is not available.

    Airflow reports a Connection as missing also if the database cannot be read.
    """
    with create_session() as session:
        session.execute(select(1))


def _locked_asset(session: Session) -> int:
    is_state = AssetModel.name == STATE_ASSET.name, AssetModel.active.has()
    if session.get_bind().dialect.name == "sqlite":
        # SQLite has no row locks: a write at the beginning of the transaction locks the database.
        unchanged = {"name": AssetModel.name, "updated_at": AssetModel.updated_at}
        session.execute(
            update(AssetModel)
            .where(AssetModel.name == STATE_ASSET.name)
            .values(unchanged)
            .execution_options(synchronize_session=False)
        )
    asset_id = session.scalar(select(AssetModel.id).where(*is_state).with_for_update())
    if asset_id is None:
        raise NoStateAsset(
            "The shared state asset does not exist. Unpause a Dag that has a task of this package"
        )
    return asset_id


def _parsed(value: str | None) -> Any:
    try:
        return json.loads(value) if value else None
    except (ValueError, TypeError, RecursionError):
        return None
