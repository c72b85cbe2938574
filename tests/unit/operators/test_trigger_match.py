# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The match without a running Airflow: arguments, the keys of its memory, and the images that it collapses."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from airflow_registry_triggers import TriggerMatchOperator
from airflow_registry_triggers.common.state_store import STATE_ASSET
from airflow_registry_triggers.exceptions import InvalidArgument
from tests.unit.memory_store import MemoryStore


class Scene:
    """One task instance with its stores."""

    def __init__(self, map_index=-1):
        self.store, self.xcoms = MemoryStore(), {}
        self.ti = SimpleNamespace(
            dag_id="dag",
            task_id="match",
            map_index=map_index,
            try_number=1,
            xcom_push=lambda key, value: self.xcoms.update({key: value}),
        )

    def run(self, *pushes, run_id="run", **arguments):
        task = TriggerMatchOperator(task_id="match", notifications=list(pushes), **arguments)
        context = {
            "ti": self.ti,
            "run_id": run_id,
            "task": SimpleNamespace(
                task_id="match",
                iter_mapped_dependants=lambda: iter(()),
                get_closest_mapped_task_group=lambda: None,
                get_flat_relatives=lambda upstream: [],
            ),
            "dag_run": SimpleNamespace(conf={}),
            "asset_state_store": {STATE_ASSET: self.store},
        }
        return task.execute(context)

    @property
    def reasons(self):
        return [record["reason"] for key, records in self.xcoms.items() if key.startswith("access_log.") for record in records]  # fmt: skip


def push(tag, digest="sha256:1", registry="registry.example.com"):
    return {
        "push_data": {"tag": tag, "digest": digest},
        "repository": {"repo_full_name": "team/app"},
        "event": {"id": f"{tag}@{digest}", "registry": registry},
    }


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"semver": "1||"}, "semver='1||': a comparison is missing. Write a range such as '>=1.2 <2'."),
        ({"exclude_regex": "["}, "exclude_regex='['"),
        (
            {"tag_regex": "a", "exclude_regex": "a"},
            "exclude_regex='a' excludes every tag that the rule matches.",
        ),
        ({"tags": ["latest"], "semver": ">=1"}, "tags=['latest'] and semver='>=1': tags cannot be combined"),
        ({"collapse": "images"}, "collapse='images' is not valid. Use False, True or 'image'."),
        ({"collapse": "images", "semver": "{{ params.range }}"}, "collapse='images' is not valid"),
    ],
)
def test_match_with_an_invalid_literal_argument_raises_while_parsing(arguments, text):
    for create in (TriggerMatchOperator, TriggerMatchOperator.partial):
        with pytest.raises(ValueError) as error:
            create(task_id="match", **arguments)
        assert str(error.value).startswith(text)


@pytest.mark.parametrize("name", ["semver", "exclude_regex"])
def test_match_with_a_templated_condition_is_checked_when_rendered(name):
    scene = Scene()
    task = TriggerMatchOperator(task_id="match", notifications=[], **{name: "{{ params.x }}"})
    assert name in task.template_fields
    setattr(task, name, "None")
    with pytest.raises(InvalidArgument, match=f"task 'match': {name}: rendered to the text None"):
        task.execute({"ti": scene.ti})


def test_match_with_a_rule_returns_matching_versions_and_a_reason_for_each():
    scene = Scene()
    tags = ("1.2.0", "1.3.0-debug", "1.3.0-alpine", "2.0.0", "latest")
    found = scene.run(*map(push, tags), semver=">=1.2 <2", exclude_regex=".*-debug")
    assert [item["push_data"]["tag"] for item in found] == ["1.2.0"]
    trigger = {"name": "prod", "type": "TAG_SEMVER", "tag": ">=1.2 <2 not .*-debug"}
    assert found[0]["event"]["trigger"] | {"name": "prod"} == trigger
    assert scene.reasons == [
        "'1.2.0' is in >=1.2 <2",
        "'1.3.0-debug' matches exclude_regex .*-debug",
        (
            "'1.3.0-alpine' is a pre-release, and >=1.2 <2 matches releases only. "
            "Add -0 to a bound to match both, for example >=1.2-0."
        ),
        "'2.0.0' is not in >=1.2 <2",
        "'latest' is not a version. A version has three numbers, for example 1.2.3 or v1.2.3.",
    ]


def test_match_of_a_notification_without_image_adds_it():
    with_digest, without, hub = Scene().run(
        push("a"), push("b", digest=None), push("c", registry="registry-1.docker.io")
    )
    assert with_digest["event"]["image"] == "registry.example.com/team/app@sha256:1"
    assert "image" not in without["event"]
    assert hub["event"]["image"] == "docker.io/team/app@sha256:1"


def test_match_that_collapses_images_returns_one_with_all_tags():
    scene = Scene()
    tags = ("1.2.3", "1.2", "1", "latest")
    (found,) = scene.run(*map(push, tags), collapse="image")
    assert found["push_data"]["tag"] == "1.2.3"
    assert found["event"]["tags"] == ["1", "1.2", "1.2.3", "latest"]
    assert "tag '1.2' has the digest of '1.2.3' in the same run (collapse=\"image\")" in scene.reasons
    scene.xcoms.clear()
    assert scene.run(push("latest"), run_id="later", collapse="image") == []
    assert "an earlier run of this Dag processed this push" in scene.reasons[0]


# Taken before `semver` and `exclude_regex` existed. Another key would deliver processed pushes again.
@pytest.mark.parametrize(
    ("arguments", "prefix"),
    [
        ({}, "processed/8c655c43d21bf214b8546d3e5f0c8d40/"),
        ({"trigger_name": "n", "tags": ["a", "b"]}, "processed/49c9feb7d769433634aa93fadce541aa/"),
        ({"tag_regex": "v.*"}, "processed/613306ae9de4e6d73993b95b52d42887/"),
    ],
)
def test_memory_of_a_mapped_match_without_new_conditions_has_the_same_keys_as_before(arguments, prefix):
    scene = Scene(map_index=0)
    scene.run(push("a"), push("v1"), **arguments)
    assert {key.rpartition("/")[0] + "/" for key in scene.store.values if key.startswith("processed")} == {
        prefix
    }


def test_memory_of_mapped_matches_with_other_conditions_is_apart():
    scene = Scene(map_index=0)
    for number, rule in enumerate(
        [{}, {"semver": "1.x"}, {"exclude_regex": "x"}, {"semver": "1.x", "exclude_regex": "x"}]
    ):
        assert len(scene.run(push("1.0.0"), run_id=f"run{number}", **rule)) == 1


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
