# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Receivers that Connections describe."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from airflow.sdk import Connection

from airflow_registry_triggers.hooks import webhook, webhook_target

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SENT = {
    "push_data": {"digest": "sha256:" + "0" * 64, "pushed_at": "2026-01-01 00:00:00", "tag": "v1"},
    "repository": {"name": "app", "namespace": "team", "repo_full_name": "team/app"},
    "event": {"id": "0" * 32},
}


def conn(conn_type="webhook", extra=None, **values):
    return Connection(conn_id="c", conn_type=conn_type, extra=json.dumps(extra or {}), **values)


@pytest.mark.parametrize(
    ("connection", "url"),
    [
        (conn(host="h.example"), "https://h.example"),
        (conn(host="h.example", schema="http", port=8080, extra={"path": "/a?b=1"}), "http://h.example:8080/a?b=1"),
        (conn(host="https://h.example/a"), "https://h.example/a"),
        (conn(host="https://h.example/a/", extra={"path": "b"}), "https://h.example/a/b"),
        (conn(host="h.example:443", port=443), "https://h.example"),
        (conn(host="http://h.example:8080/a", port=8080), "http://h.example:8080/a"),
        (conn(host="h.example?k=v", extra={"path": "/a"}), "https://h.example/a?k=v"),
        (conn(host="h.example/a?k=v", extra={"path": "b?c=d"}), "https://h.example/a/b?k=v&c=d"),
        (conn(host="h.example/a", extra={"path": "?c=d"}), "https://h.example/a?c=d"),
        (conn(host="HTTPS://H.Example.", port=443), "https://h.example"),
        (conn(host="b\u00fccher.example"), "https://xn--bcher-kva.example"),
        (conn(host="::1", schema="http", port=8080), "http://[::1]:8080"),
        (conn(host="[::1]:8080", schema="http", port=8080), "http://[::1]:8080"),
        (conn(), ""),
        (conn("http", host="h.example"), "http://h.example"),
        (conn("http", host="h.example:81", port=81, schema="https"), "https://h.example:81"),
    ],
)  # fmt: skip
def test_target_of_address_in_any_fields_returns_one_url(connection, url):
    assert webhook_target.target_of(connection).url == url


@pytest.mark.parametrize(
    ("connection", "words"),
    [
        (conn(host="h.example:8080", port=9090), "8080"),
        (conn(host="u:planted@h.example"), "login"),
        (conn(host="h.example#planted"), "fragment"),
        (conn(host="h.example", extra={"path": "a#planted"}), "fragment"),
        (conn(host="h.example", extra={"path": 7}), "path must be text"),
        (conn(password="planted-secret"), "whsec_"),
        (conn(extra={"headers": "planted-secret"}), "JSON object"),
        (conn(extra={"headers": ["planted"]}), "JSON object"),
        (conn(extra={"headers": {"X-A": 1}}), "'X-A' must be text"),
        (conn(extra={"headers": {"X-A": {"deep": "planted"}}}), "'X-A' must be text"),
        (conn(extra={"headers": {"Host": "planted-secret"}}), "ost"),
        (conn(extra={"previous_signing_secret": SECRET}), "the current signing secret is missing"),
        (conn(extra={"secret_query": ["planted"]}), "secret_query must be text"),
        (conn("http", host="h", extra={"headers": {"X-A": "planted"}}), "'headers'"),
        (conn("http", host="h", extra={"Headers": "planted"}), "'Headers'"),
        (conn("http", host="h", extra={"X-A": 17}), "'X-A' must be text"),
        (conn("http", host="h", extra={"X-A": {"b": ["planted"]}}), "'X-A' must be text"),
        (conn("http", host="h", extra={"X-A": None}), "'X-A' must be text"),
    ],
)
def test_target_of_invalid_connection_raises_without_the_secret(connection, words):
    with pytest.raises(ValueError, match="Connection 'c'") as error:
        webhook_target.target_of(connection)
    assert words in str(error.value)
    assert "planted" not in str(error.value)


def test_target_of_webhook_connection_returns_headers_and_secrets():
    extra = {"headers": '{"X-Team": "app"}', "secret_query": "?k=v", "previous_signing_secret": SECRET}
    target = webhook_target.target_of(conn(password=SECRET, extra=extra))
    assert target.headers == {"X-Team": "app"}
    assert target.secret_query == "k=v"
    assert target.signing_secrets == (SECRET, SECRET)
    assert SECRET not in repr(target)


def test_target_of_http_connection_reads_what_its_provider_reads():
    extra = {"X-A": "1", "verify": False, "timeout": 3, "path": "a header here"}
    target = webhook_target.target_of(conn("http", host="h", login="u", password="p", extra=extra))
    assert target.headers == {"X-A": "1", "path": "a header here", "Authorization": "Basic dTpw"}
    assert target.url == "http://h"
    assert target.signing_secrets == ()


NAMES = [
    "X-AuthToken",
    "X-Auth",
    "AccessToken",
    "X-Team",
    "X-Shard",
    "Api_Key",
    "Subscription",
    "ApiKey",
    "X-Vault",
    "X-Custom",
    "Key",
    "K",
    "Sig",
    "X-Sig",
    "X-Hub-Signature",
    "X-Pass",
    "X-Login",
    "X-User",
    "X-Access",
    "PRIVATE",
    "X-Code",
    "X-Pin",
    "X-Tenant",
    "X-Session",
    "X-Credential",
    "X-PAT",
    "X-Hook",
    "X-Id",
    "Authentication",
    "X-Functions",
    "X-Gitlab",
    "Circle",
    "Proxy-Authorization",
]


@pytest.mark.parametrize("conn_type", ["webhook", "http"])
@pytest.mark.parametrize("name", NAMES)
def test_secrets_of_any_connection_header_contain_its_value(conn_type, name):
    extra = {name: "planted-value"} if conn_type == "http" else {"headers": {name: "planted-value"}}
    target = webhook_target.target_of(conn(conn_type, host="h", extra=extra))
    assert "planted-value" in target.secrets
    assert "planted" not in repr(target)


@pytest.mark.parametrize("name", ["Content-Language", "ACCEPT", "user-agent"])
def test_secrets_of_a_harmless_header_are_empty(name):
    assert (
        "text/plain"
        not in webhook_target.target_of(conn(host="h", extra={"headers": {name: "text/plain"}})).secrets
    )


@pytest.mark.parametrize(
    ("of_connection", "of_task", "expected"),
    [
        ("", "https://h/a", "https://h/a"),
        ("https://h/a", None, "https://h/a"),
        ("https://h/a", "https://h:443/b", "https://h:443/b"),
        ("https://h/a", "HTTPS://H./b", "HTTPS://H./b"),
        ("https://xn--bcher-kva.example", "https://b\u00fccher.example/b", "https://b\u00fccher.example/b"),
        ("http://[::1]:80/a", "http://[0:0::1]/b", "http://[0:0::1]/b"),
        ("http://10.0.0.1/a", "http://10.0.0.1:80/b", "http://10.0.0.1:80/b"),
        ("https://h/a", "https://h:8443/b", "https://h:8443/b"),
        ("https://h/a", "https://other/b", None),
        ("https://h/a", "http://h/b", None),
        ("http://h/a", "http://h:8080/b", None),
        ("", None, None),
    ],
)
def test_url_for_another_receiver_raises(of_connection, of_task, expected):
    target = webhook_target.WebhookTarget(url=of_connection, conn_id="c")
    if expected is None:
        with pytest.raises(ValueError, match="Connection 'c'"):
            target.url_for(of_task)
    else:
        assert target.url_for(of_task) == expected


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        value = (self.headers["X-Team"] or "").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(value)))
        self.end_headers()
        self.wfile.write(value)

    def log_message(self, *args):
        pass


@pytest.fixture
def receiver():
    server = HTTPServer(("127.0.0.1", 0), Receiver)
    server.bodies = []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def connection(receiver, monkeypatch):
    monkeypatch.setenv("AIRFLOW__REGISTRY_TRIGGERS__ALLOWED_NETWORKS", "127.0.0.0/8")
    extra = {"headers": {"X-Team": "planted-value"}, "path": "/hook"}
    made = conn(host=f"http://127.0.0.1:{receiver.server_port}", extra=extra)
    monkeypatch.setattr(webhook.WebhookHook, "get_connection", lambda self, conn_id: made)

    async def aget(self, conn_id):
        return made

    monkeypatch.setattr(webhook.WebhookHook, "aget_connection", aget)


def test_send_notification_with_a_payload_returns_the_access_record(receiver, connection):
    record = webhook.WebhookHook("c").send(SENT)
    assert (record.status_code, record.trigger_name, record.tag) == ("200", "c", "v1")
    assert json.loads(receiver.bodies[0])["push_data"]["tag"] == "v1"
    assert record.request_headers["X-Team"] == "***"
    assert record.response_body == "***"


async def test_asend_notification_with_a_payload_returns_the_access_record(receiver, connection):
    url = f"http://127.0.0.1:{receiver.server_port}/other"
    record = await webhook.WebhookHook("c").asend(SENT, url=url, trigger_name="named")
    assert (record.status_code, record.trigger_name, record.trigger_url) == ("200", "named", url)


def test_test_connection_of_a_valid_connection_sends_nothing(receiver, connection):
    assert webhook.WebhookHook("c").test_connection()[0]
    assert receiver.bodies == []


@pytest.mark.parametrize(
    "values", [{"password": "planted"}, {"extra": {"headers": {"Host": "a"}}}, {"host": "a b"}]
)
def test_test_connection_with_an_invalid_field_names_neither_the_temporary_connection_nor_the_secret(
    values, monkeypatch
):
    made = conn(**{"host": "h.example", **values})
    made.conn_id = "8erTvoli"
    monkeypatch.setattr(webhook.WebhookHook, "get_connection", lambda self, conn_id: made)
    ok, text = webhook.WebhookHook("8erTvoli").test_connection()
    assert not ok
    assert text
    assert "8erTvoli" not in text
    assert "planted" not in text


@pytest.mark.parametrize(
    "value", ["https://u:planted@p:3128", "p:3128", "http://u:planted@p", "http://p:3128/planted"]
)
def test_webhook_proxy_with_an_invalid_option_raises_without_the_login(value, monkeypatch):
    monkeypatch.setenv("AIRFLOW__REGISTRY_TRIGGERS__WEBHOOK_PROXY", value)
    with pytest.raises(ValueError, match=r"\[registry_triggers\] webhook_proxy") as error:
        webhook_target.WebhookTarget(url="https://h.example").delivery(None)
    assert "planted" not in str(error.value)


def test_webhook_proxy_of_the_environment_is_ignored(monkeypatch):
    for name in ("http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://environment.example:3128")
    assert webhook_target.webhook_proxy() == ""
    monkeypatch.setenv("AIRFLOW__REGISTRY_TRIGGERS__WEBHOOK_PROXY", "http://proxy.example:3128")
    assert webhook_target.webhook_proxy() == "http://proxy.example:3128"
