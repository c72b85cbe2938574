# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

import json
import pickle
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_registry_triggers.tag_rule import TagRule
from airflow_registry_triggers.version_range import VersionRange, parse_version

TAGS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,30}", fullmatch=True)
VERSION_TAGS = st.from_regex(r"(release-)?v?[0-3]\.[0-3]\.[0-3](-(rc\.[0-9]|alpine|0))?", fullmatch=True)
RULES = (
    TagRule(),
    TagRule(tags=["a", "1.2.3"]),
    TagRule(tag_regex=".*"),
    TagRule(tag_regex="(a+)+b"),
    TagRule(exclude_regex=".*-rc.*"),
    TagRule(semver=">=1.2 <2"),
    TagRule(semver="^1-0", exclude_regex=".*-alpine"),
    TagRule(tag_regex=r"release-(?P<version>.*)", semver="^1.2"),
    TagRule(tag_regex=r"(release-(?P<version>.*))?.*", semver="^1.2", exclude_regex="x.*"),
)
SUCH_TAGS = "Use 1 to 128 characters of A-Z a-z 0-9 _ . -, the first of them not '.' or '-'."


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
def test_tag_regex_of_a_tag_matches_the_whole_tag(expression, tag, triggered):
    assert TagRule(tag_regex=expression).judge(tag).triggered is triggered


@pytest.mark.parametrize(("tag", "triggered"), [("latest", True), ("Latest", False), ("v1x0", False)])
def test_tags_with_a_tag_match_exactly(tag, triggered):
    assert TagRule(tags=["latest", "v1.0"]).judge(tag).triggered is triggered


@pytest.mark.parametrize(
    ("arguments", "tag", "kind", "reason"),
    [
        ({}, "a", "all", "every push triggers"),
        ({"tag_regex": "*"}, "a", "all", "every push triggers"),
        ({"tags": ["a", "b"]}, "a", "listed", "'a' is listed"),
        ({"tags": ["a", "b"]}, "c", "not_listed", "'c' is not among the tags a, b"),
        ({"tag_regex": "a.*"}, "ab", "regex_match", "'ab' matches a.*"),
        ({"tag_regex": "a"}, "ab", "regex_mismatch", "'ab' does not match a (the whole tag must match)"),
        (
            {"exclude_regex": ".*-rc.*"},
            "1.2.3",
            "all",
            "every push that does not match exclude_regex .*-rc.* triggers",
        ),
        (
            {"tag_regex": "*", "exclude_regex": ".*-rc.*"},
            "1.2.3",
            "all",
            "every push that does not match exclude_regex .*-rc.* triggers",
        ),
        (
            {"exclude_regex": ".*-rc.*"},
            "1.2.3-rc.1",
            "excluded",
            "'1.2.3-rc.1' matches exclude_regex .*-rc.*",
        ),
        ({"tag_regex": "a.*", "exclude_regex": ".*b"}, "ac", "regex_match", "'ac' matches a.*"),
        ({"tag_regex": "a.*", "exclude_regex": ".*b"}, "ab", "excluded", "'ab' matches exclude_regex .*b"),
        ({"semver": ">=1.2 <2"}, "1.5.0", "in_range", "'1.5.0' is in >=1.2 <2"),
        ({"semver": ">=1.2 <2"}, "v1.5.0", "in_range", "'v1.5.0' is in >=1.2 <2"),
        ({"semver": ">=1.2 <2", "tag_regex": "*"}, "1.5.0", "in_range", "'1.5.0' is in >=1.2 <2"),
        ({"semver": ">=1.2 <2"}, "2.0.0", "out_of_range", "'2.0.0' is not in >=1.2 <2"),
        (
            {"semver": ">=1.2 <2"},
            "1.3.0-alpine",
            "pre_release",
            (
                "'1.3.0-alpine' is a pre-release, and >=1.2 <2 matches releases only. "
                "Add -0 to a bound to match both, for example >=1.2-0."
            ),
        ),
        (
            {"semver": ">=1.2 <2"},
            "latest",
            "not_a_version",
            "'latest' is not a version. A version has three numbers, for example 1.2.3 or v1.2.3.",
        ),
        (
            {"semver": "*", "tag_regex": "1.*"},
            "2.0.0",
            "regex_mismatch",
            "'2.0.0' does not match 1.* (the whole tag must match)",
        ),
        (
            {"semver": ">=1.2 <2", "exclude_regex": ".*-rc.*"},
            "latest-rc",
            "excluded",
            "'latest-rc' matches exclude_regex .*-rc.*",
        ),
    ],
)
def test_judge_returns_kind_and_reason(arguments, tag, kind, reason):
    verdict = TagRule(**arguments).judge(tag)
    assert (verdict.kind, verdict.reason) == (kind, reason)
    assert verdict.triggered is (kind in {"all", "listed", "regex_match", "in_range"})


@pytest.mark.parametrize(
    ("expression", "tag", "kind", "reason"),
    [
        (
            "release-(?P<version>.*)",
            "release-1.5.0",
            "in_range",
            "'release-1.5.0' (version 1.5.0) is in >=1.2 <2",
        ),
        (
            "release-(?P<version>.*)",
            "release-2.0.0",
            "out_of_range",
            "'release-2.0.0' (version 2.0.0) is not in >=1.2 <2",
        ),
        (
            "(?P<version>.*?)(_.*)?",
            "1.5.0-rc.1_amd64",
            "pre_release",
            (
                "'1.5.0-rc.1_amd64' (version 1.5.0-rc.1) is a pre-release, and >=1.2 <2 matches releases only. "
                "Add -0 to a bound to match both, for example >=1.2-0."
            ),
        ),
        (
            "release-(?P<version>.*)",
            "release-1.5",
            "not_a_version",
            (
                "'release-1.5' (version 1.5) is not a version. "
                "A version has three numbers, for example 1.2.3 or v1.2.3."
            ),
        ),
        (
            "release(-(?P<version>.*))?",
            "release",
            "not_a_version",
            "'release' is not a version. A version has three numbers, for example 1.2.3 or v1.2.3.",
        ),
        (
            "release-(?P<version>.*)",
            "1.5.0",
            "regex_mismatch",
            "'1.5.0' does not match release-(?P<version>.*) (the whole tag must match)",
        ),
        ("(?P<other>.*)", "1.5.0", "in_range", "'1.5.0' is in >=1.2 <2"),
    ],
)
def test_semver_with_a_group_applies_to_its_text(expression, tag, kind, reason):
    verdict = TagRule(tag_regex=expression, semver=">=1.2 <2").judge(tag)
    assert (verdict.kind, verdict.reason) == (kind, reason)


def test_group_version_without_semver_has_no_effect():
    verdict = TagRule(tag_regex="release-(?P<version>.*)").judge("release-x")
    assert (verdict.kind, verdict.triggered) == ("regex_match", True)


@pytest.mark.parametrize(
    ("arguments", "kind", "tag"),
    [
        ({}, "ALL", ""),
        ({"tags": ["a", "b"]}, "TAG_LIST", "a,b"),
        ({"tag_regex": "v.*"}, "TAG_REG_EXP", "v.*"),
        ({"semver": ">=1.2 <2"}, "TAG_SEMVER", ">=1.2 <2"),
        (
            {"semver": ">=1.2 <2", "tag_regex": "release-(?P<version>.*)"},
            "TAG_SEMVER",
            ">=1.2 <2 and release-(?P<version>.*)",
        ),
        ({"exclude_regex": ".*-rc.*"}, "TAG_REG_EXP", "not .*-rc.*"),
        ({"exclude_regex": ".*-rc.*", "tag_regex": "v.*"}, "TAG_REG_EXP", "v.* not .*-rc.*"),
        ({"exclude_regex": ".*-rc.*", "semver": "^1"}, "TAG_SEMVER", "^1 not .*-rc.*"),
        (
            {"exclude_regex": ".*-rc.*", "semver": "^1", "tag_regex": "v.*"},
            "TAG_SEMVER",
            "^1 and v.* not .*-rc.*",
        ),
    ],
)
def test_trigger_type_and_trigger_tag_name_the_conditions(arguments, kind, tag):
    rule = TagRule(**arguments)
    assert (rule.trigger_type, rule.trigger_tag) == (kind, tag)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            {"tags": ["latest"], "semver": ">=1"},
            (
                "tags=['latest'] and semver='>=1': tags cannot be combined with another condition. "
                "Set one of them."
            ),
        ),
        (
            {"tags": ["a"], "tag_regex": "a", "exclude_regex": "b"},
            (
                "tags=['a'] and tag_regex='a' and exclude_regex='b': tags cannot be combined with another "
                "condition. Set one of them."
            ),
        ),
        ({"tags": []}, "tags=[]: an empty list matches no tag. Remove tags to match every tag."),
        (
            {"tags": [f"t{n}" for n in range(11)]},
            "tags has 11 tags, and at most 10 are allowed. Use tag_regex.",
        ),
        ({"tags": ["a", "b", "a"]}, "tags: a is listed more than once. List each tag once."),
        ({"tags": [""]}, f"tags: '' is not a valid tag. {SUCH_TAGS}"),
        ({"tags": ["a b"]}, f"tags: 'a b' is not a valid tag. {SUCH_TAGS}"),
        ({"tags": ["a", "-a"]}, f"tags: '-a' is not a valid tag. {SUCH_TAGS}"),
        ({"tags": ["a\n"]}, f"tags: 'a\\n' is not a valid tag. {SUCH_TAGS}"),
        ({"tags": ["a" * 129]}, f"tags: '{'a' * 129}' is not a valid tag. {SUCH_TAGS}"),
        ({"tags": [1]}, f"tags: 1 is not a valid tag. {SUCH_TAGS}"),
        ({"tags": "latest"}, "tags='latest': expected a list. Write a list such as ['latest']."),
        (
            {"tag_regex": ""},
            "tag_regex='': an empty expression matches no tag. Remove tag_regex to match every tag.",
        ),
        (
            {"exclude_regex": ""},
            "exclude_regex='': an empty expression matches no tag. Remove exclude_regex to exclude no tag.",
        ),
        ({"tag_regex": "\ud800"}, "tag_regex='\\ud800': the text is not valid Unicode."),
        ({"exclude_regex": "\ud800"}, "exclude_regex='\\ud800': the text is not valid Unicode."),
        ({"tag_regex": 1}, "tag_regex=1: expected text. Write text such as 'release-v.*'."),
        ({"exclude_regex": 1}, "exclude_regex=1: expected text. Write text such as 'release-v.*'."),
        ({"semver": 1}, "semver=1: expected text. Write a range such as '>=1.2 <2'."),
        ({"semver": ">2 <1"}, "semver='>2 <1': no version satisfies '>2 <1'."),
        (
            {"exclude_regex": ".*"},
            "exclude_regex='.*' excludes every tag that the rule matches. Remove it or narrow it.",
        ),
        (
            {"exclude_regex": "*"},
            "exclude_regex='*' excludes every tag that the rule matches. Remove it or narrow it.",
        ),
        (
            {"exclude_regex": "v.*", "tag_regex": "v.*", "semver": "1"},
            "exclude_regex='v.*' excludes every tag that the rule matches. Remove it or narrow it.",
        ),
    ],
)
def test_rule_with_a_fault_raises_its_text(arguments, text):
    with pytest.raises(ValueError) as error:
        TagRule(**arguments)
    assert str(error.value) == text


@pytest.mark.parametrize("name", ["tag_regex", "exclude_regex"])
@pytest.mark.parametrize(
    ("expression", "word"),
    [
        ("[", "missing ]"),
        ("(?=x)", "look-around"),
        ("(?<!x)y", "look-around"),
        (r"(a)\1", "back-references"),
        ("a{1001}", "repetition"),
        ("**", "no argument for repetition"),
    ],
)
def test_invalid_expression_raises_the_text_of_re2(name, expression, word):
    with pytest.raises(ValueError) as error:
        TagRule(**{name: expression})
    assert str(error.value).startswith(f"{name}={expression!r}: ")
    assert word in str(error.value)


@given(st.text(max_size=60), st.sampled_from(["tag_regex", "exclude_regex", "semver"]))
def test_any_condition_is_a_rule_or_raises_value_error_with_its_name(text, name):
    try:
        rule = TagRule(**{name: text})
    except ValueError as error:
        assert str(error).startswith(f"{name}={text!a}")
        return
    assert isinstance(rule.judge("latest").triggered, bool)


@given(st.text(max_size=60) | VERSION_TAGS, st.sampled_from(RULES))
def test_judge_of_any_text_returns_ascii_and_agrees_with_covers(tag, rule):
    verdict = rule.judge(tag)
    assert verdict.reason.isascii()
    assert verdict.triggered is rule.covers(tag)


@given(st.lists(TAGS, min_size=1, max_size=10, unique=True), TAGS)
def test_covers_of_a_list_returns_true_for_its_tags_only(tags, other):
    rule = TagRule(tags=tags)
    assert all(rule.covers(tag) for tag in tags)
    assert rule.covers(other) is (other in tags)


@given(VERSION_TAGS)
def test_covers_of_a_range_depends_on_the_version_alone(tag):
    rule = TagRule(tag_regex="(release-)?(?P<version>.*)", semver=">=1.2 <2.0.0 || 3.x-0")
    version = parse_version(tag.removeprefix("release-"))
    assert rule.covers(tag) is (VersionRange(rule.semver).check(version) == "in_range")


@given(
    VERSION_TAGS | TAGS, st.sampled_from(["", "*-0", "^1.2"]), st.sampled_from([None, "*", "[a-z].*", ".*0"])
)
def test_exclude_regex_with_a_matching_tag_overrides_other_conditions(tag, semver, tag_regex):
    conditions = {"semver": semver or None, "tag_regex": tag_regex, "exclude_regex": ".*1.*"}
    verdict = TagRule(**conditions).judge(tag)
    assert (verdict.kind == "excluded") is ("1" in tag)
    if "1" not in tag:
        assert verdict.triggered is TagRule(**{**conditions, "exclude_regex": None}).covers(tag)


@pytest.mark.parametrize("tag", ["\ud800-debug", "\u00fc-debug"])
def test_exclude_regex_of_a_tag_outside_ascii_matches(tag):
    assert TagRule(exclude_regex=".+-debug").judge(tag).kind == "excluded"


@pytest.mark.parametrize("tag", ["\ud800-debug", "\u00fc-debug"])
def test_tag_regex_of_a_tag_outside_ascii_does_not_match(tag):
    assert TagRule(tag_regex=".*").judge(tag).kind == "regex_mismatch"


def test_tag_of_128_digits_is_not_a_version():
    assert TagRule(semver="*-0").judge("1" * 128).kind == "not_a_version"


def test_hostile_expression_takes_linear_time():
    # A backtracking engine does not finish within the time limit of the test.
    assert not TagRule(tag_regex="(a*)*b").judge("a" * 128).triggered
    assert TagRule(exclude_regex="(a*)*b").judge("a" * 128).triggered


@pytest.mark.parametrize(
    ("rule", "stored"),
    [
        (TagRule(), '{"tag_regex": null}'),
        (TagRule(tags=["b", "a"]), '{"tags": ["b", "a"]}'),
        (TagRule(tag_regex="v.*"), '{"tag_regex": "v.*"}'),
        (TagRule(tag_regex="*"), '{"tag_regex": "*"}'),
    ],
)
def test_to_dict_without_the_later_conditions_is_unchanged(rule, stored):
    assert json.dumps(rule.to_dict()) == stored


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_to_dict_of_a_rule_describes_it_completely(rule):
    stored = rule.to_dict()
    assert TagRule(**json.loads(json.dumps(stored))) == rule
    assert not {"semver", "exclude_regex"} & {name for name, value in stored.items() if value is None}


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_rule_is_equal_to_its_copy_only(rule):
    copy = pickle.loads(pickle.dumps(rule))
    assert (copy, hash(copy)) == (rule, hash(rule))
    assert [other for other in RULES if other == copy] == [rule]
    assert copy.judge("1.2.3") == rule.judge("1.2.3")


def test_conditions_of_a_rule_returns_the_set_ones():
    rule = TagRule(tag_regex="v.*", semver="^1", exclude_regex="x")
    assert TagRule().conditions() == {}
    assert rule.conditions() == {"tag_regex": "v.*", "semver": "^1", "exclude_regex": "x"}
    assert repr(rule) == "TagRule(tag_regex='v.*', semver='^1', exclude_regex='x')"


def test_group_text_of_a_matching_tag_returns_its_group():
    rule = TagRule(tag_regex="(?P<name>[a-z]+)(-(?P<order>[0-9]+))?")
    assert set(rule.groups) == {"name", "order"}
    assert [rule.group_text(tag, "order") for tag in ("main-12", "main", "1", "\u00fc-1")] == [
        "12",
        None,
        None,
        None,
    ]


def run_python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)


def test_invalid_expression_writes_nothing_to_stderr():
    code = (
        "from airflow_registry_triggers.tag_rule import TagRule\n"
        "try: TagRule(tag_regex='(?=x)')\nexcept ValueError: print('rejected')"
    )
    done = run_python(code)
    assert (done.stdout.strip(), done.stderr) == ("rejected", "")


def test_rule_with_some_conditions_loads_only_its_libraries():
    code = (
        "import sys\nfrom airflow_registry_triggers.tag_rule import TagRule\n"
        "def loaded(): return sorted({'re2', 'semver', 'airflow'} & set(sys.modules))\n"
        "TagRule(tags=['a']); print(loaded())\nTagRule(semver='1'); print(loaded())"
    )
    assert run_python(code).stdout.splitlines() == ["[]", "['semver']"]
