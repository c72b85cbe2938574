# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The packed form of a shard."""

from __future__ import annotations

import gc

import pytest

from airflow_registry_triggers.registry.watermark_codec import KEY_SIZE, estimated_size, pack, unpack

SHA256, SHA512 = "sha256:" + "a" * 64, "sha512:" + "b" * 128
SHARD = {
    bytes(KEY_SIZE): (0, SHA256),
    b"\xff" * KEY_SIZE: (2**40, SHA512),
    b"abcdef": (300, None),
}


def test_unpack_of_a_packed_shard_with_all_kinds_of_digests_returns_it():
    assert unpack(pack(SHARD, "epoch"), "epoch") == SHARD


def test_unpack_returns_entries_that_the_garbage_collector_does_not_track():
    entries = list((unpack(pack(SHARD, "epoch"), "epoch") or {}).values())
    gc.collect()
    assert not any(map(gc.is_tracked, entries))


@pytest.mark.parametrize(
    "damage",
    [
        None,
        [],
        {},
        {"epoch": "epoch"},
        {"epoch": "epoch", "columns": {}, "check": 1},
        {**pack(SHARD, "epoch"), "epoch": "other"},
        {**pack(SHARD, "epoch"), "check": 0},
        {**pack(SHARD, "epoch"), "columns": {"sha256": ["", "", ""]}},
    ],
)
def test_unpack_of_a_damaged_value_returns_none(damage):
    assert unpack(damage, "epoch") is None


def test_estimated_size_of_an_empty_shard_covers_its_json():
    assert estimated_size({}) >= len(str(pack({}, "1" * 16)))
