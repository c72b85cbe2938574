# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
The longest time for which a fetch of a cloud's login blocks the event loop, and its requests.

    python -m benchmarks.cloud_login [amazon google azure alibaba watchers]

Each cloud is measured in a process of its own, which has imported the triggerer: the first fetch imports the
SDK, the second one is a renewal. moto and scripted endpoints answer, each in another process. The event loop
sleeps for a millisecond in a loop, and its lateness is measured; ``CPU`` is the processor time that this
process used meanwhile, which other processes of the machine do not change. ``watchers`` lets 1,000 watchers
poll one tag each at once, with one login. Prints Markdown.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.harness.moto import EcrGate, EcrShim, Moto
from tests.harness.thread_server import ScriptedServer, Seen, json_answer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import Connection

    from tests.harness.plain_http import Response

PAUSE = 0.001
CLOUDS = ("amazon", "google", "azure", "alibaba")
LIMIT = 50.0


def answer(seen: Seen) -> Response:
    """Answer as the token endpoints of Google, Azure and Alibaba, and as a registry's exchange."""
    if seen.path.startswith("/oauth2/exchange"):
        return json_answer({"refresh_token": "refresh-token"})
    return json_answer(
        {
            "access_token": "token", "expires_in": 3600, "expires_on": str(int(time.time()) + 3600),
            "token_type": "Bearer", "resource": "r", "TempUsername": "cr_temp_user",
            "AuthorizationToken": "token", "ExpireTime": int((time.time() + 3600) * 1000),
        }
    )  # fmt: skip


def serve(pipe: Any) -> None:
    """Run all endpoints until the pipe says so."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Moto(Path(folder)) as moto,
        EcrShim(moto) as shim,
        ScriptedServer(answer) as server,
        ScriptedServer(lambda seen: json_answer({})) as registry,
        EcrGate(shim, registry.url) as gate,
    ):
        pipe.send((shim.url, server.url, gate.url))
        while pipe.recv() == "count":
            pipe.send((shim.calls, gate.count("HEAD"), gate.rejected_logins(), len(gate.seen)))
            gate.forget()


@contextlib.contextmanager
def endpoints() -> Iterator[tuple[Any, tuple[str, str, str]]]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,))
    process.start()
    try:
        yield ours, ours.recv()
    finally:
        ours.send("end")
        process.join(20)


def connection_to(cloud: str, urls: tuple[str, str, str]) -> Connection:
    """Return a Connection of the cloud to the endpoints."""
    from airflow.sdk import Connection

    amazon, other, _ = urls
    if cloud == "amazon":
        extra = {"endpoint_url": amazon, "region_name": "eu-central-1"}
        return Connection(conn_id="c", conn_type="aws", login="a", password="b", extra=json.dumps(extra))
    if cloud == "google":
        return Connection(
            conn_id="c",
            conn_type="google_cloud_platform",
            extra=json.dumps({"keyfile_dict": service_account(other)}),
        )
    if cloud == "azure":
        os.environ["AZURE_POD_IDENTITY_AUTHORITY_HOST"] = other
        return Connection(conn_id="c", conn_type="azure")
    extra = {"access_key_id": "a", "access_key_secret": "b", "region": "cn-hangzhou"}
    return Connection(conn_id="c", conn_type="alibaba_cloud", host=other, extra=json.dumps(extra))


def service_account(url: str) -> dict[str, str]:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    account = {"type": "service_account", "client_email": "a@b.example", "token_uri": url}
    return {**account, "private_key": pem.decode()}


@contextlib.asynccontextmanager
async def measured(name: str):
    """Print the time of a block, and the longest lateness of the event loop meanwhile."""
    longest, cpu = 0.0, 0.0

    async def watch() -> None:
        nonlocal longest, cpu
        while True:
            before, used = time.perf_counter(), time.process_time()
            await asyncio.sleep(PAUSE)
            longest = max(longest, time.perf_counter() - before - PAUSE)
            cpu = max(cpu, time.process_time() - used)

    watcher = asyncio.create_task(watch())
    await asyncio.sleep(0.05)
    longest = cpu = 0.0
    began = time.perf_counter()
    yield
    took = time.perf_counter() - began
    await asyncio.sleep(0.01)
    watcher.cancel()
    verdict = "" if longest * 1000 <= LIMIT else f" (above {LIMIT:g} ms)"
    print(f"| {name} | {took:.2f} s | {longest * 1000:.0f} ms{verdict} | {cpu * 1000:.0f} ms |", flush=True)


async def fetches(cloud: str, urls: tuple[str, str, str]) -> None:
    import airflow.jobs.triggerer_job_runner  # noqa: F401  # the heap of a triggerer

    from airflow_registry_triggers.hooks.cloud_login import credentials_for

    extra = {"scheme": "http", "alibaba_instance_id": "cri-x"}
    login = credentials_for(connection_to(cloud, urls), urls[1].removeprefix("http://"), extra)
    for name in ("first fetch", "renewal", "renewal"):
        async with measured(f"{cloud}, {name}"):
            await login.current()
        login._held = None


async def watchers(pipe: Any, urls: tuple[str, str, str]) -> None:
    from airflow.sdk import Connection

    from airflow_registry_triggers.hooks.registry_target import target_of
    from airflow_registry_triggers.registry.errors import RegistryError

    extra = {"scheme": "http", "credentials_conn_id": "c"}
    given = Connection(conn_id="r", conn_type="oci_registry", host=urls[2], extra=json.dumps(extra))
    cloud = connection_to("amazon", urls)

    async def watcher(number: int) -> None:
        async with target_of(given, f"team/app{number}", cloud).client() as client:
            with contextlib.suppress(RegistryError):  # the registry behind has no images
                await client.digest(f"team/app{number}", "v1")

    began = time.perf_counter()
    await asyncio.gather(*(watcher(number) for number in range(1000)))
    pipe.send("count")
    tokens, heads, rejected, all_requests = pipe.recv()
    print(
        f"\n1,000 watchers at once, {time.perf_counter() - began:.1f} s: {tokens} token request, "
        f"{heads} HEAD, {rejected} rejected logins, {all_requests} requests in all",
        flush=True,
    )


def main() -> int:
    wanted = sys.argv[1:] or [*CLOUDS, "watchers"]
    if len(wanted) > 1:
        print("| cloud | wall | longest block of the event loop | CPU of it |\n|---|---|---|---|", flush=True)
        runs = [
            subprocess.run([sys.executable, "-m", "benchmarks.cloud_login", name], check=False)
            for name in wanted
        ]
        return max(run.returncode for run in runs)
    with endpoints() as (pipe, urls):
        asyncio.run(watchers(pipe, urls) if wanted[0] == "watchers" else fetches(wanted[0], urls))
    return 0


if __name__ == "__main__":
    sys.exit(main())
