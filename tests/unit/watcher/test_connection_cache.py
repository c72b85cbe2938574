# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

import pytest
from airflow.sdk import Connection

from airflow_registry_triggers.hooks.registry import RegistryHook
from airflow_registry_triggers.watcher import connection_cache
from airflow_registry_triggers.watcher.connection_cache import MAX_AGE, target_for


@pytest.fixture
def reads(connection, monkeypatch):
    """The ids of the Connections that are read."""
    found = []
    read = RegistryHook.aget_connection

    async def counted(conn_id):
        found.append(conn_id)
        return await read(conn_id)

    monkeypatch.setattr(RegistryHook, "aget_connection", counted)
    return found


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(connection_cache.time, "monotonic", lambda: now[0])
    return now


async def test_target_for_many_repositories_reads_the_connection_once(reads):
    targets = [await target_for("conn", f"team/app{number}", MAX_AGE) for number in range(5)]
    assert [target.repository for target in targets] == [f"team/app{number}" for number in range(5)]
    await target_for("other", "team/app", MAX_AGE)
    assert reads == ["conn", "other"]


async def test_target_for_old_connection_reads_it_again(reads, connection, clock):
    assert (await target_for("conn", "team/app", MAX_AGE)).password is None
    connection["password"] = "changed"
    clock[0] += MAX_AGE - 1
    assert (await target_for("conn", "team/app", MAX_AGE)).password is None
    clock[0] += 2
    assert (await target_for("conn", "team/app", MAX_AGE)).password == "changed"


async def test_target_for_connection_that_cannot_be_read_keeps_nothing(reads, connection):
    connection["host"] = "user@host"
    with pytest.raises(ValueError, match="host"):
        await target_for("conn", "team/app", 0.0)
    connection["host"] = "registry.example"
    assert (await target_for("conn", "team/app", 0.0)).base_url == "https://registry.example"


@pytest.fixture
def with_cloud(connection, monkeypatch):
    """A registry's Connection that refers to a cloud's, whose password a test changes."""
    connection["extra"] = {"credentials_conn_id": "cloud"}
    cloud = {"conn_type": "aws", "login": "a", "password": "first-secret"}
    read = RegistryHook.aget_connection

    async def aget_connection(conn_id):
        return Connection(conn_id=conn_id, **cloud) if conn_id == "cloud" else await read(conn_id)

    monkeypatch.setattr(RegistryHook, "aget_connection", aget_connection)
    return cloud


async def test_target_for_a_connection_with_a_cloud_reads_both_once(with_cloud, reads):
    for number in range(3):
        target = await target_for("conn", f"team/app{number}", MAX_AGE)
    assert reads == ["conn", "cloud"]
    assert target.login.conn_id == "cloud"


async def test_target_for_a_changed_cloud_connection_has_another_login(with_cloud, reads, clock):
    first = await target_for("conn", "team/app", MAX_AGE)
    with_cloud["password"] = "second-secret"
    assert await target_for("conn", "team/app", MAX_AGE) == first
    clock[0] += MAX_AGE + 1
    second = await target_for("conn", "team/app", MAX_AGE)
    assert second != first
    assert second.login.key != first.login.key
