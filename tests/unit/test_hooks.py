# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

import json

import pytest
from airflow.sdk import Connection

from airflow_registry_triggers.hooks import webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def conn(conn_type="oci_registry", extra=None, **values):
    return Connection(conn_id="c", conn_type=conn_type, extra=json.dumps(extra or {}), **values)


@pytest.mark.parametrize(
    ("connection", "url"),
    [
        (conn("webhook", host="h.example"), "https://h.example"),
        (conn("webhook", host="h.example", schema="http", port=8080, extra={"path": "/a?b=1"}), "http://h.example:8080/a?b=1"),
        (conn("webhook", host="https://h.example/a"), "https://h.example/a"),
        (conn("webhook"), ""),
        (conn("http", host="h.example"), "http://h.example"),
    ],
)  # fmt: skip
def test_the_url_of_a_webhook_connection(connection, url):
    assert webhook.target_of(connection).url == url


def test_what_a_webhook_connection_gives():
    extra = {"headers": '{"X-Team": "app"}', "secret_query": "?k=v", "previous_signing_secret": SECRET}
    target = webhook.target_of(conn("webhook", password=SECRET, extra=extra))
    assert target.headers == {"X-Team": "app"}
    assert target.secret_query == "k=v"
    assert target.signing_secrets == (SECRET, SECRET)
    assert SECRET not in repr(target)


def test_an_http_connection_is_read_as_its_provider_reads_it():
    target = webhook.target_of(
        conn("http", host="h", login="u", password="p", extra={"X-A": "1", "verify": False, "timeout": 3})
    )
    assert target.headers == {"X-A": "1", "Authorization": "Basic dTpw"}
    assert target.signing_secrets == ()


@pytest.mark.parametrize(
    ("connection", "words"),
    [
        (conn("webhook", password="planted-secret"), "whsec_"),
        (conn("webhook", extra={"headers": "planted-secret"}), "JSON object"),
        (conn("webhook", extra={"headers": {"a": 1}}), "JSON object"),
        (conn("webhook", extra={"headers": {"Host": "planted-secret"}}), "ost"),
        (conn("webhook", extra={"previous_signing_secret": SECRET}), "needs a current one"),
    ],
)
def test_a_webhook_connection_that_cannot_work(connection, words):
    with pytest.raises(ValueError) as error:
        webhook.target_of(connection)
    assert words in str(error.value)
    assert "planted" not in str(error.value)


@pytest.mark.parametrize(
    ("of_connection", "of_task", "expected"),
    [
        ("", "https://h/a", "https://h/a"),
        ("https://h/a", None, "https://h/a"),
        ("https://h/a", "https://h:443/b", "https://h:443/b"),
        ("https://h/a", "https://other/b", None),
        ("https://h/a", "http://h/b", None),
        ("", None, None),
    ],
)
def test_the_secrets_of_one_receiver_are_not_for_another(of_connection, of_task, expected):
    target = webhook.WebhookTarget(url=of_connection)
    if expected is None:
        with pytest.raises(ValueError):
            target.url_for(of_task)
    else:
        assert target.url_for(of_task) == expected
