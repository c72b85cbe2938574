# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
From a file to its triggers, valid or held.

Each field is validated on its own, so that all problems of a file are reported at once. A trigger with a
problem keeps its valid fields: they name the assets whose state a held trigger must keep.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.trigger_file.entries import Entry, LoadedFile
from airflow_registry_triggers.trigger_file.fields import (
    ANY_NETWORK,
    DEFAULT_FIELDS,
    FIELDS,
    asset_fault,
    checked,
    cross_faults,
    has_receiver,
)
from airflow_registry_triggers.trigger_file.model import is_name
from airflow_registry_triggers.trigger_file.problems import (
    NO_RECEIVER,
    NO_TRIGGERS,
    FaultyFile,
    FaultyValue,
    Path,
    Problem,
    Structure,
    invalid_name,
    missing,
    no_such_field,
    shown_path,
    wrong_type,
)
from airflow_registry_triggers.trigger_file.reader import Item, items_of, plain, read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from airflow_registry_triggers.trigger_file.tree import Node

__all__ = ["load", "load_text"]

TOP_LEVEL = ("version", "defaults", "triggers")


def load(
    path: str,
    file: FilePath | None = None,
    *,
    networks: Sequence[str] = ANY_NETWORK,
    only: str | None = None,
) -> LoadedFile:
    """
    Read a file.

    :param path: the file as the caller named it
    :param file: where the file is; default the path
    :param networks: networks that a URL may name though they are not public
    :param only: validate only the trigger of this name; None for all
    :raises FaultyFile: the file declares no trigger at all
    :raises OSError: the file cannot be opened
    """
    return load_text(path, (file or FilePath(path)).read_bytes(), networks=networks, only=only)


def load_text(
    path: str, data: bytes, *, networks: Sequence[str] = ANY_NETWORK, only: str | None = None
) -> LoadedFile:
    """
    Read the content of a file; see :func:`load`.

    :param data: the content
    """
    root, structure = read_yaml(path, data)
    return _Loader(path, structure, tuple(networks)).read(root, only)


@dataclass
class _Defaults:
    """
    The fields of ``defaults``.

    :param values: the valid ones
    :param problems: the problems of each other field
    :param of_all: problems that hold every trigger
    """

    values: dict[str, Any] = field(default_factory=dict)
    problems: dict[str, list[Problem]] = field(default_factory=dict)
    of_all: list[Problem] = field(default_factory=list)


class _Loader:
    """
    Validate one file.

    :param path: the file as the caller named it
    :param structure: problems of the form of the file; those of mappings are added while they are read
    :param networks: networks that a URL may name
    """

    def __init__(self, path: str, structure: Structure, networks: tuple[str, ...]) -> None:
        self._path = path
        self._structure = structure
        self._networks = networks
        self._known: dict[tuple[str, str], Any] = {}

    def read(self, root: Node, only: str | None) -> LoadedFile:
        """Return the triggers of the file."""
        problems: list[Problem] = []
        top, triggers = self._top_level(root, problems)
        self._check_version(top)
        defaults = self._defaults(top.get("defaults"))
        entries = [
            self._entry(item, path, defaults) for item, path in triggers if only is None or item.name == only
        ]
        found = {*problems, *defaults.of_all, *(one for many in defaults.problems.values() for one in many)}
        found.update(problem for _, problem in self._structure.problems)
        found.update(problem for entry in entries for problem in entry.problems)
        return LoadedFile(self._path, entries, sorted(found))

    def _top_level(
        self, root: Node, problems: list[Problem]
    ) -> tuple[dict[str, Item], list[tuple[Item, Path]]]:
        top = {item.name: item for item in items_of(root.value, (), self._structure)}
        declared = [value for key, value in root.value if key.value == "triggers"]
        mappings = [node for node in declared if node.kind == "mapping"]
        if not mappings or len(mappings) < len(declared):
            problem = _at(declared[-1], (), NO_TRIGGERS) if declared else Problem(1, 1, "", NO_TRIGGERS)
            raise FaultyFile(self._path, problem)
        problems += [
            _at(item.key, (name,), no_such_field(name, TOP_LEVEL))
            for name, item in top.items()
            if name not in TOP_LEVEL
        ]
        # A second mapping of triggers adds to the first one: its triggers must not vanish.
        pairs = [pair for node in mappings for pair in node.value]
        items = items_of(pairs, ("triggers",), self._structure)
        return top, [(item, ("triggers", item.name)) for item in items]

    def _check_version(self, top: Mapping[str, Item]) -> None:
        item = top.get("version")
        if item is not None and plain(item.value) != "1":
            text = f"expected 1, not {plain(item.value)!r}"
            raise FaultyFile(self._path, _at(item.value, ("version",), text))

    def _defaults(self, item: Item | None) -> _Defaults:
        defaults = _Defaults()
        if item is None:
            return defaults
        path: Path = ("defaults",)
        if item.value.kind != "mapping":
            defaults.of_all.append(_at(item.value, path, wrong_type("a mapping", plain(item.value))))
            return defaults
        for name, found in self._fields(
            items_of(item.value.value, path, self._structure), path, DEFAULT_FIELDS
        ).items():
            value, problems = found
            if name not in DEFAULT_FIELDS:
                defaults.of_all += problems
            elif problems:
                defaults.problems[name] = problems
            else:
                defaults.values[name] = value
        spoiled = [at for at, _ in self._structure.within(path)]
        if any(len(at) == 1 or (len(at) > 1 and at[1] not in DEFAULT_FIELDS) for at in spoiled):
            defaults.of_all += [problem for at, problem in self._structure.within(path) if len(at) < 3]
        return defaults

    def _entry(self, item: Item, path: Path, defaults: _Defaults) -> Entry:
        problems = list(defaults.of_all)
        values: dict[str, Any] = {}
        nodes: dict[str, Item] = {}
        if not is_name(item.name):
            problems.append(_at(item.key, path, invalid_name(item.name)))
        if item.value.kind != "mapping":
            problems.append(_at(item.value, path, wrong_type("a mapping", plain(item.value))))
        else:
            items = items_of(item.value.value, path, self._structure)
            nodes = {one.name: one for one in items}
            for name, (value, found) in self._fields(items, path, tuple(FIELDS)).items():
                problems += found
                if not found:
                    values[name] = value
        own = set(nodes)
        problems += [one for name, many in defaults.problems.items() if name not in own for one in many]
        values = {**{key: value for key, value in defaults.values.items() if key not in own}, **values}
        problems += self._of_whole(item, path, values, nodes, {*own, *defaults.values, *defaults.problems})
        problems += [problem for _, problem in self._structure.within(path)]
        return Entry(
            name=item.name,
            path=self._path,
            line=item.key.line,
            column=item.key.column,
            values=values,
            problems=tuple(sorted(set(problems))),
        )

    def _of_whole(
        self,
        item: Item,
        path: Path,
        values: Mapping[str, Any],
        nodes: Mapping[str, Item],
        given: set[str],
    ) -> Iterator[Problem]:
        """Yield the problems that no field has alone."""
        if "repository" not in given:
            yield _at(item.key, path, missing("repository"))
        if not has_receiver(given):
            yield _at(item.key, path, NO_RECEIVER)
        faults = cross_faults(values)
        for names, text in faults:
            # Fields that are inherited stand in no line of the trigger.
            own = [nodes[name] for name in names if name in nodes]
            later = max(own, key=lambda one: (one.key.line, one.key.column), default=item)
            is_value = len(names) == 1
            node = later.value if is_value else later.key
            yield _at(node, (*path, later.name) if own else path, text)
        if not faults and "repository" in values and (text := asset_fault(values)):
            yield _at(nodes["repository"].value, (*path, "repository"), text)

    def _fields(
        self, items: list[Item], path: Path, known: Sequence[str]
    ) -> dict[str, tuple[Any, list[Problem]]]:
        """Return the value and the problems of each field."""
        found: dict[str, tuple[Any, list[Problem]]] = {}
        for item in items:
            at = (*path, item.name)
            if item.name not in known:
                found[item.name] = None, [_at(item.key, at, no_such_field(item.name, known))]
                continue
            found[item.name] = self._value(item, at)
        return found

    def _value(self, item: Item, at: Path) -> tuple[Any, list[Problem]]:
        scalar = item.value.value if item.value.kind == "text" else None
        if scalar is not None and (item.name, scalar) in self._known:
            return self._known[item.name, scalar], []
        if item.value.kind == "mapping":
            items_of(item.value.value, at, self._structure)
        if spoiled := [problem for _, problem in self._structure.within(at)]:
            return None, spoiled
        try:
            value = checked(item.name, plain(item.value), self._networks)
        except FaultyValue as error:
            node = _node_at(item.value, error.path)
            return None, [_at(node, (*at, *error.path), str(error))]
        if scalar is not None:
            self._known[item.name, scalar] = value
        return value, []


def _at(node: Node, path: Path, text: str) -> Problem:
    return Problem(node.line, node.column, shown_path(path), text)


def _node_at(node: Node, path: Path) -> Node:
    """Return the node of a part of a value; the key of a header, whose value is at fault with it."""
    for part in path:
        if isinstance(part, int):
            node = node.value[part]
        else:
            node = next(value for key, value in node.value if key.value == part)
    return node
