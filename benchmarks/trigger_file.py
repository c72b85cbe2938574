# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A file with 1,000 triggers: the time to validate it, and the time of a worker's parse."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

TRIGGERS = 1000
LIMIT_MS = 100
ROUNDS = 9

DAG_FILE = """
from airflow_registry_triggers import trigger_dags_from

trigger_dags_from("registry_triggers.yaml")
"""


def entry(number: int, *, own_range: bool) -> str:
    """Give the lines of one trigger; with a range of its own, none can be taken from a cache."""
    least = number if own_range else 2
    return f"""\
  trigger-{number}:
    repository: team/app-{number}
    semver: ">=1.{least} <2"
    exclude_regex: .*-debug
    webhook: deploy_prod
    description: Trigger number {number}
"""


def file_of(*, own_range: bool) -> str:
    """Give the text of a trigger file."""
    entries = "".join(entry(number, own_range=own_range) for number in range(TRIGGERS))
    return f"version: 1\ndefaults:\n  owner: platform\ntriggers:\n{entries}"


def validate_ms(path: Path) -> list[float]:
    """Read and validate a file several times."""
    from airflow_registry_triggers.trigger_file.loader import load

    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        loaded = load(str(path))
        times.append(1000 * (time.perf_counter() - began))
        assert len(loaded.entries) == TRIGGERS
        assert not loaded.problems
    return times


def worker_parse_ms(folder: Path, rounds: int = ROUNDS) -> list[float]:
    """Parse the Dag file as a worker does, once Airflow and the package are imported."""
    import runpy

    import airflow_registry_triggers.trigger_file.dags  # noqa: F401

    os.environ["_AIRFLOW_PARSING_CONTEXT_DAG_ID"] = f"trigger.trigger-{TRIGGERS // 2}"
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        runpy.run_path(str(folder / "registry_triggers.py"))
        times.append(1000 * (time.perf_counter() - began))
    return times


def shown(name: str, times: list[float]) -> float:
    """Print one row of the table; give the median."""
    median = statistics.median(times)
    print(f"| {name} | {median:.0f} ms | {min(times):.0f} to {max(times):.0f} ms | {LIMIT_MS} ms |")
    return median


def main() -> int:
    """Print the table; fail over a limit."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["AIRFLOW_HOME"] = name
        (folder / "registry_triggers.py").write_text(DAG_FILE)
        path = folder / "registry_triggers.yaml"
        print("| 1,000 triggers in one file | median | range | limit |\n|---|---|---|---|")
        path.write_text(file_of(own_range=True))
        medians = [shown("read and validate, a range for each trigger", validate_ms(path))]
        path.write_text(file_of(own_range=False))
        medians.append(shown("read and validate, one range for all", validate_ms(path)))
        medians.append(shown("a worker's parse", worker_parse_ms(folder)))
    return 1 if max(medians) > LIMIT_MS else 0


if __name__ == "__main__":
    sys.exit(main())
