# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Rule 7, signatures: Standard Webhooks 1.0.0, checked by its own library."""

from __future__ import annotations

import base64
import os
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from airflow_registry_triggers.webhook.signing import check_secret, sign, sign_all
from tests.unit.webhook.cases import json_cases

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLDER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
STAMP = 1614265330
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def encoded(size: int) -> str:
    return base64.b64encode(bytes(range(size))).decode()


def headers(signature: str, stamp: int, webhook_id: str = ID) -> dict[str, str]:
    return {"webhook-id": webhook_id, "webhook-timestamp": str(stamp), "webhook-signature": signature}


def test_sign_known_input_returns_the_known_signature() -> None:
    assert sign(SECRET, ID, STAMP, BODY) == SIGNATURE


def test_sign_secret_without_prefix_gives_the_same() -> None:
    assert sign(SECRET.removeprefix("whsec_"), ID, STAMP, BODY) == SIGNATURE


def test_sign_all_two_secrets_give_two_signatures_current_first() -> None:
    both = sign_all([SECRET, OLDER], ID, STAMP, BODY)
    assert both == f"{SIGNATURE} {sign(OLDER, ID, STAMP, BODY)}"
    assert sign_all([SECRET], ID, STAMP, BODY) == SIGNATURE


@pytest.mark.parametrize("secrets", [[SECRET, OLDER, SECRET], SECRET])
def test_sign_all_more_than_two_secrets_raises(secrets: Any) -> None:
    with pytest.raises(ValueError, match="at most 2"):
        sign_all(secrets, ID, STAMP, BODY)


@pytest.mark.parametrize("size", [24, 32, 64])
def test_check_secret_of_24_to_64_bytes_returns_the_key(size: int) -> None:
    assert check_secret(f"whsec_{encoded(size)}") == bytes(range(size))


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "whsec_YWJj",
        f"whsec_{encoded(23)}",
        f"whsec_{encoded(65)}",
        f"whsec_{encoded(32).rstrip('=')}",
        f"whsec_{encoded(32)}\n",
        f" whsec_{encoded(32)}",
        f"whsec_{encoded(32)[:20]} {encoded(32)[20:]}",
        f"whsec_{'-_' * 16}",
        f"whsec_whsec_{encoded(32)}",
        # The last character has bits set that no byte holds: another spelling of the same key.
        f"whsec_{encoded(25)[:-3]}B==",
        "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==",
        "It's a Secret to Everybody",
        "whsec_ümläut",
        None,
        b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    ],
)
def test_check_secret_invalid_secret_raises_without_it(secret: Any) -> None:
    with pytest.raises(ValueError, match="signing secret") as refused:
        sign(secret, ID, STAMP, BODY)
    text = str(secret).removeprefix("whsec_").strip()
    assert len(text) < 5 or text not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize("webhook_id", ["", "msg.1", None])
def test_sign_invalid_id_raises(webhook_id: Any) -> None:
    with pytest.raises(ValueError, match="webhook-id"):
        sign(SECRET, webhook_id, STAMP, BODY)


@pytest.mark.parametrize("stamp", [1.5, "1614265330", True, None])
def test_sign_invalid_timestamp_raises(stamp: Any) -> None:
    with pytest.raises(ValueError, match="whole seconds"):
        sign(SECRET, ID, stamp, BODY)


def test_sign_shared_cases_have_their_signature() -> None:
    cases = json_cases("signature-vectors.json")
    exact = [case for case in cases["exact"] if case["scheme"] == "v1"]
    assert len(exact) >= 2
    for case in exact:
        body = base64.b64decode(case["body_b64"])
        got = sign(case["secret"], case["webhook_id"], case["webhook_timestamp"], body)
        assert got == case["signature"], case["id"]
    for case in cases["verify_must_fail"]:
        if "secret" in case or "webhook_id" in case:
            with pytest.raises(ValueError, match=r"signing secret|webhook-id"):
                sign(case.get("secret", SECRET), case.get("webhook_id", ID), STAMP, BODY)
    # Other schemes are other secrets.
    for case in cases["exact"]:
        if case["scheme"] != "v1":
            with pytest.raises(ValueError, match="signing secret"):
                check_secret(case["secret"])


@pytest.fixture(params=["Pacific/Kiritimati", "America/St_Johns"])
def time_zone(request: pytest.FixtureRequest) -> Any:
    before = os.environ.get("TZ")
    os.environ["TZ"] = request.param
    time.tzset()
    yield request.param
    del os.environ["TZ"]
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.usefixtures("time_zone")
class TestAgainstTheLibrary:
    def test_sign_any_input_verifies(self) -> None:
        stamp = int(time.time())
        Webhook(SECRET).verify(BODY, headers(sign(SECRET, ID, stamp, BODY), stamp))

    def test_sign_all_either_secret_verifies(self) -> None:
        stamp = int(time.time())
        both = headers(sign_all([SECRET, OLDER], ID, stamp, BODY), stamp)
        Webhook(SECRET).verify(BODY, both)
        Webhook(OLDER).verify(BODY, both)

    @pytest.mark.parametrize("change", ["old", "body", "id", "secret", "reserialized"])
    def test_sign_changed_message_does_not_verify(self, change: str) -> None:
        stamp = int(time.time()) - (301 if change == "old" else 0)
        signature = sign(OLDER if change == "secret" else SECRET, ID, stamp, BODY)
        body = {"body": BODY + b" ", "reserialized": b'{"test":2432232314}'}.get(change, BODY)
        sent = headers(signature, stamp, "msg_other" if change == "id" else ID)
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(body, sent)


@given(st.binary(min_size=24, max_size=64), st.binary(max_size=200), st.integers(0, 2**40))
def test_sign_any_key_and_body_equals_the_library(key: bytes, body: bytes, stamp: int) -> None:
    secret = f"whsec_{base64.b64encode(key).decode()}"
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = body.decode("latin-1")
        body = text.encode()
    import datetime

    when = datetime.datetime.fromtimestamp(stamp % 2**33, datetime.UTC)
    assert sign(secret, ID, stamp % 2**33, body) == Webhook(secret).sign(ID, when, text)
