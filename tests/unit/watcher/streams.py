# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A producer that a test drives: it takes the batches, acknowledges them and counts the polls."""

from __future__ import annotations

import asyncio
import contextlib

from airflow.triggers.shared_stream import AdvanceItem, AdvanceOutcome

from airflow_registry_triggers.common.state_store import WatermarkStore
from airflow_registry_triggers.registry.watermark import TagState, Watermark
from airflow_registry_triggers.tag_rule import TagRule
from airflow_registry_triggers.watcher.producer import RegistryProducer
from airflow_registry_triggers.watcher.subscribers import watching
from tests.unit.registry.scripted_registry import digest_of

KEY = ("registry-push", "conn", "team/app")
CLEAN = AdvanceOutcome(acked=1, failed=0)
TRIGGER_ID = 7


@contextlib.asynccontextmanager
async def stream(*watched, trigger_id=TRIGGER_ID):
    """Run a producer, as long as the context; its batches come through a queue."""
    producer = RegistryProducer(KEY)
    queue: asyncio.Queue = asyncio.Queue()

    async def pump():
        async for batch, _ in producer.open_stream():
            batch.consumed = True  # as the filter of its own trigger does
            queue.put_nowait(batch)

    with contextlib.ExitStack() as stack:
        for asset, rule, *newest in watched or (("asset", TagRule()),):
            stack.enter_context(watching(KEY, asset, rule, trigger_id, *newest))
        task = asyncio.create_task(pump())
        try:
            yield producer, queue
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await producer.aclose()


async def taken(queue, seconds=60.0):
    return await asyncio.wait_for(queue.get(), seconds)


async def acknowledge(producer, *batches):
    await producer.advance([AdvanceItem(batch, CLEAN) for batch in batches])


async def acknowledged(producer, queue):
    """Take a batch, acknowledge it, and return its tags."""
    batch = await taken(queue)
    await acknowledge(producer, batch)
    return tags_of(batch)


def tags_of(batch):
    return [notification.tag for notification in batch.notifications]


async def until(predicate, seconds=60.0):
    async with asyncio.timeout(seconds):
        while not predicate():
            await asyncio.sleep(0.005)


async def polls(registry, count=2):
    """Wait until the watcher has begun this many more polls, so that all but the last have ended."""
    wanted = registry.count("GET", "tags/list") + count + 1
    await until(lambda: registry.count("GET", "tags/list") >= wanted)


async def settled():
    """Let every task run that can run without time passing."""
    for _ in range(50):
        await asyncio.sleep(0)


def stored(stores, asset="asset"):
    return WatermarkStore(stores[asset]).load() if asset in stores else Watermark()


async def baseline(stores, *assets):
    await until(lambda: all(stored(stores, asset).epoch for asset in assets or ("asset",)))


def state(tag, generation, content):
    return TagState(tag, generation, digest_of(content))
