# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The push that a webhook names, and the parts that dialects share."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from airflow_registry_triggers.inbound.fields import Fields, Headers, NotUnderstood
from airflow_registry_triggers.oci_names import is_digest, is_tag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = [
    "Dialect",
    "PushEvent",
    "event_id_of",
    "host_before_path",
    "push_event",
    "read_each",
    "registry_of",
    "split_reference",
]

_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_PREFIX = re.compile(r"[A-Za-z0-9._-]+")
_MAX_TEXT = 255


class PushEvent(NamedTuple):
    """
    One tag that a sender says was pushed.

    :param registry: ``host`` or ``host/prefix``, empty if the sender names neither
    :param repository: name without host; it may be outside the OCI grammar
    :param tag: None if any tag of the repository may have changed
    :param digest: None if the sender does not send a complete digest
    :param event_id: the sender's id, else its time of the push, else empty
    """

    registry: str
    repository: str
    tag: str | None
    digest: str | None
    event_id: str


class Dialect(NamedTuple):
    """
    The form in which one kind of sender describes pushes.

    :param recognises: returns True for a body in this form; header names are in lower case
    :param read: returns the pushes of such a body, none for its other events; raises ``NotUnderstood``
    :param keeps_untagged: a push without a tag means that any tag may have changed; otherwise it is dropped
    """

    name: str
    recognises: Callable[[Fields, Headers], bool]
    read: Callable[[Fields, Headers], Iterable[PushEvent]]
    keeps_untagged: bool = False


def push_event(
    registry: str, repository: str, tag: object, digest: object = None, event_id: object = None
) -> PushEvent:
    """Return a push event; a tag or digest outside the OCI grammar counts as absent."""
    return PushEvent(
        registry,
        repository,
        tag if isinstance(tag, str) and is_tag(tag) else None,
        digest if isinstance(digest, str) and is_digest(digest) else None,
        event_id_of(event_id),
    )


def event_id_of(value: object) -> str:
    """Return an id or a time as text, empty for another kind of value."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    text = str(value)
    return text if len(text) <= _MAX_TEXT and text.isprintable() else ""


def registry_of(host: str, prefix: str = "") -> str:
    """
    Return the registry of a push event; a part that cannot be a host or a prefix counts as absent.

    :param prefix: repository key of JFrog or Nexus
    """
    host = host if len(host) <= _MAX_TEXT and _HOST.fullmatch(host) else ""
    prefix = prefix if len(prefix) <= _MAX_TEXT and _PREFIX.fullmatch(prefix) else ""
    return f"{host}/{prefix}" if prefix else host


def host_before_path(reference: str) -> str:
    """Return the host of a reference ``host/path``, empty without a path."""
    host, slash, _ = reference.partition("/")
    return host if slash else ""


def split_reference(reference: str) -> tuple[str, str, str]:
    """Split ``host/path:tag`` into host, path and tag; an absent part is empty."""
    host, _, rest = reference.partition("/")
    path, _, _digest = rest.partition("@")
    parent, slash, last = path.rpartition("/")
    name, _, tag = last.partition(":")
    return host, f"{parent}{slash}{name}", tag


def read_each(items: Iterable[Fields], read: Callable[[Fields], Iterable[PushEvent]]) -> list[PushEvent]:
    """
    Read the items of a list; a malformed item is skipped if another item is readable.

    :raises NotUnderstood: the error of the first item, if no item is readable
    """
    found: list[PushEvent] = []
    is_readable = False
    problem: NotUnderstood | None = None
    for item in items:
        try:
            found.extend(read(item))
            is_readable = True
        except NotUnderstood as error:
            problem = problem or error
    if problem and not is_readable:
        raise problem
    return found
