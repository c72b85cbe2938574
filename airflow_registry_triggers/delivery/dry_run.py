# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A delivery that builds and checks everything, and sends nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_registry_triggers.access_record import Status
from airflow_registry_triggers.delivery.texts import failed_text
from airflow_registry_triggers.exceptions import DeliveryFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_registry_triggers.access_record import AccessRecord
    from airflow_registry_triggers.notification import Notification
    from airflow_registry_triggers.webhook.delivery import Delivery

__all__ = ["DryRun"]


class DryRun:
    """
    The dry run of a delivery task. It reads and writes no stored state.

    :param delivery: receiver, headers and body
    :param items: notifications, each with the name of its trigger
    :param try_number: try of the task
    """

    def __init__(
        self, delivery: Delivery, items: Sequence[tuple[Notification, str]], try_number: int
    ) -> None:
        self._delivery = delivery
        self._items = items
        self._try_number = try_number
        self._records: list[AccessRecord] = []

    def run(self, report: Callable[[AccessRecord], None]) -> list[AccessRecord]:
        """
        Check each delivery.

        :param report: writes a record to the task log
        :return: records with the status ``dry_run``, or the status of a fault
        """
        self._records = asyncio.run(self._check_all())
        for record in self._records:
            report(record)
        return self._records

    def check(self) -> None:
        """
        Raise if a webhook could not be sent.

        :raises DeliveryFailed: a check failed; a dry run is not retried
        """
        failed = [record for record in self._records if record.status_code != Status.DRY_RUN]
        if failed:
            raise DeliveryFailed(failed_text(failed, len(self._items)))

    async def _check_all(self) -> list[AccessRecord]:
        from airflow_registry_triggers.webhook.rehearsal import rehearse

        checked = [
            await rehearse(self._delivery, notification, name, self._try_number)
            for notification, name in self._items
        ]
        return [replace(record, is_test=True) for record in checked]
