# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Ways to find out what each tag of a repository points at; each runs in a process of its own."""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["CONTENDERS", "Measured"]

CONNECTIONS = 10


@dataclass(frozen=True)
class Measured:
    """
    What one poll took.

    :param wall: seconds
    :param cpu: seconds of this process
    :param rss_mb: the most memory that the process had, over what it had before the first poll
    :param state_bytes: size of what is stored, 0 where nothing is
    """

    wall: list[float]
    cpu: list[float]
    rss_mb: float
    state_bytes: int = 0


def _rss_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmRSS")


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def _measure(poll: Callable[[], Awaitable[int]], rounds: int, idle: float) -> Measured:
    wall, cpu = [], []
    for _ in range(rounds):
        started, busy = time.perf_counter(), time.process_time()
        await poll()
        wall.append(time.perf_counter() - started)
        cpu.append(time.process_time() - busy)
    return Measured(wall, cpu, _peak_mb() - idle)


async def ours(url: str, repository: str, rounds: int) -> Measured:
    """``poll()``: lists, asks HEAD for each tag, compares with the stored watermark."""
    from airflow_registry_triggers.registry.client import RegistryClient
    from airflow_registry_triggers.registry.poll import poll
    from airflow_registry_triggers.registry.watermark import Watermark

    async with RegistryClient(url, max_in_flight=CONNECTIONS) as client:
        idle = _rss_mb()
        stored = (await poll(client, repository, Watermark())).watermark_before.to_dict()

        async def once() -> int:
            watermark = Watermark.from_dict(stored)
            found = await poll(client, repository, watermark)
            if found.notifications or found.unknown or found.watermark_before.changes_since(watermark):
                raise RuntimeError(f"an unchanged poll found something: {found}")
            return watermark.size

        measured = await _measure(once, rounds, idle)
    size = sum(len(json.dumps(value)) for value in stored.values())
    return Measured(measured.wall, measured.cpu, measured.rss_mb, size)


async def bare(url: str, repository: str, rounds: int) -> Measured:
    """The floor: an aiohttp loop that sends the same requests and keeps nothing."""
    import aiohttp

    from airflow_registry_triggers.registry.client import ACCEPT

    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with aiohttp.ClientSession(connector=connector) as session:
        idle = _rss_mb()

        async def once() -> int:
            async with session.get(f"{url}/v2/{repository}/tags/list?n=1000") as response:
                tags = iter((await response.json())["tags"])
            told = 0

            async def work() -> None:
                nonlocal told
                for tag in tags:
                    target = f"{url}/v2/{repository}/manifests/{tag}"
                    async with session.head(target, headers={"Accept": ACCEPT}) as response:
                        told += bool(response.headers["Docker-Content-Digest"])

            await asyncio.gather(*(work() for _ in range(CONNECTIONS)))
            return told

        return await _measure(once, rounds, idle)


async def oras(url: str, repository: str, rounds: int) -> Measured:
    """``get_tags``, then ``do_request(..., "HEAD")`` for each tag, one after the other (requests)."""
    from oras.container import Container
    from oras.provider import Registry

    from airflow_registry_triggers.registry.client import ACCEPT

    host = url.removeprefix("http://")
    registry = Registry(host, insecure=True)
    idle = _rss_mb()

    async def once() -> int:
        container = Container(f"{host}/{repository}", registry=host)
        digests = {}
        for tag in registry.get_tags(container):
            target = f"{url}/v2/{repository}/manifests/{tag}"
            answer = registry.do_request(target, "HEAD", headers={"Accept": ACCEPT})
            digests[tag] = answer.headers["Docker-Content-Digest"]
        return len(digests)

    return await _measure(once, rounds, idle)


async def dxf(url: str, repository: str, rounds: int) -> Measured:
    """``list_aliases``, then ``head_manifest_and_response`` for each tag, one after the other (requests)."""
    from dxf import DXF

    idle = _rss_mb()

    async def once() -> int:
        digests = {}
        with DXF(url.removeprefix("http://"), repository, insecure=True) as client:
            for tag in client.list_aliases(iterate=True):
                digests[tag] = client.head_manifest_and_response(tag)[1].headers["Docker-Content-Digest"]
        return len(digests)

    return await _measure(once, rounds, idle)


CONTENDERS = {"this package": ours, "bare aiohttp loop": bare, "oras": oras, "python-dxf": dxf}


if __name__ == "__main__":
    name, url, repository, rounds = sys.argv[1:]
    print(json.dumps(asdict(asyncio.run(CONTENDERS[name](url, repository, int(rounds))))))
