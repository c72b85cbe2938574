# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""What importing the package costs, in a fresh process."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

WEBHOOK = "airflow_registry_triggers.webhook"


def loaded(*modules: str, then: str = "pass") -> set[str]:
    script = f"import {', '.join(f'{WEBHOOK}.{name}' for name in modules)}, sys; {then}; print(' '.join(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in ended.stdout.split()}


@pytest.mark.parametrize(
    "module", ["url", "network", "headers", "body", "outcome", "signing", "redaction.fields"]
)
def test_import_for_a_dag_file_loads_no_http_client(module: str) -> None:
    assert not loaded(module) & {"aiohttp", "airflow", "re2", "jinja2", "idna"}


def test_parse_endpoint_loads_no_http_client() -> None:
    check = f"{WEBHOOK}.url.parse_endpoint('https://hooks.example.com/x', allowed_networks='10.0.0.0/8')"
    assert not loaded("url", then=check) & {"aiohttp", "airflow"}


def test_import_of_attempt_loads_no_airflow() -> None:
    assert "aiohttp" in loaded("attempt")
    assert "airflow" not in loaded("attempt")


def test_attempt_is_imported_by_code_of_workers_only() -> None:
    # A triggerer that restarts would send again (rule 14).
    package = Path(__file__).resolve().parents[3] / "airflow_registry_triggers"
    users = {
        file.relative_to(package).parts[0]
        for file in package.rglob("*.py")
        if re.search(r"webhook\.(attempt|connection|delivery)\b", file.read_text(encoding="utf-8"))
    }
    assert "triggers" not in users
    assert "webhook" in users
