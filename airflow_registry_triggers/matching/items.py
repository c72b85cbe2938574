# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The values that reach a task, each with its source and its position there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

__all__ = ["InputItem", "MalformedMessage", "flattened", "numbered"]

MAX_DEPTH = 4
"""Lists within lists that are flattened: a list of outputs of mapped tasks in a mapped task group has 4."""


class InputItem(NamedTuple):
    """
    One value that reached a task.

    :param value: the JSON of a notification, unless it is malformed
    :param source: the run or the asset event that carried the value
    :param position: index of the value in its source
    """

    value: Any
    source: str
    position: int


class MalformedMessage(NamedTuple):
    """
    The value of an item that stands for a queue's message without a known webhook.

    :param reason: the missing key, without a value of the message
    """

    reason: str


def numbered(values: Iterable[Any], source: str) -> list[InputItem]:
    """
    Return the values with their source and position.

    :param source: the run or the asset event that carried them
    """
    return [InputItem(value, source, position) for position, value in enumerate(values)]


def flattened(value: Any) -> list[Any]:
    """
    Return one notification, a list, or the lists of mapped tasks as one list, without None.

    :param value: the value of a template field, of a conf, or of an event
    """
    return [item for item in _leaves(value, MAX_DEPTH) if item is not None]


def _leaves(value: Any, depth: int) -> Iterator[Any]:
    is_leaf = isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable)
    if is_leaf or depth == 0:
        yield value
        return
    for item in value:
        yield from _leaves(item, depth - 1)
