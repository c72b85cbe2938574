# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
What a delivery costs: one task with 1,000 notifications, beside the floor and what would be used instead.

Everything is on loopback; each attempt opens a connection of its own, as the policy wants.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from tests.harness.airflow_home import AirflowHome
from tests.harness.airflow_process import Airflow
from tests.harness.processes import free_port

NOTIFICATIONS = 1000
MAPPED = 100
ROUNDS = 3
IN_FLIGHT = 16
SINGLE = 200

SERVER = """
import asyncio, sys

BIG = b"x" * 65536

async def serve(reader, writer):
    head = await reader.readuntil(b"\\r\\n\\r\\n")
    lines = head.lower().split(b"\\r\\n")
    size = int(next((line.split(b":")[1] for line in lines if line.startswith(b"content-length")), 0))
    await reader.readexactly(size)
    if b"/big" in head.split(b"\\r\\n")[0]:
        writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 62914560\\r\\nConnection: close\\r\\n\\r\\n")
        try:
            for _ in range(960):
                writer.write(BIG)
                await writer.drain()
        except ConnectionError:
            pass
    else:
        writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\nok")
    writer.close()

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]), backlog=1024)
    print("ready", flush=True)
    await server.serve_forever()

asyncio.run(main())
"""


def notifications(number: int) -> list[dict[str, Any]]:
    """Give notifications as a poll makes them."""
    return [
        {
            "push_data": {
                "digest": f"sha256:{n:064x}", "pushed_at": "2026-01-01 00:00:00", "tag": f"v1.0.{n}"
            },
            "repository": {
                "date_created": "", "name": "app", "namespace": "team", "region": "",
                "repo_authentication_type": "NO_CERTIFIED", "repo_full_name": "team/app",
                "repo_origin_type": "NO_CERTIFIED", "repo_type": "PRIVATE",
            },
            "event": {"id": f"{n:032x}", "registry": "registry.example.com", "action": "new"},
        }
        for n in range(number)
    ]  # fmt: skip


def bodies(number: int) -> list[bytes]:
    """Give the bytes that are sent for them."""
    return [
        json.dumps({key: item[key] for key in ("push_data", "repository")}, separators=(",", ":")).encode()
        for item in notifications(number)
    ]


async def bare_loop(url: str, sent: list[bytes], workers: int = IN_FLIGHT) -> float:
    """Send with aiohttp and nothing else: the floor."""
    waiting = iter(sent)
    connector = aiohttp.TCPConnector(force_close=True, limit=workers)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def worker() -> None:
            for body in waiting:
                headers = {"Content-Type": "application/json"}
                async with session.post(url, data=body, headers=headers) as answer:
                    await answer.read()

        began = time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(workers)))
        return time.perf_counter() - began


DAGS = f"""
    from airflow.providers.http.hooks.http import HttpHook
    from airflow.providers.http.operators.http import HttpOperator
    from airflow.sdk import DAG, task

    from airflow_registry_triggers import WebhookDeliverOperator
    from benchmarks.delivery import bodies, notifications

    with DAG("one_task", schedule=None):

        @task
        def found():
            return notifications({NOTIFICATIONS})

        WebhookDeliverOperator(
            task_id="send", notifications=found(), webhook_conn_id="bench_webhook", retries=0
        )

    with DAG("hook_loop", schedule=None):

        @task
        def send():
            hook = HttpHook(method="POST", http_conn_id="bench_http")
            for body in bodies({NOTIFICATIONS}):
                hook.run(endpoint="/hook", data=body, headers={{"Content-Type": "application/json"}})

        send()

    with DAG("mapped_operator", schedule=None, max_active_tasks=8):
        HttpOperator.partial(
            task_id="send", http_conn_id="bench_http", endpoint="/hook", log_response=False
        ).expand(data=[body.decode() for body in bodies({MAPPED})])
"""


def run_once(airflow: Airflow, dag_id: str) -> tuple[float, float]:
    """
    Run a Dag; give the seconds of its task and, for this provider's, those from first to last delivery.

    Of the mapped task: from the first instance's start to the last one's end.
    """
    run = airflow.rest.trigger(dag_id)
    if airflow.rest.wait_for_run(dag_id, run, timeout=600) != "success":
        raise RuntimeError(f"{dag_id}: {airflow.rest.states(dag_id, run)}")
    rows = [item for item in airflow.rest.task_instances(dag_id, run) if item["task_id"] == "send"]
    whole = max(_at(row["end_date"]) for row in rows) - min(_at(row["start_date"]) for row in rows)
    if dag_id != "one_task":
        return whole, whole
    records = airflow.rest.xcoms(dag_id, run, "send")["access_log.200"]
    ends = [_at(record["request_time"]) + record["duration_ms"] / 1000 for record in records]
    return whole, max(ends) - min(_at(record["request_time"]) for record in records)


def _at(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


async def one_delivery(url: str) -> tuple[float, float]:
    """Give the median milliseconds of one attempt, and of a bare POST, one after the other."""
    from airflow_registry_triggers.notification import Notification
    from airflow_registry_triggers.webhook.delivery import Delivery

    delivery = Delivery(url=url, allowed_networks=("127.0.0.0/8",))
    items = [Notification.from_dict(item) for item in notifications(SINGLE)]
    ours, bare = [], []
    for item, body in zip(items, bodies(SINGLE), strict=True):
        began = time.perf_counter()
        await delivery.attempt(item, "bench", 1)
        ours.append(time.perf_counter() - began)
        bare.append(await bare_loop(url, [body], workers=1))
    return statistics.median(ours) * 1000, statistics.median(bare) * 1000


async def growth_for_a_big_answer(url: str) -> float:
    """Give the megabytes by which a delivery that is answered with 60 MB raises the process's memory."""
    from airflow_registry_triggers.notification import Notification
    from airflow_registry_triggers.webhook.delivery import Delivery

    item = Notification.from_dict(notifications(1)[0])
    process = psutil.Process()
    await Delivery(url=f"{url}/hook", allowed_networks=("127.0.0.0/8",)).attempt(item, "bench", 1)
    before = process.memory_info().rss
    result = await Delivery(url=f"{url}/big", allowed_networks=("127.0.0.0/8",)).attempt(item, "bench", 1)
    if result.record.status_code != "200":
        raise RuntimeError(result.record.reason)
    return (process.memory_info().rss - before) / 1e6


def main() -> None:
    """Print the tables."""
    port = free_port()
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(port)], stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        server.stdout.readline()
        with tempfile.TemporaryDirectory(prefix="bench-delivery-") as folder:
            _in_airflow(Path(folder), port)
        _single(f"http://127.0.0.1:{port}")
    finally:
        server.kill()
        server.wait()


def _in_airflow(folder: Path, port: int) -> None:
    home = AirflowHome(folder, settings={("registry_triggers", "allowed_networks"): "127.0.0.0/8"})
    home.env["PYTHONPATH"] = str(Path(__file__).resolve().parents[1])
    home.write_dag("bench.py", DAGS)
    with Airflow(home) as airflow:
        # In the metadata database, where most Connections are.
        for conn_id, extra in (("bench_http", {}), ("bench_webhook", {"path": "/hook"})):
            kind = conn_id.removeprefix("bench_")
            body = {
                "connection_id": conn_id,
                "conn_type": kind,
                "schema": "http",
                "host": "127.0.0.1",
                "port": port,
            }
            airflow.rest.api("POST", "/connections", {**body, "extra": json.dumps(extra)})
        for dag_id in ("one_task", "hook_loop", "mapped_operator"):
            airflow.rest.wait_for_dag(dag_id)
            airflow.rest.unpause(dag_id)
        url = f"http://127.0.0.1:{port}/hook"
        rounds = [_round(airflow, url) for _ in range(ROUNDS)]
        mapped = MAPPED / run_once(airflow, "mapped_operator")[0]
    floor, whole, sending, loop = (statistics.median(values) for values in zip(*rounds, strict=True))
    _print_rates(floor, whole, sending, loop, mapped)


def _round(airflow: Airflow, url: str) -> tuple[float, float, float, float]:
    floor = NOTIFICATIONS / asyncio.run(bare_loop(url, bodies(NOTIFICATIONS)))
    whole, sending = run_once(airflow, "one_task")
    loop, _ = run_once(airflow, "hook_loop")
    return floor, NOTIFICATIONS / whole, NOTIFICATIONS / sending, NOTIFICATIONS / loop


def _print_rates(floor: float, whole: float, sending: float, loop: float, mapped: float) -> None:
    print(f"{NOTIFICATIONS} notifications, LocalExecutor on SQLite, medians of {ROUNDS} rounds in turn;")
    print(f"HttpOperator mapped over {MAPPED}, once\n")
    print("| how | deliveries per second | to the floor | to HttpHook.run in a loop |\n|---|---|---|---|")
    rows = [
        (f"bare aiohttp loop, {IN_FLIGHT} at once (the floor)", floor),
        ("one task of WebhookDeliverOperator, from first to last delivery", sending),
        ("the same, the whole task with its start, records and XComs", whole),
        ("HttpHook.run in a loop of one task", loop),
        ("HttpOperator, mapped", mapped),
    ]
    for name, rate in rows:
        print(f"| {name} | {rate:.0f} | {rate / floor:.2f} | {rate / loop:.1f} |")


def _single(url: str) -> None:
    single, bare = asyncio.run(one_delivery(f"{url}/hook"))
    print(f"\none delivery: {single:.2f} ms; a bare POST: {bare:.2f} ms; overhead {single - bare:.2f} ms")
    print(f"memory for an answer of 60 MB: {asyncio.run(growth_for_a_big_answer(url)):.1f} MB more")


if __name__ == "__main__":
    main()
