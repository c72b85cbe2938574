# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The tasks and watched repositories of a serialized Dag, read without building the Dag."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.tag_rule import TagRule
from airflow_registry_triggers.webhook.redaction.fields import mask_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["DagShape", "TaskShape", "TemplatedRule", "WatchedRepository", "shape_of"]

CONDITIONS = ("tags", "tag_regex", "semver", "exclude_regex")
STATE_GROUP = "registry-internal"
REPOSITORY_GROUP = "registry"

_HELD = "HeldTriggerOperator"


class TemplatedRule(ValueError):
    """The rule of a task is known only in a run."""

    def __init__(self) -> None:
        super().__init__("The rule is a template, known only in a run.")


@dataclass(frozen=True, slots=True)
class WatchedRepository:
    """
    A repository that an asset or a sensor watches.

    :param asset: name of the asset; empty for a sensor
    :param repository: as in the Dag
    :param conn_id: id of the registry's Connection
    :param conditions: rule of the asset, by the name of the parameter
    """

    asset: str
    repository: str
    conn_id: str = ""
    conditions: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TaskShape:
    """
    A task.

    :param kind: ``match``, ``sensor``, ``deliver``, ``held`` or ``other``
    :param fields: serialized fields; those of a mapped task are the arguments of ``partial()``
    :param expanded: arguments of ``expand()``, whose values are known only in a run
    :param downstream: ids of the next tasks
    """

    task_id: str
    kind: str
    fields: Mapping[str, Any]
    expanded: frozenset[str] = frozenset()
    downstream: tuple[str, ...] = ()

    def rule(self) -> TagRule:
        """
        Return the rule of a match task.

        :raises TemplatedRule: a condition is a template or an argument of ``expand()``
        :raises ValueError: the rule is not valid
        """
        conditions = {name: self.fields.get(name) for name in CONDITIONS}
        if self.expanded & set(CONDITIONS) or any(map(_is_template, conditions.values())):
            raise TemplatedRule
        return TagRule(**conditions)

    @property
    def receiver(self) -> str:
        """URL of a delivery task, without secrets, or the id of its Connection; empty if it has none."""
        url, conn_id = self.fields.get("url"), self.fields.get("webhook_conn_id")
        return mask_url(str(url)) if url else str(conn_id or "")

    @property
    def about(self) -> Mapping[str, Any]:
        """Position and problems of a trigger of a trigger file; see ``trigger_file``."""
        try:
            about = json.loads(self.fields.get("doc_json") or "{}")
        except (TypeError, ValueError):
            return {}
        return about if isinstance(about, dict) else {}


@dataclass(frozen=True, slots=True)
class DagShape:
    """
    The tasks and watched repositories of a Dag.

    :param tasks: by id
    :param watched: repositories of the Dag's schedule, and of the inlets of its tasks
    """

    tasks: Mapping[str, TaskShape] = field(default_factory=dict)
    watched: tuple[WatchedRepository, ...] = ()

    def after(self, task_id: str, kind: str) -> list[TaskShape]:
        """
        Return the tasks of a kind downstream of a task.

        :param kind: as in :class:`TaskShape`
        """
        return [self.tasks[name] for name in self._downstream(task_id) if self.tasks[name].kind == kind]

    def before(self, task_id: str, kind: str) -> list[TaskShape]:
        """
        Return the tasks of a kind upstream of a task.

        :param kind: as in :class:`TaskShape`
        """
        return [
            task
            for task in self.tasks.values()
            if task.kind == kind and task_id in self._downstream(task.task_id)
        ]

    def _downstream(self, task_id: str) -> list[str]:
        found: dict[str, None] = {}
        waiting = [task_id]
        while waiting:
            task = self.tasks.get(waiting.pop())
            for name in task.downstream if task else ():
                if name in self.tasks and name not in found:
                    found[name] = None
                    waiting.append(name)
        return list(found)


def shape_of(data: Any, compressed: bytes | None = None) -> DagShape:
    """
    Return the shape of a serialized Dag; an empty one if it has another form.

    :param data: JSON of the column ``data``
    :param compressed: the column ``data_compressed``, used if data is None
    """
    try:
        whole = json.loads(zlib.decompress(compressed)) if data is None and compressed else data
        dag = (json.loads(whole) if isinstance(whole, str) else whole)["dag"]
        tasks = {task.task_id: task for task in map(_task, dag["tasks"])}
        watched = {item.asset: item for task in tasks.values() for item in _inlets(task)}
        watched.update((item.asset, item) for item in _scheduled(dag.get("timetable")))
    except (AttributeError, KeyError, TypeError, ValueError, zlib.error):
        return DagShape()
    sensors = tuple(_of_sensor(task) for task in tasks.values() if task.kind == "sensor")
    return DagShape(tasks, (*watched.values(), *sensors))


def _task(encoded: Mapping[str, Any]) -> TaskShape:
    values = encoded["__var"]
    partial = values.get("partial_kwargs") or {}
    expanded = values.get("expand_input") or {}
    names = expanded.get("value") or {}
    names = names.get("__var", names) if isinstance(names, dict) else {}
    fields = {**partial, **{key: value for key, value in values.items() if key != "partial_kwargs"}}
    return TaskShape(
        task_id=values["task_id"],
        kind=_kind(values),
        fields=fields,
        expanded=frozenset(names) if isinstance(names, dict) else frozenset(),
        downstream=tuple(values.get("downstream_task_ids") or ()),
    )


def _kind(values: Mapping[str, Any]) -> str:
    """Return the kind of a task by its template fields, which subclasses keep."""
    names = set(values.get("template_fields") or ())
    if values.get("task_type") == _HELD:
        return "held"
    if {"trigger_name", "notifications", "tag_regex"} <= names:
        return "match"
    if {"notifications", "webhook_conn_id"} <= names:
        return "deliver"
    is_sensor = {"repository", "registry_conn_id", "tag_regex"} <= names and values.get("_is_sensor")
    return "sensor" if is_sensor else "other"


def _is_template(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(map(_is_template, value))
    if isinstance(value, dict):
        return True  # an XComArg
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def _of_sensor(task: TaskShape) -> WatchedRepository:
    conditions = {name: task.fields[name] for name in CONDITIONS if task.fields.get(name) is not None}
    return WatchedRepository(
        "",
        str(task.fields.get("repository") or ""),
        str(task.fields.get("registry_conn_id") or ""),
        conditions,
    )


def _inlets(task: TaskShape) -> Iterator[WatchedRepository]:
    """Yield the repositories of a held or disabled trigger: its Dag has no schedule."""
    for inlet in task.fields.get("inlets") or ():
        asset = inlet.get("__var", inlet) if isinstance(inlet, dict) else {}
        if asset.get("group") == REPOSITORY_GROUP:
            repository, _, rest = str(asset["name"]).partition(" @ ")
            yield WatchedRepository(str(asset["name"]), repository, rest.partition(" (")[0])


def _scheduled(node: Any) -> Iterator[WatchedRepository]:
    """Yield the watched repositories of a timetable, whatever nests its assets."""
    if isinstance(node, list):
        for item in node:
            yield from _scheduled(item)
    elif isinstance(node, dict):
        for watcher in node.get("watchers") or ():
            arguments = dict(watcher["trigger"]["kwargs"])
            if "repository" in arguments:
                yield WatchedRepository(
                    str(node["name"]),
                    str(arguments.pop("repository")),
                    str(arguments.pop("registry_conn_id", "")),
                    {name: value for name, value in arguments.items() if value is not None},
                )
        for item in node.values():
            yield from _scheduled(item)
