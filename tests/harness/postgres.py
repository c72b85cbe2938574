# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A PostgreSQL server of its own, with a data folder that goes when it ends."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from tests.harness.processes import Process, find_program, free_port, wait_until

__all__ = ["Postgres"]

DATABASE = "airflow"
USER = "airflow"
_OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    # What is in it is of no use after a crash of this machine.
    "fsync": "off",
    "full_page_writes": "off",
}


def _unprivileged_user() -> str | None:
    """The server refuses to run as root."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


class Postgres:
    """
    A server on 127.0.0.1 with one empty database; it can be stopped and started again on the same port.

    Its folder is made here, since a folder of pytest is closed to the user that the server runs as.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.password = secrets.token_urlsafe(12)
        self._user = _unprivileged_user()
        self.folder = Path(tempfile.mkdtemp(prefix="postgres-of-tests-"))
        self._data = self.folder / "data"
        if self._user:
            shutil.chown(self.folder, self._user)
        self.process = Process(
            "postgres",
            [
                _program("postgres"),
                "-D",
                str(self._data),
                "-p",
                str(self.port),
                "-k",
                str(self.folder),
                *_flags(),
            ],
            self.folder / "postgres.log",
            cwd=self.folder,
            user=self._user,
            stop_signal=signal.SIGINT,  # SIGTERM waits until the last client is gone
        )

    @property
    def url(self) -> str:
        """SQLAlchemy URL of the database."""
        return f"postgresql+psycopg2://{self._authority}/{DATABASE}"

    @property
    def celery_url(self) -> str:
        """URL of the database as Celery's result backend wants it."""
        return f"db+postgresql://{self._authority}/{DATABASE}"

    @property
    def _authority(self) -> str:
        return f"{USER}:{self.password}@127.0.0.1:{self.port}"

    def __enter__(self) -> Postgres:
        try:
            self._create()
            self.start()
            self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", USER, DATABASE)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it and remove its folder."""
        self.process.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> Postgres:
        """Start it, once more after it was stopped, and wait until it takes connections."""
        self.process.start()
        wait_until(self._is_ready, 60, f"PostgreSQL on port {self.port}", process=self.process)
        return self

    def stop(self) -> None:
        """End it, clients that are connected or not; what is in it stays."""
        self.process.stop()

    def _create(self) -> None:
        password_file = self.folder / "password"
        password_file.write_text(self.password)
        if self._user:
            shutil.chown(password_file, self._user)
        self._run(
            "initdb",
            f"--pgdata={self._data}",
            f"--username={USER}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        )

    def _is_ready(self) -> bool:
        asked = [_program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(asked, check=False).returncode == 0

    def _run(self, name: str, *arguments: str) -> None:
        done = subprocess.run(
            [_program(name), *arguments],
            env={**os.environ, "PGPASSWORD": self.password},
            cwd=self.folder,
            user=self._user,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{name}: exit code {done.returncode}: {done.stdout}{done.stderr}")


def _flags() -> list[str]:
    return [flag for name, value in _OPTIONS.items() for flag in ("-c", f"{name}={value}")]


def _program(name: str) -> str:
    """Debian keeps the server's programs out of PATH, one folder for each version."""
    packaged = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return find_program(name, "POSTGRES_BIN", packaged)
