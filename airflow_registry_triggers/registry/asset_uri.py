# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The ``oci://`` URI and the name of the asset for a repository and a rule."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from airflow_registry_triggers.registry.names import RepositoryReference
from airflow_registry_triggers.tag_rule import TagRule

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["DEFAULT_CONN_ID", "SCHEME", "asset_name", "asset_uri"]

SCHEME = "oci"
DEFAULT_CONN_ID = "registry_default"

MAX_LENGTH = 1500
"""Characters of the name and of the URI of an asset in Airflow."""

_CONN_ID = re.compile(r"[A-Za-z0-9_.-]+")


def asset_uri(
    repository: str,
    registry_conn_id: str,
    tags: Sequence[str] | None = None,
    tag_regex: str | None = None,
) -> str:
    """
    Return the URI of an asset: ``oci://<host or Connection id>/<repository>``, with the rule as its query.

    :param repository: ``team/app``, or with a host, ``ghcr.io/team/app``
    :param registry_conn_id: id of the Connection; part of the URI unless the repository names the host
    :param tags: at most 10 exact tags
    :param tag_regex: RE2 expression for the whole tag
    :raises ValueError: the repository, the Connection id or the rule is not valid, or one of them is too long
    """
    reference, rule = _checked(repository, registry_conn_id, tags, tag_regex)
    if reference.host and registry_conn_id != DEFAULT_CONN_ID:
        # Two Connections to one host need two watchers, and an asset has only one.
        rule["registry_conn_id"] = registry_conn_id
    query = f"?{urlencode(sorted(rule.items()))}" if rule else ""
    uri = f"{SCHEME}://{reference.host or registry_conn_id}/{reference.name}{query}"
    return _limited("URI", uri, {"repository": repository, "registry_conn_id": registry_conn_id, **rule})


def asset_name(
    repository: str,
    registry_conn_id: str,
    tags: Sequence[str] | None = None,
    tag_regex: str | None = None,
) -> str:
    """
    Return the readable name of an asset, such as ``team/app @ registry_default (tag_regex: v.*)``.

    Two assets with different URIs have different names.

    :param repository: ``team/app``, or with a host, ``ghcr.io/team/app``
    :param registry_conn_id: id of the Connection
    :param tags: at most 10 exact tags
    :param tag_regex: RE2 expression for the whole tag
    :raises ValueError: the repository, the Connection id or the rule is not valid, or one of them is too long
    """
    reference, rule = _checked(repository, registry_conn_id, tags, tag_regex)
    name = f"{reference} @ {registry_conn_id}"
    if tags is not None:
        name += f" (tags: {', '.join(sorted(tags))})"
    elif tag_regex is not None and tag_regex.isascii() and tag_regex.isprintable():
        name += f" (tag_regex: {tag_regex})"
    elif tag_regex is not None:
        # Airflow's names are ASCII.
        name += f" (encoded tag_regex: {quote(tag_regex)})"
    return _limited("name", name, {"repository": repository, "registry_conn_id": registry_conn_id, **rule})


def _checked(
    repository: str, registry_conn_id: str, tags: Sequence[str] | None, tag_regex: str | None
) -> tuple[RepositoryReference, dict[str, str]]:
    reference = RepositoryReference.parse(repository)
    TagRule(tags=tags, tag_regex=tag_regex)
    if not isinstance(registry_conn_id, str) or not _CONN_ID.fullmatch(registry_conn_id):
        raise ValueError(
            f"registry_conn_id={registry_conn_id!r} is not valid. Use letters, digits, '_', '.' and '-'"
        )
    rule: dict[str, str] = {}
    if tags is not None:
        rule["tags"] = ",".join(sorted(tags))
    if tag_regex is not None:
        rule["tag_regex"] = tag_regex
    return reference, rule


def _limited(kind: str, text: str, parts: dict[str, str]) -> str:
    if len(text) <= MAX_LENGTH:
        return text
    longest = max(parts, key=lambda part: len(quote(parts[part])))
    raise ValueError(
        f"{longest}={_shortened(parts[longest])}: it is part of the asset's {kind}, which has {len(text)} "
        f"characters; Airflow allows {MAX_LENGTH}. Shorten {longest}, or watch the whole repository and put "
        "the rule into a TriggerMatchOperator"
    )


def _shortened(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}…")
