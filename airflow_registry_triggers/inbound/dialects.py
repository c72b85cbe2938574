# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Read the pushes from a registry's webhook, whatever registry sends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_registry_triggers.inbound.cloud_dialects import (
    ALIBABA_EVENTBRIDGE,
    AZURE,
    ECR,
    EVENT_GRID,
    GOOGLE,
    GOOGLE_PUBSUB,
)
from airflow_registry_triggers.inbound.fields import Fields, Headers, NotUnderstood, lower_names, parse_body
from airflow_registry_triggers.inbound.package_dialects import GITEA, GITHUB, JFROG, NEXUS
from airflow_registry_triggers.inbound.push_event import Dialect, PushEvent, read_each
from airflow_registry_triggers.inbound.registry_dialects import (
    ALIBABA,
    DISTRIBUTION,
    DOCKERHUB,
    HARBOR,
    QUAY,
    ZOT,
)
from airflow_registry_triggers.oci_names import MAX_REPOSITORY_LENGTH

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["DIALECTS", "NotUnderstood", "PushEvent", "read_push_events"]

# The first dialect that recognises a body reads it. Gitea precedes GitHub, whose event header it sends too.
DIALECTS: tuple[Dialect, ...] = (
    *(DISTRIBUTION, HARBOR, ECR, ALIBABA_EVENTBRIDGE, GOOGLE_PUBSUB, GOOGLE, EVENT_GRID, AZURE),
    *(GITEA, GITHUB, JFROG, NEXUS, QUAY, DOCKERHUB, ALIBABA, ZOT),
)
"""The known dialects, in the order in which a body is checked."""

_KEYS = (
    "events, event_data, push_data, docker_url, registry_package, package, target, source, type, eventType, "
    "action, message.data, domain, component"
)


def read_push_events(body: bytes, headers: Headers) -> tuple[str, list[PushEvent]]:
    """
    Return the dialect of a webhook and the pushes in it.

    :param body: JSON, or a form with JSON in its field ``payload`` if the content type says so
    :param headers: of the request, in any case; empty for a body from a queue
    :return: a name of :data:`DIALECTS`, and an empty list for other events of a known sender
    :raises NotUnderstood: not JSON, not a known dialect, or a push without its repository
    """
    headers = lower_names(headers)
    value = parse_body(body, headers)
    if isinstance(value, list):
        return _read_array(value, headers)
    return _read_object(Fields(value), headers)


def _read_array(items: list[object], headers: Headers) -> tuple[str, list[PushEvent]]:
    """Read an array of events, the form of Event Grid."""
    names: list[str] = []

    def read(item: Fields) -> list[PushEvent]:
        name, events = _read_object(item, headers)
        names.append(name)
        return events

    found = read_each((Fields(item) for item in items), read)
    return (names[0] if names else EVENT_GRID.name), found


def _read_object(body: Fields, headers: Headers) -> tuple[str, list[PushEvent]]:
    if not body.is_object:
        raise NotUnderstood("the body is not a JSON object")
    for dialect in DIALECTS:
        if dialect.recognises(body, headers):
            return dialect.name, _read_as(dialect, body, headers)
    raise NotUnderstood(f"not a webhook of a known registry; none of these keys fits: {_KEYS}")


def _read_as(dialect: Dialect, body: Fields, headers: Headers) -> list[PushEvent]:
    try:
        events: Iterable[PushEvent] = dialect.read(body, headers)
    except NotUnderstood as problem:
        raise NotUnderstood(f"{dialect.name}: {problem}") from None
    return [event for event in events if _is_kept(event, dialect)]


def _is_kept(event: PushEvent, dialect: Dialect) -> bool:
    # Text that cannot be a name in any registry stays out of logs and XComs.
    is_name = len(event.repository) <= MAX_REPOSITORY_LENGTH and event.repository.isprintable()
    return is_name and (event.tag is not None or dialect.keeps_untagged)
