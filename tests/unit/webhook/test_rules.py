# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The document names a test for each rule; the tests are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from airflow_registry_triggers.addresses import table as addresses
from airflow_registry_triggers.webhook import headers, outcome, url

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docs" / "delivery-rules.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (\d+) [^|]*\|(.*)\|$", TEXT.partition("## Which test")[2], re.MULTILINE)


def test_every_rule_has_a_row() -> None:
    assert [int(number) for number, _ in ROWS] == list(range(1, 17))


@pytest.mark.parametrize(("number", "row"), ROWS)
def test_named_tests_are_there(number: str, row: str) -> None:
    file = ""
    for named, test in re.findall(r"`([\w/]+\.py)?::(\w+)`", row):
        file = named or file
        defined = re.findall(
            r"^(?:async )?(?:def|class) (\w+)", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE
        )
        assert test in defined, f"rule {number}: {file}::{test}"
    assert file


def test_numbers_of_the_document_are_those_of_the_code() -> None:
    for port in url.HTTP_PORTS:
        assert re.search(rf"\b{port}\b", TEXT)
    for name in addresses.METADATA_NAMES | {name.title() for name in headers.FRAMING if name != "te"}:
        assert name in TEXT
    for cidrs in (cidrs for label, cidrs in addresses._CLASSES if label == "cloud metadata"):
        assert [cidr for cidr in cidrs.split() if cidr.rpartition("/")[0] not in TEXT] == []
    units = {"s": 1, "min": 60, "h": 3600}
    row = re.search(r"^\| wait, ±20 % \|(.*)\|$", TEXT, re.MULTILINE)
    assert row is not None
    waits = [int(n) * units[unit] for n, unit in re.findall(r"(\d+) (s|min|h)", row[1])]
    assert waits == list(outcome.RETRY_WAITS)
