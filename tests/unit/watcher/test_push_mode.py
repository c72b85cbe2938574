# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
docker-registry's own webhooks, the endpoint on a socket, the reader and a watcher, with a row in memory.

tests/integration/push_mode repeats this with a real Airflow.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
import time

import pytest
import uvicorn
from airflow.sdk import Connection

from airflow_registry_triggers.hooks.registry import RegistryHook
from airflow_registry_triggers.inbound.hint_row import merge
from airflow_registry_triggers.plugins import registry_webhooks
from airflow_registry_triggers.watcher import connection_cache, hints, watched_asset
from airflow_registry_triggers.watcher import producer as producer_module
from tests.harness import images
from tests.harness.docker_registry import DockerRegistry
from tests.harness.processes import free_port, wait_until
from tests.harness.push_mode import SECRET, distribution_body, notifications, send_webhook
from tests.unit.common.test_state_store import MemoryStore
from tests.unit.watcher.streams import acknowledge, stream
from tests.unit.watcher.test_hints import Rows

REPOSITORY = "team/app"
_labels = itertools.count()


class Installation:
    """A registry, the endpoint, and the shared state between endpoint and watcher."""

    def __init__(self, url, registry, rows, webhooks):
        self.url = url
        self.registry = registry
        self.rows = rows
        self.webhooks = webhooks
        self.found = []

    def push(self, *tags, image=None):
        image = image or images.Image(f"push-mode-{next(_labels)}")
        return images.put_image(self.registry, image, REPOSITORY, tags)

    async def take_all(self, producer, queue):
        while True:
            batch = await queue.get()
            self.found += [(item.tag, item.digest, item.id) for item in batch.notifications]
            await acknowledge(producer, batch)

    async def until(self, count, seconds=60):
        async with asyncio.timeout(seconds):
            while len(self.found) < count:
                await asyncio.sleep(0.02)


@pytest.fixture
def installation(monkeypatch, tmp_path):
    rows, port, webhooks = Rows(), free_port(), []
    url = f"http://127.0.0.1:{port}"

    def store(given):
        webhooks.append(given)
        row = merge(rows.values.get("hints/webhooks"), given, int(time.time() * 1000))
        rows.values["hints/webhooks"] = json.loads(json.dumps(row))

    def connection(conn_id):
        extra = {
            "scheme": "http",
            "poll_interval": 3600,
            "flap_limit": 0,
            "webhook_secret": SECRET,
            "webhook_rate": 10**6,
        }
        return Connection(
            conn_id=conn_id,
            conn_type="oci_registry",
            host="127.0.0.1",
            port=registry.port,
            extra=json.dumps(extra),
        )

    async def aconnection(conn_id):
        return connection(conn_id)

    stores = {}
    monkeypatch.setattr(registry_webhooks, "store_hints", store)
    monkeypatch.setattr(RegistryHook, "get_connection", connection)
    monkeypatch.setattr(RegistryHook, "aget_connection", aconnection)
    monkeypatch.setattr(connection_cache, "_read", {})
    monkeypatch.setattr(hints, "shared_state", lambda: rows)
    monkeypatch.setattr(watched_asset, "state_of_asset", lambda name: stores.setdefault(name, MemoryStore()))
    monkeypatch.setattr(producer_module, "FIRST_POLL_WITHIN", 0.0)
    app = registry_webhooks.create_app()

    async def mounted(scope, receive, send):
        if scope["type"] == "http":
            scope = {**scope, "path": scope["path"].removeprefix("/registry-webhooks")}
        await app(scope, receive, send)

    server = uvicorn.Server(uvicorn.Config(mounted, "127.0.0.1", port, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    with DockerRegistry(tmp_path / "registry", settings=notifications(url, "conn")) as registry:
        images.put_image(registry, images.Image("first"), REPOSITORY, ["v0"])
        thread.start()
        wait_until(lambda: server.started, 60, "the endpoint")
        yield Installation(url, registry, rows, webhooks)
        server.should_exit = True
        thread.join(10)


@pytest.fixture
async def watching(installation):
    """The watcher with its baseline, polling once an hour."""
    async with stream() as (producer, queue):
        async with asyncio.timeout(60):
            while producer._is_first:
                await asyncio.sleep(0.02)
        taking = asyncio.create_task(installation.take_all(producer, queue))
        yield installation
        taking.cancel()


def pairs(installation):
    return [(tag, digest) for tag, digest, _ in installation.found]


async def test_push_with_the_registrys_own_webhook_is_found_within_seconds(watching):
    began = time.monotonic()
    digest = await asyncio.to_thread(watching.push, "v1", "v2")
    await watching.until(2)
    assert sorted(pairs(watching)) == [("v1", digest), ("v2", digest)]
    assert time.monotonic() - began < 60, "the next poll follows after six minutes or more"


async def test_push_from_a_to_b_to_a_has_three_ids(watching):
    first, second = images.Image("a"), images.Image("b")
    for number, image in enumerate((first, second, first), start=1):
        await asyncio.to_thread(watching.push, "moving", image=image)
        await watching.until(number)
    assert [digest for _, digest, _ in watching.found] == [first.digest, second.digest, first.digest]
    assert len({push_id for _, _, push_id in watching.found}) == 3


async def test_webhooks_that_are_forged_replayed_or_of_deleted_tags_find_nothing(watching):
    digest = await asyncio.to_thread(watching.push, "deleted", "kept")
    await watching.until(2)
    watching.registry.remove_tag(REPOSITORY, "deleted")
    watching.registry.forget_requests()
    for body in (
        distribution_body(REPOSITORY, "kept", "invented", digest="sha256:" + "f" * 64),
        distribution_body(REPOSITORY, "deleted", digest=digest),
        distribution_body(REPOSITORY, "kept", digest=digest),
    ):
        answer = await asyncio.to_thread(send_webhook, watching.url, body, "conn")
        assert answer.status == 202

    def is_requested():
        return sum("manifests/invented" in line.path for line in watching.registry.requests()) >= 3

    await asyncio.to_thread(wait_until, is_requested, 60, "the three requests of the hint")
    assert len(watching.found) == 2


async def test_150_pushes_whose_webhook_comes_before_the_tag_are_all_found(watching):
    """Hints are sent by hand before each push; 50 tags at a time, as more of them mean all tags."""
    wanted = {}

    def push_late(tag):
        image = images.Image(f"early-{tag}")
        for digest, blob in image.blobs.items():
            images._put_blob(watching.registry, REPOSITORY, digest, blob)
        assert send_webhook(watching.url, distribution_body(REPOSITORY, tag), "conn").status == 202
        time.sleep(0.08)
        images._put_manifest(watching.registry, REPOSITORY, tag, image.manifest)
        wanted[tag] = image.digest

    for begin in range(0, 150, 50):
        for number in range(begin, begin + 50, 5):
            tags = [f"t{number + place}" for place in range(5)]
            await asyncio.gather(*(asyncio.to_thread(push_late, tag) for tag in tags))
        await watching.until(begin + 50)
        watching.rows.values.clear()  # as if a minute had passed
    assert sorted(pairs(watching)) == sorted(wanted.items())


async def test_pulls_of_the_watcher_store_no_hints(watching):
    await asyncio.to_thread(watching.push, "v1")
    await watching.until(1)
    before = len(watching.webhooks)
    await asyncio.sleep(5)  # the two repeats
    assert len(watching.webhooks) == before
