# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Processes in a session of their own, ports, and waiting."""

from __future__ import annotations

import atexit
import contextlib
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import time
import weakref
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeVar

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Process", "ProcessFailed", "find_program", "free_port", "tail", "wait_until"]

T = TypeVar("T")

# Below the range from which systems take the ports of outgoing connections, so that none is lost to these.
_PORTS = range(15_000, 30_000)
_given: set[int] = set()
_random = random.SystemRandom()  # tests seed the module's own generator


class ProcessFailed(RuntimeError):
    """A process did not start, ended early or did not get ready; the text ends with the tail of its log."""


def free_port(host: str = "127.0.0.1") -> int:
    """
    Find a port nobody listens on; the same is not given twice.

    :param host: address to bind
    """
    for _ in range(1000):
        port = _random.choice(_PORTS)
        if port not in _given and _can_bind(host, port):
            _given.add(port)
            return port
    raise RuntimeError(f"no free port on {host} in {_PORTS}")


def _can_bind(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def find_program(name: str, variable: str, places: Sequence[Path] = ()) -> str:
    """
    Find a program.

    :param name: its usual name
    :param variable: environment variable that names another one, or the folder it is in
    :param places: folders to look in after PATH
    :raises FileNotFoundError: it is nowhere; the text says what to do
    """
    wanted = os.environ.get(variable) or name
    if Path(wanted).is_dir():
        wanted = str(Path(wanted) / name)
    found = shutil.which(wanted) or next((str(p / name) for p in places if (p / name).exists()), None)
    if found is None:
        raise FileNotFoundError(f"{wanted} was not found: run .ci/setup all, or set {variable} to its path")
    return found


def tail(path: Path, lines: int = 40) -> str:
    """
    Give the last lines of a file, empty where there is none.

    :param path: the file
    :param lines: how many
    """
    if not path.exists():
        return ""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def wait_until(
    predicate: Callable[[], T],
    timeout: float,
    what: str,
    *,
    interval: float = 0.1,
    log: Path | None = None,
    process: Process | None = None,
) -> T:
    """
    Ask until the answer is true, and give it.

    :param predicate: what is asked
    :param timeout: seconds
    :param what: what is waited for, for the error's text
    :param interval: seconds between two questions
    :param log: file whose tail goes into the error's text
    :param process: waiting ends with an error when it ends; its log is the default of ``log``
    :raises TimeoutError: it did not become true in time
    :raises ProcessFailed: the process ended
    """
    log = log or (process.log if process else None)
    end = time.monotonic() + timeout
    while True:
        if answer := predicate():
            return answer
        shown = f"; end of {log}:\n{tail(log)}" if log else ""
        if process and not process.alive:
            raise ProcessFailed(f"{process.name} ended while waiting for {what}{shown}")
        if time.monotonic() >= end:
            raise TimeoutError(f"waited {timeout:g} s for {what}{shown}")
        time.sleep(interval)


class Process:
    """
    A process with its output in a file, the leader of a session of its own.

    Stopping it ends the whole session: what it started itself does not stay behind.

    :param name: for messages
    :param command: program and arguments
    :param log: file its output is added to
    :param env: its whole environment, default that of this process
    :param cwd: folder it runs in
    :param user: name of the user it runs as, default that of this process
    :param stop_signal: what asks it to end
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.name = name
        self.command = list(command)
        self.log = log
        self._env = env
        self._cwd = cwd
        self._user = user
        self._stop_signal = stop_signal
        self._popen: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Process:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Its process id, also that of its session and process group."""
        if self._popen is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._popen.pid

    @property
    def started(self) -> bool:
        """Whether it was ever started."""
        return self._popen is not None

    @property
    def alive(self) -> bool:
        """Whether the process itself runs."""
        return self._popen is not None and self._popen.poll() is None

    def start(self) -> Process:
        """Start it, once more after it was stopped."""
        if self.alive:
            raise RuntimeError(f"{self.name} runs already")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self._popen = self._open(output)
        _running.add(self)
        return self

    def _open(self, output: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=None if self._env is None else dict(self._env),
            cwd=self._cwd,
            user=self._user,
            group=self._user and pwd.getpwnam(self._user).pw_gid,
            extra_groups=[] if self._user else None,
            start_new_session=True,
        )

    def members(self) -> list[psutil.Process]:
        """Give the living processes of its session, itself among them."""
        return [] if self._popen is None else _session_members(self._popen.pid)

    def terminate(self) -> None:
        """Ask its process group to end, and do not wait."""
        # Where it ended by itself, others of its session may still live; kill() finds them.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, self._stop_signal)

    def stop(self, timeout: float = 10.0) -> None:
        """
        End it and all of its session: the group is asked to, then killed (SIGKILL).

        :param timeout: seconds between the two
        """
        if self._popen is None:
            return
        self.terminate()
        end = time.monotonic() + timeout
        while self._reaped_members() and time.monotonic() < end:
            time.sleep(0.05)
        self.kill()

    def kill(self) -> None:
        """End it and all of its session with SIGKILL, and wait until they are gone."""
        if self._popen is None:
            return
        while members := self._reaped_members():
            for member in members:
                _send(member, signal.SIGKILL)
            psutil.wait_procs(members, timeout=0.2)
        self._popen.wait()
        _running.discard(self)

    def _reaped_members(self) -> list[psutil.Process]:
        if self._popen is not None:
            self._popen.poll()
        return self.members()


def _session_members(session: int) -> list[psutil.Process]:
    members = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                members.append(process)
        except (ProcessLookupError, PermissionError, psutil.Error):
            continue
    return members


def _send(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)


_running: weakref.WeakSet[Process] = weakref.WeakSet()


@atexit.register
def _end_all() -> None:
    """End what a test left behind when it was broken off."""
    for process in list(_running):
        process.kill()
