# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Read YAML with positions. Each scalar is the text in the file; no type is guessed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from airflow_registry_triggers.trigger_file.problems import (
    MAX_BYTES,
    MERGE_KEY,
    NO_TRIGGERS,
    FaultyFile,
    Path,
    Problem,
    Structure,
    given_twice,
    wrong_type,
)
from airflow_registry_triggers.trigger_file.tree import Node, build_tree

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Item", "items_of", "plain", "read_yaml"]

LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
"""The variant in C takes a tenth of the time."""

MERGE = "<<"


class Item(NamedTuple):
    """
    One key of a mapping with its value.

    :param name: the key
    :param key: node of the key
    :param value: node of the value
    """

    name: str
    key: Node
    value: Node


def read_yaml(path: str, data: bytes) -> tuple[Node, Structure]:
    """
    Return the top level of a file, and the problems of its form.

    :param path: the file as the caller named it, for errors
    :param data: content of the file
    :raises FaultyFile: the content is not YAML, not one document, or not a mapping
    """
    text = _decoded(path, data)
    structure = Structure()
    try:
        root = build_tree(path, yaml.parse(text, Loader=LOADER), structure)
    except yaml.YAMLError as error:
        raise FaultyFile(path, _syntax_problem(error)) from None
    if root is None or root.kind != "mapping":
        raise FaultyFile(path, Problem(1, 1, "", NO_TRIGGERS))
    return root, structure


def items_of(pairs: Sequence[tuple[Node, Node]], path: Path, structure: Structure) -> list[Item]:
    """
    Return the items of a mapping, the last one of each repeated key, in the order of the file.

    :param pairs: nodes of the keys and values
    :param path: path of the mapping
    :param structure: gets a problem for each repeated key, merge key and key that is not text
    """
    items: dict[str, Item] = {}
    for key, value in pairs:
        if key.kind != "text":
            structure.add(path, key, wrong_type("text", plain(key)))
            continue
        name = key.value
        if name == MERGE:
            structure.add((*path, name), key, MERGE_KEY)
            continue
        if name in items:
            structure.add((*path, name), key, given_twice(items.pop(name).key.line))
        items[name] = Item(name, key, value)
    return list(items.values())


def plain(node: Node, depth: int = 2) -> Any:
    """
    Return a node as texts, lists and mappings.

    No field has more than two levels. Deeper values are empty, because aliases can make a small file a
    tree of any size.

    :param depth: levels that are read
    """
    if node.kind == "text":
        return node.value
    if node.kind == "list":
        return [plain(item, depth - 1) for item in node.value] if depth else []
    if not depth:
        return {}
    return {key.value: plain(value, depth - 1) for key, value in node.value if key.kind == "text"}


def _decoded(path: str, data: bytes) -> str:
    if len(data) > MAX_BYTES:
        text = f"the file has {len(data)} bytes; at most {MAX_BYTES} (1 MiB) are read. Split it."
        raise FaultyFile(path, Problem(1, 1, "", text))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        column = error.start - data[: error.start].rfind(b"\n")
        text = f"the file cannot be read as YAML: byte {data[error.start]:#04x} is not UTF-8"
        raise FaultyFile(path, Problem(line, column, "", text)) from None


def _syntax_problem(error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    text = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    context = getattr(error, "context", None)
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    return Problem(line, column, "", f"{context}: {text}" if context else str(text))
