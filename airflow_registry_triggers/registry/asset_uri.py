# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The ``oci://`` URI and the name of the asset for a repository and a rule."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from airflow_registry_triggers.registry.names import RepositoryReference
from airflow_registry_triggers.registry.tag_order import check_conditions

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["DEFAULT_CONN_ID", "SCHEME", "asset_name", "asset_uri"]

SCHEME = "oci"
DEFAULT_CONN_ID = "registry_default"

MAX_LENGTH = 1500
"""Characters of the name and of the URI of an asset in Airflow."""

_NAME_ORDER = ("tags", "semver", "newest", "exclude_regex", "tag_regex")
_CONN_ID = re.compile(r"[A-Za-z0-9_.-]+")


def asset_uri(
    repository: str,
    registry_conn_id: str,
    tags: Sequence[str] | None = None,
    tag_regex: str | None = None,
    **others: str | None,
) -> str:
    """
    Return the URI of an asset: ``oci://<host or Connection id>/<repository>``, with the rule as its query.

    :param repository: ``team/app``, or with a host, ``ghcr.io/team/app``
    :param registry_conn_id: id of the Connection; part of the URI unless the repository names the host
    :param tags: at most 10 exact tags
    :param tag_regex: RE2 expression for the whole tag
    :param others: ``semver``, ``exclude_regex`` and ``newest``
    :raises ValueError: the repository, the Connection id or the rule is not valid, or one of them is too long
    """
    conditions = {"tags": tags, "tag_regex": tag_regex, **others}
    reference, rule = _checked(repository, registry_conn_id, conditions)
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
    **others: str | None,
) -> str:
    """
    Return the readable name of an asset, such as ``team/app @ registry_default (tag_regex: v.*)``.

    Two assets with different URIs have different names.

    :param repository: ``team/app``, or with a host, ``ghcr.io/team/app``
    :param registry_conn_id: id of the Connection
    :param tags: at most 10 exact tags
    :param tag_regex: RE2 expression for the whole tag
    :param others: ``semver``, ``exclude_regex`` and ``newest``
    :raises ValueError: the repository, the Connection id or the rule is not valid, or one of them is too long
    """
    conditions = {"tags": tags, "tag_regex": tag_regex, **others}
    reference, rule = _checked(repository, registry_conn_id, conditions)
    name = f"{reference} @ {registry_conn_id}"
    # The expression is last: it may contain anything, a semicolon as well.
    shown = [_shown_condition(key, rule[key]) for key in _NAME_ORDER if key in rule]
    if shown:
        name += f" ({'; '.join(shown)})"
    return _limited("name", name, {"repository": repository, "registry_conn_id": registry_conn_id, **rule})


def _shown_condition(key: str, value: str) -> str:
    if key == "tags":
        return f"tags: {value.replace(',', ', ')}"
    # Airflow's names are ASCII.
    is_plain = value.isascii() and value.isprintable() and (key == "tag_regex" or ";" not in value)
    return f"{key}: {value}" if is_plain else f"encoded {key}: {quote(value)}"


def _checked(
    repository: str, registry_conn_id: str, conditions: dict[str, Any]
) -> tuple[RepositoryReference, dict[str, str]]:
    reference = RepositoryReference.parse(repository)
    check_conditions(**conditions)
    if not isinstance(registry_conn_id, str) or not _CONN_ID.fullmatch(registry_conn_id):
        raise ValueError(
            f"registry_conn_id={registry_conn_id!r} is not valid. Use letters, digits, '_', '.' and '-'"
        )
    rule = {key: value for key, value in conditions.items() if value is not None}
    if "tags" in rule:
        rule["tags"] = ",".join(sorted(rule["tags"]))
    return reference, rule


def _limited(kind: str, text: str, parts: dict[str, str]) -> str:
    if len(text) <= MAX_LENGTH:
        return text
    longest = max(parts, key=lambda part: len(quote(parts[part])))
    raise ValueError(
        f"repository_asset: the {kind} has {len(text)} characters; at most {MAX_LENGTH} are stored. "
        f"Shorten {longest}."
    )
