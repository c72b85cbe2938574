# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""All measurements, one after the other; or those that are named: ``python -m benchmarks delivery``."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib import metadata

MODULES = {
    "registry_poll": "What an unchanged poll costs",
    "bulk_poll": "What an unchanged poll costs with the registries' own APIs",
    "registry_nginx": "An unchanged poll through nginx with TLS and gzip",
    "delivery": "What a delivery costs",
    "event_latency": "From a push to its webhook",
    "latency_hops": "From a push to its asset event, hop by hop",
    "push_mode": "Push mode: latency, webhooks per second, cost of the reader",
    "poll_blocking": "The event loop during polls of 200,000 tags",
    "cloud_login": "The event loop while a cloud's login is fetched",
    "scale": "A thousand repositories, a hundred Dags",
    "access_log": "A page of the access log",
    "trigger_file": "A file with 1,000 triggers",
    "triggers": "The page of a thousand triggers",
}


def main() -> int:
    """Run each in a process of its own, so that none pays for another's memory."""
    wanted = sys.argv[1:] or list(MODULES)
    unknown = [name for name in wanted if name not in MODULES]
    if unknown:
        print(f"no such measurement: {', '.join(unknown)}; there are {', '.join(MODULES)}")
        return 2
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("apache-airflow", "aiohttp"))
    print(
        f"Python {platform.python_version()}, {versions}, {platform.system()} {platform.machine()}",
        flush=True,
    )
    failed = []
    for name in wanted:
        print(f"\n## {MODULES[name]} (python -m benchmarks {name})\n", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode:
            failed.append(name)
    if failed:
        print(f"\nfailed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
