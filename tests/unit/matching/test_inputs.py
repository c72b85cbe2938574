# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from airflow_registry_triggers.exceptions import InvalidArgument
from airflow_registry_triggers.matching.inputs import (
    id_source,
    notifications_of_conf,
    read_inputs,
    run_mode,
)

GOOD = {"push_data": {"tag": "a"}, "repository": {"name": "b"}}


@dataclass
class TaskInstance:
    map_index: int | None = -1


@dataclass
class Run:
    conf: Any = field(default_factory=dict)


def context(conf=None, map_index=-1):
    return {"run_id": "run", "ti": TaskInstance(map_index), "dag_run": Run(conf)}


def test_read_inputs_with_a_malformed_value_keeps_the_positions_of_the_others():
    inputs = read_inputs(context(), [GOOD, "bad", GOOD])
    first, third = inputs.valid
    assert first.id != third.id
    assert [item.id for item in read_inputs(context(), [GOOD, {}, GOOD]).valid] == [first.id, third.id]
    (problem,) = inputs.problems
    assert problem.reason.startswith("value 2: not a notification")
    assert problem.id not in (first.id, third.id)


def test_read_inputs_in_a_retry_returns_the_same_ids():
    assert read_inputs(context(), [GOOD, 1]) == read_inputs(context(), [GOOD, 1])


def test_read_inputs_with_an_argument_ignores_the_conf():
    inputs = read_inputs(context(conf={"notification": GOOD}), [])
    assert (inputs.valid, inputs.problems, inputs.is_test) == ([], [], False)


def test_read_inputs_with_a_notification_in_the_conf_is_a_test():
    inputs = read_inputs(context(conf={"notification": [GOOD]}), None)
    assert [item.tag for item in inputs.valid] == ["a"]
    assert inputs.is_test


def test_read_inputs_without_anything_is_empty():
    assert read_inputs(context(), None) == ([], [], False)


@pytest.mark.parametrize(
    ("conf", "found"),
    [(None, None), ({}, None), ({"notification": {"a": 1}}, [{"a": 1}]), ({"notification": [1, 2]}, [1, 2]), ({"notification": None}, [])],
)  # fmt: skip
def test_notifications_of_conf_returns_a_list_or_none(conf, found):
    assert notifications_of_conf(context(conf)) == found


@pytest.mark.parametrize(("map_index", "source"), [(-1, "run"), (None, "run"), (0, "run/0"), (3, "run/3")])
def test_id_source_of_a_mapped_task_names_its_instance(map_index, source):
    assert id_source(context(map_index=map_index)) == source


@pytest.mark.parametrize(
    ("conf", "mode"),
    [
        ({}, (False, False)),
        ({"dry_run": True}, (False, False)),
        ({"notification": GOOD}, (True, False)),
        ({"notification": GOOD, "dry_run": False}, (True, False)),
        ({"notification": GOOD, "dry_run": True}, (True, True)),
    ],
)
def test_run_mode_of_a_conf_is_a_test_only_with_a_notification(conf, mode):
    assert run_mode(context(conf=conf)) == mode


@pytest.mark.parametrize("value", ["true", 1, None, "no", []])
def test_run_mode_with_a_dry_run_that_is_not_a_boolean_raises_and_names_it(value):
    with pytest.raises(InvalidArgument, match="dry_run=.*true or false") as error:
        run_mode(context(conf={"notification": GOOD, "dry_run": value}))
    assert repr(value) in str(error.value)
