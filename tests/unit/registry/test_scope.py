# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

import pytest

from airflow_registry_triggers.registry.scope import WatchScope, checked_first_run
from airflow_registry_triggers.tag_rule import TagRule

REFERRER = f"sha256-{'0' * 64}.sig"


def scope(rule=None, *, referrers=False, registry="r.example"):
    return WatchScope(rule or TagRule(), updates=True, referrers=referrers, accept="a", registry=registry)


@pytest.mark.parametrize("mode", ["baseline", "notify"])
def test_checked_first_run_known_mode_is_returned(mode):
    assert checked_first_run(mode) == mode


@pytest.mark.parametrize("mode", ["", "Notify", None, 1, ["notify"]])
def test_checked_first_run_other_value_names_the_modes(mode):
    with pytest.raises(ValueError, match="Use 'baseline' or 'notify'"):
        checked_first_run(mode)


def test_covers_referrer_only_if_referrers_are_watched_or_the_rule_names_it():
    assert not scope().covers(REFERRER)
    assert scope(referrers=True).covers(REFERRER)
    assert scope(TagRule(tags=[REFERRER])).covers(REFERRER)


def test_covers_tag_as_the_rule_does():
    assert scope(TagRule(tag_regex="v.*")).covers("v1")
    assert not scope(TagRule(tag_regex="v.*")).covers("latest")


@pytest.mark.parametrize(("other", "expected"), [("r.example", False), ("s.example", True), ("", False)])
def test_is_other_registry_needs_two_known_names(other, expected):
    assert scope().is_other_registry(scope(registry=other)) is expected


@pytest.mark.parametrize("rule", [TagRule(), TagRule(tags=["a", "b"]), TagRule(tag_regex="v.*")])
def test_from_dict_of_to_dict_is_the_same_scope(rule):
    assert WatchScope.from_dict(scope(rule).to_dict()) == scope(rule)
