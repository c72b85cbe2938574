# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Threads for the SDKs of clouds: two of them, a deadline, and a loop that goes on."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import threading

import pytest

from airflow_registry_triggers.hooks.clouds import threads
from airflow_registry_triggers.hooks.clouds.threads import run_in_cloud_thread, silence
from tests.unit.loop_clock import advance


async def test_run_in_cloud_thread_returns_the_result_of_another_thread():
    names = await asyncio.gather(
        *(run_in_cloud_thread(lambda: threading.current_thread().name) for _ in range(20))
    )
    assert set(names) <= {"cloud-login-0", "cloud-login-1"}


async def test_run_in_cloud_thread_raises_the_error_of_the_function():
    def failing():
        raise KeyError("planted")

    with pytest.raises(KeyError, match="planted"):
        await run_in_cloud_thread(failing)


async def hanging(release):
    """Let a function hang in one of the threads; its caller stops waiting after it has started."""
    started = threading.Event()
    waiting = asyncio.create_task(run_in_cloud_thread(lambda: started.set() or release.wait(60), deadline=60))
    while not started.is_set():
        await asyncio.sleep(0.001)
    advance(61)
    with pytest.raises(TimeoutError):
        await waiting


async def test_run_in_cloud_thread_with_a_hanging_function_ends_at_the_deadline_and_blocks_this_pool_only():
    release = threading.Event()
    try:
        await hanging(release)
        assert await run_in_cloud_thread(lambda: "second thread") == "second thread"
        await hanging(release)
        ran = []
        with pytest.raises(TimeoutError):
            await run_in_cloud_thread(lambda: ran.append(1), deadline=0.1)
        assert await asyncio.to_thread(lambda: "the loop's own threads") == "the loop's own threads"
    finally:
        release.set()
    assert await run_in_cloud_thread(lambda: "free", deadline=60) == "free"
    assert ran == [], "a call that nobody waits for is not started"


async def test_run_in_cloud_thread_while_a_function_waits_does_not_block_the_loop():
    ticked = threading.Event()
    waiting = asyncio.create_task(run_in_cloud_thread(lambda: ticked.wait(20), deadline=60))
    for _ in range(6):
        await asyncio.sleep(0.01)
    ticked.set()
    assert await waiting, "the loop ran while the function waited for it"


def test_run_in_cloud_thread_in_a_forked_process_has_threads_of_its_own():
    assert asyncio.run(run_in_cloud_thread(lambda: "parent")) == "parent"
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if asyncio.run(run_in_cloud_thread(lambda: "child", deadline=60)) == "child" else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


async def test_run_in_cloud_thread_for_the_first_time_of_an_sdk_collects_no_garbage(monkeypatch):
    monkeypatch.setattr(threads, "_imported", set())
    collections = []
    gc.collect()
    gc.callbacks.append(
        lambda phase, info: collections.append(info["generation"]) if phase == "start" else None
    )
    try:
        kept = await run_in_cloud_thread(lambda: [[number] for number in range(100_000)], "sdk")
    finally:
        gc.callbacks.pop()
    assert 2 not in collections
    assert len(kept) == 100_000
    assert gc.isenabled()


async def test_run_in_cloud_thread_with_a_hanging_first_function_collects_garbage_after_the_deadline(
    monkeypatch,
):
    monkeypatch.setattr(threads, "_imported", set())
    release = threading.Event()
    try:
        with pytest.raises(TimeoutError):
            await run_in_cloud_thread(lambda: release.wait(60), "sdk", deadline=0.1)
        assert gc.isenabled()
    finally:
        release.set()


async def test_run_in_cloud_thread_of_a_process_without_automatic_collections_leaves_them_off(monkeypatch):
    monkeypatch.setattr(threads, "_imported", set())
    gc.disable()
    try:
        await run_in_cloud_thread(lambda: None, "sdk")
        assert not gc.isenabled()
    finally:
        gc.enable()


async def test_silence_of_a_logger_drops_its_lines_from_these_threads_only(caplog):
    caplog.set_level("DEBUG")
    logger = logging.getLogger("tests.planted")
    silence("tests.planted")
    silence("tests.planted")
    assert len(logger.filters) == 1
    await run_in_cloud_thread(lambda: logger.debug("planted token"))
    logger.debug("a line of another thread")
    assert [record.message for record in caplog.records if record.name == "tests.planted"] == [
        "a line of another thread"
    ]
