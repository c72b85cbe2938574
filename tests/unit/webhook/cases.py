# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Cases that lie beside the project, and are not part of it."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

SHARED = Path(__file__).resolve().parents[3].parent / "shared"


def case_file(name: str) -> Path:
    path = SHARED / "cases" / name
    if not path.exists():
        pytest.skip(f"{name} is not there")
    return path


def json_cases(name: str) -> Any:
    return json.loads(case_file(name).read_text(encoding="utf-8"))


def tsv_cases(name: str) -> list[dict[str, str]]:
    with case_file(name).open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines, delimiter="\t"))
