# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Rule 8, memory: it stays flat whatever a receiver sends."""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
from pathlib import Path

import pytest

from tests.unit.webhook.scripted_server import Conversation, Script, ScriptedServer, answering, response

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="there is no /proc")

LIMIT = 10 * 1024 * 1024

# In a process of its own, since the peak of this one says nothing. The first answer pays for what is loaded.
# VmHWM, and not getrusage: the latter begins with the peak of the process that forked.
CLIENT = """
import asyncio, json, re, sys
from pathlib import Path
from airflow_registry_triggers.webhook.attempt import send
from airflow_registry_triggers.webhook.url import parse_endpoint

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024

async def main(warm, big):
    async def post(url):
        endpoint = parse_endpoint(url, allowed_networks=["127.0.0.0/8"])
        return await send(endpoint, b"{}", {}, timeout=int(sys.argv[4]), allowed_networks=["127.0.0.0/8"])
    await post(warm)
    before = peak()
    attempts = await asyncio.gather(*(post(big) for _ in range(int(sys.argv[3]))))
    print(json.dumps([peak() - before, sorted({a.status_code for a in attempts}), attempts[0].response_body[-200:]]))

asyncio.run(main(sys.argv[1], sys.argv[2]))
"""


async def measured(script: Script, times: int = 1, timeout: int = 60) -> tuple[int, list[str], str]:
    """Give the growth in bytes, the status codes and the end of the first body."""
    async with (
        ScriptedServer(answering(response(200, b"x" * 4000))) as warm,
        ScriptedServer(script) as server,
    ):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", CLIENT, warm.url, server.url, str(times), str(timeout)),
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()
    assert process.returncode == 0
    grown, status_codes, body = json.loads(output)
    return grown, status_codes, body


async def sixty_megabytes(talk: Conversation) -> None:
    await talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 60000000\r\n\r\n", *[b"x" * 1_000_000] * 60)


async def sixty_megabytes_of_lines(talk: Conversation) -> None:
    await talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 60000000\r\n\r\n", *[b"\r\n\r\n" * 250_000] * 60)


async def sixty_megabytes_in_chunks(talk: Conversation) -> None:
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    await talk.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", *[chunk * 10] * 92)


async def sixty_megabytes_of_head(talk: Conversation) -> None:
    await talk.send(b"HTTP/1.1 200 OK\r\n", *[b"X-Header: " + b"x" * 1000 + b"\r\n"] * 60_000)


async def interim_flood(talk: Conversation) -> None:
    while True:
        await talk.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 1000)


BOMB = gzip.compress(bytes(60_000_000))


@pytest.mark.parametrize(
    ("script", "status_code"),
    [
        (sixty_megabytes, "200"),
        (sixty_megabytes_of_lines, "200"),
        (sixty_megabytes_in_chunks, "200"),
        (sixty_megabytes_of_head, "protocol_error"),
        (interim_flood, "timeout"),
        (answering(response(200, BOMB, "Content-Encoding: gzip")), "200"),
    ],
    ids=["60-mb", "60-mb-of-lines", "60-mb-in-chunks", "60-mb-of-head", "interim-flood", "gzip-bomb"],
)
async def test_send_hostile_answer_keeps_memory_flat(script: Script, status_code: str) -> None:
    grown, status_codes, _ = await measured(script, timeout=5 if status_code == "timeout" else 60)
    assert status_codes == [status_code]
    assert grown < LIMIT


async def test_send_sixteen_big_answers_keeps_memory_flat() -> None:
    grown, status_codes, body = await measured(sixty_megabytes, times=16)
    assert status_codes == ["200"]
    assert "longer than 64 KiB" in body
    assert grown < 3 * LIMIT
