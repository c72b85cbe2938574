# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
What an unchanged poll costs, beside the floor and beside other clients, against the real registry.

    python -m benchmarks.registry_poll [--tags 10 1000 10000] [--rounds 3]

Requests are counted by a proxy in a pass of its own; wall and CPU are measured without it. Contenders take
turns, each in a process of its own, with 10 connections where they can use more than one. Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.counting_proxy import CountingProxy
from benchmarks.registry_contenders import CONTENDERS, Measured
from tests.harness.docker_registry import DockerRegistry
from tests.harness.images import Image, put_image

if TYPE_CHECKING:
    from collections import Counter

OURS, FLOOR = "this package", "bare aiohttp loop"
SEQUENTIAL = {"oras", "python-dxf"}
HEADER = (
    "tags",
    "client",
    "requests of a poll",
    "wall",
    "of the floor",
    "CPU",
    "CPU per HEAD over the floor's",
    "memory",
    "state",
)


def run(name: str, url: str, repository: str, rounds: int) -> Measured:
    command = [sys.executable, "-m", "benchmarks.registry_contenders", name, url, repository, str(rounds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr}")
    return Measured(**json.loads(done.stdout))


def fill(registry: DockerRegistry, repository: str, count: int) -> None:
    """Push one image and write the files by which this registry keeps a tag; pushing each takes minutes."""
    digest = put_image(registry, Image("benchmark"), repository, ["v0"])
    folder = registry.storage / "docker/registry/v2/repositories" / repository / "_manifests/tags"
    for number in range(1, count):
        for link in ("current", f"index/sha256/{digest.partition(':')[2]}"):
            path = folder / f"v{number}" / link
            path.mkdir(parents=True)
            (path / "link").write_text(digest)


def counted(registry: DockerRegistry, name: str, repository: str, polls: int) -> Counter[str]:
    with CountingProxy(registry.port) as proxy:
        run(name, f"http://127.0.0.1:{proxy.port}", repository, polls)
        return proxy.requests


def count_requests(registry: DockerRegistry, name: str, repository: str) -> str:
    """Count those of one unchanged poll; ours has taken a baseline before it."""
    found = counted(registry, name, repository, 1)
    if name == OURS:
        found = counted(registry, name, repository, 2) - found
    return " + ".join(f"{found[kind]} {kind}" for kind in ("list", "HEAD", "GET", "other") if found[kind])


def measure(url: str, repository: str, tags: int, rounds: int) -> dict[str, list[Measured]]:
    """Let the contenders take turns; those that ask one after another have one poll of many tags."""
    found: dict[str, list[Measured]] = {name: [] for name in CONTENDERS}
    for turn in range(rounds):
        for name in CONTENDERS:
            slow = name in SEQUENTIAL and tags >= 10_000
            if turn == 0 or not slow:
                progress(f"{tags} tags, turn {turn + 1} of {rounds}: {name}")
                found[name].append(run(name, url, repository, 1 if slow else 2))
    return found


def rows(tags: int, requests: dict[str, str], found: dict[str, list[Measured]]) -> list[str]:
    floor_wall = median(wall for one in found[FLOOR] for wall in one.wall)
    floor_cpu = median(cpu for one in found[FLOOR] for cpu in one.cpu)
    lines = []
    for name, measured in found.items():
        wall = median(wall for one in measured for wall in one.wall)
        cpu = median(cpu for one in measured for cpu in one.cpu)
        state = f"{measured[0].state_bytes / 1000:.1f} kB" if measured[0].state_bytes else "none"
        cells = [
            f"{tags:,}",
            name,
            requests[name],
            f"{wall:.3f} s",
            f"{wall / floor_wall:.2f}",
            f"{cpu:.3f} s",
            f"{(cpu - floor_cpu) / tags * 1000:+.3f} ms",
            f"{max(one.rss_mb for one in measured):.1f} MB",
            state,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tags", type=int, nargs="+", default=[10, 1000, 10_000])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    table = [f"| {' | '.join(HEADER)} |", "|---" * len(HEADER) + "|"]
    with tempfile.TemporaryDirectory() as folder, DockerRegistry(Path(folder)) as registry:
        for tags in options.tags:
            repository = f"bench/tags{tags}"
            progress(f"{tags} tags: filling the registry, counting requests")
            fill(registry, repository, tags)
            requests = {name: count_requests(registry, name, repository) for name in CONTENDERS}
            table += rows(tags, requests, measure(registry.url, repository, tags, options.rounds))
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, docker-registry of the system\n")
    print("\n".join(table))


if __name__ == "__main__":
    main()
