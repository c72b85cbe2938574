# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A home for one Airflow: its folder, its Dags, its database, and all configuration as environment."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.harness.processes import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ADMIN", "AirflowHome", "variable"]

ADMIN = "admin"
_BIN = Path(sys.executable).parent


def variable(section: str, option: str) -> str:
    """
    Name the environment variable of an Airflow option.

    :param section: as in airflow.cfg
    :param option: as in airflow.cfg
    """
    return f"AIRFLOW__{section.upper()}__{option.upper()}"


class AirflowHome:
    """
    The folder and the settings of one Airflow; starts nothing.

    :param folder: for everything
    :param database: SQLAlchemy URL, default SQLite in the folder
    :param executor: as in ``[core] executor``
    :param connections: id to a dict in Airflow's JSON form
    :param settings: (section, option) to value, over those made here
    :param users: name to role of the simple auth manager, beside ADMIN
    """

    def __init__(
        self,
        folder: Path,
        *,
        database: str | None = None,
        executor: str = "LocalExecutor",
        connections: Mapping[str, Mapping[str, Any]] | None = None,
        settings: Mapping[tuple[str, str], str] | None = None,
        users: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.dags_folder = folder / "dags"
        self.log_folder = folder / "logs"
        self.port = free_port()
        self.database = database or f"sqlite:///{self.database_file}"
        self.passwords = {name: secrets.token_urlsafe(12) for name in (ADMIN, *(users or {}))}
        self.dags_folder.mkdir(parents=True, exist_ok=True)
        self._passwords_file = folder / "passwords.json"
        self._passwords_file.write_text(json.dumps(self.passwords))
        roles = {ADMIN: "admin", **(users or {})}
        self.env = _clean_environment()
        self.env["AIRFLOW_HOME"] = str(folder)
        self.set(self._defaults(executor, roles))
        self.set(settings or {})
        for connection_id, connection in (connections or {}).items():
            self.connect(connection_id, connection)

    @property
    def url(self) -> str:
        """Base URL of the UI and the REST API, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def database_file(self) -> Path:
        """File of the default database."""
        return self.folder / "airflow.db"

    @property
    def program(self) -> Path:
        """The airflow command of this interpreter."""
        return _BIN / "airflow"

    def set(self, settings: Mapping[tuple[str, str], str]) -> None:
        """
        Set options; processes that run already do not see them.

        :param settings: (section, option) to value
        """
        for (section, option), value in settings.items():
            self.env[variable(section, option)] = value

    def connect(self, connection_id: str, connection: Mapping[str, Any]) -> None:
        """
        Define a Connection; processes that run already do not see it.

        :param connection_id: its id
        :param connection: a dict in Airflow's JSON form
        """
        self.env[f"AIRFLOW_CONN_{connection_id.upper()}"] = json.dumps(connection)

    def write_dag(self, name: str, source: str) -> Path:
        """
        Write a Dag file.

        :param name: file name
        :param source: its text; an indentation common to all lines is taken off
        """
        # A Dag processor that looks meanwhile must see the old text or the new one, nothing between.
        path = self.dags_folder / name
        draft = self.folder / f"{name}.draft"
        draft.write_text(textwrap.dedent(source))
        return draft.replace(path)

    def copy_dag(self, path: Path) -> Path:
        """
        Copy a Dag file into the Dags folder.

        :param path: the file
        """
        return Path(shutil.copy(path, self.dags_folder / path.name))

    def run(self, *arguments: str, timeout: float = 240.0) -> str:
        """
        Run an airflow command and give what it wrote to standard output.

        :param arguments: after ``airflow``
        :param timeout: seconds
        :raises RuntimeError: it failed; the text has what it wrote
        """
        done = subprocess.run(
            [str(self.program), *arguments],
            env=self.env,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(
                f"airflow {' '.join(arguments)}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
            )
        return done.stdout

    def _defaults(self, executor: str, roles: Mapping[str, str]) -> dict[tuple[str, str], str]:
        key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        return {
            ("core", "executor"): executor,
            ("core", "dags_folder"): str(self.dags_folder),
            ("core", "load_examples"): "False",
            ("core", "parallelism"): "8",
            ("core", "fernet_key"): key,
            ("core", "hostname_callable"): "socket.gethostname",
            ("core", "execution_api_server_url"): f"{self.url}/execution/",
            ("core", "simple_auth_manager_users"): ",".join(f"{user}:{role}" for user, role in roles.items()),
            ("core", "simple_auth_manager_passwords_file"): str(self._passwords_file),
            ("database", "sql_alchemy_conn"): self.database,
            ("api", "host"): "127.0.0.1",
            ("api", "port"): str(self.port),
            ("api", "base_url"): self.url,
            ("api", "secret_key"): secrets.token_hex(32),
            ("api_auth", "jwt_secret"): secrets.token_hex(32),
            ("dag_processor", "refresh_interval"): "1",
            ("dag_processor", "bundle_refresh_check_interval"): "1",
            ("dag_processor", "min_file_process_interval"): "5",
            ("logging", "base_log_folder"): str(self.log_folder),
            ("logging", "colored_console_log"): "False",
            ("logging", "worker_log_server_port"): str(free_port()),
            ("logging", "trigger_log_server_port"): str(free_port()),
            ("scheduler", "scheduler_idle_sleep_time"): "0.1",
            ("scheduler", "enable_health_check"): "False",
            ("usage_data_collection", "enabled"): "False",
            # A busy api-server needs longer than 5 s for its first answer, and a start that is repeated fails.
            ("workers", "execution_api_timeout"): "60",
        }


def _clean_environment() -> dict[str, str]:
    """This process's environment without any Airflow's settings; ``airflow`` is that of this interpreter."""
    env = {
        name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "_AIRFLOW_"))
    }
    env["PATH"] = f"{_BIN}{os.pathsep}{env.get('PATH', os.defpath)}"
    env["NO_COLOR"] = "1"
    env.pop("FORCE_COLOR", None)
    return env
