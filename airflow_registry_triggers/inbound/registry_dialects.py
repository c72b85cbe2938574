# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Dialects of registries that send webhooks themselves: distribution, Harbor, Quay, Docker Hub and others."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from airflow_registry_triggers.inbound.fields import MAX_ITEMS, Fields, Headers, NotUnderstood
from airflow_registry_triggers.inbound.push_event import (
    Dialect,
    PushEvent,
    host_before_path,
    push_event,
    read_each,
    registry_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ALIBABA", "DISTRIBUTION", "DOCKERHUB", "HARBOR", "QUAY", "ZOT", "read_distribution_event"]

_HARBOR_PUSHES = ("PUSH_ARTIFACT", "pushImage", "harbor.artifact.pushed")


def _is_distribution(body: Fields, headers: Headers) -> bool:
    return isinstance(body.get("events"), list)


def _read_distribution(body: Fields, headers: Headers) -> Iterable[PushEvent]:
    try:
        return read_each(body.each("events"), read_distribution_event)
    except NotUnderstood:
        # distribution repeats a rejected envelope forever and sends nothing after it.
        return []


def read_distribution_event(event: Fields) -> Iterable[PushEvent]:
    """Return the push of one event of distribution, whose form Azure uses too."""
    if event.get("action") != "push":
        return []
    repository = event.required("target.repository")
    registry = registry_of(event.text("request.host"))
    tag, digest = event.get("target.tag"), event.get("target.digest")
    return [push_event(registry, repository, tag, digest, event.get("id"))]


def _is_harbor(body: Fields, headers: Headers) -> bool:
    return body.has("event_data") or body.text("type").startswith("harbor.")


def _read_harbor(body: Fields, headers: Headers) -> Iterable[PushEvent]:
    if body.get("type") not in _HARBOR_PUSHES:
        return []
    data = "event_data" if body.has("event_data") else "data"
    repository = body.required(f"{data}.repository.repo_full_name")
    event_id = body.get("id") if body.has("id") else body.get("occur_at")

    def read(resource: Fields) -> list[PushEvent]:
        if not (resource.has("tag") or resource.has("digest")):
            raise resource.missing("digest")
        registry = registry_of(host_before_path(resource.text("resource_url")))
        # The tag of an untagged push is its digest, which push_event() does not take for a tag.
        return [push_event(registry, repository, resource.get("tag"), resource.get("digest"), event_id)]

    return read_each(body.each(f"{data}.resources"), read)


def _is_quay(body: Fields, headers: Headers) -> bool:
    return body.has("docker_url")


def _read_quay(body: Fields, headers: Headers) -> Iterable[PushEvent]:
    tags = body.get("updated_tags")
    if tags is None:
        return []
    if not isinstance(tags, list | dict):
        raise body.missing("updated_tags", "a list")
    registry = registry_of(host_before_path(body.text("docker_url")))
    repository = body.required("repository")
    # The rest is not needed: hints of more than 50 tags become one hint for the repository.
    return [push_event(registry, repository, tag) for tag in islice(tags, MAX_ITEMS)]


def _is_dockerhub(body: Fields, headers: Headers) -> bool:
    return isinstance(body.get("push_data"), dict) and not body.has("push_data.digest")


def _read_dockerhub(body: Fields, headers: Headers) -> Iterable[PushEvent]:
    repository = body.required("repository.repo_name")
    tag, pushed_at = body.get("push_data.tag"), body.get("push_data.pushed_at")
    return [push_event("docker.io", repository, tag, event_id=pushed_at)]


def _is_alibaba(body: Fields, headers: Headers) -> bool:
    return body.has("push_data.digest")


def _read_alibaba(body: Fields, headers: Headers) -> Iterable[PushEvent]:
    repository = body.required("repository.repo_full_name")
    tag, digest = body.get("push_data.tag"), body.get("push_data.digest")
    return [push_event("", repository, tag, digest, body.get("push_data.pushed_at"))]


def _is_zot(body: Fields, headers: Headers) -> bool:
    return headers.get("ce-type", "").startswith("zotregistry.")


def _read_zot(body: Fields, headers: Headers) -> Iterable[PushEvent]:
    if headers["ce-type"] != "zotregistry.image.updated":
        return []
    repository = body.required("name")
    return [push_event("", repository, body.get("reference"), body.get("digest"), headers.get("ce-id"))]


DISTRIBUTION = Dialect("distribution", _is_distribution, _read_distribution)
HARBOR = Dialect("harbor", _is_harbor, _read_harbor, keeps_untagged=True)
QUAY = Dialect("quay", _is_quay, _read_quay)
DOCKERHUB = Dialect("dockerhub", _is_dockerhub, _read_dockerhub)
ALIBABA = Dialect("alibaba", _is_alibaba, _read_alibaba)
ZOT = Dialect("zot", _is_zot, _read_zot)
