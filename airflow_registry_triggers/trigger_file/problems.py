# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Problems of a trigger file, each with its position, and their texts."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

__all__ = [
    "MAX_BYTES",
    "FaultyFile",
    "FaultyValue",
    "Path",
    "Problem",
    "Structure",
    "also_declared",
    "count_of",
    "given_twice",
    "invalid_name",
    "missing",
    "no_such_field",
    "shown_path",
    "wrong_type",
]

Path = tuple[str | int, ...]
"""Keys and list positions that lead to a value."""

MAX_BYTES = 1024 * 1024
"""Size of a file."""

NO_RECEIVER = "no receiver: set webhook (a Connection id) or url"
NO_TRIGGERS = "triggers is missing or not a mapping"
MERGE_KEY = "merge keys are not supported; use defaults"
YAML_TAG = "YAML tags are not supported"
RECURSIVE_ALIAS = "an alias contains itself"
SECOND_DOCUMENT = "a second document is not supported; remove it"
TOO_DEEP = "the file cannot be read as YAML: it is nested too deeply"
UNDEFINED_ALIAS = "found undefined alias"
TEMPLATE = "templates are not supported in this file, except in body_template"
SECRET_QUERY = (
    "a URL in this file has no query, because it may contain a secret. Set secret_query on the Connection."  # noqa: S105
)


class Problem(NamedTuple):
    """
    One problem of a file.

    :param line: line from 1
    :param column: column from 1
    :param where: dotted path of the value, empty for the whole file
    :param text: the fault, and the correction
    """

    line: int
    column: int
    where: str
    text: str

    def shown(self, path: str) -> str:
        """
        Return the problem as one line.

        :param path: the file as the caller named it
        """
        where = f"{self.where}: " if self.where else ""
        return f"{path}:{self.line}:{self.column}: {where}{' '.join(self.text.split())}"


class Positioned(Protocol):
    """A node of a file."""

    line: int
    column: int


@dataclass
class Structure:
    """
    Problems that concern the form of a file, by the path of the value that they spoil.

    :param problems: path and problem
    """

    problems: list[tuple[Path, Problem]] = field(default_factory=list)

    def add(self, path: Path, node: Positioned, text: str) -> None:
        """Add a problem at the beginning of a node."""
        self.problems.append((path, Problem(node.line, node.column, shown_path(path), text)))

    def within(self, path: Path) -> Iterator[tuple[Path, Problem]]:
        """Yield the problems of a value and of its parts."""
        return ((at, problem) for at, problem in self.problems if at[: len(path)] == path)


class FaultyValue(ValueError):
    """
    A value that a field does not accept.

    :param text: the fault, and the correction
    :param path: position of the fault in the value; empty for the whole value
    """

    def __init__(self, text: str, path: Path = ()) -> None:
        super().__init__(text)
        self.path = path


class FaultyFile(ValueError):
    """A file that declares no trigger at all; the text is the line of its only problem."""

    def __init__(self, path: str, problem: Problem) -> None:
        super().__init__(problem.shown(path))
        self.problem = problem


def shown_path(path: Path) -> str:
    """Return a path in its dotted form, list positions from 0."""
    return ".".join(str(part) for part in path)


def missing(field: str) -> str:
    """Return the text about a required field."""
    return f"{field} is missing"


def no_such_field(name: str, fields: Iterable[str]) -> str:
    """
    Return the text about an unknown field.

    :param name: the field as written
    :param fields: the known fields
    """
    near = difflib.get_close_matches(name, list(fields), n=1)
    return f"no such field; did you mean {near[0]!r}?" if near else "no such field"


def wrong_type(expected: str, value: object) -> str:
    """
    Return the text about a value of another type.

    :param expected: the expected type, with its article
    :param value: the value
    """
    return f"expected {expected}, not {_kind(value)}"


def given_twice(first_line: int) -> str:
    """Return the text about a repeated key."""
    return f"given twice (first on line {first_line}); remove one"


def invalid_name(name: str) -> str:
    """Return the text about the name of a trigger."""
    return f"{name!a} is not a valid name: use a-z 0-9 _ . - and begin with a letter or digit"


def also_declared(path: str, line: int) -> str:
    """Return the text about a trigger whose name another file declares too."""
    return f"also declared in {path}:{line}"


def count_of(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural where it needs one."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _kind(value: object) -> str:
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return "a list"
    return "nothing" if value is None or value == "" else repr(value)
