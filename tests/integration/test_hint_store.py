# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The row of hints in a real database (SQLite): locks, an unreadable row, and no shared state asset."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_registry_triggers.common.state_store import STATE_ASSET

pytestmark = pytest.mark.airflow


@pytest.fixture
def asset_id(airflow_db):
    from airflow.models.asset import AssetActive, AssetModel
    from airflow.models.asset_state_store import AssetStateStoreModel
    from airflow.utils.session import create_session
    from sqlalchemy import delete, select

    with create_session() as session:
        found = session.scalar(select(AssetModel).where(AssetModel.name == STATE_ASSET.name))
        if found is None:
            found = AssetModel(
                name=STATE_ASSET.name, uri=str(STATE_ASSET.uri), group="registry-internal", extra={}
            )
            session.add(found)
            session.flush()
        if found.active is None:
            session.add(AssetActive.for_asset(found))
        session.execute(delete(AssetStateStoreModel).where(AssetStateStoreModel.asset_id == found.id))
        return found.id


def row_of(asset_id):
    from airflow.models.asset_state_store import AssetStateStoreModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        where = AssetStateStoreModel.asset_id == asset_id, AssetStateStoreModel.key == "hints/webhooks"
        return session.scalar(select(AssetStateStoreModel.value).where(*where))


def test_hint_store_with_parallel_writers_loses_no_hint(asset_id):
    from airflow_registry_triggers.plugins.hint_store import store_hints

    wanted = {("conn", f"team/app{number % 3}"): set() for number in range(60)}
    writes = []
    for number in range(60):
        key = ("conn", f"team/app{number % 3}")
        wanted[key].add(f"v{number}")
        writes.append({key: {f"v{number}"}})
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(store_hints, writes))
    stored = json.loads(row_of(asset_id))["hints"]
    assert {tuple(key.split("|")): set(tags) for key, tags in stored.items()} == wanted


def test_hint_store_with_an_unreadable_row_begins_anew(asset_id):
    from airflow.models.asset_state_store import AssetStateStoreModel
    from airflow.utils.session import create_session
    from sqlalchemy import update

    from airflow_registry_triggers.plugins.hint_store import store_hints

    digits = "9" * 4_300
    large = f'{{"v": 1, "seq": {digits}, "hints": {{}}}}'
    for broken in ("{", '"text"', "null", "[" * 60_000, large):
        store_hints({("conn", "team/app"): {"v1"}})
        with create_session() as session:
            session.execute(
                update(AssetStateStoreModel)
                .where(AssetStateStoreModel.asset_id == asset_id)
                .values(value=broken)
            )
        store_hints({("conn", "team/app"): {"v2"}})
        assert set(json.loads(row_of(asset_id))["hints"]["conn|team/app"]) == {"v2"}


def test_hint_store_does_not_change_the_asset(asset_id):
    from airflow.models.asset import AssetModel
    from airflow.utils.session import create_session

    from airflow_registry_triggers.plugins.hint_store import check_database, store_hints

    def state():
        with create_session() as session:
            found = session.get(AssetModel, asset_id)
            return found.name, found.uri, found.updated_at

    before = state()
    store_hints({("conn", "team/app"): {"v1"}})
    check_database()
    assert state() == before


def test_hint_store_without_the_shared_state_asset_raises(asset_id):
    from airflow.models.asset import AssetActive
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    from airflow_registry_triggers.plugins.hint_store import NoStateAsset, store_hints

    with create_session() as session:
        session.execute(delete(AssetActive).where(AssetActive.name == STATE_ASSET.name))
    with pytest.raises(NoStateAsset, match="Unpause a Dag"):
        store_hints({("conn", "team/app"): {"v1"}})
    assert row_of(asset_id) is None
