# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_registry_triggers.notification import (
    InvalidNotification,
    Notification,
    TagState,
    fallback_id,
)

PAYLOADS = Path(__file__).resolve().parents[2].parent / "shared" / "payloads"

PUSH = {
    "push_data": {"digest": "sha256:" + "a" * 64, "pushed_at": "2016-11-29 12:25:46", "tag": "latest"},
    "repository": {"name": "app", "namespace": "team", "repo_full_name": "team/app"},
    "event": {"id": "e" * 32, "registry": "registry.example.com", "action": "new"},
}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def test_to_dict_with_unknown_keys_keeps_them_in_order():
    data = {**PUSH, "extra": {"x": 1}, "push_data": {**PUSH["push_data"], "pusher": "me"}}
    assert json.dumps(Notification.from_dict(data).to_dict()) == json.dumps(data)


def test_registry_form_of_a_notification_has_two_keys():
    assert list(Notification.from_dict({"extra": 1, **PUSH}).registry_form()) == ["push_data", "repository"]


def test_registry_form_of_sorted_keys_has_the_registrys_order():
    data = json.loads(json.dumps(PUSH, sort_keys=True))
    data["push_data"] = {"x": 1, "tag": "a", "pushed_at": "p", "digest": "d"}
    data["repository"] = {"repo_type": "PUBLIC", "namespace": "team", "name": "app", "y": 2}
    form = Notification.from_dict(data).registry_form()
    assert list(form["push_data"]) == ["digest", "pushed_at", "tag", "x"]
    assert list(form["repository"]) == ["name", "namespace", "repo_type", "y"]


def test_properties_of_a_push_have_its_values():
    notification = Notification.from_dict(PUSH)
    assert (notification.tag, notification.repository, notification.id) == ("latest", "team/app", "e" * 32)
    assert notification.digest == "sha256:" + "a" * 64
    assert (notification.registry, notification.action) == ("registry.example.com", "new")


def test_to_dict_called_twice_returns_copies():
    data = json.loads(json.dumps(PUSH))
    notification = Notification.from_dict(data)
    data["push_data"]["tag"] = "changed"
    notification.to_dict()["push_data"]["tag"] = "changed too"
    assert notification.tag == "latest"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (None, "expected an object, not NoneType"),
        ("text", "expected an object, not str"),
        ([], "expected an object, not list"),
        ({}, "'push_data'"),
        ({"push_data": 1}, "'push_data'"),
        ({"push_data": {}}, "'push_data.tag'"),
        ({"push_data": {"tag": 1}}, "'push_data.tag'"),
        ({"push_data": {"tag": ""}}, "'push_data.tag'"),
        ({"push_data": {"tag": "a", "digest": 1}}, "'push_data.digest'"),
        ({"push_data": {"tag": "a"}}, "'repository'"),
        ({"push_data": {"tag": "a"}, "repository": {}}, "'repository.repo_full_name'"),
        ({"push_data": {"tag": "a"}, "repository": {"name": 1}}, "'repository.repo_full_name'"),
    ],
)
def test_from_dict_of_a_malformed_value_names_the_key(data, words):
    with pytest.raises(InvalidNotification) as error:
        Notification.from_dict(data)
    assert words in str(error.value)


def test_from_dict_of_a_long_value_quotes_200_characters():
    with pytest.raises(InvalidNotification) as error:
        Notification.from_dict({"x": "y" * 1000})
    shown = str(error.value).partition("got ")[2]
    assert len(shown) == 200
    assert shown.startswith('{"x": "yyy')


@given(JSON)
def test_from_dict_of_any_json_returns_or_raises_invalid_notification(data):
    try:
        notification = Notification.from_dict(data)
    except InvalidNotification:
        return
    assert notification.tag
    assert notification.repository


@pytest.mark.skipif(not PAYLOADS.is_dir(), reason="the shared payloads are not here")
@pytest.mark.parametrize("name", ["alibaba_acr.json", "alibaba_acr_captured_2019.json", "dockerhub.json"])
def test_from_dict_of_recorded_payloads_reads_them(name):
    data = json.loads((PAYLOADS / name).read_text())
    notification = Notification.from_dict(data)
    assert notification.to_dict() == data
    assert notification.repository.count("/") == 1
    assert notification.id is None


@pytest.mark.skipif(not PAYLOADS.is_dir(), reason="the shared payloads are not here")
def test_from_dict_of_every_payload_reads_it_or_names_the_key():
    for path in sorted(PAYLOADS.glob("*.json")):
        try:
            Notification.from_dict(json.loads(path.read_text()))
        except InvalidNotification as error:
            assert "missing or no" in str(error) or "expected an object" in str(error), path.name


def test_with_fallback_id_without_an_id_uses_source_and_position():
    bare = Notification.from_dict({key: PUSH[key] for key in ("push_data", "repository")})
    first, second = bare.with_fallback_id("manual__1", 0), bare.with_fallback_id("manual__1", 1)
    assert len(first.id) == 32
    assert first.id != second.id
    assert first.id == bare.with_fallback_id("manual__1", 0).id
    assert Notification.from_dict(PUSH).with_fallback_id("manual__1", 0).id == "e" * 32


def test_webhook_id_with_another_trigger_differs():
    notification = Notification.from_dict(PUSH)
    webhook_id = notification.webhook_id("prod")
    assert webhook_id == notification.webhook_id("prod")
    assert webhook_id != notification.webhook_id("staging")
    assert webhook_id.startswith("msg_")
    assert len(webhook_id) == 36
    assert "." not in webhook_id


def test_tag_state_of_a_push_has_tag_generation_and_digest():
    push = Notification.from_dict(PUSH).with_event(generation=3, epoch="abc")
    assert push.tag_state() == TagState("latest", 3, "sha256:" + "a" * 64)
    assert push.epoch == "abc"


def test_tag_state_without_an_event_is_generation_0():
    bare = Notification.from_dict({"push_data": {"tag": "v1"}, "repository": {"name": "app"}})
    assert bare.tag_state() == TagState("v1", 0, None)
    assert bare.epoch == ""


def test_fallback_id_equals_the_id_of_a_notification_without_one():
    bare = Notification.from_dict({key: PUSH[key] for key in ("push_data", "repository")})
    assert bare.with_fallback_id("run", 4).id == fallback_id("run", 4)
