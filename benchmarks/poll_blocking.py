# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
The longest time for which a poll of a large repository blocks the event loop.

    python -m benchmarks.poll_blocking [--tags 200000]

The registry runs in a process of its own and lists all tags with their digests on pages of 1,000 tags, or on
a single page (``--page 0``). The same event loop sleeps for a millisecond in a loop, and its lateness is
measured: at the first poll (a baseline), at an unchanged poll, and at polls in which every tag was pushed.
Loading and storing the watermark are included. On a machine with other work the loop wakes late for reasons
of its own; the CPU time that this process used between two wakes does not depend on that. Prints Markdown.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import multiprocessing
import time
from typing import TYPE_CHECKING, Any

from aiohttp import web

from airflow_registry_triggers.common.state_store import WatermarkStore
from airflow_registry_triggers.registry.client import RegistryClient
from airflow_registry_triggers.registry.errors import StormHeld
from airflow_registry_triggers.registry.poll import poll

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

REPOSITORY = "team/app"
PAUSE = 0.001

POLLS = {
    "first poll": 500,
    "unchanged poll": 500,
    "every tag pushed, held by `storm_limit`": 500,
    "every tag pushed, without `storm_limit`": None,
}
"""Name of the poll to its ``storm_limit``."""


class MemoryStore:
    """A state store of Airflow, in memory; values are JSON, as in the database."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    async def aget(self, key: str, default: Any = None) -> Any:
        await asyncio.sleep(0)
        return json.loads(self.values[key]) if key in self.values else default

    async def aset(self, key: str, value: Any) -> None:
        await asyncio.sleep(0)
        self.values[key] = json.dumps(value)

    async def adelete(self, key: str) -> None:
        self.values.pop(key, None)


def page_of(first: int, count: int, generation: int) -> dict[str, Any]:
    tags = [f"v{number:06}" for number in range(first, first + count)]
    manifest = {
        f"sha256:{first + offset:032x}{generation:032x}": {"tag": [tag], "timeUploadedMs": "1700000000000"}
        for offset, tag in enumerate(tags)
    }
    return {"name": REPOSITORY, "tags": tags, "manifest": manifest}


async def serve(pipe: Connection, tags: int, page: int) -> None:
    size = page or tags
    state = {"generation": 0}

    async def handle(request: web.Request) -> web.Response:
        if request.path == "/generation":
            state["generation"] += 1
            return web.Response()
        first = int(request.query.get("at", 0))
        body = page_of(first, min(size, tags - first), state["generation"])
        response = web.Response(text=json.dumps(body), content_type="application/json")
        if first + size < tags:
            response.headers["Link"] = f'<{request.path}?at={first + size}>; rel="next"'
        return response

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    pipe.send(runner.addresses[0][1])
    await asyncio.to_thread(pipe.recv)
    await runner.cleanup()


def run_registry(pipe: Connection, tags: int, page: int) -> None:
    asyncio.run(serve(pipe, tags, page))


@contextlib.asynccontextmanager
async def measured(name: str):
    """Print the time of a block, and the longest lateness of the event loop and garbage collection in it."""
    longest = longest_cpu = longest_collection = collection_began = 0.0

    def collected(phase: str, _: Any) -> None:
        nonlocal longest_collection, collection_began
        if phase == "start":
            collection_began = time.thread_time()
        else:
            longest_collection = max(longest_collection, time.thread_time() - collection_began)

    async def watch() -> None:
        nonlocal longest, longest_cpu
        while True:
            before, cpu = time.perf_counter(), time.process_time()
            await asyncio.sleep(PAUSE)
            longest = max(longest, time.perf_counter() - before - PAUSE)
            longest_cpu = max(longest_cpu, time.process_time() - cpu)

    gc.collect()  # what was imported and what the poll before it left is not this poll's
    watcher = asyncio.create_task(watch())
    await asyncio.sleep(0.05)
    longest = longest_cpu = 0.0
    gc.callbacks.append(collected)
    began, cpu = time.perf_counter(), time.process_time()
    yield
    took, used = time.perf_counter() - began, time.process_time() - cpu
    await asyncio.sleep(0.01)
    gc.callbacks.remove(collected)
    watcher.cancel()
    cells = [f"{took:.1f} s", f"{used:.1f} s"]
    cells += [f"{seconds * 1000:.0f} ms" for seconds in (longest, longest_cpu, longest_collection)]
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


async def measure(url: str) -> None:
    store = MemoryStore()
    watermarks = WatermarkStore(store)  # type: ignore[arg-type]
    async with RegistryClient(url) as client:
        for name, limit in POLLS.items():
            if name.startswith("every"):
                await _next_generation(url)
            async with measured(name):
                watermark = await watermarks.aload()
                try:
                    found = await poll(client, REPOSITORY, watermark, storm_limit=limit)
                    await watermarks.asave(found.watermark_before, watermark)
                except StormHeld:
                    continue
            print(f"<!-- {found.watermark_after}, {len(found.notifications)} notifications -->", flush=True)


async def _next_generation(url: str) -> None:
    import aiohttp

    async with aiohttp.ClientSession() as session, session.get(f"{url}/generation"):
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tags", type=int, default=200_000)
    parser.add_argument("--page", type=int, default=1000)
    options = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    registry = multiprocessing.get_context("spawn").Process(
        target=run_registry, args=(theirs, options.tags, options.page), daemon=True
    )
    registry.start()
    url = f"http://127.0.0.1:{ours.recv()}"
    print(f"{options.tags:,} tags with digests in the listing, {options.page or options.tags:,} on a page\n")
    columns = ("poll", "wall", "CPU", "longest block", "longest block, CPU", "longest garbage collection")
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)
    try:
        asyncio.run(measure(url))
    finally:
        ours.send(None)
        registry.join(10)


if __name__ == "__main__":
    main()
