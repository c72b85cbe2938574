# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""An attempt that a stopped task cuts leaves a result."""

from __future__ import annotations

import asyncio

import pytest

from airflow_registry_triggers.notification import Notification
from airflow_registry_triggers.webhook.answer import AnswerHead
from airflow_registry_triggers.webhook.delivery import Delivery, DeliveryCancelled, Result
from airflow_registry_triggers.webhook.outcome import Outcome
from tests.unit.webhook.scripted_server import LOOPBACK, Script, ScriptedServer, answering

DIGEST = "sha256:" + "0" * 64
NOTIFICATION = Notification(
    {
        "push_data": {"digest": DIGEST, "pushed_at": "2026-01-01 00:00:00", "tag": "v1"},
        "repository": {"name": "app", "namespace": "team", "repo_full_name": "team/app"},
        "event": {"id": "0" * 32},
    }
)


async def cancelled(script: Script, *, until: asyncio.Event | None = None) -> Result:
    """Cancel a delivery once the server has its request, and after an event."""
    async with ScriptedServer(script) as server:
        delivery = Delivery(url=server.url, allowed_networks=LOOPBACK)
        task = asyncio.create_task(delivery.attempt(NOTIFICATION, "t", 1))
        while not server.requests:
            await asyncio.sleep(0.01)
        if until is not None:
            await asyncio.wait_for(until.wait(), 60)
        task.cancel()
        with pytest.raises(DeliveryCancelled) as cut:
            await task
        assert task.cancelled()
        return cut.value.result


async def test_attempt_cancelled_after_sending_is_ambiguous() -> None:
    result = await cancelled(answering(hold=60))
    assert result.outcome is Outcome.RETRY
    assert (result.record.status_code, result.record.ambiguous) == ("timeout", True)
    assert "after the request was sent" in result.record.reason
    assert result.record.request_headers["webhook-id"]
    assert result.record.request_body


async def test_attempt_cancelled_after_a_status_keeps_the_status(monkeypatch: pytest.MonkeyPatch) -> None:
    read, feed = asyncio.Event(), AnswerHead.feed

    def fed(head: AnswerHead, data: bytes) -> bytes:
        rest = feed(head, data)
        if head.is_complete:
            read.set()
        return rest

    monkeypatch.setattr(AnswerHead, "feed", fed)
    result = await cancelled(
        answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", hold=60), until=read
    )
    assert result.outcome is Outcome.DELIVERED
    assert (result.record.status_code, result.record.ambiguous) == ("200", False)


async def test_attempt_cancelled_before_sending_is_not_ambiguous() -> None:
    from airflow_registry_triggers.webhook.attempt import AttemptCancelled, send
    from airflow_registry_triggers.webhook.url import parse_endpoint

    release = asyncio.Event()
    loop = asyncio.get_running_loop()

    def lookup(host: str, port: int) -> list[str]:
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result(60)
        return ["127.0.0.1"]

    task = asyncio.create_task(send(parse_endpoint("http://h.test/"), b"{}", {}, lookup=lookup))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(AttemptCancelled) as cut:
        await task
    release.set()
    assert not cut.value.attempt.ambiguous
    assert cut.value.attempt.outcome is Outcome.RETRY
