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
