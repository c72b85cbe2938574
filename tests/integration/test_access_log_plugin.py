# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The apps of the plugin, also in an Airflow that lacks a name that the page uses."""

from __future__ import annotations

import sys

import pytest

from airflow_registry_triggers.plugins.registry_triggers import RegistryTriggersPlugin

pytestmark = pytest.mark.airflow


def test_access_log_plugin_when_loaded_has_routes_a_page_and_two_tabs():
    plugin = RegistryTriggersPlugin()
    assert [app["url_prefix"] for app in plugin.fastapi_apps] == [
        "/registry-triggers",
        "/registry-webhooks",
    ]
    places = [(app["destination"], app["name"]) for app in plugin.react_apps]
    assert places == [("nav", "Registry Triggers"), ("dag", "Pushes"), ("dag_run", "Pushes")]
    assert len({app["url_route"] for app in plugin.react_apps}) == 3, "Airflow keeps one app of a route"
    assert len(plugin.fastapi_root_middlewares) == 1
    assert plugin.react_apps is plugin.react_apps, "Airflow takes apps out of the list that it got"


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("airflow.api_fastapi.core_api.security", "requires_access_dag"),
        ("airflow.api_fastapi.app", "get_auth_manager"),
        ("airflow.models.xcom", "XComModel"),
    ],
)
def test_access_log_plugin_without_a_name_of_airflow_has_no_page_and_warns(monkeypatch, caplog, module, name):
    __import__(module)
    monkeypatch.delattr(sys.modules[module], name)
    for loaded in [name for name in sys.modules if name.startswith("airflow_registry_triggers.")]:
        if loaded.split(".")[1] in {"access_log", "plugins"} and not loaded.endswith(
            "plugins.registry_triggers"
        ):
            monkeypatch.delitem(sys.modules, loaded)
    plugin = RegistryTriggersPlugin()
    assert [app["url_prefix"] for app in plugin.fastapi_apps] == ["/registry-webhooks"]
    assert (plugin.react_apps, plugin.fastapi_root_middlewares) == ([], [])
    assert "the page 'Registry Triggers' is left out" in caplog.text
