# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Credential helpers: programs that return a login, fail, hang or print something else."""

from __future__ import annotations

import os
import time

import psutil
import pytest

from airflow_registry_triggers.registry import credential_helper
from airflow_registry_triggers.registry.credential_helper import run_helper
from airflow_registry_triggers.registry.errors import RegistryError
from tests.harness.processes import wait_until

SECRET = "planted-helper-secret-0123456789"


@pytest.fixture
def helper(tmp_path, monkeypatch):
    """Write a helper named ``test``."""

    def write(script):
        program = tmp_path / "docker-credential-test"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        return tmp_path

    return write


def test_run_helper_with_a_host_passes_it_on_standard_input(helper):
    folder = helper(
        f"""cat > "$(dirname "$0")/asked"; echo "$1" > "$(dirname "$0")/action"
        echo '{{"ServerURL": "h", "Username": "robot", "Secret": "{SECRET}"}}'"""
    )
    assert run_helper("test", "h.example:5000") == ("robot", SECRET)
    assert (folder / "asked").read_text() == "h.example:5000"
    assert (folder / "action").read_text() == "get\n"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (f"echo '<html>{SECRET}</html>'", "returned no JSON object with Username and Secret"),
        (f"echo '[\"{SECRET}\"]'", "returned no JSON object"),
        (f'echo \'{{"Username": 7, "Secret": "{SECRET}"}}\'', "returned no JSON object"),
        ("echo '{}'", "returned no JSON object"),
        ("true", "returned no JSON object"),
        ("head -c 3000000 /dev/zero | tr '\\0' '['", "returned no JSON object"),
        (f"echo {SECRET}; echo {SECRET} >&2; exit 3", "ended with exit code 3"),
        ("kill -9 $$", "ended with exit code -9"),
    ],
)
def test_run_helper_with_a_failing_helper_quotes_no_output(helper, script, words):
    helper(script)
    with pytest.raises(RegistryError, match=words) as raised:
        run_helper("test", "h.example")
    assert raised.value.kind == "credentials"
    assert str(raised.value).startswith("h.example: docker-credential-test ")
    assert SECRET not in str(raised.value)


def test_run_helper_that_is_not_installed_names_the_program():
    with pytest.raises(RegistryError, match="docker-credential-not-there cannot be started") as raised:
        run_helper("not-there", "h.example")
    assert raised.value.kind == "credentials"


def test_run_helper_that_hangs_ends_it_with_its_children(helper, monkeypatch):
    folder = helper('sleep 300 & echo $! > "$(dirname "$0")/child"; wait')
    child = folder / "child"
    child.touch()
    began = time.monotonic()
    for deadline in (0.5, 5, 20):  # a busy machine may not have started the child after the first one
        monkeypatch.setattr(credential_helper, "DEADLINE", deadline)
        with pytest.raises(RegistryError, match=f"returned no login within {deadline} s") as raised:
            run_helper("test", "h.example")
        assert (raised.value.kind, raised.value.transient) == ("unavailable", True)
        if child.read_text():
            break
    assert time.monotonic() - began < 60
    pid = int(child.read_text())
    wait_until(lambda: has_ended(pid), 60, "the end of the helper's child")


def has_ended(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
