# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Rows in values of at most 40 KB: no row is lost, each stays where it is, and errors show no secret."""

from __future__ import annotations

import json

import pytest
from airflow.sdk.log import mask_secret
from hypothesis import given
from hypothesis import strategies as st

from airflow_registry_triggers.registry.errors import RegistryError, StormHeld
from airflow_registry_triggers.watcher.status_values import (
    MAX_NOTE,
    MAX_VALUE,
    Layout,
    WatcherStatus,
    kind_of,
    note_of,
)

STATUS = WatcherStatus(1764151373.4, None, None, 0, 140, 60.0, 214, 3, 76, "")


def rows_of(count, note=""):
    row = WatcherStatus(1764151373.4, None, None, 0, 140, 60.0, 214, 3, 76, note).to_list()
    return {f"team/application-{number:04} @ registry_default": row for number in range(count)}


def size(rows):
    return len(json.dumps({"at": 1764151373.4, "parts": 999, "watchers": rows}))


def test_status_in_stored_form_has_ten_fields_in_their_order():
    assert STATUS.to_list() == [1764151373, None, None, 0, 140, 60, 214, 3, 76, ""]
    assert WatcherStatus.from_list(STATUS.to_list()).tags == 214


@pytest.mark.parametrize(
    "row",
    [None, {}, "text", [], [1] * 9, ["soon", None, None, 0, 0, 0, 0, 0, 0, ""], [1, 2, None, 0, 0, 0, 0, 0, 0, ""],
     [1, None, None, None, 0, 0, 0, 0, 0, ""], [1, None, None, 0, 0, True, 0, 0, 0, ""], [1e300] + [None] * 9],
)  # fmt: skip
def test_status_of_another_form_raises_value_error(row):
    with pytest.raises(ValueError, match="watcher's status"):
        WatcherStatus.from_list(row)


def test_layout_of_1000_watchers_has_three_values_below_40_kb():
    layout, rows = Layout(), rows_of(1000)
    assert layout.arrange(rows) == {0, 1, 2}
    parts = [layout.rows_of(number, rows) for number in range(layout.count)]
    assert len(parts) == 3
    assert max(map(size, parts)) <= MAX_VALUE
    assert {**parts[0], **parts[1], **parts[2]} == rows


def test_layout_with_fewer_rows_dissolves_the_last_values():
    layout, rows = Layout(), rows_of(1000)
    layout.arrange(rows)
    few = dict(list(rows.items())[-10:])
    assert layout.arrange(few) == {0}
    assert (layout.count, layout.rows_of(0, few)) == (1, few)
    layout.arrange({})
    assert layout.count == 0


def test_layout_with_growing_notes_moves_rows_of_a_full_value():
    layout = Layout()
    layout.arrange(rows_of(300))
    long = rows_of(300, "x" * MAX_NOTE)
    gained = layout.arrange(long)
    parts = [layout.rows_of(number, long) for number in range(layout.count)]
    assert gained == set(range(1, layout.count))
    assert max(map(size, parts)) <= MAX_VALUE


@given(st.lists(st.dictionaries(st.integers(0, 400), st.integers(0, MAX_NOTE)), max_size=6))
def test_layout_after_any_changes_has_each_row_once_in_values_below_the_limit(steps):
    layout = Layout()
    before: dict[str, int] = {}
    for step in steps:
        rows = {f"asset {number}": [*STATUS.to_list()[:9], "ö" * length] for number, length in step.items()}
        gained = layout.arrange(rows)
        parts = [layout.rows_of(number, rows) for number in range(layout.count)]
        assert sorted(asset for part in parts for asset in part) == sorted(rows)
        assert all(size(part) <= MAX_VALUE for part in parts)
        now = {asset: layout.value_of(asset) for asset in rows}
        assert all(now[asset] in gained for asset in now if before.get(asset) != now[asset])
        before = now


@pytest.mark.parametrize(
    ("error", "kind", "note"),
    [
        (RegistryError("https://r.example: answered 401.", kind="credentials", status=401), "credentials", "401: https://r.example: answered 401."),
        (RegistryError("no connection", kind="unavailable"), "unavailable", "no connection"),
        (StormHeld(812, 500, "team/app"), "storm", "812 pushes are held, more than storm_limit 500."),
        (ValueError("port=0 is not valid"), "configuration", "port=0 is not valid"),
        (KeyError("hunter2"), "KeyError", "KeyError"),
    ],
)  # fmt: skip
def test_note_of_an_error_names_its_cause_and_no_secret(error, kind, note):
    assert (kind_of(error), note_of(error)) == (kind, note)


def test_note_of_an_error_with_a_masked_secret_hides_it_and_has_200_characters():
    mask_secret("correct-horse-battery")
    note = note_of(ValueError("host correct-horse-battery " + "x" * 300))
    assert "correct-horse" not in note
    assert len(note) == MAX_NOTE
