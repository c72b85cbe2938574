# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""``oci://`` assets: a repository whose pushes start Dags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.registry.asset_uri import DEFAULT_CONN_ID, SCHEME, asset_uri
from airflow_registry_triggers.registry.names import RepositoryReference
from airflow_registry_triggers.tag_rule import TagRule

if TYPE_CHECKING:
    from collections.abc import Sequence
    from urllib.parse import SplitResult

    from airflow.sdk import Asset

__all__ = ["convert_asset_to_openlineage", "create_asset", "repository_asset", "sanitize_uri"]

GROUP = "registry"


def repository_asset(
    repository: str,
    registry_conn_id: str = DEFAULT_CONN_ID,
    tags: Sequence[str] | None = None,
    tag_regex: str | None = None,
) -> Asset:
    """
    Give the asset of a repository, with its watcher.

    The one place that makes it: Airflow deletes and makes anew a watcher whose asset is declared
    differently elsewhere, at every parse. How often it polls and the like is set on the Connection.

    :param repository: ``team/app``, or with a host, ``ghcr.io/team/app``; no template
    :param registry_conn_id: an ``oci_registry``, ``docker`` or ``http`` Connection
    :param tags: at most 10 exact tags that are asked about; another list is another asset
    :param tag_regex: RE2 expression for the whole tag; another one is another asset
    :raises ValueError: the repository, the Connection id or the rule cannot work
    """
    from airflow.sdk import Asset, AssetWatcher

    from airflow_registry_triggers.triggers.registry_push import RegistryPushTrigger

    TagRule(tags=tags, tag_regex=tag_regex)
    listed = sorted(tags) if tags is not None else None
    uri = asset_uri(repository, registry_conn_id, listed, tag_regex)
    trigger = RegistryPushTrigger(
        repository=str(RepositoryReference.parse(repository)),
        registry_conn_id=registry_conn_id,
        tags=listed,
        tag_regex=tag_regex,
    )
    # The name is given, and is the normalized URI: by default it would be the input as it is.
    return Asset(name=uri, uri=uri, group=GROUP, watchers=[AssetWatcher(name=uri, trigger=trigger)])


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """
    Bring an ``oci://`` URI into its one form; Airflow's handler for the scheme.

    :param uri: what was given, split
    :raises ValueError: it names no repository
    """
    if not uri.netloc or "@" in uri.netloc:
        raise ValueError(
            "an oci:// asset is oci://<host or Connection id>/<repository>; a login belongs in the Connection"
        )
    name = uri.path.strip("/")
    RepositoryReference.parse(f"{SCHEME}://localhost/{name}")
    # A Connection id keeps its case; a host has none.
    netloc = uri.netloc.lower() if "." in uri.netloc or ":" in uri.netloc else uri.netloc
    return uri._replace(netloc=netloc, path=f"/{name}")


def create_asset(*, repository: str, registry_conn_id: str = DEFAULT_CONN_ID, **rule: Any) -> Asset:
    """
    Make the asset for ``Asset``-creating code of other providers; Airflow's factory for the scheme.

    :param repository: as in :func:`repository_asset`
    :param registry_conn_id: as in :func:`repository_asset`
    :param rule: ``tags`` or ``tag_regex``
    """
    return repository_asset(repository, registry_conn_id, **rule)


def convert_asset_to_openlineage(asset: Asset, lineage_context: Any) -> Any:
    """
    Name the repository for OpenLineage: namespace ``oci://<host>``, name the repository.

    :param asset: an ``oci://`` asset
    :param lineage_context: what Airflow gives; not used
    """
    from airflow.providers.common.compat.openlineage.facet import Dataset

    namespace, _, name = asset.uri.partition("://")[2].partition("/")
    return Dataset(namespace=f"{SCHEME}://{namespace}", name=name.partition("?")[0])
