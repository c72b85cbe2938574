# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The links of an opened entry: the asset event that caused it, and the image's page at its registry."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.models.asset import AssetEvent, AssetModel
from airflow.models.dagrun import DagRun
from sqlalchemy import select

from airflow_registry_triggers.oci_names import is_docker_hub, is_repository, is_tag

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = ["Related", "image_page", "related_to"]

_HOST_AND_PATH = re.compile(r"(?:[a-z0-9-]+\.)?gcr\.io|[a-z0-9-]+\.pkg\.dev|ghcr\.io")


@dataclass(frozen=True, slots=True)
class Related:
    """
    The asset event behind an entry.

    :param asset_id: asset whose event started the run, None if no event did
    :param asset_uri: URI of the asset
    :param asset_event_id: the event
    :param run_started_at: start of the run, ISO 8601; None if it has not started
    """

    asset_id: int | None = None
    asset_uri: str = ""
    asset_event_id: int | None = None
    run_started_at: str | None = None


def related_to(session: Session, dag_id: str, run_id: str, notification_id: str) -> Related:
    """
    Return the asset event with an entry's notification, from the events that started its run.

    :param session: session of the metadata database
    :param notification_id: id of the entry's notification
    """
    run = (DagRun.dag_id == dag_id, DagRun.run_id == run_id)
    start = session.scalar(select(DagRun.start_date).where(*run))
    started = start.isoformat() if start else None
    if not notification_id:
        return Related(run_started_at=started)
    events = (
        select(AssetEvent.id, AssetEvent.extra, AssetModel.id.label("asset_id"), AssetModel.uri)
        .join(AssetEvent.created_dagruns)
        .join(AssetModel, AssetModel.id == AssetEvent.asset_id)
        .where(*run)
    )
    for row in session.execute(events):
        if _carries(row.extra, notification_id):
            return Related(row.asset_id, row.uri, row.id, started)
    return Related(run_started_at=started)


def _carries(value: Any, notification_id: str, depth: int = 4) -> bool:
    """Return True if an event carries the notification; a watcher puts its list under ``payload``."""
    if not depth:
        return False
    if isinstance(value, list | tuple):
        return any(_carries(item, notification_id, depth - 1) for item in value)
    if not isinstance(value, Mapping):
        return False
    event = value.get("event")
    if isinstance(event, Mapping) and event.get("id") == notification_id:
        return True
    return any(_carries(value.get(key), notification_id, depth - 1) for key in ("payload", "notification"))


def image_page(registry: str, repository: str, tag: str) -> str | None:
    """
    Return the address of the image's page, None for registries without a known page.

    :param registry: host of the registry
    """
    if not is_repository(repository) or not is_tag(tag):
        return None
    if is_docker_hub(registry):
        name = repository.removeprefix("library/")
        path = f"r/{name}" if "/" in name else f"_/{name}"
        return f"https://hub.docker.com/{path}/tags?name={quote(tag)}"
    if registry == "quay.io":
        return f"https://quay.io/repository/{repository}?tab=tags&tag={quote(tag)}"
    if _HOST_AND_PATH.fullmatch(registry):
        return f"https://{registry}/{repository}"
    return None
