# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
An unchanged poll through nginx with TLS and gzip, against a bare aiohttp loop in the same run.

    python -m benchmarks.registry_nginx [--tags 1500] [--rounds 5]

nginx's log counts requests and connections. Rounds alternate between the two clients. Prints Markdown.
"""

from __future__ import annotations

import argparse
import asyncio
import ssl
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import aiohttp
import trustme

from airflow_registry_triggers.registry.client import ACCEPT, RegistryClient
from airflow_registry_triggers.registry.poll import poll
from airflow_registry_triggers.registry.watermark import Watermark
from tests.harness.images import Image, put_image
from tests.harness.nginx import NginxRegistry

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

IN_FLIGHT = 10
REPOSITORY = "team/many"


async def bare_poll(session: aiohttp.ClientSession, url: str) -> None:
    """Send the requests of a poll and keep nothing."""
    async with session.get(f"{url}/v2/{REPOSITORY}/tags/list?n=1000") as answer:
        tags = iter((await answer.json())["tags"])

    async def work() -> None:
        for tag in tags:
            headers = {"Accept": ACCEPT, "Accept-Encoding": "identity"}
            async with session.head(f"{url}/v2/{REPOSITORY}/manifests/{tag}", headers=headers) as answer:
                if not answer.headers["Docker-Content-Digest"]:
                    raise RuntimeError(f"{tag}: no digest")

    await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))


async def timed(run: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    started, busy = time.perf_counter(), time.process_time()
    await run()
    return time.perf_counter() - started, time.process_time() - busy


async def measure(registry: NginxRegistry, rounds: int) -> None:
    """Poll in turns and print the table."""
    user, password = registry.credentials or ("", "")
    context = ssl.create_default_context(cafile=registry.ca_file)
    connector = aiohttp.TCPConnector(limit=IN_FLIGHT, ssl=context)
    login = {"Authorization": aiohttp.encode_basic_auth(user, password)}
    session = aiohttp.ClientSession(connector=connector, headers=login)
    client = RegistryClient(registry.url, user, password, ca_file=registry.ca_file, max_in_flight=IN_FLIGHT)
    ours: list[tuple[float, float]] = []
    floor: list[tuple[float, float]] = []
    async with session, client:
        watermark = (await poll(client, REPOSITORY, Watermark())).watermark_after
        await bare_poll(session, registry.url)
        for _ in range(rounds):
            floor.append(await timed(lambda: bare_poll(session, registry.url)))
            ours.append(await timed(lambda: poll(client, REPOSITORY, watermark)))
    registry.forget_requests()
    async with RegistryClient(
        registry.url, user, password, ca_file=registry.ca_file, max_in_flight=IN_FLIGHT
    ) as fresh:
        await poll(fresh, REPOSITORY, watermark)
    await asyncio.sleep(0.5)  # nginx writes its log after the answer
    requests, connections = len(registry.requests()), registry.connections()
    wall, floor_wall = (median(run[0] for run in runs) for runs in (ours, floor))
    cpu, floor_cpu = (median(run[1] for run in runs) for runs in (ours, floor))
    print("| client | requests | connections | wall | of the floor | CPU |\n|---|---|---|---|---|---|")
    print(
        f"| this package | {requests} | {connections} "
        f"| {wall:.2f} s | {wall / floor_wall:.2f} | {cpu:.2f} s |"
    )
    print(f"| bare aiohttp loop | | | {floor_wall:.2f} s | 1 | {floor_cpu:.2f} s |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tags", type=int, default=1500)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, NginxRegistry(Path(folder), trustme.CA()) as registry:
        put_image(registry.backend, Image("benchmark"), REPOSITORY, [f"v{n}" for n in range(arguments.tags)])
        asyncio.run(measure(registry, arguments.rounds))


if __name__ == "__main__":
    main()
