# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The notification: one push of a tag, as the JSON that XCom, asset events and webhooks carry."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, TypedDict

from airflow_registry_triggers.oci_names import image_reference

__all__ = [
    "Action",
    "EventData",
    "InvalidNotification",
    "Notification",
    "NotificationDict",
    "PushData",
    "RepositoryData",
    "TagState",
    "fallback_id",
    "hex32",
]

Action = Literal["new", "updated"]


class PushData(TypedDict, total=False):
    """The tag and the digest it points to; ``tag`` is required."""

    digest: str | None
    pushed_at: str
    tag: str


class RepositoryData(TypedDict, total=False):
    """The repository, with a registry's own field names; ``repo_full_name`` or ``name`` is required."""

    date_created: str
    name: str
    namespace: str
    region: str
    repo_authentication_type: str
    repo_full_name: str
    repo_origin_type: str
    repo_type: str


class EventData(TypedDict, total=False):
    """Facts that stay inside Airflow and are not part of the default webhook body."""

    id: str
    registry: str
    action: Action
    previous_digest: str | None
    detected_at: str
    epoch: str
    generation: int
    image: str
    tags: list[str]
    trigger: dict[str, str]


class NotificationDict(TypedDict, total=False):
    """The JSON form of a notification; ``push_data`` and ``repository`` are required."""

    push_data: PushData
    repository: RepositoryData
    event: EventData


class TagState(NamedTuple):
    """
    One tag at one moment, as a watermark stores it.

    :param generation: number of changes of the tag; 0 in the baseline, and where it is unknown
    :param digest: None where it is unknown
    """

    tag: str
    generation: int
    digest: str | None


_SHOWN = 200
"""Characters of a malformed value that an error quotes."""

# A registry sends the keys in the order in which the types above list them.
_REGISTRY_FORM = {
    "push_data": tuple(PushData.__annotations__),
    "repository": tuple(RepositoryData.__annotations__),
}

_PLAIN = (str, int, float, type(None))


class InvalidNotification(ValueError):
    """A value that is not a notification; the text names the key and quotes its first 200 characters."""


def hex32(*parts: object) -> str:
    """Return 32 hexadecimal digits of SHA-256 over the JSON list of some parts."""
    # A list keeps the parts apart: ("a", "bc") and ("ab", "c") must not give the same id.
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def fallback_id(source: str, position: int) -> str:
    """Return the id of a value that came without one, from its run or asset event and its index there."""
    return hex32(source, position)


class Notification:
    """
    One push of a tag, as JSON.

    Unknown keys are kept. Only ``push_data.tag`` and a repository name are required, so that a notification
    written by hand can test a trigger.
    """

    __slots__ = ("_data",)

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data: dict[str, Any] = _copied(dict(data))

    @classmethod
    def from_dict(cls, data: object) -> Notification:
        """
        Read a notification from its JSON form.

        :param data: a mapping with ``push_data.tag`` and ``repository.repo_full_name`` (or ``name``)
        :raises InvalidNotification: if a required key is missing or has the wrong type
        """
        if isinstance(data, Notification):
            return cls(data._data)
        problem = _problem(data)
        if problem or not isinstance(data, Mapping):
            raise InvalidNotification(f"not a notification: {problem}; got {_excerpt(data)}")
        return cls(data)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form as a copy; see :class:`NotificationDict`."""
        return _copied(self._data)  # type: ignore[no-any-return]

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
        """The digest that the tag points to, None where it is unknown."""
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
        """The id of the push (``event.id``), None if the notification came without one."""
        value = self._event.get("id")
        return str(value) if value else None

    @property
    def registry(self) -> str:
        """The host of the registry, empty where it is unknown."""
        return str(self._event.get("registry") or "")

    @property
    def action(self) -> str:
        """``new`` or ``updated``, empty where it is unknown."""
        return str(self._event.get("action") or "")

    @property
    def epoch(self) -> str:
        """The epoch of the watermark that the push was compared with, empty where it is unknown."""
        return str(self._event.get("epoch") or "")

    @property
    def generation(self) -> int | None:
        """The number of changes of the tag, None where it is unknown."""
        value = self._event.get("generation")
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    @property
    def trigger(self) -> dict[str, str]:
        """Name, type and tag of the trigger that matched, empty before a match."""
        value = self._event.get("trigger")
        return {str(k): str(v) for k, v in value.items()} if isinstance(value, dict) else {}

    @property
    def image(self) -> str | None:
        """``registry/repository@digest``; None where registry or digest are unknown."""
        if isinstance(image := self._event.get("image"), str) and image:
            return image
        known = self.registry and self.digest
        return image_reference(self.registry, self.repository, self.digest or "") if known else None

    def tag_state(self) -> TagState:
        """Return the state of the tag after this push, for the watermark."""
        return TagState(self.tag, self.generation or 0, self.digest)

    def with_event(self, **fields: Any) -> Notification:
        """Return a copy with these fields of ``event`` set to JSON values."""
        return Notification({**self._data, "event": {**self._event, **fields}})

    def with_image(self) -> Notification:
        """Return the notification with ``event.image``, if it can be known."""
        return self if self.image is None else self.with_event(image=self.image)

    def with_fallback_id(self, source: str, position: int) -> Notification:
        """Return the notification with an id, adding :func:`fallback_id` if it is missing."""
        if self.id:
            return self
        return self.with_event(id=fallback_id(source, position))

    def registry_form(self) -> dict[str, Any]:
        """
        Return the registry's own format: ``push_data``, then ``repository``, and no other key.

        The keys are sorted here because PostgreSQL's JSONB, which stores XComs, does not keep their order.
        """
        return {key: _in_order(self._data[key], order) for key, order in _REGISTRY_FORM.items()}

    def webhook_id(self, trigger_name: str) -> str:
        """Return ``msg_`` and 32 hexadecimal digits: the id of one trigger's delivery, in each attempt."""
        return f"msg_{hex32(self.id, trigger_name)}"


def _in_order(part: Mapping[str, Any], order: tuple[str, ...]) -> dict[str, Any]:
    known = [key for key in order if key in part]
    keys = (*known, *(key for key in part if key not in order))
    return {key: _copied(part[key]) for key in keys}


def _copied(value: Any) -> Any:
    """Return a deep copy of a JSON value; copy.deepcopy takes seven times as long."""
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else copy.deepcopy(value)


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
        return "'push_data' is missing or not an object"
    tag = push_data.get("tag")
    if not isinstance(tag, str) or not tag:
        return "'push_data.tag' is missing or not text"
    if not isinstance(push_data.get("digest"), str | None):
        return "'push_data.digest' is not text"
    if not isinstance(repository, Mapping):
        return "'repository' is missing or not an object"
    if not _full_name(repository):
        return "'repository.repo_full_name' (or 'repository.name') is missing or not text"
    return None


def _excerpt(data: object) -> str:
    try:
        text = json.dumps(data)
    except (TypeError, ValueError, RecursionError):
        text = ascii(data)
    return text[:_SHOWN]
