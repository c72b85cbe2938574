# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""What was pushed, in the JSON that travels through XCom, asset events and webhooks."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from typing import Any

__all__ = ["InvalidNotification", "Notification", "push_id"]

_SHOWN = 200

_REGISTRY_FORM = {
    "push_data": ("digest", "pushed_at", "tag"),
    "repository": (
        "date_created",
        "name",
        "namespace",
        "region",
        "repo_authentication_type",
        "repo_full_name",
        "repo_origin_type",
        "repo_type",
    ),
}


class InvalidNotification(ValueError):
    """A value that is not a notification; the text names the key and shows its first 200 characters."""


def _hex32(*parts: object) -> str:
    # JSON keeps the parts apart: ("a", "bc") and ("ab", "c") must not meet.
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def push_id(epoch: str, registry: str, repository: str, tag: str, generation: int, digest: str) -> str:
    """
    Identify one push: the same push gives the same id after a crash, a retry or a clear.

    :param epoch: random value stored with the first baseline, so ids do not come back after lost state
    :param registry: host of the registry, with its port where it is not the default
    :param repository: full name of the repository
    :param tag: the tag that moved
    :param generation: count of the tag's changes; tells A, B, A apart
    :param digest: what the tag points at now
    :return: 32 hexadecimal digits
    """
    return _hex32(epoch, registry, repository, tag, generation, digest)


class Notification:
    """
    One push of a tag, as JSON.

    Unknown keys are kept. ``push_data.tag`` and a repository name are required; all else may be missing,
    so that a hand-made notification can test a trigger.
    """

    __slots__ = ("_data",)

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data: dict[str, Any] = copy.deepcopy(dict(data))

    @classmethod
    def from_dict(cls, data: object) -> Notification:
        """
        Read a notification.

        :param data: a mapping with ``push_data.tag`` and ``repository.repo_full_name`` (or ``name``)
        :raises InvalidNotification: when it is not one; the text says which key is missing
        """
        if isinstance(data, Notification):
            return cls(data._data)
        problem = _problem(data)
        if problem or not isinstance(data, Mapping):
            raise InvalidNotification(f"not a notification: {problem}; got {_excerpt(data)}")
        return cls(data)

    def to_dict(self) -> dict[str, Any]:
        """Give the JSON form, a copy of its own."""
        return copy.deepcopy(self._data)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Notification) and self._data == other._data

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Notification({self.repository}:{self.tag}@{self.digest}, id={self.id})"

    @property
    def tag(self) -> str:
        """The tag that was pushed."""
        return str(self._data["push_data"]["tag"])

    @property
    def digest(self) -> str | None:
        """What the tag points at now, None where the notification does not tell."""
        digest = self._data["push_data"].get("digest")
        return None if digest is None else str(digest)

    @property
    def repository(self) -> str:
        """The full name of the repository, ``namespace/name``."""
        return _full_name(self._data["repository"])

    @property
    def _event(self) -> dict[str, Any]:
        event = self._data.get("event")
        return event if isinstance(event, dict) else {}

    @property
    def id(self) -> str | None:
        """The id of the push (``event.id``), None where the notification came without one."""
        value = self._event.get("id")
        return str(value) if value else None

    @property
    def registry(self) -> str:
        """The host of the registry, empty where unknown."""
        return str(self._event.get("registry") or "")

    @property
    def action(self) -> str:
        """``new`` or ``updated``, empty where unknown."""
        return str(self._event.get("action") or "")

    @property
    def generation(self) -> int | None:
        """How often the tag had changed by then, None where unknown."""
        value = self._event.get("generation")
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    @property
    def trigger(self) -> dict[str, str]:
        """Name, type and tag of the trigger that let it pass, empty before a match."""
        value = self._event.get("trigger")
        return {str(k): str(v) for k, v in value.items()} if isinstance(value, dict) else {}

    def with_event(self, **fields: Any) -> Notification:
        """
        Give a copy with these fields of ``event`` set.

        :param fields: names and JSON values
        """
        data = self.to_dict()
        event = data.get("event")
        data["event"] = {**(event if isinstance(event, dict) else {}), **fields}
        return Notification(data)

    def with_fallback_id(self, source: str, position: int) -> Notification:
        """
        Give a copy that has an id, itself where it has one.

        :param source: what the notification came with, such as the run_id
        :param position: its place among those that came along
        """
        if self.id:
            return self
        return self.with_event(id=_hex32(source, position))

    def registry_form(self) -> dict[str, Any]:
        """
        Give the registry's own format: ``push_data``, then ``repository``, nothing else.

        The order is made anew: PostgreSQL's JSONB, in which XCom travels, keeps none.
        """
        return {key: _in_order(self._data[key], order) for key, order in _REGISTRY_FORM.items()}

    def webhook_id(self, trigger_name: str) -> str:
        """
        Identify the delivery of this notification by one trigger, the same on each attempt.

        :param trigger_name: name of the trigger
        :return: ``msg_`` and 32 hexadecimal digits
        """
        return f"msg_{_hex32(self.id, trigger_name)}"


def _in_order(part: Mapping[str, Any], order: tuple[str, ...]) -> dict[str, Any]:
    known = [key for key in order if key in part]
    keys = (*known, *(key for key in part if key not in order))
    return {key: _copied(part[key]) for key in keys}


def _copied(value: Any) -> Any:
    # deepcopy costs more than all else of a body; most values are text.
    return value if isinstance(value, str) else copy.deepcopy(value)


def _full_name(repository: Mapping[str, Any]) -> str:
    full = repository.get("repo_full_name")
    if isinstance(full, str) and full:
        return full
    name = repository.get("name")
    if not isinstance(name, str) or not name:
        return ""
    namespace = repository.get("namespace")
    return f"{namespace}/{name}" if isinstance(namespace, str) and namespace else name


def _problem(data: object) -> str | None:
    if not isinstance(data, Mapping):
        return f"expected an object, not {type(data).__name__}"
    push_data = data.get("push_data")
    repository = data.get("repository")
    if not isinstance(push_data, Mapping):
        return "'push_data' is missing or no object"
    tag = push_data.get("tag")
    if not isinstance(tag, str) or not tag:
        return "'push_data.tag' is missing or no text"
    if not isinstance(push_data.get("digest"), str | None):
        return "'push_data.digest' is no text"
    if not isinstance(repository, Mapping):
        return "'repository' is missing or no object"
    if not _full_name(repository):
        return "'repository.repo_full_name' (or 'repository.name') is missing or no text"
    return None


def _excerpt(data: object) -> str:
    try:
        text = json.dumps(data)
    except (TypeError, ValueError, RecursionError):
        text = ascii(data)
    return text[:_SHOWN]
