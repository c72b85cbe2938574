# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""What importing the package costs, in a fresh process."""

from __future__ import annotations

import subprocess
import sys

import pytest

WEBHOOK = "airflow_registry_triggers.webhook"


def loaded(*modules: str, then: str = "pass") -> set[str]:
    script = f"import {', '.join(f'{WEBHOOK}.{name}' for name in modules)}, sys; {then}; print(' '.join(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in ended.stdout.split()}


@pytest.mark.parametrize("module", ["url", "network", "headers", "body", "outcome", "signing", "masking"])
def test_what_a_dag_file_needs_loads_no_http_client(module: str) -> None:
    assert not loaded(module) & {"aiohttp", "airflow", "re2", "jinja2", "idna"}


def test_checking_a_url_loads_none_either() -> None:
    check = f"{WEBHOOK}.url.parse_endpoint('https://hooks.example.com/x', allowed_networks='10.0.0.0/8')"
    assert not loaded("url", then=check) & {"aiohttp", "airflow"}


def test_sender_knows_nothing_of_airflow() -> None:
    assert "aiohttp" in loaded("sender")
    assert "airflow" not in loaded("sender")
