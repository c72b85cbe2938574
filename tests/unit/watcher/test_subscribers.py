# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

from airflow_registry_triggers.tag_rule import TagRule
from airflow_registry_triggers.watcher import subscribers
from airflow_registry_triggers.watcher.subscribers import subscriptions_of, watching

KEY = ("registry-push", "conn", "subscribers/app")
ALL = TagRule()


def test_subscriptions_of_lists_assets_while_they_are_watched():
    with watching(KEY, "one", ALL, 1), watching(KEY, "two", ALL, 2):
        assert [(found.asset, found.trigger_id) for found in subscriptions_of(KEY)] == [
            ("one", 1),
            ("two", 2),
        ]
        assert subscriptions_of(("registry-push", "conn", "other")) == []
    assert subscriptions_of(KEY) == []
    assert KEY not in subscribers._streams


def test_watching_second_trigger_of_an_asset_is_another_subscription():
    with watching(KEY, "one", ALL, 1):
        (first,) = subscriptions_of(KEY)
        with watching(KEY, "one", ALL, 2):
            (second,) = subscriptions_of(KEY)
            assert second is not first
            assert second.trigger_id == 2
        assert subscriptions_of(KEY) == [second]
    assert subscriptions_of(KEY) == []


def test_watching_two_rules_of_an_asset_are_two_subscriptions():
    with watching(KEY, "one", ALL, 1), watching(KEY, "one", TagRule(tags=["a"]), 2):
        assert len(subscriptions_of(KEY)) == 2


def test_watching_trigger_that_fails_leaves_nothing():
    try:
        with watching(KEY, "one", ALL, 1):
            raise RuntimeError
    except RuntimeError:
        pass
    assert subscriptions_of(KEY) == []
