# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A dry run checks everything that a delivery needs, and opens no connection."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from airflow_registry_triggers.notification import Notification
from airflow_registry_triggers.webhook.delivery import Delivery
from airflow_registry_triggers.webhook.rehearsal import rehearse

SECRET = "whsec_" + "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"
PUSH = Notification.from_dict(
    {"push_data": {"tag": "v1"}, "repository": {"repo_full_name": "team/app"}, "event": {"id": "e1"}}
)


def delivery(url: str = "https://hooks.example.com/x", **values: Any) -> Delivery:
    return Delivery(url=url, **values)


def public(host: str, port: int) -> list[str]:
    return ["93.184.216.34"]


async def rehearsed(of: Delivery, lookup: Any = public) -> Any:
    return await rehearse(of, PUSH, "prod", 1, lookup=lookup)


async def test_rehearse_of_a_valid_delivery_records_the_signed_request() -> None:
    record = await rehearsed(delivery(signing_secrets=[SECRET], headers={"Authorization": "Bearer hidden-1"}))
    assert record.status_code == "dry_run"
    assert record.reason == "dry run: nothing was sent; hooks.example.com is 93.184.216.34"
    names = {name.lower() for name in record.request_headers}
    assert {"webhook-id", "webhook-timestamp", "webhook-signature"} <= names
    assert '"tag": "v1"' in record.request_body or '"tag":"v1"' in record.request_body
    assert "hidden-1" not in repr(record)
    assert SECRET not in repr(record)


async def test_rehearse_with_a_listening_receiver_opens_no_connection() -> None:
    opened = []

    async def accept(reader: Any, writer: Any) -> None:
        opened.append(writer)
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        of = delivery(f"http://127.0.0.1:{port}/x", allowed_networks=["127.0.0.0/8"])
        record = await rehearse(of, PUSH, "prod", 1)
        assert record.status_code == "dry_run"
        # A connection that is opened now is accepted after all earlier ones.
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        while not opened:
            await asyncio.sleep(0)
        writer.close()
    assert len(opened) == 1


@pytest.mark.parametrize(
    ("of", "lookup", "status", "words"),
    [
        (delivery("http://10.1.2.3/x"), public, "blocked", "Nothing was sent: 10.1.2.3 is a private address. To allow it, the administrator adds its network to [registry_triggers] allowed_networks."),
        (delivery("https://hooks.example.com:8443/"), public, "blocked", "Nothing was sent: https can only use port 443"),
        (delivery(), lambda *_: ["10.0.0.1"], "blocked", "hooks.example.com has the address 10.0.0.1, which is a private address"),
        (delivery(body_template="{{ nothing.at.all }}"), public, "blocked", "the body cannot be made"),
    ],
)  # fmt: skip
async def test_rehearse_of_a_faulty_delivery_has_the_status_of_the_fault(
    of: Delivery, lookup: Any, status: str, words: str
) -> None:
    record = await rehearsed(of, lookup)
    assert (record.status_code, words in record.reason) == (status, True), record.reason


async def test_rehearse_of_an_unknown_name_is_a_dns_error() -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    record = await rehearsed(delivery(), unknown)
    assert record.status_code == "dns_error"


async def test_rehearse_through_a_proxy_resolves_no_name() -> None:
    def never(host: str, port: int) -> list[str]:
        raise AssertionError("the proxy resolves the name")

    record = await rehearsed(delivery(proxy="http://proxy.example.com:3128"), never)
    assert (record.status_code, "through the proxy" in record.reason) == ("dry_run", True)
