# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""How often the auth manager and the database are asked about the Dags of a page."""

from __future__ import annotations

import pytest
from airflow.models.dag import DagModel

from airflow_registry_triggers.plugins import permissions as module
from airflow_registry_triggers.plugins.permissions import Permissions

pytestmark = pytest.mark.airflow


class AuthManager:
    """Refuses the logs of some Dags, and keeps what it was asked."""

    def __init__(self, *refused):
        self.refused, self.asked = refused, []

    def batch_is_authorized_dag(self, requests, *, user):
        self.asked.append([(request["details"].id, request["details"].team_name) for request in requests])
        return not any(
            request["details"].id in self.refused and request["access_entity"] for request in requests
        )


@pytest.fixture
def teams(monkeypatch):
    asked = []

    def mapping(dag_ids, *, session):
        asked.append((sorted(dag_ids), session))
        return {"a": "red"}

    monkeypatch.setattr(DagModel, "get_dag_id_to_team_name_mapping", staticmethod(mapping))
    return asked


def permissions_of(monkeypatch, auth_manager):
    monkeypatch.setattr(module, "get_auth_manager", lambda: auth_manager)
    return Permissions("somebody", "the session")


def test_permissions_with_all_dags_allowed_asks_airflow_once(monkeypatch, teams):
    auth_manager = AuthManager()
    permissions = permissions_of(monkeypatch, auth_manager)
    assert permissions.unreadable({"a", "b"}) == set()
    assert permissions.unreadable({"a", "b"}) == set()
    assert teams == [(["a", "b"], "the session")]
    assert auth_manager.asked == [[("a", "red")] * 3 + [("b", None)] * 3]


def test_permissions_with_a_refused_dag_asks_once_for_each_dag(monkeypatch, teams):
    auth_manager = AuthManager("b")
    permissions = permissions_of(monkeypatch, auth_manager)
    assert permissions.unreadable({"a", "b"}) == {"b"}
    assert permissions.unreadable({"a", "b"}) == {"b"}
    assert permissions.unreadable({"b", "c"}) == {"b"}
    assert len(auth_manager.asked) == 4
    assert [dag_ids for dag_ids, _ in teams] == [["a", "b"], ["c"]]
