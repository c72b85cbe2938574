# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The core for webhooks knows neither Airflow nor the other cores."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = "airflow_registry_triggers"
MODULES = sorted(
    path.stem
    for path in (Path(__file__).parents[3] / PACKAGE / "inbound").glob("*.py")
    if path.stem != "__init__"
)


@pytest.mark.parametrize("module", MODULES)
def test_import_of_inbound_module_loads_no_airflow_and_no_other_core(module: str) -> None:
    script = f"import {PACKAGE}.inbound.{module}, sys; print(' '.join(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    names = ended.stdout.split()
    own = {name for name in names if name.startswith(f"{PACKAGE}.")}
    assert not {name.split(".")[0] for name in names} & {"airflow", "aiohttp", "re2", "jinja2", "fastapi"}
    assert {name.split(".")[1] for name in own} <= {"_version", "inbound", "oci_names"}
