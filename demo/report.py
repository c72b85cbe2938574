# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""What the demo prints, and what it insists on."""

from __future__ import annotations

import json
import sys
import textwrap
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.harness.receiver import Received

__all__ = ["DemoFailed", "Report", "check", "check_body"]

# The registry's own format, in its order: a body with one key more or less is not what receivers know.
_KEYS = {
    "push_data": ["digest", "pushed_at", "tag"],
    "repository": [
        "date_created",
        "name",
        "namespace",
        "region",
        "repo_authentication_type",
        "repo_full_name",
        "repo_origin_type",
        "repo_type",
    ],
}
_COLUMNS = ("time", "task", "trigger", "event", "tag", "status", "ms", "reason or URL")


class DemoFailed(RuntimeError):
    """Something was not as it must be."""


def check(fact: object, text: str) -> None:
    """
    Insist on a fact.

    :param fact: what must be true
    :param text: what is said where it is not
    """
    if not fact:
        raise DemoFailed(text)


def check_body(body: bytes) -> None:
    """
    Insist that a body has exactly the registry's keys in their order.

    :param body: as it came
    """
    value = json.loads(body)
    check(list(value) == list(_KEYS), f"keys of the body: {list(value)}, wanted {list(_KEYS)}")
    for name, keys in _KEYS.items():
        check(list(value[name]) == keys, f"keys of {name}: {list(value[name])}, wanted {keys}")


class Report:
    """Lines with the seconds since the demo began; ``passed`` is set at its end."""

    def __init__(self) -> None:
        self.passed = False
        self._start = time.monotonic()

    def step(self, text: str) -> None:
        """Say what is done now or was reached."""
        print(f"[{time.monotonic() - self._start:5.1f} s] {text}", flush=True)

    def detail(self, text: str) -> None:
        """Say more of the step."""
        print(textwrap.indent(text, " " * 10), flush=True)

    def fail(self, text: str) -> None:
        """Say what went wrong."""
        sys.stdout.flush()
        print(f"\ndemo failed: {text}", file=sys.stderr, flush=True)

    def webhook(self, request: Received, pulled: str) -> None:
        """Show what arrived, and what came of it."""
        self.step(f"webhook received: {request.method} {request.path}")
        for name, value in request.headers:
            self.detail(f"{name}: {value}")
        self.detail(f"\n{request.body.decode()}\n")
        self.step(f"the receiver pulled {pulled}")

    def history(self, records: Sequence[tuple[str, dict[str, Any]]]) -> None:
        """
        Show access records.

        :param records: the task each was logged by, and its fields
        """
        self.step("access log, from the task logs:")
        rows = [_COLUMNS, *(_row(task, record) for task, record in records)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
        for row in rows:
            self.detail(
                "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            )


def _row(task: str, record: dict[str, Any]) -> tuple[str, ...]:
    duration = record.get("duration_ms")
    return (
        str(record.get("request_time") or ""),
        task,
        str(record.get("trigger_name")),
        str(record.get("repo_event")),
        str(record.get("tag")),
        str(record.get("status_code")),
        "" if duration is None else f"{float(duration):.0f}",
        str(record.get("trigger_url") or record.get("reason") or ""),
    )
