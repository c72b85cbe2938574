# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Rule 6: the bytes that are sent, made once, and the forms they may have."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_registry_triggers.notification import Notification
from airflow_registry_triggers.webhook.body import MAX_BODY, InvalidBody, build_body, check_body, encode_json

PUSH = {"digest": "sha256:" + "a" * 64, "pushed_at": "2016-11-29 12:25:46", "tag": "release-v1"}
REPOSITORY = {"name": "app", "namespace": "team", "repo_full_name": "team/app", "region": "cn-hangzhou"}
EVENT = {"id": "e" * 32, "registry": "registry.example.com:5000", "detected_at": "2026-11-23T12:00:00Z"}
NOTIFICATION = Notification({"event": EVENT, "push_data": PUSH, "repository": REPOSITORY, "other": 1})
ID = "msg_" + "1" * 32


FORMATS = ("registry", "cloudevents", "cloudevents-binary")


def choice(body: Any = None) -> dict[str, Any]:
    """Return the arguments that choose a body: a format by its name, or a template."""
    return {} if body is None else {"body_format": body} if body in FORMATS else {"body_template": body}


def built(body: str | None = None, notification: Notification = NOTIFICATION) -> Any:
    return build_body(notification, **choice(body), webhook_id=ID)


def test_build_body_registry_format_keeps_the_order() -> None:
    body = built()
    assert body.content == encode_json(NOTIFICATION.registry_form())
    assert list(json.loads(body.content)) == ["push_data", "repository"]
    assert json.loads(body.content) == {"push_data": PUSH, "repository": REPOSITORY}
    assert body.content.startswith(b'{"push_data":{"digest":')
    assert (body.content_type, body.headers) == ("application/json", {})


def test_encode_json_value_is_compact_utf_8() -> None:
    assert encode_json({"a": [1, None, "\u00fc\U0001f600"]}) == '{"a":[1,null,"\u00fc\U0001f600"]}'.encode()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": {1, 2}}, object(), b"x"])
def test_encode_json_invalid_value_raises(value: object) -> None:
    with pytest.raises(InvalidBody, match="JSON"):
        encode_json(value)


def test_encode_json_deep_or_endless_value_raises() -> None:
    endless: list[Any] = []
    endless.append(endless)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for value in (endless, deep):
        with pytest.raises(InvalidBody):
            encode_json(value)


def test_encode_json_lone_surrogate_raises() -> None:
    with pytest.raises(InvalidBody, match="surrogate"):
        built(notification=Notification({"push_data": {"tag": "\ud800"}, "repository": {"name": "app"}}))


def test_encode_json_over_one_mebibyte_raises() -> None:
    assert len(encode_json("a" * (MAX_BODY - 2))) == MAX_BODY == 1024 * 1024
    with pytest.raises(InvalidBody, match="1048577 bytes"):
        encode_json("a" * (MAX_BODY - 1))


def test_build_body_cloudevents_is_structured() -> None:
    body = built("cloudevents")
    assert body.content_type == "application/cloudevents+json"
    assert json.loads(body.content) == {
        "specversion": "1.0",
        "id": ID,
        "source": "oci://registry.example.com:5000/team/app",
        "type": "airflow.registry_triggers.push",
        "subject": "release-v1",
        "time": "2026-11-23T12:00:00Z",
        "datacontenttype": "application/json",
        "data": {"push_data": PUSH, "repository": REPOSITORY},
    }


def test_build_body_cloudevents_binary_has_ce_headers() -> None:
    body = built("cloudevents-binary")
    assert body.content == built().content
    assert body.content_type == "application/json"
    assert body.headers == {
        "ce-specversion": "1.0",
        "ce-id": ID,
        "ce-source": "oci://registry.example.com:5000/team/app",
        "ce-type": "airflow.registry_triggers.push",
        "ce-subject": "release-v1",
        "ce-time": "2026-11-23T12:00:00Z",
    }


def test_build_body_binary_attributes_are_percent_encoded() -> None:
    odd = Notification({"push_data": {"tag": 'a b"%\u20ac'}, "repository": {"name": "app"}})
    assert built("cloudevents-binary", odd).headers["ce-subject"] == "a%20b%22%25%E2%82%AC"


def test_build_body_cloudevent_of_a_bare_notification_is_valid() -> None:
    event = json.loads(
        built("cloudevents", Notification({"push_data": {"tag": "a"}, "repository": {"name": "x"}})).content
    )
    assert event["source"] == "/x"
    assert "time" not in event


SLACK = """
{"text": {{ ("%s:%s was pushed" % (repository.repo_full_name, tag)) | tojson }}{# a comment #},
 "blocks": [{% for key, value in push_data.items() %}{{ value | tojson }}{{ "," if not loop.last }}{% endfor %}]}
"""


def test_build_body_template_renders_to_json() -> None:
    body = built(SLACK)
    assert json.loads(body.content) == {
        "text": "team/app:release-v1 was pushed",
        "blocks": list(PUSH.values()),
    }
    assert b", " not in body.content
    other = NOTIFICATION.to_dict()
    other["push_data"]["tag"] = 'a"b</\u20ac'
    assert json.loads(built(SLACK, Notification(other)).content)["text"] == 'team/app:a"b</\u20ac was pushed'


@pytest.mark.parametrize("name", ["notification.other", "event.id", "digest", "webhook_id", "event.registry"])
def test_build_body_template_has_its_variables(name: str) -> None:
    expected = {"notification.other": 1, "event.id": "e" * 32, "digest": PUSH["digest"], "webhook_id": ID}
    got = json.loads(built(f"{{{{ {name} | tojson }}}}").content)
    assert got == expected.get(name, "registry.example.com:5000")


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{{ nobody }}", "nobody"),
        ("{{ push_data.nobody }}", "nobody"),
        ("{{ tag }}", "JSON"),
        ("{", "JSON"),
        ("", "JSON"),
        ("{{ 1 / 0 }}", "ZeroDivisionError"),
        ("{{ ''.__class__.__mro__ }}", "SecurityError"),
        ("{{ push_data.update({}) }}", "SecurityError"),
        ("{% for i in range(999999) %}1{% endfor %}", "OverflowError"),
        ("{% for i in range(99999) %}{{ 'a' * 9999 }}{% endfor %}", "1 MiB"),
        ('"{% for i in range(99999) %}\u20ac\u20ac\u20ac\u20ac{% endfor %}"', "1 MiB"),
        ("NaN", "JSON"),
        ("[" * 100_000, "JSON"),
    ],
)
def test_build_body_failing_template_raises(template: str, says: str) -> None:
    with pytest.raises(InvalidBody, match=says):
        built(template)


@pytest.mark.parametrize(
    "body",
    [
        None,
        "cloudevents",
        "cloudevents-binary",
        SLACK,
        '{"a": 1}',
        "{{ event.of_a_hand | tojson }}",
        "[{{ 1 + event.n }}]",
    ],
)
def test_check_body_valid_choice_passes(body: str | None) -> None:
    check_body(**choice(body))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("", "must be a Jinja"),
        ("  ", "must be a Jinja"),
        (7, "must be a Jinja"),
        (b"{}", "must be a Jinja"),
        ("cloudevent", "JSON"),
        ('{"tag": {{ tag }}}', "tojson"),
        ("{{ tag", "line 1"),
        ("{% if %}", "line 1"),
        ("{{ tag | nofilter }}", "nofilter"),
        ("{{ 1 / 0 }}", "ZeroDivisionError"),
        ("{{ 'a' * 2000000 }}", "1 MiB"),
    ],
)
def test_check_body_invalid_choice_raises(body: Any, says: str) -> None:
    with pytest.raises(InvalidBody, match=says):
        check_body(**choice(body))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_encode_json_any_value_is_read_back(value: Any) -> None:
    assert json.loads(encode_json(value)) == value


@given(st.text(min_size=1))
def test_check_body_any_template_passes_or_raises_invalid_body(template: str) -> None:
    for check in (lambda text: check_body(**choice(text)), built):
        with contextlib.suppress(InvalidBody):
            check(template)
