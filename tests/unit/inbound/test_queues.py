# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Messages of queues: each documented form with each sample, and the ids of their pushes."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_registry_triggers.inbound.dialects import PushEvent
from airflow_registry_triggers.inbound.queues import (
    QueueMessage,
    queue_notification,
    queue_push_id,
    read_queue_items,
    read_queue_messages,
)
from airflow_registry_triggers.notification import Notification
from tests.unit.inbound.samples import EXPECTED, parse_sample, read_sample

ECR = read_sample("ecr_eventbridge.json").decode()
DIGEST = "sha256:" + "ab" * 32


def sqs(body: str) -> dict[str, Any]:
    return {"status": "success", "message_batch": [{"Body": body, "MessageId": "m-1", "ReceiptHandle": "r"}]}


def sns(body: str) -> dict[str, Any]:
    return sqs(json.dumps({"Type": "Notification", "MessageId": "n-1", "TopicArn": "arn", "Message": body}))


def pubsub(body: str) -> dict[str, Any]:
    data = base64.b64encode(body.encode()).decode()
    return {"status": "success", "message": [{"ack_id": "a", "message": {"data": data, "message_id": "p-1"}}]}


def redis(body: str) -> dict[str, Any]:
    return {"type": "message", "pattern": None, "channel": "pushes", "data": body}


def service_bus(body: str) -> dict[str, Any]:
    return {"message": body, "queue": "pushes"}


def kafka(body: str) -> str:
    return body


FORMS = {
    "sqs": (sqs, "m-1"),
    "sns": (sns, "n-1"),
    "pubsub": (pubsub, "p-1"),
    "redis": (redis, ""),
    "service_bus": (service_bus, ""),
    "kafka": (kafka, ""),
}
WRAPPED = [lambda payload: payload, lambda payload: {"from_trigger": True, "payload": payload}]


@pytest.mark.parametrize("wrap", WRAPPED)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_read_queue_items_finds_the_tagged_pushes_of_each_sample(name: str, form: str, wrap: Any) -> None:
    write, message_id = FORMS[form]
    items = read_queue_items(wrap(write(read_sample(name).decode())))
    expected = [event for event in EXPECTED[name][1] if event.tag is not None]
    assert [(item.event, item.message_id, item.problem) for item in items] == [
        (event, message_id, "") for event in expected
    ]


@pytest.mark.parametrize("wrap", WRAPPED)
@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_read_queue_items_reads_a_bare_body(name: str, wrap: Any) -> None:
    items = read_queue_items(wrap(parse_sample(name)))
    assert [item.event for item in items] == [event for event in EXPECTED[name][1] if event.tag is not None]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "body", ["", "nonsense", "{}", '{"planted-secret": 1}', "[5]", '{"Type": "Notification"}']
)
def test_queue_message_of_an_unknown_dialect_has_a_problem(form: str, body: str) -> None:
    items = read_queue_items(FORMS[form][0](body))
    if form == "kafka" and not body:
        assert items == []
        return
    [item] = items
    assert item.event is None
    assert item.problem
    assert "planted" not in item.problem


@pytest.mark.parametrize(
    "payload", [None, True, 5, 1.5, {}, [], "", {"unknown": 1}, [1, 2], {"payload": None}, {"payload": True}]
)
def test_other_payload_is_ignored(payload: Any) -> None:
    assert read_queue_items(payload) == []


def test_redis_message_that_is_not_one_is_ignored() -> None:
    assert read_queue_items({"type": "subscribe", "channel": "pushes", "data": 1}) == []


def test_service_bus_subscription_is_read() -> None:
    payload = {"message": ECR, "topic": "t", "subscription": "s"}
    assert [item.event for item in read_queue_items(payload)] == EXPECTED["ecr_eventbridge.json"][1]


def test_read_queue_messages_decodes_each_form() -> None:
    for name, (write, message_id) in FORMS.items():
        assert read_queue_messages(write(ECR)) == [QueueMessage(ECR.encode(), message_id)], name


def test_read_queue_messages_takes_bytes_and_objects_for_bodies() -> None:
    assert read_queue_messages(redis(ECR.encode()))[0].body == ECR.encode()  # type: ignore[arg-type]
    assert json.loads(read_queue_messages(service_bus(json.loads(ECR)))[0].body) == json.loads(ECR)


def test_sns_notification_without_an_id_has_the_id_of_sqs() -> None:
    payload = sqs(json.dumps({"Type": "Notification", "Message": ECR}))
    assert read_queue_messages(payload) == [QueueMessage(ECR.encode(), "m-1")]


def test_batch_numbers_its_items_and_skips_no_readable_message() -> None:
    good = sqs(ECR)["message_batch"][0]
    payload = {"status": "success", "message_batch": [good, 5, {"MessageId": "m-2"}, good]}
    items = read_queue_items(payload)
    assert [(item.position, item.event is None) for item in items] == [
        (0, False),
        (1, True),
        (2, True),
        (3, False),
    ]


def test_pubsub_data_that_is_not_base64_is_read_as_text() -> None:
    payload = {"message": [{"message": {"data": ECR}}]}
    assert [item.event for item in read_queue_items(payload)] == EXPECTED["ecr_eventbridge.json"][1]


# Ids


def event(**changes: Any) -> PushEvent:
    return PushEvent("host", "team/app", "v1", DIGEST, "e-1")._replace(**changes)


def test_queue_push_id_is_32_hexadecimal_digits_and_stable() -> None:
    assert queue_push_id(event(), "") == "98584c19e8b6ee4b2b168f1eaaf7bae4"
    first = queue_push_id(event(), "m-1")
    assert first == queue_push_id(event(), "m-2")
    assert first is not None
    assert len(first) == 32
    assert set(first) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    "changes",
    [{"registry": ""}, {"repository": "team/other"}, {"tag": "v2"}, {"digest": None}, {"event_id": "e-2"}],
)
def test_queue_push_id_depends_on_each_part(changes: dict[str, Any]) -> None:
    assert queue_push_id(event(**changes), "m-1") != queue_push_id(event(), "m-1")


def test_queue_push_id_uses_the_message_without_an_event_id() -> None:
    without = event(event_id="")
    assert queue_push_id(without, "m-1") == queue_push_id(event(event_id="m-1"), "")
    assert queue_push_id(without, "m-1") != queue_push_id(without, "m-2")
    assert queue_push_id(without, "") is None


def test_queue_push_id_keeps_its_parts_apart() -> None:
    one = event(registry="a", repository="b/c")
    other = event(registry="a/b", repository="c")
    assert queue_push_id(one, "") != queue_push_id(other, "")


def test_queue_notification_has_the_documented_keys() -> None:
    data = queue_notification(event(), "m-1", "2026-01-02 03:04:05", {"region": "", "name": "never"})
    assert data == {
        "push_data": {"digest": DIGEST, "pushed_at": "2026-01-02 03:04:05", "tag": "v1"},
        "repository": {"region": "", "name": "app", "namespace": "team", "repo_full_name": "team/app"},
        "event": {"id": queue_push_id(event(), "m-1"), "registry": "host"},
    }


def test_queue_notification_is_a_notification_without_an_action() -> None:
    notification = Notification.from_dict(queue_notification(event(digest=None), "m-1", "t"))
    assert (notification.repository, notification.tag, notification.digest) == ("team/app", "v1", None)
    assert (notification.id, notification.action) == (queue_push_id(event(digest=None), "m-1"), "")


def test_queue_notification_without_both_ids_gets_the_fallback_id() -> None:
    notification = Notification.from_dict(queue_notification(event(event_id=""), "", "t"))
    assert notification.id is None
    assert notification.with_fallback_id("asset@time", 0).id


# Any payload

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from([ECR, "\ud800", "%%"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "payload",
                    "message",
                    "message_batch",
                    "Body",
                    "MessageId",
                    "Type",
                    "Message",
                    "data",
                    "type",
                    "channel",
                    "queue",
                    "push_data",
                    "x",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=500, deadline=None)
@given(payload=JSON)
def test_read_queue_items_of_any_payload_never_raises(payload: Any) -> None:
    for position, item in enumerate(read_queue_items(payload)):
        assert item.position == position
        assert (item.event is None) is bool(item.problem)
        json.dumps(item).encode()
        if item.event is not None:
            Notification.from_dict(queue_notification(item.event, item.message_id, "t"))
