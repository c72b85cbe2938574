# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
What an unchanged poll costs on the OCI API, with recheck_interval, and with the registries' own APIs.

    python -m benchmarks.bulk_poll [--tags 1000 10000] [--rounds 5]

The registry is scripted and has a process of its own. Polls are 60 s apart by the clock that they are given;
the values of recheck_interval are means over an hour of polls. ECR's API is a call within the process. Prints
Markdown.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import time
import urllib.request
from collections import Counter
from datetime import UTC, datetime
from statistics import mean, median
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.registry.bulk.sources import Api
from airflow_registry_triggers.registry.client import RegistryClient
from airflow_registry_triggers.registry.poll import poll
from airflow_registry_triggers.registry.poll_memory import PollMemory
from airflow_registry_triggers.registry.watermark import Watermark
from benchmarks.reporting_server import REPOSITORY, ReportingServer
from tests.unit.registry.scripted_registry import digest_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

RECHECK = 900.0
POLLS_IN_AN_HOUR = 60
CASES = ["none", "recheck_interval 15 min", "azure", "docker_hub", "ecr", "quay", "harbor"]
HEADER = ("tags", "API", "requests of a poll", "wall", "requests of the first poll of a process")


def ecr_call(tags: int, calls: list[int]) -> Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]:
    digest = digest_of("one")

    async def list_images(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        calls.append(1)
        begin = int(arguments.get("nextToken", 0))
        end = min(begin + 1000, tags)
        images = [{"imageTag": f"v{number}", "imageDigest": digest} for number in range(begin, end)]
        return {"imageIds": images, **({"nextToken": str(end)} if end < tags else {})}

    return list_images


class Polls:
    """The polls of one watcher."""

    def __init__(self, server: ReportingServer, case: str, tags: int) -> None:
        self.calls: list[int] = []
        api = case if case not in CASES[:2] else ""
        images = ecr_call(tags, self.calls) if api == "ecr" else None
        self.api = Api(api, list_images=images, hub=server.url) if api else None
        self.interval = RECHECK if case == CASES[1] else 0.0
        self.server = server
        self.now = server.clock
        self.memory, self.watermark = PollMemory(), Watermark()

    def counts(self) -> Counter[str]:
        with urllib.request.urlopen(f"{self.server.url}/counts") as answer:
            found = Counter(json.load(answer))
        if self.calls:
            found["API"] += len(self.calls)
            self.calls.clear()
        return found

    async def poll(self, client: RegistryClient) -> float:
        self.now += 60
        began = time.perf_counter()
        found = await poll(
            client, REPOSITORY, self.watermark, memory=self.memory, storm_limit=None,
            recheck_interval=self.interval, now=datetime.fromtimestamp(self.now, UTC),
        )  # fmt: skip
        wall = time.perf_counter() - began
        if found.notifications or found.unknown:
            raise RuntimeError(f"an unchanged poll found something: {found}")
        self.watermark = found.watermark_before
        return wall


async def measure(server: ReportingServer, case: str, tags: int, rounds: int) -> list[str]:
    polls = Polls(server, case, tags)
    async with RegistryClient(server.url, api=polls.api, max_in_flight=10) as client:
        await polls.poll(client)
        polls.counts()
        polls.memory = PollMemory()
        await polls.poll(client)
        whole = polls.counts()
        if polls.interval:
            walls = [await polls.poll(client) for _ in range(POLLS_IN_AN_HOUR)]
            requests = f"{polls.counts().total() / POLLS_IN_AN_HOUR:,.0f} (mean of an hour)"
            return [f"{tags:,}", case, requests, f"{mean(walls):.3f} s (mean)", shown(whole)]
        walls = []
        for _ in range(rounds):
            polls.counts()
            walls.append(await polls.poll(client))
        unchanged = polls.counts()
    return [
        f"{tags:,}",
        case,
        shown(unchanged),
        f"{median(walls):.3f} s",
        shown(whole),
    ]


def shown(counts: Counter[str]) -> str:
    parts = " + ".join(f"{counts[kind]:,} {kind}" for kind in ("API", "list", "HEAD", "GET") if counts[kind])
    return f"{counts.total():,} ({parts})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tags", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, a scripted registry on loopback\n")
    print(f"| {' | '.join(HEADER)} |\n{'|---' * len(HEADER)}|")
    for tags in options.tags:
        for case in CASES:
            api = case if case not in CASES[:2] else "quay"
            with ReportingServer(api, tags) as server:
                row = asyncio.run(measure(server, case, tags, options.rounds))
            print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
