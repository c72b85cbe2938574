# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

from types import SimpleNamespace

import pytest

from airflow_registry_triggers.common.mapping import check_mappable, is_mapped
from airflow_registry_triggers.exceptions import TooManyToMap


class Task:
    task_id = "match"

    def __init__(self, dependants):
        self._dependants = dependants

    def iter_mapped_dependants(self):
        return iter(self._dependants)


def context(dependants=("deploy",), map_index=-1):
    return {"task": Task(dependants), "ti": SimpleNamespace(map_index=map_index)}


@pytest.mark.parametrize(("map_index", "expected"), [(None, False), (-1, False), (0, True), (7, True)])
def test_is_mapped_by_map_index(map_index, expected):
    assert is_mapped(SimpleNamespace(map_index=map_index)) is expected


def test_check_mappable_up_to_the_limit_passes(monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "3")
    check_mappable(context(), 3)


def test_check_mappable_above_the_limit_names_both_numbers_and_the_setting(monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "3")
    with pytest.raises(TooManyToMap, match=r"'match' would return 4 items.*at most 3.*max_map_length"):
        check_mappable(context(), 4)


@pytest.mark.parametrize("free", [context(dependants=()), context(map_index=0)])
def test_check_mappable_without_a_mapped_dependant_allows_any_number(monkeypatch, free):
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "3")
    check_mappable(free, 4)
