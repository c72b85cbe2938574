# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""docs/registries.md names a test for each rule: each of them exists."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).resolve().parents[3] / "docs" / "registries.md"
NAMED = sorted(set(re.findall(r"`(test_\w+\.py)::(\w+)`", DOCS.read_text())))


def test_each_test_that_is_named_exists() -> None:
    assert len(NAMED) > 50
    here = Path(__file__).parent
    missing = [
        f"{file}::{name}"
        for file, name in NAMED
        if not re.search(rf"^(async )?(def|class) {name}\b", (here / file).read_text(), re.MULTILINE)
    ]
    assert missing == []
