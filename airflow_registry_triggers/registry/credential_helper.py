# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Docker's credential helpers: programs that print a login as JSON."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from contextlib import suppress

from airflow_registry_triggers.registry.errors import RegistryError

__all__ = ["DEADLINE", "HELPER_NAME", "run_helper"]

HELPER_NAME = re.compile(r"[a-z0-9-]+")
"""Names of helpers; the program is ``docker-credential-<name>``."""

DEADLINE = 30.0
"""Seconds until a helper is killed."""

_MAX_OUTPUT = 1 << 20


def run_helper(name: str, host: str) -> tuple[str, str]:
    """
    Return user name and secret that a helper prints for a host. Blocks for up to :data:`DEADLINE`.

    :param name: name of a helper that the deployment allows
    :param host: the host as the helper expects it, on its standard input
    :raises RegistryError: ``unavailable`` if it hangs, else ``credentials``; its output is not quoted
    """
    program = f"docker-credential-{name}"
    try:
        process = subprocess.Popen(  # noqa: S603  # without a shell; airflow.cfg allows the name
            [program, "get"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise _failed(host, program, f"cannot be started ({os.strerror(error.errno or 0)})") from None
    try:
        output, _ = process.communicate(host.encode(), DEADLINE)
    except subprocess.TimeoutExpired:
        raise RegistryError(
            f"{host}: {program} returned no login within {DEADLINE:g} s. The watcher retries.",
            kind="unavailable",
            everywhere=True,
        ) from None
    finally:
        _end(process)
    if process.returncode:
        raise _failed(host, program, f"ended with exit code {process.returncode}")
    return _login(output, host, program)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the helper with the processes that it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(OSError):
                stream.close()


def _login(output: bytes, host: str, program: str) -> tuple[str, str]:
    try:
        document = json.loads(output) if len(output) <= _MAX_OUTPUT else None
    except (ValueError, RecursionError):
        document = None
    found = document if isinstance(document, dict) else {}
    name, secret = found.get("Username"), found.get("Secret")
    if not isinstance(name, str) or not isinstance(secret, str) or not name or not secret:
        raise _failed(host, program, "returned no JSON object with Username and Secret")
    return name, secret


def _failed(host: str, program: str, why: str) -> RegistryError:
    return RegistryError(
        f"{host}: {program} {why}. Run it on the machine of the task to see its message.",
        kind="credentials",
        everywhere=True,
    )
