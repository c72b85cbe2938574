# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The trigger of a watcher that writes down its moments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.triggers.registry_push import RegistryPushTrigger

if TYPE_CHECKING:
    from airflow.triggers.shared_stream import SharedStreamProducer


class TimedTrigger(RegistryPushTrigger):
    """The package's Airflow trigger with a producer that writes down its moments."""

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> SharedStreamProducer:
        from benchmarks.hop_producer import TimedProducer, observe

        observe()
        return TimedProducer(cls(**kwargs).shared_stream_key())
