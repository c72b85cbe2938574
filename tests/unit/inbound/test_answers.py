# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The table of answers, as far as it needs neither Airflow nor a server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_registry_triggers.inbound.answers import (
    MAX_BODY,
    NOT_FOUND,
    TOO_LARGE,
    UNAVAILABLE,
    UNPROVEN,
    WRONG_METHOD,
    Answer,
    BodyTooLarge,
    answer_origin,
    answer_too_many,
    is_conn_id,
    is_too_large,
    read_limited,
    read_webhook,
)
from airflow_registry_triggers.inbound.hint_row import ALL_TAGS
from tests.unit.inbound.samples import EXPECTED, encode, parse_sample, read_sample

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def answer(body: Any, **headers: str) -> Answer:
    return read_webhook("c", body if isinstance(body, bytes) else encode(body), headers).answer


def validation(code: Any, key: str = "eventType") -> dict[str, Any]:
    return {key: "Microsoft.EventGrid.SubscriptionValidationEvent", "data": {"validationCode": code}}


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_read_webhook_of_each_sample_takes_its_tags(name: str) -> None:
    webhook = read_webhook("c", read_sample(name), {})
    # Alibaba's documented sample has a repository name outside the OCI grammar.
    events = [] if name == "alibaba_acr.json" else EXPECTED[name][1]
    assert webhook.dialect == EXPECTED[name][0]
    assert webhook.answer == Answer(202, {"taken": len(events)})
    assert bool(webhook.hints) is bool(events)


def test_read_webhook_returns_the_hints_of_the_connection() -> None:
    assert read_webhook("c", read_sample("quay.json"), {}).hints == {("c", "dgangaia/test"): {"latest"}}
    assert read_webhook("c", read_sample("harbor_default.json"), {}).hints == {
        ("c", "harbor/alpine"): {ALL_TAGS}
    }


def test_read_webhook_counts_a_tag_with_a_prefix_once() -> None:
    webhook = read_webhook("c", read_sample("jfrog.json"), {})
    assert len(webhook.hints) == 2
    assert webhook.answer.content == {"taken": 1}


@pytest.mark.parametrize(
    "body",
    [
        {"action": "ping"},
        {"events": []},
        {"events": [{"action": "pull", "target": {"repository": "a", "tag": "t"}}]},
        {"events": [{"action": "delete", "target": {"repository": "a"}}]},
        {"events": [{"action": "push", "target": {"repository": "a"}}]},
        {"events": [{"action": "push", "target": {"repository": "Not/Valid", "tag": "t"}}]},
        {"events": [5]},
        [],
    ],
)
def test_read_webhook_without_a_push_takes_nothing(body: Any) -> None:
    webhook = read_webhook("c", encode(body), {})
    assert (webhook.answer, webhook.hints) == (Answer(202, {"taken": 0}), {})


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"planted-secret", "the body is not JSON"),
        (b"", "the body is not JSON"),
        ({"x": "planted-secret"}, "not a webhook of a known registry"),
        (
            {"docker_url": "planted-secret", "updated_tags": ["planted-secret"]},
            "quay: the key repository is missing",
        ),
    ],
)
def test_read_webhook_that_is_not_understood_names_the_key_and_no_value(body: Any, text: str) -> None:
    found = answer(body)
    assert found.status == 422
    assert text in found.body.decode()
    assert "planted" not in found.body.decode()


@pytest.mark.parametrize("key", ["eventType", "type"])
@pytest.mark.parametrize("wrap", [lambda event: [event], lambda event: event])
def test_validation_event_of_event_grid_is_answered_with_its_code(key: str, wrap: Any) -> None:
    webhook = read_webhook("c", encode(wrap(validation("512d-code", key))), {})
    assert (webhook.answer, webhook.hints) == (Answer(200, {"validationResponse": "512d-code"}), {})


@pytest.mark.parametrize("code", ["", None, 5, ["x"]])
def test_validation_event_without_a_code_takes_nothing(code: Any) -> None:
    assert answer([validation(code)]) == Answer(202, {"taken": 0})


def test_name_of_the_validation_event_in_another_body_changes_nothing() -> None:
    body = parse_sample("quay.json")
    body["homepage"] = "Microsoft.EventGrid.SubscriptionValidationEvent"
    assert answer(body) == Answer(202, {"taken": 1})
    assert answer(b"Microsoft.EventGrid.SubscriptionValidationEvent").status == 422


def test_answer_origin_allows_the_origin() -> None:
    found = answer_origin({"WebHook-Request-Origin": "eventgrid.azure.net"})
    assert (found.status, found.headers) == (200, {"WebHook-Allowed-Origin": "eventgrid.azure.net"})


@pytest.mark.parametrize(
    "headers", [{}, {"webhook-request-origin": ""}, {"webhook-request-origin": "a\r\nb"}]
)
def test_answer_origin_without_an_origin_is_the_wrong_method(headers: dict[str, str]) -> None:
    assert answer_origin(headers) == WRONG_METHOD


@pytest.mark.parametrize(("seconds", "header"), [(0.001, "1"), (1, "1"), (1.2, "2"), (59.01, "60")])
def test_answer_too_many_rounds_up(seconds: float, header: str) -> None:
    found = answer_too_many(seconds)
    assert (found.status, found.headers) == (429, {"Retry-After": header})


def test_fixed_answers_have_the_documented_statuses() -> None:
    fixed = (UNPROVEN, NOT_FOUND, WRONG_METHOD, TOO_LARGE, UNAVAILABLE)
    assert [found.status for found in fixed] == [401, 404, 405, 413, 503]
    assert UNAVAILABLE.headers["Retry-After"] == "30"
    assert all(isinstance(found.content, str) and len(found.content) < 60 for found in fixed)


def test_body_of_an_answer_is_json_or_text() -> None:
    assert json.loads(Answer(202, {"taken": 3}).body) == {"taken": 3}
    assert (NOT_FOUND.body, NOT_FOUND.media_type) == (b"not found", "text/plain")
    assert Answer(202, {}).media_type == "application/json"


@pytest.mark.parametrize("conn_id", ["registry_default", "a", "A.b-c_1", "x" * 200])
def test_is_conn_id_accepts_the_ids_of_the_table(conn_id: str) -> None:
    assert is_conn_id(conn_id)


@pytest.mark.parametrize("conn_id", ["", "x" * 201, "a/b", "a b", "a\n", "é", "a|b", "%00"])
def test_is_conn_id_rejects_other_ids(conn_id: str) -> None:
    assert not is_conn_id(conn_id)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, False),
        ("0", False),
        (str(MAX_BODY), False),
        (str(MAX_BODY + 1), True),
        ("9" * 5000, True),
        ("-1", False),
        ("x", False),
        ("٣" * 20, False),
    ],
)
def test_is_too_large_compares_the_announced_bytes(header: str | None, expected: bool) -> None:
    assert is_too_large(header) is expected


async def chunks(*sizes: int) -> AsyncIterator[bytes]:
    for size in sizes:
        yield b"x" * size


async def test_read_limited_returns_a_body_of_exactly_the_limit() -> None:
    assert len(await read_limited(chunks(MAX_BODY - 1, 0, 1))) == MAX_BODY


async def test_read_limited_stops_at_the_first_byte_above_the_limit() -> None:
    read = []

    async def endless() -> AsyncIterator[bytes]:
        while True:
            read.append(1)
            yield b"x" * 65_536

    with pytest.raises(BodyTooLarge):
        await read_limited(endless())
    assert len(read) == MAX_BODY // 65_536 + 1
