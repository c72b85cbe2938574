# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The page "Triggers" in a terminal, and for monitors."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from airflow.utils.session import create_session

from airflow_registry_triggers.access_log.query import InvalidFilter
from airflow_registry_triggers.overview.reader import Filters, TriggerPage, read_page, states_of
from airflow_registry_triggers.webhook.redaction.fields import escape_text

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Mapping, Sequence

__all__ = ["status"]

_COLUMNS = ("state", "trigger", "dag_id", "task_id", "repositories", "receiver", "why")


def status(args: Namespace) -> None:
    """
    Print the state of each trigger.

    :param args: arguments of :mod:`airflow_registry_triggers.cli`
    :raises SystemExit: with 1 if ``--problems`` finds one; with a text if a state is unknown
    """
    try:
        filters = Filters(states=states_of(args.state), dag_id=args.dag_id, problems=args.problems)
    except InvalidFilter as error:
        raise SystemExit(str(error)) from None
    with create_session() as session:
        page = read_page(session, filters)
    sys.stdout.write(_FORMATS[args.output](page.rows))
    _warn(page)
    if args.problems and page.rows:
        raise SystemExit(1)


def _warn(page: TriggerPage) -> None:
    if page.unreadable:
        # On standard error, so that standard output contains triggers only.
        print(f"{page.unreadable} status values cannot be read.", file=sys.stderr)  # noqa: T201


def _as_json(rows: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps(rows, indent=2) + "\n"


def _as_yaml(rows: Sequence[Mapping[str, Any]]) -> str:
    import yaml

    return yaml.safe_dump(list(rows), sort_keys=False)


def _as_table(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return "no triggers\n"
    cells = [list(_COLUMNS), *map(_cells, rows)]
    widths = [max(len(row[number]) for row in cells) for number in range(len(_COLUMNS))]
    lines = ("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in cells)
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _cells(row: Mapping[str, Any]) -> list[str]:
    values = {**row, "trigger": row["trigger_name"], "repositories": ", ".join(row["repositories"])}
    # A stranger may have written a tag or a reason, and a terminal obeys control characters.
    return [escape_text(str(values[name] or "")) for name in _COLUMNS]


_FORMATS = {"json": _as_json, "yaml": _as_yaml, "table": _as_table}
