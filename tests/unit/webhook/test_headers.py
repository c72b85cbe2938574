# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Rule 7, headers: what is sent with a webhook, and what a caller may not set."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_registry_triggers import __version__
from airflow_registry_triggers.webhook.attempt import check_headers, request_headers
from airflow_registry_triggers.webhook.body import Body
from airflow_registry_triggers.webhook.signing import sign

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = Body(b"{}")


def test_request_headers_of_an_attempt_are_complete() -> None:
    headers = request_headers(
        {"X-Team": "app"}, BODY, webhook_id="msg_1", timestamp=1614265330, signing_secrets=[SECRET]
    )
    assert headers == {
        "User-Agent": f"airflow-registry-triggers/{__version__}",
        "X-Team": "app",
        "Content-Type": "application/json",
        "webhook-id": "msg_1",
        "webhook-timestamp": "1614265330",
        "webhook-signature": sign(SECRET, "msg_1", 1614265330, b"{}"),
    }


def test_request_headers_without_a_secret_have_no_signature() -> None:
    assert "webhook-signature" not in request_headers({}, BODY, webhook_id="msg_1", timestamp=1)


@pytest.mark.parametrize("webhook_id", ["", "msg.1"])
def test_request_headers_invalid_id_without_a_secret_raises(webhook_id: str) -> None:
    with pytest.raises(ValueError, match="webhook-id"):
        request_headers({}, BODY, webhook_id=webhook_id, timestamp=1)


def test_request_headers_of_the_body_replace_others() -> None:
    body = Body(b"{}", "application/cloudevents+json", {"ce-id": "msg_1"})
    headers = request_headers({"CE-ID": "other", "user-agent": "mine"}, body, webhook_id="msg_1", timestamp=1)
    assert (headers["Content-Type"], headers["ce-id"]) == ("application/cloudevents+json", "msg_1")
    assert "CE-ID" not in headers
    assert (headers["user-agent"], headers.get("User-Agent")) == ("mine", None)


RESERVED = [
    "Host",
    "content-LENGTH",
    "Content-Type",
    "Transfer-Encoding",
    "Connection",
    "Cookie",
    "webhook-id",
    "Webhook-Signature",
    "webhook-anything",
    "Accept-Encoding",
    "Expect",
    "Upgrade",
    "TE",
]


@pytest.mark.parametrize("name", RESERVED)
def test_check_headers_reserved_name_raises(name: str) -> None:
    with pytest.raises(ValueError, match="is reserved") as refused:
        check_headers({"X-Team": "app", name: "SECRETSECRET"})
    assert name in str(refused.value)
    assert "SECRET" not in str(refused.value)


@pytest.mark.parametrize(
    "value", ["a\r\nX-Injected: 1", "a\n", "\r", "a\x00", "a\x1b[31m", "a\x7f", "\u00fc", "\ud800", "\u2028"]
)
def test_check_headers_invalid_value_raises_without_it(value: str) -> None:
    with pytest.raises(ValueError, match="'X-Team'") as refused:
        check_headers({"X-Team": f"SECRETSECRET{value}"})
    assert "SECRET" not in str(refused.value)


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\n", "\u00fc", "a\x00", "(", 7, None])
def test_check_headers_invalid_name_raises(name: Any) -> None:
    with pytest.raises(ValueError, match="not a valid name"):
        check_headers({name: "x"})


@pytest.mark.parametrize("value", [7, None, b"x", ["x"]])
def test_check_headers_value_that_is_not_text_raises(value: Any) -> None:
    with pytest.raises(ValueError, match="must be text"):
        check_headers({"X-Team": value})


@pytest.mark.parametrize("headers", ["X: y", [("X", "y")], None, 7])
def test_check_headers_that_are_not_a_mapping_raise(headers: Any) -> None:
    with pytest.raises(ValueError, match="mapping of names and values"):
        check_headers(headers)


def test_check_headers_same_name_twice_raises() -> None:
    with pytest.raises(ValueError, match="set twice"):
        check_headers({"X-Team": "a", "x-team": "b"})


def test_check_headers_allowed_name_passes() -> None:
    check_headers({})
    check_headers({"Authorization": "Bearer x", "X-Team": "a b\tc~", "Accept": "*/*", "User-Agent": ""})


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=4))
def test_check_headers_accepted_header_cannot_break_a_request(headers: dict[str, str]) -> None:
    try:
        check_headers(headers)
    except ValueError:
        return
    for text in (*headers, *headers.values()):
        assert text.isascii()
        assert not any(char in text for char in "\r\n\0")
