# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The access log in a terminal."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from airflow.utils.session import create_session

from airflow_registry_triggers.access_log.query import (
    Cursor,
    InvalidFilter,
    Query,
    filter_of_tests,
    parse_time,
    results_of,
    statuses_of,
)
from airflow_registry_triggers.access_log.reader import Page, read_page
from airflow_registry_triggers.webhook.redaction.fields import escape_text

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["access_log"]

_COLUMNS = {
    "time": "request_time",
    "result": "result",
    "status": "status_code",
    "trigger": "trigger_name",
    "repository": "repository",
    "tag": "tag",
    "digest": "digest",
    "ms": "duration_ms",
    "reason": "reason",
}
_SHORT_DIGEST = 19


def access_log(args: Namespace) -> None:
    """
    Print the access log.

    :param args: arguments of :mod:`airflow_registry_triggers.cli`
    """
    try:
        page = _page(args)
    except InvalidFilter as error:
        raise SystemExit(str(error)) from None
    sys.stdout.write(_FORMATS[args.output](page.entries))
    if page.next_cursor:
        # On standard error, so that standard output contains entries only.
        print(f"More entries: --cursor {page.next_cursor}", file=sys.stderr)  # noqa: T201


def _page(args: Namespace) -> Page:
    if args.limit < 1:
        raise InvalidFilter(f"limit={args.limit} is too small. Use 1 or more")
    results, statuses = results_of(args.result, statuses_of(args.status))
    query = Query(
        statuses=statuses,
        results=results,
        tests=filter_of_tests(args.tests),
        notification_id=args.notification_id,
        dag_id=args.dag_id,
        run_id=args.run_id,
        task_id=args.task_id,
        map_index=args.map_index,
        since=parse_time("since", args.since),
        until=parse_time("until", args.until),
        trigger=args.trigger,
        repository=args.repository,
        tag=args.tag,
    )
    page = Page(next_cursor=args.cursor)
    with create_session() as session:
        while len(page.entries) < args.limit:
            cursor = Cursor.decode(page.next_cursor) if page.next_cursor else None
            more = read_page(
                session, query, limit=args.limit - len(page.entries), cursor=cursor, bodies=args.bodies
            )
            page = Page(page.entries + more.entries, more.next_cursor)
            if page.next_cursor is None:
                break
    return page


def _as_json(entries: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps(entries, indent=2) + "\n"


def _as_yaml(entries: Sequence[Mapping[str, Any]]) -> str:
    import yaml

    return yaml.safe_dump(list(entries), sort_keys=False)


def _as_table(entries: Sequence[Mapping[str, Any]]) -> str:
    if not entries:
        return "no entries\n"
    rows = [list(_COLUMNS), *(list(_row(entry)) for entry in entries)]
    widths = [max(len(row[number]) for row in rows) for number in range(len(_COLUMNS))]
    lines = ("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in rows)
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _row(entry: Mapping[str, Any]) -> Iterator[str]:
    for name in _COLUMNS.values():
        value = entry[name]
        # A stranger may have written a tag or a reason, and a terminal obeys control characters.
        text = escape_text("" if value is None else str(value))
        yield text[:_SHORT_DIGEST] if name == "digest" else text


_FORMATS = {"json": _as_json, "yaml": _as_yaml, "table": _as_table}
