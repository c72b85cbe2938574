# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""When Airflow tries a delivery again."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.definitions.retry_policy import RetryDecision, RetryPolicy

from airflow_registry_triggers.exceptions import DeliveryPending

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["WebhookRetryPolicy"]


class WebhookRetryPolicy(RetryPolicy):
    """
    Wait 5 s, 30 s, 2 min, 5 min, 30 min, 2 h, 5 h, 10 h, each ±20 %, and never less than a receiver asks.

    Asked only about deliveries that can be tried again; any other exception has the task's own retries.
    """

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,
        max_tries: int,
        context: Context | None = None,
    ) -> RetryDecision:
        """
        Decide; the wait was drawn where the access record was written, so both tell the same.

        :param exception: what the task raised
        :param try_number: try of the task, from 1
        :param max_tries: tries after which Airflow gives up
        :param context: Airflow's context
        """
        if not isinstance(exception, DeliveryPending):
            return RetryDecision.default()
        return RetryDecision.retry(timedelta(seconds=exception.wait), reason=str(exception))

    def serialize(self) -> dict[str, Any]:
        """Give the form in the serialized Dag: it has no settings."""
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> WebhookRetryPolicy:
        """
        Make it from its serialized form.

        :param data: what :meth:`serialize` gave
        """
        return cls()

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self)

    def __hash__(self) -> int:
        return hash(type(self))
