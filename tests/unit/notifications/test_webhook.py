# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A notifier sends one webhook from a callback."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_registry_triggers.notifications.webhook import WebhookNotifier
from tests.unit.webhook.scripted_server import ScriptedServer, answering, response

CONTEXT: Any = {
    "ti": SimpleNamespace(dag_id="d", task_id="t", map_index=-1, try_number=2, state="failed"),
    "run_id": "r",
    "exception": ValueError("planted"),
}


@pytest.fixture(autouse=True)
def loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__REGISTRY_TRIGGERS__ALLOWED_NETWORKS", "127.0.0.0/8")


async def test_notify_default_payload_describes_the_task() -> None:
    async with ScriptedServer(answering(response(200))) as server:
        await asyncio.to_thread(WebhookNotifier(url=server.url).notify, CONTEXT)
    assert json.loads(server.requests[0].partition(b"\r\n\r\n")[2]) == {
        "dag_id": "d",
        "run_id": "r",
        "task_id": "t",
        "map_index": -1,
        "try_number": 2,
        "state": "failed",
        "exception": "ValueError",
    }


async def test_notify_payload_is_sent_with_one_id_for_one_event() -> None:
    async with ScriptedServer(answering(response(200))) as server:
        notifier = WebhookNotifier(url=server.url, payload={"a": 1}, headers={"X-A": "b"})
        for _ in range(2):
            await asyncio.to_thread(notifier.notify, CONTEXT)
    first, second = (request.decode().partition("\r\n\r\n") for request in server.requests)
    assert first[2] == second[2] == '{"a":1}'
    ids = {
        line for head in (first[0], second[0]) for line in head.split("\r\n") if line.startswith("webhook-id")
    }
    assert len(ids) == 1
    assert "X-A: b" in first[0]


async def test_notify_rejected_webhook_raises_with_status_and_reason() -> None:
    async with ScriptedServer(answering(response(404, b"planted"))) as server:
        with pytest.raises(RuntimeError, match="404") as error:
            await asyncio.to_thread(WebhookNotifier(url=server.url).notify, CONTEXT)
    assert "rejected" in str(error.value)
    assert "planted" not in str(error.value)


async def test_notifier_awaited_in_a_triggerer_sends_nothing_and_names_sync_callback() -> None:
    async with ScriptedServer(answering(response(200))) as server:
        with pytest.raises(NotImplementedError, match="SyncCallback"):
            await WebhookNotifier(url=server.url)
    assert server.requests == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "webhook_conn_id"),
        ({"url": "https://hooks.example.com:8443/"}, "443"),
        ({"url": "http://10.0.0.1/"}, "ip_denied"),
        ({"url": "http://h/", "request_timeout": 61}, "request_timeout=61"),
        ({"url": "http://h/", "headers": {"Host": "x"}}, "'Host'"),
        ({"url": "http://h/", "success_statuses": [99]}, "success_statuses"),
    ],
)
def test_notifier_invalid_literal_argument_raises(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        WebhookNotifier(**arguments)
