# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
Build a tree of nodes with positions from the events of a YAML parser.

The composer of PyYAML recurses in C, where a deeply nested file ends the process. It also loses the position
of an alias and the tags of the usual types. This one uses a list as its stack.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import yaml

from airflow_registry_triggers.trigger_file.problems import (
    RECURSIVE_ALIAS,
    SECOND_DOCUMENT,
    TOO_DEEP,
    UNDEFINED_ALIAS,
    YAML_TAG,
    FaultyFile,
    Path,
    Problem,
    Structure,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["MAX_DEPTH", "Node", "build_tree"]

MAX_DEPTH = 100
"""Levels of a file; a trigger file needs five."""

Kind = Literal["text", "list", "mapping"]


class Node:
    """
    One value of a file.

    :param kind: type of the value
    :param value: text, a list of nodes, or a list of pairs of nodes
    :param line: line from 1
    :param column: column from 1
    """

    __slots__ = ("column", "kind", "line", "value")

    def __init__(self, kind: Kind, value: Any, line: int, column: int) -> None:
        self.kind = kind
        self.value = value
        self.line = line
        self.column = column


@dataclass(slots=True)
class _Frame:
    """
    Describe a list or mapping that is open.

    :param key: key of the next value of a mapping
    """

    node: Node
    anchor: str | None
    key: Node | None = None


def build_tree(path: str, events: Iterable[Any], structure: Structure) -> Node | None:
    """
    Return the only document of a file, None if there is none.

    :param path: the file as the caller named it, for errors
    :param events: events of the parser
    :param structure: gets a problem for each tag and each alias that contains itself
    :raises FaultyFile: there is a second document, or the file is nested too deeply
    """
    builder = _Builder(path, structure)
    for event in events:
        builder.take(event)
    return builder.root


class _Builder:
    def __init__(self, path: str, structure: Structure) -> None:
        self.root: Node | None = None
        self._path = path
        self._structure = structure
        self._frames: list[_Frame] = []
        self._anchors: dict[str, Node] = {}

    def take(self, event: Any) -> None:
        """Take the next event."""
        kind = type(event)
        if kind is yaml.ScalarEvent:
            self._add(self._new("text", event.value, event))
        elif kind is yaml.MappingStartEvent:
            self._open("mapping", event)
        elif kind is yaml.SequenceStartEvent:
            self._open("list", event)
        elif kind in (yaml.MappingEndEvent, yaml.SequenceEndEvent):
            self._frames.pop()
        elif kind is yaml.AliasEvent:
            self._add(self._aliased(event))
        elif kind is yaml.DocumentStartEvent and self.root is not None:
            raise self._fault(event, SECOND_DOCUMENT)

    def _new(self, kind: Kind, value: Any, event: Any) -> Node:
        mark = event.start_mark
        node = Node(kind, value, mark.line + 1, mark.column + 1)
        if event.tag is not None:
            self._structure.add(self._where(node), node, YAML_TAG)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _open(self, kind: Kind, event: Any) -> None:
        if len(self._frames) >= MAX_DEPTH:
            raise self._fault(event, TOO_DEEP)
        node = self._new(kind, [], event)
        self._add(node)
        self._frames.append(_Frame(node, event.anchor))

    def _aliased(self, event: Any) -> Node:
        mark = event.start_mark
        node = self._anchors.get(event.anchor)
        if node is None:
            raise self._fault(event, UNDEFINED_ALIAS)
        if any(frame.node is node for frame in self._frames):
            at = Node("text", "", mark.line + 1, mark.column + 1)
            self._structure.add(self._where(at), at, RECURSIVE_ALIAS)
            return at
        return Node(node.kind, node.value, mark.line + 1, mark.column + 1)

    def _add(self, node: Node) -> None:
        if not self._frames:
            self.root = node
            return
        frame = self._frames[-1]
        if frame.node.kind == "list":
            frame.node.value.append(node)
        elif frame.key is None:
            frame.key = node
        else:
            frame.node.value.append((frame.key, node))
            frame.key = None

    def _where(self, node: Node) -> Path:
        """Return the path of a node that is not added yet."""
        parts: list[str | int] = []
        for frame in self._frames:
            if frame.node.kind == "list":
                # Its open child has been added already.
                parts.append(len(frame.node.value) - (frame is not self._frames[-1]))
            elif frame.key is not None:
                parts.append(frame.key.value if frame.key.kind == "text" else "")
            elif frame is self._frames[-1]:
                parts.append(node.value if node.kind == "text" else "")
            else:
                # The value that is open was added, so that its key is in the last pair.
                key = frame.node.value[-1][0]
                parts.append(key.value if key.kind == "text" else "")
        return tuple(parts)

    def _fault(self, event: Any, text: str) -> FaultyFile:
        mark = event.start_mark
        return FaultyFile(self._path, Problem(mark.line + 1, mark.column + 1, "", text))
