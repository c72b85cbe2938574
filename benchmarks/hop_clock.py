# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""An asset whose watcher writes down its moments. A Dag file that uses it loads no more than the package."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_registry_triggers import repository_asset
from benchmarks.hop_trigger import TimedTrigger

if TYPE_CHECKING:
    from airflow.sdk import Asset


def timed_asset(repository: str) -> Asset:
    """Give the asset of a repository with a ``TimedTrigger``."""
    asset = repository_asset(repository)
    (watcher,) = asset.watchers
    watcher.trigger = TimedTrigger(**watcher.trigger.serialize()[1])
    return asset
