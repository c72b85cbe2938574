# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Check, list and test trigger files in a terminal."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_registry_triggers.oci_names import checked_tag
from airflow_registry_triggers.registry.names import RepositoryReference
from airflow_registry_triggers.tag_rule import CONDITIONS, TagRule
from airflow_registry_triggers.trigger_file.loader import load
from airflow_registry_triggers.trigger_file.model import json_schema
from airflow_registry_triggers.trigger_file.names import PREFIX
from airflow_registry_triggers.trigger_file.problems import (
    FaultyFile,
    Problem,
    also_declared,
    count_of,
    shown_path,
)
from airflow_registry_triggers.trigger_file.summary import EVERY_PUSH, dag_ids, receiver_of, rule_of, state_of
from airflow_registry_triggers.webhook.redaction.fields import escape_text

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable, Iterator, Sequence

    from airflow_registry_triggers.trigger_file.entries import Entry, LoadedFile

__all__ = ["check", "list_triggers", "schema", "test"]

USAGE = 2
"""Exit code if a file cannot be opened, or the arguments name nothing."""

_LIST_COLUMNS = ("trigger", "dag_id", "state", "rule", "repositories", "receiver", "declared_in")
_TEST_COLUMNS = ("trigger", "status", "reason")
_TAG_COLUMNS = ("tag", "status", "reason")


def check(args: Namespace) -> None:
    """
    Print the problems of trigger files; exit with 1 if there is one.

    :param args: arguments of :mod:`airflow_registry_triggers.cli`
    """
    lines: list[str] = []
    faulty = triggers = 0
    declared: dict[str, str] = {}
    for path in args.files:
        problems, entries = _problems_of(path, declared)
        triggers += len(entries)
        faulty += bool(problems)
        lines += [problem.shown(path) for problem in problems]
    for line in lines:
        _print(escape_text(line))
    files = len(args.files)
    if lines:
        _fail(1, f"{count_of(len(lines), 'problem')} in {faulty} of {count_of(files, 'file')}")
    sys.stderr.write(f"{count_of(files, 'file')}, {count_of(triggers, 'trigger')}, no problems\n")


def list_triggers(args: Namespace) -> None:
    """
    Print the triggers of files.

    :param args: arguments of :mod:`airflow_registry_triggers.cli`
    """
    rows = [row for path in args.files for row in _list_rows(_loaded(path))]
    _write(args.output, _LIST_COLUMNS, rows)


def test(args: Namespace) -> None:
    """
    Print the result of each trigger for a tag, or of one trigger for the tags of its registry.

    Exit with 1 if nothing matches.

    :param args: arguments of :mod:`airflow_registry_triggers.cli`
    """
    if args.registry == (args.tag is not None):
        _fail(USAGE, "Set either --tag or --registry.")
    if args.registry and args.trigger is None:
        _fail(USAGE, "--registry needs --trigger.")
    entries = _selected(_loaded(args.file), args)
    if args.registry:
        columns, rows = _TAG_COLUMNS, list(_registry_rows(entries[0], args.repository))
    else:
        columns, rows = _TEST_COLUMNS, [_tag_row(entry, args.tag) for entry in entries]
    _write(args.output, columns, rows)
    if not any(row["status"] in ("triggered", "newest") for row in rows):
        raise SystemExit(1)


def schema(args: Namespace) -> None:
    """
    Print the JSON schema of a trigger file.

    :param args: not used
    """
    _print(json.dumps(json_schema(), indent=2))


def _problems_of(path: str, declared: dict[str, str]) -> tuple[list[Problem], list[Entry]]:
    """
    Return the problems and the triggers of one file.

    :param declared: place of each trigger of the files so far; changed in place
    """
    try:
        loaded = load(path, networks=_networks())
    except FaultyFile as error:
        return [error.problem], []
    except OSError as error:
        _cannot_open(path, error)
    found = list(loaded.problems)
    for entry in loaded.entries:
        first = declared.setdefault(entry.name, entry.declared_in)
        if first != entry.declared_in:
            other, _, line = first.rpartition(":")
            where = shown_path(("triggers", entry.name))
            found.append(Problem(entry.line, entry.column, where, also_declared(other, int(line))))
    return sorted(found), loaded.entries


def _loaded(path: str) -> LoadedFile:
    try:
        return load(path, networks=_networks())
    except FaultyFile as error:
        _fail(USAGE, str(error))
    except OSError as error:
        _cannot_open(path, error)


def _networks() -> tuple[str, ...]:
    from airflow_registry_triggers.hooks.webhook_target import allowed_networks

    return allowed_networks()


def _list_rows(loaded: LoadedFile) -> Iterator[dict[str, str]]:
    ids = {id(entry): dag_id for dag_id, entry in dag_ids(loaded.entries, PREFIX).items()}
    for entry in loaded.entries:
        rule = rule_of(entry.values)
        yield {
            "trigger": entry.name,
            "dag_id": ids[id(entry)],
            "state": state_of(entry),
            # A condition that is not valid is not among the values.
            "rule": "" if entry.problems and rule == EVERY_PUSH else rule,
            "repositories": ", ".join(entry.repositories),
            "receiver": receiver_of(entry.values),
            "declared_in": entry.declared_in,
        }


def _selected(loaded: LoadedFile, args: Namespace) -> list[Entry]:
    """Return the triggers that the options name; exit if there are none."""
    entries = [entry for entry in loaded.entries if args.trigger in (None, entry.name)]
    if args.trigger is not None and not entries:
        _fail(USAGE, f"{loaded.path} has no trigger {args.trigger!a}.")
    if args.repository is None:
        return entries
    try:
        wanted = str(RepositoryReference.parse(args.repository))
        found = [entry for entry in entries if wanted in _parsed(entry.repositories)]
    except ValueError as error:
        _fail(USAGE, str(error))
    if not found:
        _fail(USAGE, f"{loaded.path}: no trigger watches {wanted}.")
    return found


def _parsed(repositories: Iterable[str]) -> list[str]:
    return [str(RepositoryReference.parse(repository)) for repository in repositories]


def _tag_row(entry: Entry, tag: str) -> dict[str, str]:
    try:
        checked_tag(tag)
    except ValueError as error:
        _fail(USAGE, str(error))
    if entry.problems:
        return {"trigger": entry.name, "status": "held", "reason": entry.problems[0].shown(entry.path)}
    status, reason = _judged(_rule(entry), tag)
    return {"trigger": entry.name, "status": status, "reason": reason}


def _registry_rows(entry: Entry, wanted: str | None) -> Iterator[dict[str, str]]:
    if entry.problems:
        _fail(USAGE, entry.problems[0].shown(entry.path))
    repositories = [wanted] if wanted else entry.repositories
    rule = _rule(entry)
    for repository in repositories:
        tags = _tags_of(entry, repository)
        greatest = _greatest(entry, rule, tags)
        for tag in sorted(tags):
            status, reason = _judged(rule, tag)
            shown = tag if len(repositories) == 1 else f"{repository}:{tag}"
            yield {"tag": shown, "status": "newest" if tag == greatest else status, "reason": reason}


def _tags_of(entry: Entry, repository: str) -> list[str]:
    from airflow_registry_triggers.hooks.registry import RegistryHook

    try:
        return RegistryHook(entry.values.get("registry", "registry_default")).list_tags(repository)
    except Exception as error:  # a missing Connection, or any fault of the registry
        _fail(USAGE, f"{type(error).__name__}: {error}")


def _greatest(entry: Entry, rule: TagRule, tags: Iterable[str]) -> str | None:
    from airflow_registry_triggers.registry.tag_order import TagOrder

    newest = entry.values.get("newest")
    return next(iter(TagOrder(newest, rule).greatest(tags, limit=1)), None) if newest else None


def _rule(entry: Entry) -> TagRule:
    return TagRule(**{name: entry.values[name] for name in CONDITIONS if name in entry.values})


def _judged(rule: TagRule, tag: str) -> tuple[str, str]:
    verdict = rule.judge(tag)
    return ("triggered" if verdict.triggered else "untriggered"), verdict.reason


def _write(output: str, columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> None:
    if output == "json":
        _print(json.dumps(rows, indent=2))
    elif output == "yaml":
        import yaml

        sys.stdout.write(yaml.safe_dump(list(rows), sort_keys=False))
    else:
        sys.stdout.write(_table(columns, rows))


def _table(columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> str:
    cells = [list(columns), *([escape_text(str(row[name])) for name in columns] for row in rows)]
    widths = [max(len(row[number]) for row in cells) for number in range(len(columns))]
    lines = ("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in cells)
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _cannot_open(path: str, error: OSError) -> NoReturn:
    _fail(USAGE, f"{path}: {error.strerror or error}")


def _fail(code: int, text: str) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.write(f"{escape_text(text)}\n")
    raise SystemExit(code)
