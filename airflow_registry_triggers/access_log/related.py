# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""What an opened entry points at: the asset event behind it, and the image's page at its registry."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.models.asset import AssetEvent, AssetModel
from airflow.models.dagrun import DagRun
from sqlalchemy import select

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = ["Related", "image_page", "related_to"]

_NAME = re.compile(r"[a-z0-9]+(?:[._/-]+[a-z0-9]+)*")
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_HOST_AND_PATH = re.compile(r"(?:[a-z0-9-]+\.)?gcr\.io|[a-z0-9-]+\.pkg\.dev|ghcr\.io")


@dataclass(frozen=True, slots=True)
class Related:
    """
    What belongs to an entry.

    :param asset_id: id of the asset whose event began the run, None where none did
    :param asset_uri: its URI
    :param asset_event_id: id of the event
    """

    asset_id: int | None = None
    asset_uri: str = ""
    asset_event_id: int | None = None


def related_to(session: Session, dag_id: str, run_id: str, notification_id: str) -> Related:
    """
    Find the asset event that an entry came from, among those that began its run.

    :param session: of the metadata database
    :param dag_id: the Dag
    :param run_id: the run
    :param notification_id: of the entry
    """
    if not notification_id:
        return Related()
    run = (DagRun.dag_id == dag_id, DagRun.run_id == run_id)
    events = (
        select(AssetEvent.id, AssetEvent.extra, AssetModel.id.label("asset_id"), AssetModel.uri)
        .join(AssetEvent.created_dagruns)
        .join(AssetModel, AssetModel.id == AssetEvent.asset_id)
        .where(*run)
    )
    for row in session.execute(events):
        if _carries(row.extra, notification_id):
            return Related(row.asset_id, row.uri, row.id)
    return Related()


def _carries(value: Any, notification_id: str, depth: int = 4) -> bool:
    """Look for the notification within what an event carries; a watcher's is under ``payload``."""
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
    Give the address of the image's page at registries that are known to have one, else None.

    :param registry: host of the registry
    :param repository: full name
    :param tag: the tag
    """
    if not _NAME.fullmatch(repository) or not _TAG.fullmatch(tag):
        return None
    if registry in {"docker.io", "index.docker.io", "registry-1.docker.io"}:
        name = repository.removeprefix("library/")
        path = f"r/{name}" if "/" in name else f"_/{name}"
        return f"https://hub.docker.com/{path}/tags?name={quote(tag)}"
    if registry == "quay.io":
        return f"https://quay.io/repository/{repository}?tab=tags&tag={quote(tag)}"
    if _HOST_AND_PATH.fullmatch(registry):
        return f"https://{registry}/{repository}"
    return None
