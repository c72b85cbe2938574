# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

import pytest

from airflow_registry_triggers.matching.items import InputItem, flattened, numbered


@pytest.mark.parametrize(
    ("value", "flat"),
    [
        (None, []), ({"a": 1}, [{"a": 1}]), ([{"a": 1}], [{"a": 1}]), ([[{"a": 1}], [], [{"b": 2}]], [{"a": 1}, {"b": 2}]),
        ("text", ["text"]), (3, [3]), ([None, {"a": 1}], [{"a": 1}]), (iter([[1], [2]]), [1, 2]),
        ([[[1], [2]], [3]], [1, 2, 3]),
    ],
)  # fmt: skip
def test_flattened_of_nested_lists_returns_the_values(value, flat):
    assert flattened(value) == flat


def test_flattened_beyond_four_levels_keeps_the_list_as_a_value():
    assert flattened([[[[[1]]]]]) == [[1]]


def test_numbered_with_values_gives_each_its_source_and_position():
    assert numbered(["a", "b"], "run") == [InputItem("a", "run", 0), InputItem("b", "run", 1)]
