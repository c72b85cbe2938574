# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Requests are counted for the work that sent them."""

from __future__ import annotations

import asyncio

import pytest

from airflow_registry_triggers.registry.client import RegistryClient
from airflow_registry_triggers.registry.http.usage import count_request, metered
from tests.unit.registry.scripted_registry import ScriptedRegistry


async def test_metered_with_a_client_counts_its_requests_and_keeps_the_quota():
    async with ScriptedRegistry().served() as registry:
        registry.put("team/app", ["v1"])
        async with RegistryClient(registry.url) as client:
            with metered() as one:
                await asyncio.gather(client.list_tags("team/app"), client.list_tags("team/app"))
            with metered() as two:
                await client.list_tags("team/app")
        assert (one.requests, two.requests) == (2, 1)


@pytest.mark.parametrize(
    ("text", "left"),
    [("76;w=21600", 76), ("0", 0), (" 5 ", 5), ("", None), ("many", None), ("-1", None), ("1" * 30, None)],
)
def test_count_request_with_a_quota_header_reads_its_number(text, left):
    with metered() as usage:
        count_request({"ratelimit-remaining": text})
    assert (usage.requests, usage.quota_left) == (1, left)


def test_count_request_outside_of_metered_work_counts_nothing():
    with metered() as usage:
        pass
    count_request({})
    assert usage.requests == 0
