# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

import pytest

from airflow_registry_triggers.operators.trigger_match import TriggerMatchOperator


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ({"tags": []}, "tags"),
        ({"tags": ["a", "a b"]}, "a b"),
        ({"tag_regex": "("}, "tag_regex"),
        ({"tags": ["a"], "tag_regex": "b"}, "tag_regex"),
    ],
)
def test_operator_invalid_literal_rule_is_an_error_while_the_dag_is_parsed(rule, text):
    with pytest.raises(ValueError, match=text):
        TriggerMatchOperator(task_id="match", **rule)
    with pytest.raises(ValueError, match=text):
        TriggerMatchOperator.partial(task_id="match", **rule)


def test_operator_templated_rule_is_left_to_the_run():
    TriggerMatchOperator(task_id="match", tag_regex="{{ params.rule }}")
    TriggerMatchOperator(task_id="match", tags=["{{ params.tag }}"])


def test_operator_defaults_survive_a_lost_worker():
    match = TriggerMatchOperator(task_id="match")
    assert (match.retries, match.retry_delay.total_seconds()) == (3, 5)
    assert match.trigger_rule == "none_failed_min_one_success"
    assert match.max_active_tis_per_dag == 1
