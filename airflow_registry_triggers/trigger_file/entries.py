# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The triggers of a file, valid or held."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.trigger_file.model import RegistryTrigger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_registry_triggers.trigger_file.problems import Problem

__all__ = ["Entry", "LoadedFile"]


@dataclass(frozen=True)
class Entry:
    """
    One trigger of a file.

    :param name: the key, also if it is not a valid name
    :param path: the file as the caller named it
    :param line: line of the key
    :param values: the valid fields, those of ``defaults`` included
    :param problems: problems of the trigger, by line and column; not empty for a held trigger
    """

    name: str
    path: str
    line: int
    column: int
    values: Mapping[str, Any]
    problems: tuple[Problem, ...]

    @property
    def declared_in(self) -> str:
        """Path and line."""
        return f"{self.path}:{self.line}"

    @property
    def repositories(self) -> list[str]:
        """The repositories, none if they are not valid."""
        value = self.values.get("repository", [])
        return [value] if isinstance(value, str) else list(value)

    @property
    def trigger(self) -> RegistryTrigger | None:
        """The trigger, None if it is held."""
        if self.problems:
            return None
        return RegistryTrigger.model_construct(name=self.name, **self.values)


@dataclass(frozen=True)
class LoadedFile:
    """
    The triggers of a file, and all its problems.

    :param path: the file as the caller named it
    :param entries: the triggers in the order of the file
    :param problems: all problems by line and column
    """

    path: str
    entries: list[Entry]
    problems: list[Problem]

    @property
    def lines(self) -> list[str]:
        """The problems, one line each."""
        return [problem.shown(self.path) for problem in self.problems]
