# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Dialects of package hosts, whose webhooks cover more than images: Gitea, GitHub, JFrog and Nexus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_registry_triggers.inbound.push_event import (
    Dialect,
    PushEvent,
    push_event,
    registry_of,
    split_reference,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_registry_triggers.inbound.fields import Fields, Headers

__all__ = ["GITEA", "GITHUB", "JFROG", "NEXUS"]

_CONTAINER_TYPES = ("container", "docker")


def _is_gitea(body: Fields, headers: Headers) -> bool:
    return "x-gitea-event" in headers or "x-forgejo-event" in headers


def _read_gitea(body: Fields, headers: Headers) -> Iterable[PushEvent]:
    if body.get("action") != "created" or body.get("package.type") != "container":
        return []
    repository = f"{body.required('package.owner.login')}/{body.required('package.name')}"
    return [push_event("", repository.lower(), body.get("package.version"))]


def _is_github(body: Fields, headers: Headers) -> bool:
    return body.has("registry_package") or body.has("package.package_version") or "x-github-event" in headers


def _read_github(body: Fields, headers: Headers) -> Iterable[PushEvent]:
    key = "registry_package" if body.has("registry_package") else "package"
    package = body.within(key)
    if body.get("action") not in ("published", "updated") or not _is_container(package):
        return []
    version = package.get("package_version.version")
    is_old_form = not package.has("package_version.container_metadata")
    tag = version if is_old_form else package.get("package_version.container_metadata.tag.name")
    return [push_event("ghcr.io", _github_repository(package), tag, version)]


def _is_container(package: Fields) -> bool:
    if isinstance(package.get("package_version.container_metadata"), dict):
        return True
    types = (package.text("registry.type"), package.text("package_type"))
    return any(of_package.lower() in _CONTAINER_TYPES for of_package in types)


def _github_repository(package: Fields) -> str:
    url = package.text("package_version.package_url")
    _host, repository, _tag = split_reference(url.removeprefix("https://"))
    if not repository:
        repository = f"{package.required('owner.login')}/{package.required('name')}"
    return repository.lower()


def _is_jfrog(body: Fields, headers: Headers) -> bool:
    return body.has("domain") and body.has("event_type")


def _read_jfrog(body: Fields, headers: Headers) -> Iterable[PushEvent]:
    if body.get("domain") != "docker" or body.get("event_type") != "pushed":
        return []
    registry = registry_of(_url_host(body.text("jpd_origin")), body.text("data.repo_key"))
    # data.sha256 is the checksum of the manifest's file, which need not be the digest of the tag.
    return [push_event(registry, body.required("data.image_name"), body.get("data.tag"))]


def _url_host(url: str) -> str:
    _, _, after_scheme = url.rpartition("://")
    return after_scheme.partition("/")[0]


def _is_nexus(body: Fields, headers: Headers) -> bool:
    return (body.has("component") and body.has("repositoryName")) or "x-nexus-webhook-id" in headers


def _read_nexus(body: Fields, headers: Headers) -> Iterable[PushEvent]:
    if body.get("action") not in ("CREATED", "UPDATED") or body.get("component.format") != "docker":
        return []
    registry = registry_of("", body.text("repositoryName"))
    return [push_event(registry, body.required("component.name"), body.get("component.version"))]


GITEA = Dialect("gitea", _is_gitea, _read_gitea)
GITHUB = Dialect("github", _is_github, _read_github, keeps_untagged=True)
JFROG = Dialect("jfrog", _is_jfrog, _read_jfrog)
NEXUS = Dialect("nexus", _is_nexus, _read_nexus)
