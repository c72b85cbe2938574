# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Each problem of a trigger file with its line, its column and its text; which triggers it holds."""

from __future__ import annotations

import time
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_registry_triggers.trigger_file.loader import load, load_text
from airflow_registry_triggers.trigger_file.problems import MAX_BYTES, FaultyFile

GOOD = """\
version: 1
defaults:
  registry: registry_default      # Connection ids are the only way to a secret
  owner: platform
triggers:
  prod:
    repository: team/app
    semver: ">=1.2 <2"
    exclude_regex: .*-debug
    webhook: deploy_prod
    headers: {X-Environment: prod}
    description: Releases go to production
  staging:
    repository: [team/app, team/worker]
    tags: [latest, main, 1.10]    # stays 1.10
    webhook: deploy_staging
    collapse: image
    labels: [staging]
  old:
    repository: team/old
    webhook: deploy_prod
    enabled: false
"""


def loaded(text, **options):
    return load_text("t.yaml", text.encode(), **options)


def entry(fields, name="prod", before=""):
    """Return a file with one trigger, whose fields begin in line 3 and column 5."""
    lines = "\n".join(f"    {line}" for line in fields.splitlines())
    return f"{before}triggers:\n  {name}:\n{lines}\n"


def lines(text, **options):
    return loaded(text, **options).lines


def held(text):
    return {one.name: bool(one.problems) for one in loaded(text).entries}


RECEIVER = "webhook: w\n"
APP = "repository: team/app\n"


def test_load_of_the_documented_example_returns_its_triggers():
    file = loaded(GOOD)
    assert file.lines == []
    prod, staging, old = [one.trigger for one in file.entries]
    assert (prod.semver, prod.exclude_regex, prod.owner, prod.headers) == (
        ">=1.2 <2", ".*-debug", "platform", {"X-Environment": "prod"},
    )  # fmt: skip
    assert (staging.repositories, staging.tags, staging.collapse) == (
        ["team/app", "team/worker"], ["latest", "main", "1.10"], "image",
    )  # fmt: skip
    assert (old.enabled, prod.enabled, old.registry, old.request_timeout) == (
        False,
        True,
        "registry_default",
        15,
    )
    assert [one.declared_in for one in file.entries] == ["t.yaml:6", "t.yaml:13", "t.yaml:19"]


def test_load_of_a_bad_field_names_its_position_and_near_name():
    text = (
        "version: 1\n"
        + "".join(f"# {number}\n" for number in range(2, 13))
        + ("triggers:\n  nightly:\n    repository: team/app\n    tag-regex: n.*\n    webhook: w\n")
    )
    assert lines(text) == [
        "t.yaml:16:5: triggers.nightly.tag-regex: no such field; did you mean 'tag_regex'?"
    ]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (APP + RECEIVER + "xyz: 1", ["5:5: triggers.prod.xyz: no such field"]),
        (RECEIVER, ["2:3: triggers.prod: repository is missing"]),
        (APP, ["2:3: triggers.prod: no receiver: set webhook (a Connection id) or url"]),
        ("repository: {a: b}\n" + RECEIVER, ["3:17: triggers.prod.repository: expected text or a list, not a mapping"]),
        (APP + "webhook: [a]", ["4:14: triggers.prod.webhook: expected text, not a list"]),
        (APP + RECEIVER + "tags: latest", ["5:11: triggers.prod.tags: expected a list, not 'latest'"]),
        (APP + RECEIVER + "tags: [a, [b]]", ["5:15: triggers.prod.tags.1: expected text, not a list"]),
        (APP + RECEIVER + "headers: x", ["5:14: triggers.prod.headers: expected a mapping, not 'x'"]),
        (APP + RECEIVER + "headers: {A: {b: c}}", ["5:18: triggers.prod.headers.A: expected text, not a mapping"]),
        (APP + RECEIVER + "enabled: yes", ["5:14: triggers.prod.enabled: expected true or false, not 'yes'"]),
        (APP + RECEIVER + "enabled: True", ["5:14: triggers.prod.enabled: expected true or false, not 'True'"]),
        (APP + RECEIVER + "collapse: images", ["5:15: triggers.prod.collapse: expected true, false or image, not 'images'"]),
        (APP + RECEIVER + "request_timeout: 600", ["5:22: triggers.prod.request_timeout: 600 is outside 1 to 60"]),
        (APP + RECEIVER + "request_timeout: fast", ["5:22: triggers.prod.request_timeout: expected a number, not 'fast'"]),
        (APP + RECEIVER + "request_timeout: .inf", ["5:22: triggers.prod.request_timeout: expected a number, not '.inf'"]),
        (APP + RECEIVER + "success_statuses: [409, 99]", ["5:29: triggers.prod.success_statuses.1: 99 is outside 200 to 599"]),
        (APP + RECEIVER + "success_statuses: [4.5]", ["5:24: triggers.prod.success_statuses.0: expected a number, not '4.5'"]),
        (APP + RECEIVER + "watch: some", ["5:12: triggers.prod.watch: 'some' is not one of all, matching"]),
        (APP + RECEIVER + "newest: latest", ["5:13: triggers.prod.newest: 'latest' is not one of version, number, text"]),
        (APP + RECEIVER + "body_format: xml", ["5:18: triggers.prod.body_format: 'xml' is not one of registry, cloudevents, cloudevents-binary"]),
        (APP + RECEIVER + "semver: 1.x.3", ["5:13: triggers.prod.semver: semver='1.x.3': a number follows x. Write '1.x'."]),
        (APP + RECEIVER + "exclude_regex: .*", ["5:20: triggers.prod.exclude_regex: exclude_regex='.*' excludes every tag that the rule matches. Remove it or narrow it."]),
        (APP + RECEIVER + "tags:\n- a\n- a b", ["7:7: triggers.prod.tags.1: tags: 'a b' is not a valid tag. Use 1 to 128 characters of A-Z a-z 0-9 _ . -, the first of them not '.' or '-'."]),
        (APP + RECEIVER + "tags: [a, b, a]", ["5:18: triggers.prod.tags.2: tags: a is listed more than once. List each tag once."]),
        (APP + RECEIVER + "tags: []", ["5:11: triggers.prod.tags: tags=[]: an empty list matches no tag. Remove tags to match every tag."]),
        (APP + "url: https://h.example/x?token=1", ["4:10: triggers.prod.url: a URL in this file has no query, because it may contain a secret. Set secret_query on the Connection."]),
        (APP + RECEIVER + "semver: '1'\ntags: [a]", ["6:5: triggers.prod.tags: tags=['a'] and semver='1': tags cannot be combined with another condition. Set one of them."]),
        (APP + RECEIVER + "tags: [a]\nnewest: text", ["6:5: triggers.prod.newest: tags=['a'] and newest='text': newest cannot be combined with tags. Set one of them."]),
        (APP + RECEIVER + "exclude_regex: a\ntag_regex: a", ["5:20: triggers.prod.exclude_regex: exclude_regex='a' excludes every tag that the rule matches. Remove it or narrow it."]),
        (APP + RECEIVER + "webhook: v", ["5:5: triggers.prod.webhook: given twice (first on line 4); remove one"]),
        (APP + RECEIVER + "headers: {A: b, A: c}", ["5:21: triggers.prod.headers.A: given twice (first on line 5); remove one"]),
        (APP + RECEIVER + "<<: {a: b}", ["5:5: triggers.prod.<<: merge keys are not supported; use defaults"]),
        (APP + RECEIVER + "description: !x a", ["5:18: triggers.prod.description: YAML tags are not supported"]),
        (APP + RECEIVER + "description: !!str a", ["5:18: triggers.prod.description: YAML tags are not supported"]),
        (APP + RECEIVER + "headers: &h {a: *h}", ["5:21: triggers.prod.headers.a: an alias contains itself"]),
        (APP + RECEIVER + "labels: &l [a, *l]", ["5:20: triggers.prod.labels.1: an alias contains itself"]),
        (APP + RECEIVER + "? [a, b]\n: c\ndescription: !x d", ["5:7: triggers.prod: expected text, not a list", "7:18: triggers.prod.description: YAML tags are not supported"]),
        (APP + RECEIVER + "url: https://h.example/{{ x }}", ["5:10: triggers.prod.url: templates are not supported in this file, except in body_template"]),
        (APP + RECEIVER + "headers: {A: '{% x %}'}", ["5:18: triggers.prod.headers.A: templates are not supported in this file, except in body_template"]),
        (APP + RECEIVER + "body_template: '{'", ["5:20: triggers.prod.body_template: body_template must render to JSON"]),
        (APP + RECEIVER + "body_format: cloudevents\nbody_template: '{}'", ["6:5: triggers.prod.body_template: body_format='cloudevents' and body_template exclude each other; remove one of them"]),
        (APP + RECEIVER + "headers: {Host: b}", ["5:21: triggers.prod.headers.Host: header 'Host' is reserved"]),
        (APP + RECEIVER + "labels: [held]", ["5:14: triggers.prod.labels.0: 'held' marks a state of a trigger; use another label"]),
        (APP + "webhook: a b", ["4:14: triggers.prod.webhook: 'a b' is not a Connection id. Use letters, digits, '_', '.' and '-'."]),
        (APP + RECEIVER + "registry: a/b", ["5:15: triggers.prod.registry: registry_conn_id='a/b' is not valid"]),
        ("repository: [team/app, Team/x]\n" + RECEIVER, ["3:28: triggers.prod.repository.1: repository='Team/x'"]),
        ("repository: [a, a]\n" + RECEIVER, ["3:21: triggers.prod.repository.1: 'a' is listed more than once. List each repository once."]),
        ("repository: []\n" + RECEIVER, ["3:17: triggers.prod.repository: an empty list watches no repository."]),
    ],
)  # fmt: skip
def test_load_of_one_fault_reports_it_at_its_position(fields, expected):
    found = lines(entry(fields))
    assert len(found) == len(expected), found
    for line, beginning in zip(found, expected, strict=True):
        assert line.startswith(f"t.yaml:{beginning}")
    assert list(held(entry(fields)).values()) == [True]


def test_load_of_an_asset_that_is_too_long_reports_the_repository():
    fields = APP + RECEIVER + "watch: matching\nexclude_regex: " + "v|" * 800 + "v"
    (line,) = lines(entry(fields))
    assert line.startswith("t.yaml:3:17: triggers.prod.repository: repository_asset: the URI has ")
    assert lines(entry(fields.replace("watch: matching", "watch: all"))) == []


def test_load_of_several_faults_reports_all_in_the_order_of_the_file():
    fields = "xyz: 1\nurl: ftp://h.example\nsemver: latest\nrepository: A\ncollapse: maybe\n"
    found = lines(entry(fields))
    assert [line.split(": ")[0] for line in found] == [
        "t.yaml:3:5", "t.yaml:4:10", "t.yaml:5:13", "t.yaml:6:17", "t.yaml:7:15",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["Nightly", "-a", "a b", "a" * 101, "ü"])
def test_load_of_an_invalid_name_reports_its_key(name):
    (line,) = lines(entry(APP + RECEIVER, name=name))
    assert line == (
        f"t.yaml:2:3: triggers.{name}: {name!a} is not a valid name: use a-z 0-9 _ . - and begin with a letter or digit"
    )


def test_load_of_a_repeated_name_holds_the_later_one():
    text = entry(APP + RECEIVER) + "  prod:\n    repository: team/other\n    webhook: w\n"
    file = loaded(text)
    assert file.lines == ["t.yaml:5:3: triggers.prod: given twice (first on line 2); remove one"]
    (one,) = file.entries
    assert (one.trigger, one.values["repository"], one.line) == (None, "team/other", 5)


@pytest.mark.parametrize(
    ("defaults", "is_held", "line"),
    [
        ("request_timeout: 600", {"own": False, "inherits": True}, "2:20: defaults.request_timeout: 600 is outside 1 to 60"),
        ("tiemout: 5", {"own": True, "inherits": True}, "2:3: defaults.tiemout: no such field"),
        ("repository: a", {"own": True, "inherits": True}, "2:3: defaults.repository: no such field; did you mean 'registry'?"),
        ("<<: {a: b}", {"own": True, "inherits": True}, "2:3: defaults.<<: merge keys are not supported; use defaults"),
        ("request_timeout: 5\n  request_timeout: 6", {"own": False, "inherits": True}, "3:3: defaults.request_timeout: given twice (first on line 2); remove one"),
        ("headers: {A: !x b}", {"own": True, "inherits": True}, "2:16: defaults.headers.A: YAML tags are not supported"),
    ],
)  # fmt: skip
def test_load_of_faulty_defaults_holds_triggers_that_inherit_them(defaults, is_held, line):
    text = f"""\
defaults:
  {defaults}
triggers:
  own: {{repository: a, webhook: w, request_timeout: 5}}
  inherits: {{repository: a, webhook: w}}
"""
    assert held(text) == is_held
    assert lines(text) == [f"t.yaml:{line}"]


def test_load_of_defaults_that_are_no_mapping_holds_all():
    text = "defaults: [a]\ntriggers:\n  a: {repository: a, webhook: w}\n"
    assert lines(text) == ["t.yaml:1:11: defaults: expected a mapping, not a list"]
    assert held(text) == {"a": True}


def test_load_of_a_trigger_with_its_own_field_replaces_the_default_as_a_whole():
    text = entry(
        APP + RECEIVER + "headers: {B: c}",
        before="defaults:\n  headers: {A: b}\n  url: https://h.example/x\n",
    )
    (one,) = loaded(text).entries
    assert (one.trigger.headers, one.trigger.url, one.trigger.webhook) == (
        {"B": "c"},
        "https://h.example/x",
        "w",
    )


def test_load_of_a_default_receiver_needs_none_in_the_trigger():
    assert lines(entry(APP, before="defaults:\n  webhook: w\n")) == []
    found = lines(entry(APP, before="defaults:\n  webhook: [a]\n"))
    assert found == ["t.yaml:2:12: defaults.webhook: expected text, not a list"]


def test_load_of_an_unknown_top_level_key_reports_it_and_holds_nothing():
    text = entry(APP + RECEIVER) + "trigers: 1\n"
    assert lines(text) == ["t.yaml:5:1: trigers: no such field; did you mean 'triggers'?"]
    assert held(text) == {"prod": False}


def test_load_of_repeated_triggers_keeps_the_triggers_of_both():
    text = entry(APP + RECEIVER) + "triggers:\n  b: {repository: b, webhook: w}\n"
    assert lines(text) == ["t.yaml:5:1: triggers: given twice (first on line 1); remove one"]
    assert held(text) == {"prod": False, "b": False}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("triggers: {a: [}", "t.yaml:1:16: while parsing a flow node: did not find expected node content"),
        (
            "a: b\n\tc: d",
            "t.yaml:2:1: while scanning a plain scalar: found a tab character that violates indentation",
        ),
        ("triggers: *x", "t.yaml:1:11: found undefined alias"),
        ("", "t.yaml:1:1: triggers is missing or not a mapping"),
        ("a", "t.yaml:1:1: triggers is missing or not a mapping"),
        ("version: 1", "t.yaml:1:1: triggers is missing or not a mapping"),
        ("triggers: [a]", "t.yaml:1:11: triggers is missing or not a mapping"),
        ("triggers:", "t.yaml:1:10: triggers is missing or not a mapping"),
        ("version: 2\ntriggers: {}", "t.yaml:1:10: version: expected 1, not '2'"),
        ("triggers: {}\n---\na: b", "t.yaml:2:1: a second document is not supported; remove it"),
    ],
)
def test_load_of_a_file_without_triggers_raises(text, error):
    with pytest.raises(FaultyFile) as raised:
        loaded(text)
    assert str(raised.value) == error


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"a: b\nc: \xff", "t.yaml:2:4: the file cannot be read as YAML: byte 0xff is not UTF-8"),
        (
            b"#" * (MAX_BYTES + 1),
            "t.yaml:1:1: the file has 1048577 bytes; at most 1048576 (1 MiB) are read. Split it.",
        ),
        (b"a: \x00", "t.yaml:1:1: control characters are not allowed"),
    ],
)
def test_load_of_bytes_that_are_no_text_raises(data, error):
    with pytest.raises(FaultyFile) as raised:
        load_text("t.yaml", data)
    assert str(raised.value) == error


def test_load_of_deeply_nested_brackets_raises():
    with pytest.raises(FaultyFile, match="t.yaml:1:"):
        load_text("t.yaml", b"[" * 100_000)


def test_load_of_aliases_that_expand_to_a_large_tree_ends_soon():
    levels = "".join(f"x{n + 1}: &x{n + 1} [{', '.join([f'*x{n}'] * 9)}]\n" for n in range(30))
    text = f"x0: &x0 a\n{levels}triggers:\n  a: {{repository: *x30, webhook: w, labels: *x30}}\n"
    began = time.process_time()
    found = [line for line in lines(text) if "triggers." in line]
    assert time.process_time() - began < 2
    assert {line.partition(": ")[2] for line in found} == {
        "triggers.a.repository.0: expected text, not a list",
        "triggers.a.labels.0: expected text, not a list",
    }


def test_load_of_anchors_and_aliases_reads_them():
    text = "triggers:\n  a: &a {repository: team/a, webhook: w}\n  b: *a\n  c: {repository: c, webhook: w, labels: &l [x]}\n  d: {repository: d, webhook: w, labels: *l}\n"
    file = loaded(text)
    assert file.lines == []
    assert [one.trigger.repository for one in file.entries] == ["team/a", "team/a", "c", "d"]
    assert file.entries[3].trigger.labels == ["x"]


@pytest.mark.parametrize("scalar", ["1.10", "on", "null", "0x10", "2026-01-01", "1_0"])
def test_load_of_a_scalar_keeps_its_text(scalar):
    (one,) = loaded(entry(APP + RECEIVER + f"tags: [{scalar}]\nlabels: [{scalar}]")).entries
    assert (one.trigger.tags, one.trigger.labels) == ([scalar], [scalar])


def test_load_of_a_range_with_an_exclamation_mark_is_no_yaml_tag():
    assert lines(entry(APP + RECEIVER + "semver: '>=1.0.0 !=1.4.0'\ndescription: a !b")) == []


def test_load_of_a_private_address_follows_the_networks():
    text = entry(APP + "url: https://10.1.2.3/x")
    assert lines(text, networks=("10.0.0.0/8",)) == []
    (line,) = lines(text, networks=())
    assert line.startswith("t.yaml:4:10: triggers.prod.url: ")


def test_load_of_secrets_in_wrong_fields_shows_none():
    fields = (
        "repository: https://user:planted@ghcr.io/team/app\nurl: https://user:planted@h.example/\n"
        'webhook: https://user:planted@h.example\nheaders: {Authorization: [planted], A: "plan\\u0001ted"}\n'
    )
    assert len(lines(entry(fields))) >= 4
    assert "planted" not in "\n".join(lines(entry(fields)))


def test_load_of_one_trigger_validates_no_other():
    text = entry(APP + RECEIVER) + "  bad: {}\n"
    file = loaded(text, only="prod")
    assert ([one.name for one in file.entries], file.lines) == (["prod"], [])
    assert len(loaded(text, only="bad").lines) == 2


def test_load_reads_the_file(tmp_path):
    file = tmp_path / "t.yaml"
    file.write_text(GOOD)
    assert [one.name for one in load("given", file).entries] == ["prod", "staging", "old"]
    with pytest.raises(FileNotFoundError):
        load(str(tmp_path / "none.yaml"))


VALUES = st.recursive(
    st.sampled_from(["1", "true", "team/app", ">=1", "a b", "{{", "image", "", "!x", "https://h.example/?a", "é", "\x01"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "B", "<<"]), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
FIELD_NAMES = st.sampled_from(
    ["repository", "tags", "tag_regex", "semver", "exclude_regex", "newest", "watch", "collapse", "registry",
     "webhook", "url", "headers", "body_format", "body_template", "success_statuses", "request_timeout", "owner",
     "labels", "enabled", "description", "other"]
)  # fmt: skip
_numbers = count()


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(FIELD_NAMES, VALUES, max_size=8), st.dictionaries(FIELD_NAMES, VALUES, max_size=4))
def test_load_of_random_fields_never_fails_and_names_a_place_for_each_problem(fields, defaults):
    import yaml

    text = yaml.safe_dump({"defaults": defaults, "triggers": {"prod": fields, "good": {"repository": "a", "webhook": "w", **dict.fromkeys((), "")}}})  # fmt: skip
    file = load_text("t.yaml", text.encode())
    height = text.count("\n") + 1
    for problem in file.problems:
        assert 1 <= problem.line <= height
        assert "\n" not in problem.shown("t.yaml")
    for one in file.entries:
        assert bool(one.problems) == (one.trigger is None)
        if one.trigger is not None:
            # The two entrances agree: Python code accepts a trigger that a file accepts.
            type(one.trigger)(name=one.name, **one.values)
