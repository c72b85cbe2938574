# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""An asset whose watcher writes down its moments. A Dag file that uses it loads no more than the package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_registry_triggers import repository_asset
from airflow_registry_triggers.triggers.registry_push import RegistryPushTrigger

if TYPE_CHECKING:
    from airflow.sdk import Asset
    from airflow.triggers.shared_stream import SharedStreamProducer


class TimedTrigger(RegistryPushTrigger):
    """The package's Airflow trigger with a producer that writes down its moments."""

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> SharedStreamProducer:
        from benchmarks.hop_producer import TimedProducer, observe

        observe()
        return TimedProducer(cls(**kwargs).shared_stream_key())


def timed_asset(repository: str) -> Asset:
    """Give the asset of a repository with a :class:`TimedTrigger`."""
    asset = repository_asset(repository)
    (watcher,) = asset.watchers
    watcher.trigger = TimedTrigger(**watcher.trigger.serialize()[1])
    return asset
