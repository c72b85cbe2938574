# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_registry_triggers.tag_rule import TagRule

TAGS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,30}", fullmatch=True)


@pytest.mark.parametrize(
    ("expression", "tag", "triggered"),
    [
        ("release-v.*", "release-v1", True),
        ("release-v.*", "pre-release-v1", False),
        ("release-v.*", "release-v", True),
        ("release-v", "release-v", True),
        ("release-v", "release-v1", False),
        ("a|b", "a", True),
        ("a|b", "ab", False),
        ("v1.2", "v1x2", True),
        ("*", "anything", True),
        ("(?i)LATEST", "latest", True),
        (".*", "x" * 128, True),
    ],
)
def test_the_whole_tag_must_match(expression, tag, triggered):
    verdict = TagRule(tag_regex=expression).judge(tag)
    assert verdict.triggered is triggered
    assert tag in verdict.reason or verdict.reason == "every push triggers"


def test_a_list_is_exact():
    rule = TagRule(tags=["latest", "v1.0"])
    assert rule.judge("latest").triggered
    assert not rule.judge("Latest").triggered
    assert not rule.judge("v1x0").triggered
    assert "latest, v1.0" in rule.judge("other").reason


@pytest.mark.parametrize(
    ("arguments", "kind", "tag"),
    [
        ({}, "ALL", ""),
        ({"tags": ["a", "b"]}, "TAG_LIST", "a,b"),
        ({"tag_regex": "v.*"}, "TAG_REG_EXP", "v.*"),
    ],
)
def test_type_and_tag_are_named_as_registries_do(arguments, kind, tag):
    rule = TagRule(**arguments)
    assert (rule.trigger_type, rule.trigger_tag) == (kind, tag)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"tags": ["a"], "tag_regex": "a"}, "not both"),
        ({"tags": []}, "empty list"),
        ({"tags": [f"t{n}" for n in range(11)]}, "at most 10"),
        ({"tags": ["a", "b", "a"]}, "a is listed more than once"),
        ({"tags": [""]}, "cannot be a tag"),
        ({"tags": ["a b"]}, "cannot be a tag"),
        ({"tags": ["-a"]}, "cannot be a tag"),
        ({"tags": ["a\n"]}, "cannot be a tag"),
        ({"tags": ["a" * 129]}, "cannot be a tag"),
        ({"tags": [1]}, "cannot be a tag"),
        ({"tags": "latest"}, "expected a list"),
        ({"tag_regex": ""}, "empty expression"),
        ({"tag_regex": "["}, "missing ]"),
        ({"tag_regex": "(?=x)"}, "look-around"),
        ({"tag_regex": "(?<!x)y"}, "look-around"),
        ({"tag_regex": r"(a)\1"}, "back-references"),
        ({"tag_regex": "a{1001}"}, "repetition"),
        ({"tag_regex": "\ud800"}, "Unicode"),
        ({"tag_regex": 1}, "expected text"),
    ],
)
def test_a_rule_that_cannot_work_says_why(arguments, words):
    with pytest.raises(ValueError, match=".") as error:
        TagRule(**arguments)
    assert words in str(error.value)


@given(st.text(max_size=60))
def test_any_expression_gives_a_rule_or_a_value_error(expression):
    try:
        rule = TagRule(tag_regex=expression)
    except ValueError:
        return
    assert isinstance(rule.judge("latest").triggered, bool)


@given(st.text(max_size=60))
def test_any_text_can_be_judged(tag):
    for rule in (TagRule(), TagRule(tags=["a"]), TagRule(tag_regex=".*"), TagRule(tag_regex="(a+)+b")):
        assert rule.judge(tag).reason.isascii()


@given(st.lists(TAGS, min_size=1, max_size=10, unique=True), TAGS)
def test_a_list_covers_its_tags_and_no_other(tags, other):
    rule = TagRule(tags=tags)
    assert all(rule.covers(tag) for tag in tags)
    assert rule.covers(other) is (other in tags)


def test_a_hostile_expression_takes_linear_time():
    # A backtracking engine would not end within the life of the machine.
    assert not TagRule(tag_regex="(a*)*b").judge("a" * 128).triggered


def test_a_bad_expression_writes_nothing_to_stderr():
    code = (
        "from airflow_registry_triggers.tag_rule import TagRule\n"
        "try: TagRule(tag_regex='(?=x)')\nexcept ValueError: print('refused')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("refused", "")
