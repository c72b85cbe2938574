# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The model of a trigger in Python code, and the JSON schema of a file."""

from __future__ import annotations

import subprocess
import sys

import pytest
import yaml
from jsonschema import Draft202012Validator

from airflow_registry_triggers import RegistryTrigger
from airflow_registry_triggers.trigger_file.fields import DEFAULT_FIELDS, FIELDS
from airflow_registry_triggers.trigger_file.model import json_schema
from tests.unit.trigger_file.test_loader import GOOD

GIVEN = {"name": "prod", "repository": "team/app", "webhook": "w"}


def faults(document):
    return [error.message for error in Draft202012Validator(json_schema()).iter_errors(document)]


def entry(**fields):
    return {"triggers": {"prod": {"repository": "team/app", "webhook": "w", **fields}}}


def test_trigger_in_python_has_the_documented_defaults():
    trigger = RegistryTrigger(**GIVEN)
    assert trigger.given() == {
        "repository": "team/app", "watch": "all", "collapse": False, "registry": "registry_default", "webhook": "w",
        "body_format": "registry", "success_statuses": [], "request_timeout": 15, "owner": "registry-triggers",
        "labels": [], "enabled": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"name": "Prod"}, "'Prod' is not a valid name"),
        ({"name": "a\n"}, "is not a valid name"),
        ({"semver": "~>1"}, "semver: semver='~>1': '~>1' is not a comparison"),
        ({"semver": 1.2}, "semver: expected text, not 1.2"),
        ({"tags": ["a"], "semver": "1"}, "tags cannot be combined with another condition"),
        ({"tags": ["a"], "newest": "text"}, "newest cannot be combined with tags"),
        ({"request_timeout": 600}, "request_timeout: 600 is outside 1 to 60"),
        ({"request_timeout": True}, "request_timeout: expected a number, not True"),
        ({"collapse": "images"}, "collapse: expected true, false or image, not 'images'"),
        ({"webhook": None}, "no receiver: set webhook (a Connection id) or url"),
        ({"url": "https://h.example/?a=b"}, "a URL in this file has no query"),
        ({"tag-regex": "x"}, "Extra inputs are not permitted"),
        ({"exclude_regex": "v|" * 800 + "v", "watch": "matching"}, "repository_asset: the URI has "),
        ({"body_format": "cloudevents", "body_template": "{}"}, "exclude each other"),
    ],
)
def test_trigger_in_python_with_a_fault_raises(fields, text):
    with pytest.raises(ValueError) as error:
        RegistryTrigger(**{**GIVEN, **fields})
    assert text in str(error.value)


def test_trigger_in_python_cannot_be_changed():
    with pytest.raises(ValueError):
        RegistryTrigger(**GIVEN).semver = "1"


def test_schema_is_valid_and_accepts_the_documented_example():
    Draft202012Validator.check_schema(json_schema())
    assert faults(yaml.safe_load(GOOD)) == []
    assert faults({"triggers": {}}) == []


@pytest.mark.parametrize("place", ["top", "defaults", "entry", "name"])
def test_schema_rejects_each_unknown_field(place):
    document = {
        "top": {**entry(), "trigers": {}},
        "defaults": {**entry(), "defaults": {"repository": "a"}},
        "entry": entry(**{"tag-regex": "a"}),
        "name": {"triggers": {"Prod": {"repository": "a"}}},
    }[place]
    assert faults(document)


def test_schema_has_each_field_and_its_description():
    schema = json_schema()
    properties = schema["$defs"]["Entry"]["properties"]
    assert list(properties) == list(FIELDS)
    assert all(item["description"] for item in properties.values())
    defaults = schema["properties"]["defaults"]
    assert set(defaults["properties"]) == set(DEFAULT_FIELDS)
    assert (defaults["additionalProperties"], schema["properties"]["triggers"]["additionalProperties"]) == (
        False,
        False,
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"collapse": "images"}, {"watch": "some"}, {"request_timeout": 600}, {"success_statuses": [99]},
        {"enabled": "yes"}, {"tags": "latest"}, {"headers": ["a"]}, {"webhook": None}, {"newest": "latest"},
    ],
)  # fmt: skip
def test_schema_rejects_a_value_that_a_file_rejects(fields):
    assert faults(entry(**fields))


def test_reader_and_model_import_nothing_of_airflow():
    code = (
        "import sys, airflow_registry_triggers.trigger_file.model, airflow_registry_triggers.trigger_file.loader;"
        "assert not [name for name in sys.modules if name == 'airflow' or name.startswith('airflow.')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
