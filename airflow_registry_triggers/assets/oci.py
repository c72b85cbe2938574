# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""``oci://`` assets: repositories whose pushes start Dags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from airflow_registry_triggers.common.known_assets import known_asset
from airflow_registry_triggers.registry.asset_uri import DEFAULT_CONN_ID, SCHEME, asset_name, asset_uri
from airflow_registry_triggers.registry.names import RepositoryReference

if TYPE_CHECKING:
    from collections.abc import Sequence
    from urllib.parse import SplitResult

    from airflow.sdk import Asset, AssetWatcher

__all__ = ["convert_asset_to_openlineage", "create_asset", "repository_asset", "sanitize_uri"]

GROUP = "registry"
"""Group of the assets in Airflow's UI."""


def repository_asset(
    repository: str,
    registry_conn_id: str = DEFAULT_CONN_ID,
    tags: Sequence[str] | None = None,
    tag_regex: str | None = None,
    semver: str | None = None,
    exclude_regex: str | None = None,
    newest: str | None = None,
) -> Asset:
    """
    Return the asset of a repository, with its watcher.

    Create the asset with this function only. Airflow deletes and recreates the watcher at every parse if two
    declarations of an asset differ. Poll interval, first run and other settings belong to the Connection.

    :param repository: ``team/app``, or with a host, ``ghcr.io/team/app``; not templated
    :param registry_conn_id: id of an ``oci_registry``, ``docker`` or ``http`` Connection
    :param tags: at most 10 exact tags; other tags make another asset
    :param tag_regex: RE2 expression for the whole tag; another expression makes another asset
    :param semver: range of versions, such as ``>=1.2 <2``; another range makes another asset
    :param exclude_regex: RE2 expression for tags that are not watched; another one makes another asset
    :param newest: ``version``, ``number`` or ``text``: watch only the greatest tag, and never send a lesser
        one than before; another order makes another asset
    :raises ValueError: the repository, the Connection id or the rule is not valid
    """
    rule: dict[str, Any] = {
        "tags": tags,
        "tag_regex": tag_regex,
        "semver": semver,
        "exclude_regex": exclude_regex,
        "newest": newest,
    }
    uri = urlunsplit(sanitize_uri(urlsplit(asset_uri(repository, registry_conn_id, **rule))))
    name = asset_name(repository, registry_conn_id, **rule)
    reference = str(RepositoryReference.parse(repository))
    return known_asset(
        name,
        uri,
        group=GROUP,
        extra={"repository": reference, "connection": registry_conn_id},
        watchers=[_watcher(name, reference, registry_conn_id, rule)],
    )


def _watcher(name: str, reference: str, registry_conn_id: str, rule: dict[str, Any]) -> AssetWatcher:
    from airflow.sdk import AssetWatcher

    from airflow_registry_triggers.triggers.registry_push import RegistryPushTrigger

    tags = rule["tags"]
    trigger = RegistryPushTrigger(
        repository=reference,
        registry_conn_id=registry_conn_id,
        **{**rule, "tags": None if tags is None else sorted(tags)},
    )
    return AssetWatcher(name=name, trigger=trigger)


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """
    Normalize an ``oci://`` URI; Airflow calls this handler for each asset with the scheme.

    :param uri: the URI, split
    :raises ValueError: the URI is not a repository
    """
    if not uri.netloc or "@" in uri.netloc:
        raise ValueError(
            "The URI of an oci:// asset is oci://<host or Connection id>/<repository>. Set a login on the "
            "Connection"
        )
    name = uri.path.strip("/")
    RepositoryReference.parse(f"{SCHEME}://localhost/{name}")
    # The id of a Connection is case-sensitive, a host is not.
    netloc = uri.netloc.lower() if "." in uri.netloc or ":" in uri.netloc else uri.netloc
    return uri._replace(netloc=netloc, path=f"/{name}")


def create_asset(*, repository: str, registry_conn_id: str = DEFAULT_CONN_ID, **rule: Any) -> Asset:
    """
    Return the asset of a repository; Airflow's factory for the scheme.

    :param repository: as in :func:`repository_asset`
    :param registry_conn_id: as in :func:`repository_asset`
    :param rule: ``tags``, ``tag_regex``, ``semver``, ``exclude_regex`` and ``newest``
    """
    return repository_asset(repository, registry_conn_id, **rule)


def convert_asset_to_openlineage(asset: Asset, lineage_context: Any) -> Any:
    """
    Return the repository as an OpenLineage dataset: namespace ``oci://<host>``, name of the repository.

    :param asset: an ``oci://`` asset
    :param lineage_context: not used
    """
    from airflow.providers.common.compat.openlineage.facet import Dataset

    namespace, _, name = asset.uri.partition("://")[2].partition("/")
    return Dataset(namespace=f"{SCHEME}://{namespace}", name=name.partition("?")[0])
