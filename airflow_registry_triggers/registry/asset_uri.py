# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The ``oci://`` URI that identifies the asset of a repository and a rule."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from airflow_registry_triggers.registry.names import RepositoryReference
from airflow_registry_triggers.tag_rule import TagRule

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["DEFAULT_CONN_ID", "SCHEME", "asset_uri"]

SCHEME = "oci"
DEFAULT_CONN_ID = "registry_default"

_CONN_ID = re.compile(r"[A-Za-z0-9_.-]+")


def asset_uri(
    repository: str,
    registry_conn_id: str,
    tags: Sequence[str] | None = None,
    tag_regex: str | None = None,
) -> str:
    """
    Name an asset: ``oci://<host or Connection id>/<repository>``, with the rule as its query.

    :param repository: as in :func:`repository_asset`
    :param registry_conn_id: the Connection, which stands for the host where the repository names none
    :param tags: as in :func:`repository_asset`
    :param tag_regex: as in :func:`repository_asset`
    :raises ValueError: the repository, the Connection id or the rule cannot work
    """
    reference = RepositoryReference.parse(repository)
    TagRule(tags=tags, tag_regex=tag_regex)
    if not isinstance(registry_conn_id, str) or not _CONN_ID.fullmatch(registry_conn_id):
        raise ValueError(f"registry_conn_id={registry_conn_id!r}: letters, digits and _ . - are wanted")
    rule: dict[str, Any] = {}
    if reference.host and registry_conn_id != DEFAULT_CONN_ID:
        # Two Connections to one host are two watchers, and an asset has one.
        rule["registry_conn_id"] = registry_conn_id
    if tags is not None:
        rule["tags"] = ",".join(sorted(tags))
    if tag_regex is not None:
        rule["tag_regex"] = tag_regex
    query = f"?{urlencode(sorted(rule.items()))}" if rule else ""
    return f"{SCHEME}://{reference.host or registry_conn_id}/{reference.name}{query}"
