# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The endpoint for registries' webhooks, without an api-server: each answer, its order and its limits."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import threading
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
import uvicorn
from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from airflow_registry_triggers.hooks.registry import RegistryHook
from airflow_registry_triggers.plugins import inbound_connections, inbound_warnings, registry_webhooks
from airflow_registry_triggers.plugins.hint_store import NoStateAsset
from airflow_registry_triggers.plugins.registry_webhooks import create_app
from tests.unit.watcher.streams import until

SECRET = "planted-secret-of-a-webhook"
PREVIOUS = "planted-secret-of-last-year"
BEARER = {"Authorization": f"Bearer {SECRET}"}
PAYLOADS = Path(__file__).resolve().parents[4] / "shared" / "payloads"
PUSH = {
    "events": [
        {
            "id": "1",
            "action": "push",
            "target": {"repository": "team/app", "tag": "v1", "digest": "sha256:" + "a" * 64},
            "request": {"host": "registry.example.com"},
        }
    ]
}


class Endpoint:
    """The app with Connections and a database in memory."""

    def __init__(self):
        self.connections = {"conn": ("oci_registry", {"webhook_secret": SECRET})}
        self.stored = []
        self.lookups = []
        self.database_error = None
        self.store_error = None
        self.store_hints = self.stored.append
        self.app = None

    def get_connection(self, conn_id):
        self.lookups.append(conn_id)
        if self.database_error or conn_id not in self.connections:
            raise AirflowNotFoundException(f"The conn_id `{conn_id}` isn't defined")
        conn_type, extra = self.connections[conn_id]
        text = extra if isinstance(extra, str) else json.dumps(extra)
        return Connection(conn_id=conn_id, conn_type=conn_type, host="r.example.com", extra=text)

    def check_database(self):
        if self.database_error:
            raise self.database_error

    def store(self, hints):
        if self.store_error:
            raise self.store_error
        self.store_hints(hints)

    async def request(self, method="POST", path="/conn", content=b"", headers=None, query=""):
        body = json.dumps(content).encode() if isinstance(content, dict | list) else content
        transport = httpx.ASGITransport(app=self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://airflow") as client:
            return await client.request(
                method, path + query, content=body, headers=BEARER if headers is None else headers
            )

    @property
    def hints(self):
        return {key: tags for hints in self.stored for key, tags in hints.items()}


@pytest.fixture
def endpoint(monkeypatch):
    current = Endpoint()
    monkeypatch.setattr(registry_webhooks, "store_hints", current.store)
    monkeypatch.setattr(registry_webhooks, "check_database", current.check_database)
    monkeypatch.setattr(RegistryHook, "get_connection", current.get_connection)
    current.app = create_app()
    return current


async def test_endpoint_with_a_push_stores_its_tag(endpoint):
    answer = await endpoint.request(content=PUSH)
    assert (answer.status_code, answer.json()) == (202, {"taken": 1})
    assert endpoint.hints == {("conn", "team/app"): {"v1"}}


async def test_endpoint_with_a_trailing_slash_stores_too(endpoint):
    assert (await endpoint.request(path="/conn/", content=PUSH)).status_code == 202
    assert endpoint.hints


@pytest.mark.parametrize("path", sorted(PAYLOADS.glob("*.json")), ids=lambda path: path.stem)
async def test_endpoint_with_a_recorded_payload_takes_it(endpoint, path):
    headers = {**BEARER, "X-GitHub-Event": "package"} if path.stem.startswith("github") else BEARER
    answer = await endpoint.request(content=path.read_bytes(), headers=headers)
    assert answer.status_code == 202
    assert (answer.json()["taken"] > 0) == bool(endpoint.hints)
    none = {
        "distribution_envelope_test",
        "alibaba_acr_eventbridge_build_completed",
        "alibaba_acr",
    }  # repoTest
    assert bool(endpoint.hints) == (path.stem not in none)


@pytest.mark.parametrize(
    "event",
    [
        {"action": "pull", "target": {"repository": "team/app", "tag": "v1"}},
        {"action": "delete", "target": {"repository": "team/app", "digest": "sha256:1"}},
        {"action": "push", "target": {"repository": "team/app"}},
        {"action": "push", "target": {"repository": "../../etc", "tag": "v1"}},
        {"action": "push", "target": {"repository": "A" * 300, "tag": "v1"}},
    ],
)
async def test_endpoint_with_other_events_takes_nothing_and_touches_no_database(endpoint, event):
    answer = await endpoint.request(content={"events": [event]})
    assert (answer.status_code, answer.json()) == (202, {"taken": 0})
    assert endpoint.stored == []


async def test_endpoint_with_an_empty_envelope_takes_nothing(endpoint):
    answer = await endpoint.request(content={"events": []})
    assert (answer.status_code, answer.json()) == (202, {"taken": 0})


async def test_endpoint_with_the_validation_of_event_grid_returns_its_code(endpoint):
    event = {
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "data": {"validationCode": "512d38b6"},
    }
    answer = await endpoint.request(content=[event])
    assert (answer.status_code, answer.json()) == (200, {"validationResponse": "512d38b6"})
    assert (await endpoint.request(content=[event], headers={})).status_code == 401


async def test_endpoint_with_options_of_cloudevents_allows_the_origin(endpoint):
    origin = {"WebHook-Request-Origin": "eventgrid.azure.net"}
    answer = await endpoint.request("OPTIONS", headers={**BEARER, **origin})
    assert answer.status_code == 200
    assert answer.headers["WebHook-Allowed-Origin"] == "eventgrid.azure.net"
    assert (await endpoint.request("OPTIONS", headers=origin)).status_code == 401
    assert (await endpoint.request("OPTIONS")).status_code == 405


PROOFS = {
    "bearer": (BEARER, ""),
    "bare": ({"Authorization": SECRET}, ""),
    "basic": ({"Authorization": httpx.BasicAuth("any", SECRET)._auth_header}, ""),
    "key": ({"X-Api-Key": SECRET}, ""),
    "query": ({}, f"?token={SECRET}"),
    "signature": (
        {"X-Hub-Signature-256": "sha256=" + hmac.digest(SECRET.encode(), json.dumps(PUSH).encode(), "sha256").hex()},
        "",
    ),
    "sha1": ({"X-Nexus-Webhook-Signature": hmac.new(SECRET.encode(), json.dumps(PUSH).encode(), hashlib.sha1).hexdigest()}, ""),
    "previous": ({"Authorization": PREVIOUS}, ""),
}  # fmt: skip


@pytest.mark.parametrize("proof", PROOFS)
async def test_endpoint_with_a_proof_takes_the_push(endpoint, proof):
    endpoint.connections["conn"][1]["previous_webhook_secret"] = PREVIOUS
    headers, query = PROOFS[proof]
    assert (await endpoint.request(content=PUSH, headers=headers, query=query)).status_code == 202


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": ""},
        {**BEARER, "X-Hub-Signature-256": "sha256=" + "0" * 64},
        {"Authorization": f"Bearer {SECRET} "[:-2]},
    ],
)
async def test_endpoint_without_a_valid_proof_answers_401(endpoint, headers):
    answer = await endpoint.request(content=PUSH, headers=headers)
    assert answer.status_code == 401
    assert endpoint.stored == []


async def test_endpoint_with_an_unproven_request_does_not_read_its_body(endpoint):
    async def body():
        yield b"{"
        pytest.fail("read")

    scope = {
        "type": "http", "method": "POST", "path": "/conn", "raw_path": b"/conn", "query_string": b"",
        "headers": [], "root_path": "", "scheme": "http", "server": ("airflow", 80), "http_version": "1.1",
    }  # fmt: skip
    sent = []

    async def receive():
        pytest.fail("the body was read")

    async def send(message):
        sent.append(message)

    await endpoint.app(scope, receive, send)
    assert sent[0]["status"] == 401


@pytest.mark.parametrize(
    "path", ["/other", "/docker", "/plain", "/a%20b", "/" + "x" * 201, "/", "/conn/deep", "/%00"]
)
async def test_endpoint_without_a_connection_that_takes_webhooks_answers_404_alike(endpoint, path):
    endpoint.connections["docker"] = ("docker", {"webhook_secret": SECRET})
    endpoint.connections["plain"] = ("oci_registry", {})
    answer = await endpoint.request(path=path, content=PUSH)
    assert (answer.status_code, answer.text) == (404, "not found")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "TRACE"])
@pytest.mark.parametrize("path", ["/conn", "/other"])
async def test_endpoint_with_another_method_answers_405(endpoint, method, path):
    answer = await endpoint.request(method, path)
    assert answer.status_code == 405
    assert endpoint.lookups == []


async def test_endpoint_with_1_mib_takes_the_body_and_with_a_byte_more_answers_413(endpoint):
    body = json.dumps(PUSH).encode()
    assert (await endpoint.request(content=body.ljust(1024 * 1024))).status_code == 202
    assert (await endpoint.request(content=body.ljust(1024 * 1024 + 1))).status_code == 413
    assert len(endpoint.stored) == 1


async def test_endpoint_with_a_large_body_without_length_answers_413(endpoint):
    read = 0

    async def chunks():
        nonlocal read
        for _ in range(100):
            read += 1
            yield b" " * 100_000

    assert (await endpoint.request(content=chunks())).status_code == 413


async def test_endpoint_with_a_slow_body_answers_408(endpoint, monkeypatch):
    monkeypatch.setattr(registry_webhooks, "MAX_SECONDS", 0.1)

    async def receive():
        await asyncio.sleep(60)

    scope = {
        "type": "http", "method": "POST", "path": "/conn", "raw_path": b"/conn", "query_string": b"",
        "headers": [(b"authorization", BEARER["Authorization"].encode())], "root_path": "", "scheme": "http",
        "server": ("airflow", 80), "http_version": "1.1",
    }  # fmt: skip
    sent = []

    async def send(message):
        sent.append(message)

    await asyncio.wait_for(endpoint.app(scope, receive, send), 30)
    assert sent[0]["status"] == 408


async def test_endpoint_with_a_sender_that_disconnects_during_the_body_counts_400_and_logs_it_once(
    endpoint, monkeypatch, caplog
):
    counted = []
    monkeypatch.setattr(registry_webhooks, "count_webhook", lambda *values: counted.append(values))
    config = uvicorn.Config(endpoint.app, port=0, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    for _ in range(3):
        _, writer = await asyncio.open_connection(*server.servers[0].sockets[0].getsockname())
        head = "POST /conn HTTP/1.1", "Host: airflow", "Content-Length: 100", "X-Hub-Signature-256: sha256=0"
        writer.write("\r\n".join((*head, "", "{")).encode())
        await writer.drain()
        writer.close()
    await until(lambda: len(counted) == 3)
    server.should_exit = True
    await serving
    assert counted == [(400, "", 0)] * 3
    (warning,) = (record.message for record in caplog.records if record.levelno >= logging.WARNING)
    assert warning == (
        "Connection 'conn': webhooks are rejected (400): the sender disconnected before the end of the body"
    )


@pytest.mark.parametrize(
    ("content", "text"),
    [(b"", "JSON"), (b"\xff{", "JSON"), (b"[1]", "object"), (b'{"hello": "hunter2"}', "events")],
)
async def test_endpoint_with_an_unknown_body_answers_422_without_a_value_of_it(endpoint, content, text):
    answer = await endpoint.request(content=content)
    assert answer.status_code == 422
    assert text in answer.text
    assert "hunter2" not in answer.text


@pytest.mark.parametrize(("size", "is_inline"), [(16 * 1024, True), (16 * 1024 + 1, False)])
async def test_endpoint_reads_a_large_body_outside_the_thread_of_the_event_loop(
    endpoint, monkeypatch, size, is_inline
):
    threads, original = [], registry_webhooks.read_webhook

    def read(*given):
        threads.append(threading.get_ident())
        return original(*given)

    monkeypatch.setattr(registry_webhooks, "read_webhook", read)
    answer = await endpoint.request(content=json.dumps(PUSH).encode().ljust(size))
    assert (answer.status_code, answer.json()) == (202, {"taken": 1})
    assert [thread == threading.get_ident() for thread in threads] == [is_inline]


async def test_endpoint_with_10_001_items_rejects_an_array_and_takes_an_envelope(endpoint):
    answer = await endpoint.request(content=[{}] * 10_001)
    assert (answer.status_code, answer.text) == (422, "the array has more than 10000 items")
    answer = await endpoint.request(content={"events": PUSH["events"] + [{}] * 10_000})
    assert (answer.status_code, answer.json()) == (202, {"taken": 1})


async def test_endpoint_over_the_rate_answers_429(endpoint):
    endpoint.connections["conn"][1]["webhook_rate"] = 3
    for _ in range(5):
        assert (await endpoint.request(headers={})).status_code == 401
    answers = [await endpoint.request(content=PUSH) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [202, 202, 202, 429]
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        ({"webhook_secret": "fifteen-letters"}, "field webhook_secret"),
        ({"webhook_secret": SECRET, "previous_webhook_secret": "short"}, "field previous_webhook_secret"),
        ({"webhook_secret": SECRET, "webhook_rate": "many"}, "webhook_rate"),
        ({"webhook_secret": 5}, "webhook_secret"),
    ],
)
async def test_endpoint_with_invalid_connection_values_answers_503_and_logs_the_field(
    endpoint, extra, named, caplog
):
    endpoint.connections["conn"] = ("oci_registry", extra)
    with caplog.at_level(logging.WARNING):
        answer = await endpoint.request(content=PUSH, headers={"Authorization": "fifteen-letters"})
    assert (answer.status_code, answer.text) == (503, "not available")
    assert answer.headers["Retry-After"] == "30"
    (warning,) = [item.message for item in caplog.records if item.name == inbound_warnings.__name__]
    assert named in warning
    assert warning.count("Connection 'conn'") == 1
    assert "fifteen-letters" not in warning


@pytest.mark.parametrize(
    "extra", ["[1]", '"fifteen-letters"', "5", "null", "webhook_secret: hunter2", "[" * 60_000]
)
async def test_endpoint_with_an_extra_that_is_not_an_object_answers_503_and_logs_it(endpoint, extra, caplog):
    endpoint.connections["conn"] = ("oci_registry", extra)
    answer = await endpoint.request(content=PUSH)
    assert (answer.status_code, answer.text, answer.headers["Retry-After"]) == (503, "not available", "30")
    (warning,) = [record.message for record in caplog.records if record.name == inbound_warnings.__name__]
    assert warning == "Connection 'conn': webhooks are rejected (503): extra must be a JSON object"
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize("extra", ["", " ", "{}"])
async def test_endpoint_with_an_empty_extra_answers_404(endpoint, extra):
    endpoint.connections["conn"] = ("oci_registry", extra)
    assert (await endpoint.request(content=PUSH)).status_code == 404


@pytest.mark.parametrize("error", [NoStateAsset("The shared state asset does not exist"), OSError("hunter2")])
async def test_endpoint_when_hints_cannot_be_stored_answers_503(endpoint, error, caplog):
    endpoint.store_error = error
    answer = await endpoint.request(content=PUSH)
    assert (answer.status_code, answer.text, answer.headers["Retry-After"]) == (503, "not available", "30")
    assert "hunter2" not in caplog.text
    endpoint.store_error = None
    assert (await endpoint.request(content=PUSH)).status_code == 202


async def test_endpoint_without_database_answers_503_and_recovers(endpoint, monkeypatch):
    monkeypatch.setattr(inbound_connections, "MAX_AGE_OF_ERROR", 0.0)
    endpoint.database_error = OSError("connection refused")
    assert (await endpoint.request(content=PUSH)).status_code == 503
    endpoint.database_error = None
    assert (await endpoint.request(content=PUSH)).status_code == 202


async def test_endpoint_when_the_database_fails_later_keeps_the_connection(endpoint, monkeypatch):
    await endpoint.request(content=PUSH)
    monkeypatch.setattr(inbound_connections, "MAX_AGE", 0.0)
    endpoint.database_error = OSError("connection refused")
    assert (await endpoint.request(content=PUSH)).status_code == 202


async def test_endpoint_reads_a_connection_once_in_30_s_and_absence_too(endpoint):
    for _ in range(5):
        await endpoint.request(content=PUSH)
        await endpoint.request(path="/absent", content=PUSH)
    assert sorted(endpoint.lookups) == ["absent", "conn"]


async def test_endpoint_after_a_rotation_reads_the_new_secret_at_once_and_then_once_in_30_s(endpoint):
    await endpoint.request(content=PUSH)
    endpoint.connections["conn"] = ("oci_registry", {"webhook_secret": PREVIOUS})
    assert (await endpoint.request(content=PUSH, headers={"Authorization": PREVIOUS})).status_code == 202
    for _ in range(5):
        assert (await endpoint.request(content=PUSH)).status_code == 401
    assert endpoint.lookups == ["conn", "conn"]


async def test_endpoint_with_2_000_unknown_ids_in_5_s_looks_up_ten_a_second(endpoint, monkeypatch):
    now = 1000.0
    monkeypatch.setattr(inbound_connections, "time", SimpleNamespace(monotonic=lambda: now))
    await endpoint.request(content=PUSH)
    codes = set()
    for number in range(2000):
        now += 5 / 2000
        codes.add((await endpoint.request(path=f"/unknown-{number}", headers={})).status_code)
    assert codes == {404}
    assert 40 <= len(endpoint.lookups) <= 60
    assert (await endpoint.request(content=PUSH)).status_code == 202
    assert endpoint.lookups.count("conn") == 1


async def test_endpoint_over_the_limit_of_lookups_still_renews_a_known_connection(endpoint, monkeypatch):
    now = 1000.0
    monkeypatch.setattr(inbound_connections, "time", SimpleNamespace(monotonic=lambda: now))
    await endpoint.request(content=PUSH)
    now += inbound_connections.MAX_AGE
    for number in range(15):
        await endpoint.request(path=f"/unknown-{number}", headers={})
    assert (await endpoint.request(content=PUSH)).status_code == 202
    assert endpoint.lookups.count("conn") == 2


async def test_endpoint_cache_of_absent_ids_keeps_known_connections(monkeypatch):
    monkeypatch.setattr(inbound_connections, "UNKNOWN_LOOKUPS", 10_000)
    monkeypatch.setattr(inbound_connections, "MAX_ENTRIES", 50)
    lookups = []

    def read(conn_id):
        lookups.append(conn_id)
        return registry_webhooks.InboundSettings((SECRET,)) if conn_id == "conn" else None

    cache = inbound_connections.InboundConnections(read)
    await cache.get("conn")
    for number in range(200):
        await cache.get(f"unknown-{number}")
    assert (await cache.get("conn")).is_known
    assert lookups.count("conn") == 1
    assert len(cache._entries) == 50


async def test_endpoint_with_parallel_webhooks_of_a_new_connection_reads_it_once(endpoint):
    answers = await asyncio.gather(*(endpoint.request(content=PUSH) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {202}
    assert endpoint.lookups == ["conn"]


async def test_endpoint_with_parallel_webhooks_stores_all_hints_in_few_writes(endpoint, monkeypatch):
    release = threading.Event()
    store = endpoint.store_hints

    def slow_store(hints):
        release.wait(60)
        store(hints)

    endpoint.store_hints = slow_store
    bodies = [json.loads(json.dumps(PUSH).replace('"v1"', f'"v{number}"')) for number in range(40)]
    read, original = [], registry_webhooks.read_webhook
    monkeypatch.setattr(
        registry_webhooks, "read_webhook", lambda *given: read.append(given) or original(*given)
    )
    requests = [asyncio.create_task(endpoint.request(content=body)) for body in bodies]
    async with asyncio.timeout(60):
        while len(read) < 40:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    assert not any(request.done() for request in requests), "an answer follows its write"
    requests[5].cancel()
    release.set()
    answers = await asyncio.gather(*requests, return_exceptions=True)
    assert sum(isinstance(answer, asyncio.CancelledError) for answer in answers) == 1
    assert set().union(*(hints[("conn", "team/app")] for hints in endpoint.stored)) == {
        f"v{n}" for n in range(40)
    }
    assert len(endpoint.stored) <= 5


async def test_endpoint_with_parallel_webhooks_when_a_write_fails_answers_503_to_all_of_it(endpoint):
    endpoint.store_error = OSError()
    answers = await asyncio.gather(*(endpoint.request(content=PUSH) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {503}


async def test_endpoint_logs_each_reason_once_and_no_part_of_a_webhook(endpoint, caplog, monkeypatch):
    with caplog.at_level(logging.DEBUG):
        for _ in range(3):
            await endpoint.request(
                content=PUSH, headers={"Authorization": "Bearer hunter2"}, query="?token=hunter2"
            )
            await endpoint.request(content=b'{"hunter2": 1}')
            await endpoint.request(path="/hunter2", content=PUSH)
            await endpoint.request(content=PUSH)
    ours = [record.message for record in caplog.records if record.name == inbound_warnings.__name__]
    assert len(ours) == 3
    own = "\n".join(record.getMessage() for record in caplog.records if not record.name.startswith("httpx"))
    assert "hunter2" not in own
    assert SECRET not in own


async def test_endpoint_with_a_prefix_in_the_registry_stores_both_names(endpoint):
    body = {"domain": "docker", "event_type": "pushed", "jpd_origin": "https://jfrog.example.com",
            "data": {"repo_key": "docker-local", "image_name": "team/app", "tag": "v1"}}  # fmt: skip
    assert (await endpoint.request(content=body)).json() == {"taken": 1}
    assert endpoint.hints == {("conn", "team/app"): {"v1"}, ("conn", "docker-local/team/app"): {"v1"}}


async def test_endpoint_with_a_github_form_takes_the_payload(endpoint):
    path = PAYLOADS / "github_registry_package_legacy_tagged.json"
    if not path.exists():
        pytest.skip("no payloads")
    from urllib.parse import urlencode

    body = urlencode({"payload": path.read_text()}).encode()
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-GitHub-Event": "registry_package",
        "X-Hub-Signature-256": "sha256=" + hmac.digest(SECRET.encode(), body, "sha256").hex(),
    }
    assert (await endpoint.request(content=body, headers=headers)).json() == {"taken": 1}


async def test_endpoint_counts_answers_and_stored_hints(endpoint, monkeypatch):
    counted = []
    monkeypatch.setattr(registry_webhooks, "count_webhook", lambda *values: counted.append(values))
    await endpoint.request(content=PUSH)
    await endpoint.request(headers={})
    await endpoint.request(content=b"{}")
    assert counted == [(202, "distribution", 1), (401, "", 0), (422, "unknown", 0)]
