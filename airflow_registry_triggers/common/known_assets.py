# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
Assets whose URI is normalized already, such as those that Airflow stored.

Airflow normalizes the URI of each new ``Asset`` with the handler of its scheme, and to find the handler it
imports the handlers of all installed providers; that of Amazon brings boto3. Each task would wait for this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import AssetAlias, Context

__all__ = ["known_asset", "triggering_events"]


def known_asset(name: str, uri: str, **fields: Any) -> Asset:
    """
    Return an asset without a call to the handler of its URI.

    :param name: the asset's name
    :param uri: the asset's URI as the handler returns it
    :param fields: further arguments of ``Asset``
    :raises ValueError: the name is not valid
    """
    asset = Asset(name=name, uri=_PLACEHOLDER, **fields)
    object.__setattr__(asset, "uri", uri)  # Asset's own __setattr__ calls the handler
    return asset


def triggering_events(context: Context) -> list[tuple[Any, Sequence[Any]]]:
    """
    Return the assets and aliases whose events started the run, each with its events.

    To iterate over Airflow's mapping creates its assets anew, which calls the handlers. Its field ``_events``
    is not a public name of Airflow 3.3; without it, the mapping is read.

    :param context: the task's context
    """
    triggering: Any = context.get("triggering_asset_events") or {}
    stored = getattr(triggering, "_events", None)
    if stored is None:
        return list(triggering.items())
    return [(_asset_of(key), events) for key, events in stored.items()]


_PLACEHOLDER = "placeholder"
"""A URI without a scheme, for which Airflow looks up no handler."""


def _asset_of(key: Any) -> Asset | AssetAlias:
    uri = getattr(key, "uri", None)
    return key.to_asset_alias() if uri is None else known_asset(key.name, uri)
