# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import airflow
import jsonschema
import pytest

import airflow_registry_triggers
from airflow_registry_triggers.get_provider_info import get_provider_info
from airflow_registry_triggers.hooks.watch_settings import WatchSettings


def test_provider_info_with_the_installed_schema_is_valid():
    schema = json.loads((Path(airflow.__file__).parent / "provider_info.schema.json").read_text())
    jsonschema.validate(get_provider_info(), schema)


def test_provider_info_with_named_modules_and_classes_names_existing_ones():
    info = get_provider_info()
    for kind in ("sensors", "operators", "hooks", "triggers"):
        for entry in info[kind]:
            for module in entry["python-modules"]:
                importlib.import_module(module)
    for connection in info["connection-types"]:
        module, _, name = connection["hook-class-name"].rpartition(".")
        hook = getattr(importlib.import_module(module), name)
        assert hook.conn_type == connection["connection-type"]
        assert hook.hook_name == connection["hook-name"]


@pytest.mark.parametrize("name", airflow_registry_triggers.__all__)
def test_package_with_a_public_name_loads_it(name):
    assert getattr(airflow_registry_triggers, name)


def test_package_with_an_unknown_name_raises_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        airflow_registry_triggers.nothing  # noqa: B018


HEAVY = ("aiohttp", "re2", "airflow_registry_triggers.plugins", "airflow_registry_triggers.registry.client")

DAG_FILE = """
import sys
from airflow.sdk import DAG, Asset, BaseHook, BaseOperator, BaseSensorOperator
before = set(sys.modules)  # pathspec, which Airflow uses, loads re2 where it is installed
from airflow_registry_triggers import RegistryPushSensor, TriggerMatchOperator, WebhookDeliverOperator
RegistryPushSensor(task_id="a", repository="team/app")
TriggerMatchOperator(task_id="b", tags=["latest"])
WebhookDeliverOperator(task_id="c", notifications=[], url="https://hooks.example.com/x")
print([name for name in {heavy!r} if name in set(sys.modules) - before])
"""


def test_dag_file_when_parsed_loads_no_http_client_and_no_re2():
    done = subprocess.run(
        [sys.executable, "-c", DAG_FILE.format(heavy=HEAVY)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_package_when_imported_loads_no_dependency():
    code = "import sys, airflow_registry_triggers; print([n for n in ('airflow', 'jinja2', 'pendulum') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def form_of(connection_type):
    (found,) = [
        item for item in get_provider_info()["connection-types"] if item["connection-type"] == connection_type
    ]
    return found


def test_registry_form_asks_first_for_what_a_new_connection_needs():
    labels = [field["label"] for field in form_of("oci_registry")["conn-fields"].values()]
    wanted = [
        "Scheme",
        "CA file",
        "Poll interval",
        "First run of a watcher",
        "What counts as a push",
        "Referrers",
    ]
    wanted += ["Requests in flight", "Storm limit", "Time zone"]
    assert [label for label in labels if label in wanted] == wanted
    assert labels[:6] == wanted[:6]
    assert all(label.startswith("Notification: ") for label in labels[-5:])


def test_registry_form_offers_the_default_of_updates_first():
    schema = form_of("oci_registry")["conn-fields"]["updates"]["schema"]
    assert [schema["values_display"][value] for value in schema["enum"]] == [
        "new and moved tags (default)",
        "new tags only",
    ]


@pytest.mark.parametrize(
    ("value", "updates"), [("true", True), ("false", False), (None, True), (False, False)]
)
def test_registry_form_values_of_updates_are_read_by_the_hook(value, updates):
    assert WatchSettings.from_extra({"updates": value}, "c").updates is updates


def test_forms_say_that_the_host_may_be_a_url_and_have_a_placeholder_for_the_port():
    registry, webhook = (form_of(kind)["ui-field-behaviour"] for kind in ("oci_registry", "webhook"))
    assert registry["placeholders"]["host"] == "registry.example.com or http://localhost:5000"
    assert webhook["placeholders"]["host"] == "https://hooks.example.com/path (a whole URL) or a host"
    assert webhook["relabeling"] == {"password": "Signing secret (optional)"}
    assert registry["placeholders"]["port"] == webhook["placeholders"]["port"] == "443, or 80 for http"
