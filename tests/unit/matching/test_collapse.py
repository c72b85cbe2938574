# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_registry_triggers.access_record import Status
from airflow_registry_triggers.matching.collapse import checked_collapse, collapsed, collapsed_tags
from airflow_registry_triggers.matching.verdicts import decide
from airflow_registry_triggers.notification import Notification
from airflow_registry_triggers.tag_rule import TagRule
from tests.unit.matching.test_verdicts import Memory, statuses

EVERY_TAG = TagRule()


def push(tag="v1", push_id="1", generation=None, digest=None, repository="app", registry=""):
    return Notification.from_dict(
        {
            "push_data": {"tag": tag, "digest": digest},
            "repository": {"name": repository},
            "event": {"id": push_id, "generation": generation, "registry": registry},
        }
    )


def images(items, rule=EVERY_TAG, memory=None):
    """Collapse images; return the tags that trigger with ``event.tags``, and the reasons of the others."""
    left, decisions = collapsed("image", rule, items, decide(rule, items, memory or Memory()))
    kept, reasons = {}, []
    for item, decision in zip(left, decisions, strict=True):
        if decision.status is Status.TRIGGERED:
            kept[item.tag] = item.to_dict()["event"].get("tags")
        else:
            reasons.append(decision.reason)
    return kept, reasons


def test_collapsed_tags_with_generations_keeps_the_highest_of_each_tag():
    items = [push(generation=2), push(push_id="2", generation=1), push("v2", "3")]
    assert statuses(collapsed_tags(items, decide(TagRule(), items, Memory()))) == [
        "triggered",
        "untriggered",
        "triggered",
    ]


def test_collapsed_tags_without_generations_keeps_the_last():
    items = [push(), push(push_id="2")]
    assert statuses(collapsed_tags(items, decide(TagRule(), items, Memory()))) == ["untriggered", "triggered"]


def test_collapsed_tags_with_duplicates_keeps_them():
    items = [push(), push(push_id="2")]
    assert statuses(collapsed_tags(items, decide(TagRule(), items, Memory("2")))) == [
        "triggered",
        "duplicate",
    ]


@pytest.mark.parametrize("value", [False, True, "image"])
def test_checked_collapse_of_a_mode_returns_it(value):
    assert checked_collapse(value) == value


@pytest.mark.parametrize("value", ["images", None, 1, "", ["image"]])
def test_checked_collapse_of_another_value_raises(value):
    with pytest.raises(ValueError) as error:
        checked_collapse(value)
    assert str(error.value) == f"collapse={value!a} is not valid. Use False, True or 'image'."


def test_collapsed_images_of_four_tags_keeps_the_greatest_version():
    items = [push(tag, tag, digest="sha256:1") for tag in ("latest", "1", "1.2", "1.2.3")]
    kept, reasons = images(items)
    assert kept == {"1.2.3": ["1", "1.2", "1.2.3", "latest"]}
    assert reasons[2] == "tag '1.2' has the digest of '1.2.3' in the same run (collapse=\"image\")"
    assert len(reasons) == 3


@pytest.mark.parametrize(
    ("tags", "rule", "kept"),
    [
        (["b", "a"], EVERY_TAG, "b"),
        (["v1.2.3", "1.2.3"], EVERY_TAG, "v1.2.3"),
        (["1.10.0-rc.1", "1.9.0", "1.10.0"], EVERY_TAG, "1.10.0"),
        (["a-1.9.0", "a-1.10.0"], TagRule(tag_regex="a-(?P<version>.*)", semver="*"), "a-1.10.0"),
        (["a-1.9.0", "a-1.10.0"], TagRule(tag_regex="a-(?P<version>.*)"), "a-1.9.0"),
        (["9" * 128, "0.0.1"], EVERY_TAG, "0.0.1"),
    ],
)
def test_collapsed_images_keeps_the_greatest_version_else_the_first(tags, rule, kept):
    assert list(images([push(tag, tag, digest="sha256:1") for tag in tags], rule)[0]) == [kept]


def test_collapsed_images_of_another_repository_registry_or_digest_keeps_each():
    items = [
        push("a", "1", digest="sha256:1"),
        push("b", "2", digest="sha256:2"),
        push("c", "3", digest="sha256:1", repository="other"),
        push("d", "4", digest="sha256:1", registry="ghcr.io"),
    ]
    assert images(items) == ({"a": ["a"], "b": ["b"], "c": ["c"], "d": ["d"]}, [])


def test_collapsed_images_without_a_digest_leaves_notifications_as_they_are():
    assert images([push("a", "1"), push("b", "2")]) == ({"a": None, "b": None}, [])


def test_collapsed_images_keeps_the_newest_push_of_each_tag_first():
    items = [
        push("1.0.0", "1", generation=1, digest="sha256:1"),
        push("1.0.0", "2", generation=2, digest="sha256:2"),
        push("latest", "3", digest="sha256:1"),
    ]
    kept, reasons = images(items)
    assert kept == {"1.0.0": ["1.0.0"], "latest": ["latest"]}
    assert reasons == ["a newer push of this tag is in the same run (collapse=True)"]


def test_collapsed_images_in_a_later_run_are_duplicates():
    items = [push(tag, tag, digest="sha256:1") for tag in ("1.2.3", "latest")]
    memory = Memory()
    images(items, memory=memory)
    assert statuses(decide(EVERY_TAG, items, memory)) == ["duplicate", "duplicate"]


PUSHES = st.lists(
    st.builds(
        push,
        st.sampled_from(["1.0.0", "1.1.0", "v1.1.0", "latest", "main"]),
        st.uuids().map(str),
        st.integers(0, 3),
        st.sampled_from([None, "sha256:1", "sha256:2"]),
    ),
    max_size=12,
)


@given(PUSHES)
def test_collapsed_images_leave_one_notification_of_each_digest(items):
    left, decisions = collapsed("image", EVERY_TAG, items, decide(EVERY_TAG, items, Memory()))
    newest = collapsed_tags(items, decide(EVERY_TAG, items, Memory()))
    digests = [
        item.digest
        for item, verdict in zip(items, newest, strict=True)
        if verdict.status is Status.TRIGGERED and item.digest
    ]
    kept = [
        item
        for item, verdict in zip(left, decisions, strict=True)
        if verdict.status is Status.TRIGGERED and item.digest
    ]
    assert sorted(item.digest for item in kept) == sorted(set(digests))
    assert sum(len(item.to_dict()["event"]["tags"]) for item in kept) == len(digests)
