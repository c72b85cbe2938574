# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

import pytest

from airflow_registry_triggers.common.templating import is_literal


class XComArg:
    """Stands in for the output of a task: a value that is none of JSON's types."""


@pytest.mark.parametrize(
    "value", [None, "", "release-v.*", 3, 1.5, True, ["a", ("b",)], {"a": {"b"}}, "{", "}}"]
)
def test_is_literal_plain_value_is_true(value):
    assert is_literal(value)


@pytest.mark.parametrize(
    "value",
    ["{{ params.tag }}", "x-{% if a %}", "{# note #}", ["a", "{{ b }}"], {"{{ k }}": 1}, {"k": ["{{ v }}"]}],
)
def test_is_literal_template_at_any_depth_is_false(value):
    assert not is_literal(value)


@pytest.mark.parametrize("value", [XComArg(), ["a", XComArg()], {"k": XComArg()}])
def test_is_literal_output_of_a_task_is_false(value):
    assert not is_literal(value)
