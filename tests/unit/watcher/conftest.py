# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

import json

import pytest
from airflow.sdk import Connection

from airflow_registry_triggers.hooks.registry import RegistryHook
from airflow_registry_triggers.watcher import backoff, connection_cache, producer, watched_asset
from tests.unit.common.test_state_store import MemoryStore
from tests.unit.registry.scripted_registry import ScriptedRegistry


@pytest.fixture
async def registry():
    async with ScriptedRegistry().served() as served:
        served.put("team/app", ["v0"])
        yield served


@pytest.fixture
def stores(monkeypatch):
    """The state of each asset, by name; and polls that follow one another without a pause."""
    kept: dict[str, MemoryStore] = {}
    monkeypatch.setattr(watched_asset, "state_of_asset", lambda name: kept.setdefault(name, MemoryStore()))
    monkeypatch.setattr(producer, "FIRST_POLL_WITHIN", 0.0)
    monkeypatch.setattr(producer.RegistryProducer, "_interval", 0.01)
    monkeypatch.setattr(producer, "MAX_AGE_AFTER_FAILURE", 0.0)
    monkeypatch.setattr(backoff, "FIRST_BACK_OFF", 0.02)
    return kept


@pytest.fixture
def connection(monkeypatch, registry):
    """The fields of the Connection; a test changes them under the watcher."""
    current = {"host": registry.url, "extra": {"poll_interval": 1}}

    async def aget_connection(conn_id):
        values = {**current, "extra": json.dumps(current["extra"])}
        return Connection(conn_id=conn_id, conn_type="oci_registry", **values)

    monkeypatch.setattr(RegistryHook, "aget_connection", aget_connection)
    monkeypatch.setattr(connection_cache, "_read", {})
    return current
